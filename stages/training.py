"""How a stage that trains calls its training function, in one process or several, once or after a kill."""

import json
from pathlib import Path
from typing import Any

from scene.errors import InputError
from stages.stage import StageRun
from trainer.distributed import Job, run_job
from trainer.files import CHECKPOINT_FILE, HISTORY_FILE

UNIT = "training"


def run_training(stage_run: StageRun, entry: str) -> dict[str, Any]:
    """Calls `entry` ("package.module:function", see `trainer.distributed.Job`) and returns the manifest's statistics.

    Raises:
        InputError: if the data set's folder is not known, or from the training itself.
    """
    if stage_run.data_root is None:
        raise InputError("training reads images, but no data set folder is given", where="data.root", fix="set it")
    build, runtime = stage_run.build, stage_run.runtime
    build.expect(1)
    if not build.is_done(UNIT):
        job = Job(
            entry=entry,
            settings=stage_run.settings.model_dump(mode="json"),
            inputs={role: str(artifact.path) for role, artifact in stage_run.inputs.items()},
            folder=str(build.path),
            data_root=str(stage_run.data_root),
            device=runtime.device,
            num_processes=runtime.num_processes,
            checkpoint_seconds=runtime.checkpoint_seconds,
            num_readers=runtime.num_readers,
            progress=runtime.progress,
        )
        build.record(num_processes=runtime.num_processes, **run_job(job))
        build.mark_done(UNIT, [path for path in build.path.iterdir() if path.name != CHECKPOINT_FILE])
    (build.path / CHECKPOINT_FILE).unlink(missing_ok=True)
    return {"last_losses": _last_row(build.path / HISTORY_FILE)}


def _last_row(history: Path) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(history.read_text().splitlines()[-1])
    return row

"""The experiment that is disturbed: the smoke experiment with a tiny teacher, and what an undisturbed run gives."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from faults.attempts import Command, attempt
from faults.forks import in_fork
from faults.layout import Finished, finished

STAGES = (
    "world",
    "index",
    "teacher_labels",
    "ground",
    "geometry",
    "ground_points",
    "bev_labels",
    "pretrain",
    "finetune",
    "evaluate",
    "report",
)
IN_ONE_PROCESS = "runtime={num_workers: 1, num_jobs: 1, checkpoint_seconds: 0, progress: false}"
IN_SEVERAL = "runtime={num_workers: 2, num_jobs: 2, checkpoint_seconds: 0, progress: false}"


@dataclass(frozen=True)
class Undisturbed:
    """A whole run.

    Attributes:
        cache: its folder; nothing in it is ever changed.
        arguments: of the run, but for the runtime.
        artifacts: what it made.
        counts: how often it did what a trigger waits for, by "stage/kind".
        wall_s: how long it took.
    """

    cache: Path
    arguments: tuple[str, ...]
    artifacts: dict[str, Finished]
    counts: dict[str, int]
    wall_s: float

    def command(self, cache: Path | str, folder: Path, *, until: str = "report", forks: bool = True) -> Command:
        """The same run on another cache, in one process, or in several."""
        runtime = IN_ONE_PROCESS if forks else IN_SEVERAL
        arguments = (*self.arguments, "--set", runtime, "--until", until)
        roots = [Path(cache)] if isinstance(cache, Path) else []
        return Command(arguments, str(cache), folder, roots, forks=forks)

    def up_to(self, stage: str) -> dict[str, Finished]:
        """Artifacts of the stages before `stage`."""
        before = STAGES[: STAGES.index(stage)]
        return {name: found for name, found in self.artifacts.items() if found.stage in before}

    def of(self, stage: str) -> dict[str, Finished]:
        """Artifacts of one stage."""
        return {name: found for name, found in self.artifacts.items() if found.stage == stage}

    def lineage(self, stage: str) -> dict[str, Finished]:
        """What a run until `stage` makes."""
        wanted = self.of(stage)
        while more := {
            name: found
            for name, found in self.artifacts.items()
            if name not in wanted and found.key in {key for a in wanted.values() for key in a.parents}
        }:
            wanted |= more
        return wanted

    def stage_wall_s(self, stage: str) -> float:
        """How long a stage took, all its artifacts together."""
        return sum(found.wall_s for found in self.of(stage).values())

    def copy(self, target: Path, artifacts: dict[str, Finished], *, linked: bool = True) -> None:
        """A cache with these artifacts; files are shared as hard links, for artifacts are never written to."""
        target.mkdir(parents=True)
        shutil.copy(self.cache / "bevprior-cache.json", target)
        for name in artifacts:
            shutil.copytree(self.cache / name, target / name, copy_function=os.link if linked else shutil.copy2)


def load_everything() -> None:
    """Imports what the stages need, once for all forks."""
    import pipeline.remake
    import pipeline.session
    from pipeline.table import STAGES as TABLE
    from pipeline.table import stage
    from stages.stage import resolve

    assert pipeline.session
    assert pipeline.remake
    for name in TABLE:
        described = stage(name)
        for target in (described.entry, described.fingerprint):
            if target is not None and described.name in STAGES:
                resolve(target)


def tiny_teacher(folder: Path) -> None:
    """Writes a small Mask2Former of random weights: it knows nothing, and answers fast."""
    import torch
    import transformers

    from models.teachers.embedded import build_embedded_teacher
    from models.teachers.settings import EmbeddedTeacherSettings
    from synthetic.contents import Semantic

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    settings = EmbeddedTeacherSettings(
        stem_channels=8,
        stage_channels=(8, 8, 16, 16),
        stage_depths=(1, 1, 1, 1),
        feature_channels=32,
        feedforward_channels=32,
        pixel_layers=1,
        query_layers=1,
        num_heads=2,
    )
    build_embedded_teacher(settings, tuple(s.name.lower() for s in Semantic)).save_pretrained(folder)


def undisturbed(folder: Path, until: str = "report") -> Undisturbed:
    """Runs the experiment, as a user would, below `folder`."""
    teacher = folder / "teacher"
    in_fork(lambda: tiny_teacher(teacher))
    settings = [
        f"teacher_labels.teacher.source={teacher}",
        "teacher_labels.teacher.image_hw_px=[96, 192]",
        "ground_points.min_confidence=0",  # of what it says, nothing is sure
        "teacher_labels.frames_per_shard=2",  # five units of work instead of two
    ]
    arguments = ("run", "smoke", *(part for setting in settings for part in ("--set", setting)))
    cache = folder / "undisturbed"
    command = Undisturbed(cache, arguments, {}, {}, 0.0).command(cache, folder / "undisturbed-run", until=until)
    done = attempt(command)
    if done.status != 0:
        raise SystemExit(f"the undisturbed run failed:\n{done.errors}")
    return Undisturbed(cache, arguments, finished(cache), done.counts, done.wall_s)

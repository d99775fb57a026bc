"""Trains a trunk and an objective's heads on every frame of a split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.objectives import build_objective
from scene.errors import InputError
from stages.learn.pretrain import PretrainSettings
from stages.stage import StageRun
from stages.training import run_training
from trainer.augment import check_flip
from trainer.batches import BatchMaker, Pool, prefetched
from trainer.checkpoint import CHECKPOINT_FILE, save_history, save_model
from trainer.distributed import Job
from trainer.labels import Sources
from trainer.learner import Learner
from trainer.loop import Training
from trainer.network import describe, new_trunk
from trainer.process import Process
from trainer.reader import FrameReader
from trainer.settings import check_split

CALIBRATION_FRAMES = 24
"""Frames from which an objective takes its statistics (class frequencies), our choice."""


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes model.safetensors, model.json and history.jsonl."""
    return run_training(stage_run, "stages.learn.pretrain.run:train")


def train(job: Job, process: Process) -> dict[str, Any]:
    """One training process.

    Raises:
        InputError: if the split has no frames, the batch cannot be shared, or the training diverges.
    """
    settings = PretrainSettings.parse(job.settings)
    check_split(settings.batch_parts, process.world_size, settings.optimiser.gradient_accumulation)
    learner, maker = assemble(settings, job, process)
    learner.to(process.device)
    folder = Path(job.folder)
    history = Training(
        learner=learner,
        batches=lambda step: prefetched(
            maker, step, settings.optimiser.steps, process.num_readers, pinned=process.device.type == "cuda"
        ),
        settings=settings.optimiser,
        seed=settings.seed,
        checkpoint=folder / CHECKPOINT_FILE,
        process=process,
        title="pretrain",
    ).run()
    if process.is_first:
        save_history(folder, history)
        save_model(
            folder,
            learner.weights(),
            describe(settings.model, settings.grid, settings.label_schema, list(learner.heads)),
        )
    (pool,) = maker.pools
    return {
        "optimisation_steps": settings.optimiser.steps,
        "samples": settings.num_samples,
        "scenes": len(np.unique(maker.reader.index.frame_scene[pool.frames])),
        "frames": len(pool.frames),
    }


def assemble(settings: PretrainSettings, job: Job, process: Process) -> tuple[Learner, BatchMaker]:
    """What is trained, and what makes its batches.

    Raises:
        InputError: if the split has no frames, or the artifacts do not fit the settings.
    """
    check_flip(settings.grid, settings.augment)
    inputs = {role: Path(folder) for role, folder in job.inputs.items()}
    sources = Sources.of(inputs, Path(job.data_root))
    model = settings.model
    reader = FrameReader(sources, model.image_hw_px, settings.grid, settings.label_schema, model.history)
    frames = reader.index.frames_of_split(settings.split)
    if len(frames) == 0:
        raise InputError(f"no frame is in the split {settings.split!r}", where="dataset index", fix="check the splits")
    trunk = new_trunk(model, settings.grid, settings.seed)
    objective = build_objective(settings.objective, settings.label_schema, settings.grid)
    learner = Learner(trunk, objective.build_heads(trunk), None, objective)
    maker = BatchMaker(
        reader=reader,
        pools=(Pool(frames, settings.optimiser.batch_size, labelled=False, prepared=True),),
        objective=objective,
        augment=settings.augment,
        seed=settings.seed,
        rank=process.rank,
        world_size=process.world_size,
        drop_history_frame=model.drop_history_frame,
    )
    objective.calibrate(maker.calibration_samples(CALIBRATION_FRAMES))
    return learner, maker

"""Trains a trunk and an objective's heads on every frame of a split."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.objectives import build_objective
from scene.errors import InputError
from stages.learn.pretrain import PretrainSettings
from stages.stage import StageRun
from stages.training import run_training
from trainer.batches import BatchMaker, Pool
from trainer.distributed import Job
from trainer.learner import Learner
from trainer.network import new_trunk
from trainer.process import Process
from trainer.session import batch_maker, begin_with, open_reader, train_and_save


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes model.safetensors, model.json and history.jsonl; validation.jsonl where the training is watched."""
    return run_training(stage_run, "stages.learn.pretrain.run:train")


def train(job: Job, process: Process) -> dict[str, Any]:
    """One training process.

    Raises:
        InputError: if the split has no frames, the batch cannot be shared, or the training diverges.
    """
    settings = PretrainSettings.parse(job.settings)
    learner, maker = assemble(settings, job, process)
    train_and_save(settings, learner, maker, job, process, "pretrain")
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
        InputError: if the split has no frames, the batch cannot be shared, or the artifacts do not fit the settings.
    """
    reader = open_reader(settings, job, process)
    frames = reader.index.frames_of_split(settings.split)
    if len(frames) == 0:
        raise InputError(f"no frame is in the split {settings.split!r}", where="dataset index", fix="check the splits")
    trunk = new_trunk(settings.model, settings.grid, settings.seed)
    objective = build_objective(settings.objective, settings.label_schema, settings.grid)
    learner = Learner(trunk, objective.build_heads(trunk), None, objective)
    begin_with(learner, settings)
    pool = Pool(frames, settings.optimiser.batch_size, labelled=False, prepared=True)
    return learner, batch_maker(settings, reader, [pool], objective, process)

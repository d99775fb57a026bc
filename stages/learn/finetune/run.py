"""Trains on the BEV labels of a nested subset of the scenes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.bev.former import BevFormer
from models.objectives import build_objective
from models.objectives.base import Objective
from models.objectives.segmentation import make_decoder
from stages.learn.finetune import FinetuneSettings
from stages.stage import StageRun
from stages.training import run_training
from trainer.batches import Pool
from trainer.distributed import Job
from trainer.learner import Learner, SupervisedLoss
from trainer.network import load_network, new_trunk
from trainer.process import Process
from trainer.reader import FrameReader
from trainer.session import batch_maker, begin_with, open_reader, train_and_save
from trainer.subset import evenly_spaced, frames_of_fraction

STATISTICS_FRAMES = 64
"""Frames from which class weights are taken, our choice."""


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes model.safetensors, model.json and history.jsonl; validation.jsonl where the training is watched."""
    return run_training(stage_run, "stages.learn.finetune.run:train")


def train(job: Job, process: Process) -> dict[str, Any]:
    """One training process.

    Raises:
        InputError: if the split has no frames, the batch cannot be shared, the weights do not fit, or the training
            diverges.
    """
    settings = FinetuneSettings.parse(job.settings)
    reader = open_reader(settings, job, process)
    labelled = frames_of_fraction(reader.index, settings.split, settings.label_fraction, settings.subset_seed)
    trunk = new_trunk(settings.model, settings.grid, settings.seed)
    objective = _kept_objective(settings)
    num_classes = len(settings.label_schema.classes)
    learner = Learner(
        trunk,
        _heads(trunk, objective, num_classes),
        SupervisedLoss(settings.supervised, _some_labels(reader, labelled), num_classes),
        objective,
        settings.keep_objective_weight,
    )
    if settings.init == "pretrained":
        pretrained = Path(job.inputs["pretrain"])
        learner.load_pretrained(load_network(pretrained, settings.model, settings.grid, settings.label_schema))
    begin_with(learner, settings)
    pools = _pools(settings, labelled, reader.index.frames_of_split(settings.split))
    maker = batch_maker(settings, reader, pools, objective, process)
    train_and_save(settings, learner, maker, job, process, f"finetune {settings.label_fraction:.0%} {settings.init}")
    return {
        "optimisation_steps": settings.optimiser.steps,
        "samples": settings.num_samples,
        "labelled_scenes": len(np.unique(reader.index.frame_scene[labelled])),
        "labelled_frames": len(labelled),
    }


def _kept_objective(settings: FinetuneSettings) -> Objective | None:
    if settings.objective is None:
        return None
    return build_objective(settings.objective, settings.label_schema, settings.grid)


def _heads(trunk: BevFormer, objective: Objective | None, num_classes: int) -> nn.ModuleDict:
    """The objective's heads, where it goes on, and always a decoder."""
    heads = nn.ModuleDict() if objective is None else objective.build_heads(trunk)
    if "decoder" not in heads:
        heads["decoder"] = make_decoder(trunk, num_classes)
    return heads


def _pools(settings: FinetuneSettings, labelled: NDArray[np.int64], everything: NDArray[np.int64]) -> tuple[Pool, ...]:
    with_labels, *rest = settings.batch_parts
    return (
        Pool(labelled, with_labels, labelled=True, prepared=False),
        *(Pool(everything, without, labelled=False, prepared=True) for without in rest),
    )


def _some_labels(reader: FrameReader, frames: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    return [reader.labels.bev_class(int(frame)) for frame in evenly_spaced(frames, STATISTICS_FRAMES)]

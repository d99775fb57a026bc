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
from trainer.augment import check_flip
from trainer.batches import BatchMaker, Pool, prefetched
from trainer.checkpoint import CHECKPOINT_FILE, save_history, save_model
from trainer.distributed import Job
from trainer.labels import Sources
from trainer.learner import Learner, SupervisedLoss
from trainer.loop import Training
from trainer.network import describe, load_network, new_trunk
from trainer.process import Process
from trainer.reader import FrameReader
from trainer.settings import check_split
from trainer.subset import frames_of_fraction

CALIBRATION_FRAMES = 24
"""Frames from which the objective takes its statistics, our choice; stage `pretrain` has as many."""
STATISTICS_FRAMES = 64
"""Frames from which class weights are taken, our choice."""


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes model.safetensors, model.json and history.jsonl."""
    return run_training(stage_run, "stages.learn.finetune.run:train")


def train(job: Job, process: Process) -> dict[str, Any]:
    """One training process.

    Raises:
        InputError: if the split has no frames, the batch cannot be shared, the weights do not fit, or the training
            diverges.
    """
    settings = FinetuneSettings.parse(job.settings)
    check_flip(settings.grid, settings.augment)
    check_split(settings.batch_parts, process.world_size, settings.optimiser.gradient_accumulation)
    inputs = {role: Path(folder) for role, folder in job.inputs.items()}
    sources = Sources.of(inputs, Path(job.data_root))
    model = settings.model
    reader = FrameReader(sources, model.image_hw_px, settings.grid, settings.label_schema, model.history)
    labelled = frames_of_fraction(reader.index, settings.split, settings.label_fraction, settings.subset_seed)

    trunk = new_trunk(model, settings.grid, settings.seed)
    objective = _kept_objective(settings)
    learner = Learner(
        trunk,
        _heads(trunk, objective, len(settings.label_schema.classes)),
        SupervisedLoss(settings.supervised, _some_labels(reader, labelled), len(settings.label_schema.classes)),
        objective,
        settings.keep_objective_weight,
    )
    if settings.init == "pretrained":
        learner.load_pretrained(load_network(inputs["pretrain"], model, settings.grid, settings.label_schema))
    maker = BatchMaker(
        reader=reader,
        pools=_pools(settings, labelled, reader.index.frames_of_split(settings.split)),
        objective=objective,
        augment=settings.augment,
        seed=settings.seed,
        rank=process.rank,
        world_size=process.world_size,
        drop_history_frame=model.drop_history_frame,
    )
    if objective is not None:
        objective.calibrate(maker.calibration_samples(CALIBRATION_FRAMES))
    learner.to(process.device)
    folder = Path(job.folder)
    optimiser = settings.optimiser
    history = Training(
        learner=learner,
        batches=lambda step: prefetched(
            maker, step, optimiser.steps, process.num_readers, pinned=process.device.type == "cuda"
        ),
        settings=optimiser,
        seed=settings.seed,
        checkpoint=folder / CHECKPOINT_FILE,
        process=process,
        title=f"finetune {settings.label_fraction:.0%} {settings.init}",
    ).run()
    if process.is_first:
        save_history(folder, history)
        save_model(
            folder, learner.weights(), describe(model, settings.grid, settings.label_schema, list(learner.heads))
        )
    return {
        "optimisation_steps": optimiser.steps,
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
    chosen = frames[np.linspace(0, len(frames) - 1, min(STATISTICS_FRAMES, len(frames))).round().astype(int)]
    return [reader.labels.bev_class(int(frame)) for frame in chosen]

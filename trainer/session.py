"""What every training stage does around its loop: opens what it reads, makes batches, trains, writes the model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from models.bev.config import BevFormerConfig
from models.objectives.base import Objective
from scene.grid import BevGrid
from scene.labels import LabelSchema
from trainer.augment import check_flip
from trainer.batches import BatchMaker, Pool, prefetched
from trainer.checkpoint import save_model
from trainer.distributed import Job
from trainer.files import CHECKPOINT_FILE
from trainer.labels import Sources
from trainer.learner import Learner
from trainer.loop import Training, save_progress
from trainer.network import describe
from trainer.process import Process
from trainer.reader import FrameReader
from trainer.segmenter import initial_weights
from trainer.settings import AugmentSettings, OptimiserSettings, ValidationSettings, check_split
from trainer.validation import Validation

CALIBRATION_FRAMES = 24
"""Frames from which an objective takes its statistics (class frequencies), our choice."""


class TrainingSettings(Protocol):
    """The settings that every training of a BEV model has, whatever else its stage asks for."""

    @property
    def model(self) -> BevFormerConfig:
        """The trunk."""

    @property
    def grid(self) -> BevGrid:
        """Of the BEV prediction."""

    @property
    def label_schema(self) -> LabelSchema:
        """Of the BEV prediction."""

    @property
    def optimiser(self) -> OptimiserSettings:
        """How it is optimised."""

    @property
    def augment(self) -> AugmentSettings:
        """Random changes of its samples."""

    @property
    def watched(self) -> ValidationSettings | None:
        """How it is scored meanwhile."""

    @property
    def initial_model(self) -> str | None:
        """Folder of the saved model that it begins with."""

    @property
    def seed(self) -> int:
        """Of weights, samples and augmentation."""

    @property
    def batch_parts(self) -> tuple[int, ...]:
        """Samples of a batch from each pool."""


def open_reader(settings: TrainingSettings, job: Job, process: Process) -> FrameReader:
    """What samples are read with.

    Raises:
        InputError: if the settings do not fit each other, the processes or the artifacts.
    """
    check_flip(settings.grid, settings.augment)
    check_split(settings.batch_parts, process.world_size, settings.optimiser.gradient_accumulation)
    sources = Sources.of({role: Path(folder) for role, folder in job.inputs.items()}, Path(job.data_root))
    model = settings.model
    return FrameReader(sources, model.image_hw_px, settings.grid, settings.label_schema, model.history)


def begin_with(learner: Learner, settings: TrainingSettings) -> None:
    """Puts the saved model's weights in place, where the settings name one; heads that it has not stay random.

    Raises:
        InputError: if there is no such model, or it does not fit.
    """
    if (place := settings.initial_model) is not None:
        learner.load_pretrained(initial_weights(place, settings.label_schema), place)


def batch_maker(
    settings: TrainingSettings,
    reader: FrameReader,
    pools: Sequence[Pool],
    objective: Objective | None,
    process: Process,
) -> BatchMaker:
    """What makes this process's batches; the objective takes its statistics from them."""
    maker = BatchMaker(
        reader=reader,
        pools=tuple(pools),
        objective=objective,
        augment=settings.augment,
        seed=settings.seed,
        rank=process.rank,
        world_size=process.world_size,
        drop_history_frame=settings.model.drop_history_frame,
    )
    if objective is not None:
        objective.calibrate(maker.calibration_samples(CALIBRATION_FRAMES))
    return maker


def train_and_save(
    settings: TrainingSettings, learner: Learner, maker: BatchMaker, job: Job, process: Process, title: str
) -> None:
    """Trains to the last step, from the checkpoint where there is one; the first process writes the model.

    Raises:
        InputError: if the training diverges.
    """
    learner.to(process.device)
    folder, optimiser = Path(job.folder), settings.optimiser
    pinned = process.device.type == "cuda"
    watched = settings.watched
    validation = None if watched is None else Validation.of(watched, maker.reader, settings.label_schema, process)
    progress = Training(
        learner=learner,
        batches=lambda step: prefetched(maker, step, optimiser.steps, process.num_readers, pinned=pinned),
        settings=optimiser,
        seed=settings.seed,
        checkpoint=folder / CHECKPOINT_FILE,
        process=process,
        title=title,
        validation=validation,
    ).run()
    if process.is_first:
        save_progress(folder, progress)
        description = describe(settings.model, settings.grid, settings.label_schema, list(learner.heads))
        save_model(folder, learner.weights(), description)

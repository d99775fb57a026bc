"""One unit of work: the label images of a few keyframes, from reading to writing. Runs in a worker."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cache.arrays import open_arrays
from models.teachers.mask2former import Mask2FormerTeacher, stored_confidence
from models.teachers.sam import SamTeacher
from models.teachers.source import fetch
from scene.errors import InputError
from scene.labels import IGNORE
from stages.prepare.teacher_labels import TeacherLabelsSettings
from stages.prepare.teacher_labels.ignoring import ignore_regions
from stages.prepare.teacher_labels.images import read_image
from stages.prepare.teacher_labels.store import LABELS_FILE


@dataclass(frozen=True)
class Frame:
    """What a worker must know of one keyframe: its images under the data root by camera, "" where there is none."""

    token: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Shard:
    """Keyframes start, start + 1, ... of the index, which one file of the store holds."""

    start: int
    frames: tuple[Frame, ...]

    @property
    def unit(self) -> str:
        """Name of the unit of work."""
        return f"frames-{self.start:06d}"

    @property
    def num_images(self) -> int:
        """How many images there are to label."""
        return sum(bool(file) for frame in self.frames for file in frame.files)


@dataclass(frozen=True)
class Receipt:
    """What a worker sends back: the unit that is written, and how many images that took."""

    unit: str
    num_images: int


@dataclass(frozen=True)
class Labeller:
    """Labels shards. The networks are loaded when the first one is needed, once per worker.

    Attributes:
        settings: see `TeacherLabelsSettings`.
        cameras: channel names.
        data_root, output: folders that every worker sees under the same path.
        device: "cpu" or "cuda": the GPU that the worker has chosen.
    """

    settings: TeacherLabelsSettings
    cameras: tuple[str, ...]
    data_root: Path
    output: Path
    device: str

    @cached_property
    def teacher(self) -> Mask2FormerTeacher:
        """The semantic teacher.

        Raises:
            InputError: if it cannot be had or does not fit the map.
        """
        teacher = self.settings.teacher
        folder = fetch(teacher.source, teacher.revision)
        return Mask2FormerTeacher.load(folder, teacher.map.num_classes).to(self.device)

    @cached_property
    def sam(self) -> SamTeacher | None:
        """The teacher of class-agnostic masks, where one is asked for.

        Raises:
            InputError: if it cannot be had.
        """
        if (sam := self.settings.sam) is None:
            return None
        return SamTeacher.load(fetch(sam.teacher.source, sam.teacher.revision), sam).to(self.device)

    @cached_property
    def target_of_class(self) -> torch.Tensor:
        """Our id of each of the teacher's classes (K,) uint8."""
        return torch.from_numpy(self.settings.teacher.map.lookup(self.settings.label_schema)).to(self.device)

    def label(self, shard: Shard) -> Receipt:
        """Labels and writes one shard, whole. Doing it twice writes the same bytes.

        Raises:
            InputError: for an image that cannot be read, or a teacher that cannot be loaded.
        """
        labels = [self._label_frame(frame) for frame in shard.frames]
        group = open_arrays(self.output / LABELS_FILE, "r+")
        rows = slice(shard.start, shard.start + len(shard.frames))
        for name in labels[0]:
            group[name][rows] = np.stack([frame[name] for frame in labels])
        return Receipt(shard.unit, shard.num_images)

    def _label_frame(self, frame: Frame) -> dict[str, NDArray[Any]]:
        """Arrays (C, h, w) by name.

        One batch is one frame's cameras, always: the last bits of a convolution may depend on the batch it is part
        of, and labels shall not depend on how fast they are made.
        """
        height, width = self.settings.label_hw_px
        quarter = (-(-height // 4), -(-width // 4))
        result = {
            "class_id": np.full((len(self.cameras), height, width), IGNORE, np.uint8),
            "confidence": np.zeros((len(self.cameras), *quarter), np.uint8),
        }
        if self.sam is not None:
            result["sam_mask_id"] = np.zeros((len(self.cameras), height, width), np.uint16)
        seen = [c for c, file in enumerate(frame.files) if file]
        if not seen:
            return result
        images = torch.from_numpy(np.stack([self._read(frame, c) for c in seen])).to(self.device)
        labels = self.teacher(images, self.settings.label_hw_px, self.target_of_class)
        result["confidence"][seen] = stored_confidence(labels.probability).cpu().numpy()
        for c, class_id, probability in zip(
            seen, labels.class_id.cpu().numpy(), labels.probability.cpu().numpy(), strict=True
        ):
            result["class_id"][c] = ignore_regions(
                class_id,
                probability,
                bonnet_share=self.settings.ego_bonnet.get(self.cameras[c], 0.0),
                min_confidence=self.settings.min_confidence,
                dilate_px=self.settings.teacher.map.dilate_px,
            )
        if self.sam is not None:
            for c, image in zip(seen, images, strict=True):
                masks = self.sam(image, self.settings.label_hw_px)
                result["sam_mask_id"][c] = masks.cpu().numpy().astype(np.uint16)
        return result

    def _read(self, frame: Frame, camera: int) -> NDArray[np.uint8]:
        file = self.data_root / frame.files[camera]
        return read_image(file, self.settings.teacher.image_hw_px, frame.token, self.cameras[camera])


def fetch_teachers(settings: TeacherLabelsSettings) -> None:
    """Has the teachers' files on this machine before workers ask for them: one download, and one clear error.

    Raises:
        InputError: see `models.teachers.source.fetch`.
    """
    for teacher in (settings.teacher, *((settings.sam.teacher,) if settings.sam else ())):
        fetch(teacher.source, teacher.revision)


def check_cameras(settings: TeacherLabelsSettings, cameras: tuple[str, ...]) -> None:
    """Raises InputError if `ego_bonnet` names a camera that the index does not have."""
    if unknown := sorted(set(settings.ego_bonnet) - set(cameras)):
        raise InputError(
            f"no such cameras: {unknown}", where="teacher_labels.ego_bonnet", fix=f"known: {list(cameras)}"
        )

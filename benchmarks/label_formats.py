"""The same label images written by several libraries, and read one sample (six cameras) at a time.

Each format is at its best for random reads from a local disk: no needless layer, nothing decoded that is not wanted,
settings as its documentation recommends.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import google_crc32c
import numpy as np
from numcodecs import blosc, zstd
from numcodecs.blosc import Blosc
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from cache.arrays import ArraySpec, Compression, create_arrays, open_arrays
from cache.keys import KeySpec
from cache.reading import GroupReader
from cache.store import Store

Image = NDArray[np.uint8]
Sample = tuple[Image, Image]
"""Class ids (C, h, w) and confidences (C, h / 4, w / 4) of one keyframe."""

ZSTD_LEVEL = 3


@dataclass(frozen=True)
class LabelFormat(ABC):
    """A way to keep samples.

    Attributes:
        name: in the table.
        checks: what a read verifies.
    """

    name: str
    checks: str

    @abstractmethod
    def write(self, folder: Path, class_id: Image, confidence: Image) -> None:
        """Writes samples (N, ...) into a new folder."""

    @abstractmethod
    def open(self, folder: Path) -> Callable[[int], Sample]:
        """What reads a sample, in the process that calls this."""


@dataclass(frozen=True)
class Artifact(LabelFormat):
    """An artifact read by `cache.reading`; without arguments, laid out as the stage `teacher_labels` does it."""

    compression: Compression = "lz4"
    cameras_per_chunk: int = 6
    frames_per_shard: int = 8

    def write(self, folder: Path, class_id: Image, confidence: Image) -> None:
        def fill(build: Any) -> dict[str, Any]:
            arrays = {"class_id": class_id, "confidence": confidence}
            specs = [
                ArraySpec(
                    name,
                    array.shape,
                    array.dtype,
                    (1, self.cameras_per_chunk, *array.shape[2:]),
                    (self.frames_per_shard, *array.shape[1:]),
                    ("frame", "camera", "row", "column"),
                    255,
                    compression=self.compression if name == "class_id" else "zstd",
                )
                for name, array in arrays.items()
            ]
            group = create_arrays(build.path / "labels.zarr", specs)
            for name, array in arrays.items():
                group[name][:] = array
            return {}

        Store(folder).get_or_build(KeySpec("labels", 1, {}), {}, fill)

    def open(self, folder: Path) -> Callable[[int], Sample]:
        group = GroupReader(_labels_in(folder))
        class_id, confidence = group["class_id"], group["confidence"]
        return lambda index: (class_id.read(index), confidence.read(index))


@dataclass(frozen=True)
class ZarrPython(Artifact):
    """The same artifact, read by zarr."""

    def open(self, folder: Path) -> Callable[[int], Sample]:
        group = open_arrays(_labels_in(folder))
        class_id, confidence = group["class_id"], group["confidence"]
        return lambda index: (class_id[index], confidence[index])


def _labels_in(folder: Path) -> Path:
    (found,) = folder.rglob("labels.zarr")
    return found


@dataclass(frozen=True)
class LitData(LabelFormat):
    """Samples of two arrays in chunks of 64 MB, mapped into memory where they lie.

    Of its compressions, the one of each sample by itself is the only one that decodes nothing else beside it.
    """

    is_compressed: bool = False

    def write(self, folder: Path, class_id: Image, confidence: Image) -> None:
        folder.mkdir()
        compression = {"compression": f"zstd:{ZSTD_LEVEL}", "compression_level": "sample"} if self.is_compressed else {}
        cache = import_module("litdata.streaming.cache").Cache(str(folder), chunk_bytes="64MB", **compression)
        for index in range(len(class_id)):
            cache[index] = {"class_id": class_id[index], "confidence": confidence[index]}
        cache.done()
        cache.merge()

    def open(self, folder: Path) -> Callable[[int], Sample]:
        dataset = import_module("litdata").StreamingDataset(str(folder), batch_decode=0)

        def read(index: int) -> Sample:
            sample = dataset[index]
            return sample["class_id"], sample["confidence"]

        return read


TORCHVISION_NAMES = {
    "torchvision": "datasets",
    "torchvision.datasets": "VisionDataset",
    "torchvision.transforms": "functional",
    "torchvision.transforms.functional": "to_tensor",
}


@cache
def streaming() -> ModuleType:
    """MosaicML streaming. For data sets that are not read here it imports torchvision, which not every torch has."""
    import_module("transformers.feature_extraction_utils")  # which asks whether there is a torchvision
    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        for name, attribute in TORCHVISION_NAMES.items():
            sys.modules[name] = ModuleType(name)
            setattr(sys.modules[name], attribute, object)
    return import_module("streaming")


@dataclass(frozen=True)
class Mosaic(LabelFormat):
    """MDS shards of arrays of fixed shape."""

    def write(self, folder: Path, class_id: Image, confidence: Image) -> None:
        arrays = {"class_id": class_id, "confidence": confidence}
        columns = {name: f"ndarray:uint8:{','.join(map(str, array.shape[1:]))}" for name, array in arrays.items()}
        with streaming().MDSWriter(out=str(folder), columns=columns) as writer:
            for index in range(len(class_id)):
                writer.write({name: array[index] for name, array in arrays.items()})

    def open(self, folder: Path) -> Callable[[int], Sample]:
        dataset = streaming().LocalDataset(str(folder))

        def read(index: int) -> Sample:
            sample = dataset[index]
            return sample["class_id"], sample["confidence"]

        return read


@dataclass(frozen=True)
class MosaicPayload(LabelFormat):
    """MDS shards of bytes that were compressed before, as ours are; its own compression is undone on first use."""

    def write(self, folder: Path, class_id: Image, confidence: Image) -> None:
        lz4, small = Blosc("lz4hc", 7, Blosc.NOSHUFFLE), Zstd(level=ZSTD_LEVEL, checksum=True)
        with streaming().MDSWriter(
            out=str(folder), columns=dict.fromkeys(("class_id", "confidence", "crc"), "bytes")
        ) as writer:
            for index in range(len(class_id)):
                sample = {"class_id": lz4.encode(class_id[index]), "confidence": small.encode(confidence[index])}
                writer.write({**sample, "crc": google_crc32c.value(sample["class_id"]).to_bytes(4, "little")})
        np.save(folder / "shapes.npy", [class_id.shape[1:], confidence.shape[1:]])

    def open(self, folder: Path) -> Callable[[int], Sample]:
        dataset, (whole, coarse) = streaming().LocalDataset(str(folder)), np.load(folder / "shapes.npy")

        def read(index: int) -> Sample:
            sample = dataset[index]
            if google_crc32c.value(sample["class_id"]) != int.from_bytes(sample["crc"], "little"):
                raise ValueError("checksum does not match")
            class_id, confidence = np.empty(whole, np.uint8), np.empty(coarse, np.uint8)
            blosc.decompress(sample["class_id"], class_id)
            zstd.decompress(sample["confidence"], confidence)
            return class_id, confidence

        return read


@dataclass(frozen=True)
class PngFiles(LabelFormat):
    """Two grey images per camera."""

    def write(self, folder: Path, class_id: Image, confidence: Image) -> None:
        settings = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
        for name, array in (("class_id", class_id), ("confidence", confidence)):
            for index, camera in np.ndindex(array.shape[:2]):
                file = folder / name / str(camera) / f"{index:05d}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), array[index, camera], settings)

    def open(self, folder: Path) -> Callable[[int], Sample]:
        num_cameras = len(list((folder / "class_id").iterdir()))

        def images(name: str, index: int) -> Image:
            files = (f"{folder}/{name}/{camera}/{index:05d}.png" for camera in range(num_cameras))
            return np.stack([cv2.imread(file, cv2.IMREAD_UNCHANGED) for file in files])

        return lambda index: (images("class_id", index), images("confidence", index))


OURS = Artifact("bevprior", "index and data")
FORMATS: tuple[LabelFormat, ...] = (
    OURS,
    replace(OURS, name="bevprior, chunk = camera", cameras_per_chunk=1),
    replace(OURS, name="bevprior, zstd", compression="zstd"),
    replace(OURS, name="bevprior, zstd, chunk = camera", compression="zstd", cameras_per_chunk=1),
    ZarrPython("bevprior, by zarr-python", "index and data"),
    LitData("LitData, zstd", "nothing", is_compressed=True),
    MosaicPayload("MosaicML streaming, lz4", "data"),
    PngFiles("PNG files", "data"),
    LitData("LitData, not compressed", "nothing"),
    Mosaic("MosaicML streaming, not compressed", "nothing"),
)

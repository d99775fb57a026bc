"""`labels.zarr`: layout and statistics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cache.arrays import ArraySpec, Compression, open_arrays
from models.teachers.confidence import CONFIDENCE_STEPS, CONFIDENCE_STRIDE
from scene.frames import FrameIndex
from scene.labels import IGNORE, NEVER_WRITTEN, STRUCTURE, LabelSchema
from stages.prepare.teacher_labels import TeacherLabelsSettings

LABELS_FILE = "labels.zarr"
MASK_NEVER_WRITTEN = 65535


def array_specs(index: FrameIndex, settings: TeacherLabelsSettings) -> list[ArraySpec]:
    """One chunk per keyframe, which is how training reads; one shard per unit of work: each shard has one writer.

    Class ids by LZ4: decoded three times as fast as Zstandard for a fifth more bytes. Confidence would be half as large
    again, for a gain of 0.1 ms (docs/decisions/0004-label-store.md).
    """
    height, width = settings.label_hw_px
    quarter = (-(-height // CONFIDENCE_STRIDE), -(-width // CONFIDENCE_STRIDE))

    def images(
        name: str,
        dtype: str,
        hw: tuple[int, int],
        fill: int,
        attributes: Mapping[str, Any] | None = None,
        compression: Compression = "zstd",
    ) -> ArraySpec:
        whole = (index.num_frames, index.num_cameras, *hw)
        shard = (settings.frames_per_shard, index.num_cameras, *hw)
        dims = ("frame", "camera", "row", "column")
        chunk = (1, index.num_cameras, *hw)
        return ArraySpec(name, whole, dtype, chunk, shard, dims, fill, "", attributes or {}, compression)

    ids = {
        "classes": list(settings.label_schema.names),
        "structure": STRUCTURE,
        "ignore": IGNORE,
        "never_written": NEVER_WRITTEN,
    }
    confidence = {"steps": CONFIDENCE_STEPS, "stride_px": CONFIDENCE_STRIDE}
    specs = [
        images("class_id", "u1", (height, width), NEVER_WRITTEN, ids, "lz4"),
        images("confidence", "u1", quarter, NEVER_WRITTEN, confidence),
    ]
    if settings.sam is not None:
        specs.append(images("sam_mask_id", "u2", (height, width), MASK_NEVER_WRITTEN))
    return specs


def describe(path: Path, schema: LabelSchema, frames_per_shard: int) -> dict[str, Any]:
    """Share of each class over all label pixels, of IGNORE, and the mean confidence: read back from the whole store."""
    group = open_arrays(path, "r")
    counts = np.zeros(256, np.int64)
    confidence_sum = confidence_count = 0
    num_frames = group["class_id"].shape[0]
    for start in range(0, num_frames, frames_per_shard):
        counts += np.bincount(group["class_id"][start : start + frames_per_shard].ravel(), minlength=256)
        confidence = group["confidence"][start : start + frames_per_shard]
        confidence_sum += int(confidence.sum(dtype=np.int64))
        confidence_count += confidence.size
    names = {**dict(enumerate(schema.names)), STRUCTURE: "structure", IGNORE: "ignored"}
    total = max(1, int(counts.sum()))
    return {
        "images": num_frames * group["class_id"].shape[1],
        "share": {name: round(int(counts[i]) / total, 6) for i, name in names.items()},
        "mean_confidence": round(confidence_sum / max(1, confidence_count) / CONFIDENCE_STEPS, 4),
    }

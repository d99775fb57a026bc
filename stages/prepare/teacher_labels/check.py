"""How well label images agree with the exact semantics that the embedded world keeps beside its data.

python -m stages.prepare.teacher_labels.check LABELS INDEX WORLD      (folders of the three artifacts)
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cache.arrays import open_arrays
from cache.manifest import Artifact
from scene.confusion import confusion, iou_per_class
from scene.errors import InputError
from scene.frames import FrameIndex
from scene.labels import IGNORE, STRUCTURE
from stages.prepare.teacher_labels import TeacherLabelsSettings
from stages.prepare.teacher_labels.store import LABELS_FILE
from synthetic.contents import CAMERAS


def score_labels(
    labels: Path, settings: TeacherLabelsSettings, index: FrameIndex, world: Path, exact_map: NDArray[np.uint8]
) -> dict[str, float]:
    """IoU in the image plane of each class of the schema and of structure, and "mean" over them; NaN where unseen.

    Args:
        labels: folder with `labels.zarr`.
        settings: that it was made with.
        index: of the frames.
        world: folder with `truth/`.
        exact_map: (12,) our id of each exact class; where either side says IGNORE, the pixel does not count.

    Raises:
        InputError: if the labels have another size than the truth, or a scene has no truth.
    """
    names = [*settings.label_schema.names, "structure"]
    group = open_arrays(labels / LABELS_FILE)
    columns = np.array([CAMERAS.index(str(camera)) for camera in index.camera_names])
    counts = np.zeros((len(names), len(names)), np.int64)
    for scene, name in enumerate(index.scene_name):
        frames = np.flatnonzero(index.frame_scene == scene)
        if not len(frames):
            continue
        truth = _with_structure_last(exact_map[exact_semantics(world, str(name))[:, columns]], len(names) - 1)
        predicted = group["class_id"][int(frames[0]) : int(frames[-1]) + 1]
        if truth.shape != predicted.shape:
            raise InputError(
                f"labels {predicted.shape} and truth {truth.shape} of scene {name} differ in shape",
                where=str(labels),
                fix="label the whole world at its own image size",
            )
        counts += confusion(_with_structure_last(predicted, len(names) - 1), truth, len(names), ignored=(IGNORE,))
    iou = iou_per_class(counts)
    return {**dict(zip(names, iou.tolist(), strict=True)), "mean": float(np.nanmean(iou))}


def exact_semantics(world: Path, scene: str) -> NDArray[np.uint8]:
    """Exact class ids (frames, cameras, height, width) of a scene, cameras in the order of `CAMERAS`.

    Raises:
        InputError: if the world keeps none.
    """
    file = world / "truth" / f"{scene}.npz"
    if not file.is_file():
        raise InputError(
            "a scene has no exact semantics", where=str(file), fix="check labels of the embedded world only"
        )
    with np.load(file, allow_pickle=False) as truth:
        semantic: NDArray[np.uint8] = truth["semantic"]
    return semantic


def _with_structure_last(class_id: NDArray[np.uint8], last: int) -> NDArray[np.uint8]:
    return np.where(class_id == STRUCTURE, np.uint8(last), class_id)


def main(labels: Path, index: Path, world: Path) -> None:
    """Prints a line per class."""
    settings = TeacherLabelsSettings.parse(dict(Artifact.open(labels).manifest.spec.settings))
    exact_map = settings.teacher.map.lookup(settings.label_schema)
    for name, iou in score_labels(labels, settings, FrameIndex.load(index / "index.npz"), world, exact_map).items():
        print(f"{name:12s} {iou:6.3f}")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))

"""Predicts drive by drive with a saved model, and draws some of it."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cache.arrays import ArraySpec, chunk_files, create_arrays, open_arrays
from scene import drawing
from scene.errors import InputError
from scene.frames import FrameIndex
from scene.labels import NEVER_WRITTEN
from scene.pictures import prediction_in_cameras, read_cameras
from stages.learn.predict import PredictSettings
from stages.stage import StageRun
from trainer.drives import predict_drives
from trainer.labels import Sources
from trainer.process import choose_device, pin_threads
from trainer.reader import FrameReader
from trainer.segmenter import BevSegmenter, load_segmenter
from trainer.subset import evenly_spaced

PREDICTIONS_FILE = "predictions.zarr"
CAMERA_WIDTH_PX = 384
PICTURED = 4
"""Keyframes that are drawn, evenly spaced."""


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes `predictions.zarr`, an array u1 (n, X, Y) of class ids for each scene, and `frame-<row>.png` to look at.

    A unit of work is a scene.

    Raises:
        InputError: if the model or an image cannot be read, or the split has no keyframe. (Whether the model fits is
            told with the plan: `pipeline.saved_models`.)
    """
    settings: PredictSettings = stage_run.settings
    build = stage_run.build
    assert stage_run.data_root is not None, "the stage reads_data"
    segmenter = load_segmenter(settings.saved_model)
    sources = Sources(stage_run.inputs["index"].path, stage_run.inputs["geometry"].path, stage_run.data_root)
    model = segmenter.trunk.config
    reader = FrameReader(sources, model.image_hw_px, segmenter.grid, segmenter.schema, model.history)
    scenes = scenes_of(reader.index, settings.split)
    specs = [array_spec(name, rows, reader.index, segmenter) for name, rows in scenes.items()]
    group = create_arrays(build.path / PREDICTIONS_FILE, specs)
    device = choose_device(stage_run.runtime.device)
    pin_threads(device)
    segmenter.to(device)
    units, quiet = build.units(scenes), not stage_run.runtime.progress
    for unit in tqdm(units, "predict", units.left_at_start, unit="scene", disable=quiet, delay=2):
        rows = scenes[unit]
        found = dict(predict_drives(segmenter, reader, rows, 1, device))
        group[unit][:] = np.stack([found[int(row)] for row in rows])
        build.mark_done(unit, chunk_files(build.path / PREDICTIONS_FILE / unit, slice(0, len(rows))))
    _draw(stage_run, reader.index, segmenter, scenes)
    return {"scenes": len(scenes), "keyframes": sum(map(len, scenes.values()))}


def scenes_of(index: FrameIndex, split: str | None) -> dict[str, NDArray[np.int64]]:
    """Rows of each scene's keyframes, by its name as an array can have it.

    Raises:
        InputError: if there is none, or two have the same name.
    """
    rows = np.arange(index.num_frames) if split is None else index.frames_of_split(split)
    scenes: dict[str, NDArray[np.int64]] = {}
    for scene in np.unique(index.frame_scene[rows]):
        name = re.sub(r"[^\w-]", "_", str(index.scene_name[scene]))
        if not name or name in scenes:
            what = f"two scenes are called {name!r}" if name else "a scene has no name"
            raise InputError(what, where="scene.json", fix="give each a name of its own")
        scenes[name] = rows[index.frame_scene[rows] == scene]
    if not scenes:
        raise InputError(f"no keyframe is in the split {split!r}", where="predict.split", fix="check index.split")
    return scenes


def array_spec(name: str, rows: NDArray[np.int64], index: FrameIndex, segmenter: BevSegmenter) -> ArraySpec:
    """The array of a scene: a chunk for each keyframe, one file."""
    shape = (len(rows), *segmenter.grid.shape)
    attributes = {
        "scene_token": str(index.scene_token[index.frame_scene[rows[0]]]),
        "sample_tokens": [str(token) for token in index.frame_token[rows]],
        "classes": list(segmenter.schema.names),
        "grid": segmenter.grid.canonical(),
    }
    dims = ("keyframe", "x", "y")
    return ArraySpec(name, shape, "u1", (1, *shape[1:]), shape, dims, NEVER_WRITTEN, attributes=attributes)


def _draw(
    stage_run: StageRun, index: FrameIndex, segmenter: BevSegmenter, scenes: Mapping[str, NDArray[np.int64]]
) -> None:
    """The prediction of some keyframes, in the cameras and from above."""
    path, data_root = stage_run.build.path, stage_run.data_root
    assert data_root is not None, "the stage reads_data"
    places = [(name, number) for name, rows in scenes.items() for number in range(len(rows))]
    geometry = open_arrays(stage_run.inputs["geometry"].path / "geometry.zarr")
    hw = tuple(geometry.attrs["label_hw_px"])
    predictions = open_arrays(path / PREDICTIONS_FILE)
    grid, colours = segmenter.grid, segmenter.schema.colours()
    for name, number in (places[i] for i in evenly_spaced(np.arange(len(places)), PICTURED)):
        frame, class_id = int(scenes[name][number]), np.asarray(predictions[name][number])
        images = read_cameras(data_root, index, frame, CAMERA_WIDTH_PX)
        homographies = dict(zip(map(str, index.camera_names), geometry["ground_from_pixel"][frame], strict=True))
        cameras = prediction_in_cameras(images, class_id, grid, colours, homographies, hw)
        above = drawing.bev_picture(class_id, grid, colours, max(1, round(cameras.shape[0] / grid.shape[0])))
        picture = drawing.joined([cameras, above], axis=1)
        (path / f"frame-{frame:05d}.png").write_bytes(drawing.png_bytes(picture))

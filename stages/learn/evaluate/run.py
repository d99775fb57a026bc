"""Predicts every frame of a split, drive by drive, and scores the predictions."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cache.arrays import ArraySpec, create_arrays, open_arrays
from cache.durable import write_atomically
from scene.errors import InputError
from scene.labels import NEVER_WRITTEN
from stages.learn.evaluate import EvaluateSettings
from stages.learn.evaluate.visibility import cell_visibility
from stages.stage import StageRun
from trainer.drives import predict_drives
from trainer.labels import Sources
from trainer.metrics import Scores
from trainer.network import put_in_place
from trainer.process import choose_device, pin_threads
from trainer.reader import FrameReader
from trainer.segmenter import BevSegmenter, load_segmenter, new_segmenter, trained_segmenter

FRAMES_PER_SHARD = 64


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes scores.json, and predictions.zarr: `frame` i8 (N,) rows of the index, `class_id` u1 (N, X, Y).

    Raises:
        InputError: if the split has no frames or nothing that is scored, or the model is of other settings.
    """
    settings: EvaluateSettings = stage_run.settings
    reader = _reader(stage_run)
    split = reader.index.frames_of_split(settings.split)
    frames = split[:: settings.every]
    if len(frames) == 0:
        raise InputError(f"no frame is in the split {settings.split!r}", where="dataset index", fix="check the splits")
    device = choose_device(stage_run.runtime.device)
    pin_threads(device)
    network = _network(stage_run).to(device).eval()
    intrinsics = open_arrays(stage_run.inputs["geometry"].path / "geometry.zarr")["image_from_camera"]
    scores = Scores(settings.label_schema, settings.grid)
    predicted = np.zeros((len(frames), *settings.grid.shape), np.uint8)
    bar = tqdm(total=len(split), desc="evaluate", unit="frame", disable=not stage_run.runtime.progress, delay=2)
    place = {int(row): i for i, row in enumerate(frames)}
    with bar:
        for row, prediction in predict_drives(network, reader, split, settings.batch_size, device):
            bar.update()
            if row in place:
                visibility = _visibility(reader, row, np.asarray(intrinsics[row])) if settings.by_visibility else None
                scores.add(prediction, reader.labels.bev_class(row), visibility)
                predicted[place[row]] = prediction
    _write_predictions(stage_run, frames, predicted)
    summary = scores.summary()
    if summary["miou"] is None:
        fix = "mark classes of the label schema as scored, or choose a split where they are"
        raise InputError("no class that is scored occurs in the frames", where=f"split {settings.split!r}", fix=fix)
    write_atomically(stage_run.build.path / "scores.json", (json.dumps(summary, indent=1) + "\n").encode())
    return {"miou": summary["miou"], "frames": len(frames)}


def _reader(stage_run: StageRun) -> FrameReader:
    if stage_run.data_root is None:
        raise InputError("evaluation reads images, but no data set folder is given", where="data.root", fix="set it")
    settings: EvaluateSettings = stage_run.settings
    folders = {role: artifact.path for role, artifact in stage_run.inputs.items()}
    sources = Sources.of(folders, stage_run.data_root)
    model = settings.model
    return FrameReader(sources, model.image_hw_px, settings.grid, settings.label_schema, model.history)


def _network(stage_run: StageRun) -> BevSegmenter:
    """With the weights of the input `model`, else those of the saved model, else random ones."""
    settings: EvaluateSettings = stage_run.settings
    shape = (settings.model, settings.grid, settings.label_schema)
    if "model" in stage_run.inputs:
        return trained_segmenter(stage_run.inputs["model"].path, *shape)
    segmenter = new_segmenter(*shape, settings.seed)
    if (place := settings.initial_model) is not None:
        put_in_place(load_segmenter(place).state_dict(), segmenter, place)
    return segmenter


def _visibility(reader: FrameReader, row: int, image_from_camera: NDArray[np.float64]) -> NDArray[np.uint8]:
    return cell_visibility(
        reader.labels.image_labels(row).class_id,
        image_from_camera,
        reader.camera_from_ego(row),
        reader.seen_by_camera(row),
        reader.grid,
    )


def _write_predictions(stage_run: StageRun, frames: NDArray[np.int64], predicted: NDArray[np.uint8]) -> None:
    num_frames, *shape = predicted.shape
    specs = [
        ArraySpec("frame", (num_frames,), "i8", (num_frames,), None, ("prediction",), -1),
        ArraySpec(
            "class_id",
            predicted.shape,
            "u1",
            (1, *shape),
            (FRAMES_PER_SHARD, *shape),
            ("prediction", "x", "y"),
            NEVER_WRITTEN,
        ),
    ]
    group = create_arrays(stage_run.build.path / "predictions.zarr", specs)
    group["frame"][:] = frames
    group["class_id"][:] = predicted

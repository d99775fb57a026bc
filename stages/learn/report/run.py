"""Writes index.html and summary.json from the evaluations and a few frames' arrays."""

import json
from collections.abc import Mapping
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from cache.arrays import open_arrays
from cache.store import Artifact
from scene.drawing import legend_entries
from scene.errors import InputError
from scene.frames import FrameIndex
from stages.learn.report import ReportSettings
from stages.learn.report.curves import draw_curves, read_curves
from stages.learn.report.pictures import FramePictures, Moment, draw
from stages.learn.report.table import Row, read_rows, summary
from stages.stage import StageRun

COSTS_PLACEHOLDER = "<!-- costs -->"
"""Where the publisher of the report puts the cost table: times differ from run to run, so the artifact has none."""


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Draws the report.

    Raises:
        InputError: if the showcase arm was not evaluated.
    """
    settings: ReportSettings = stage_run.settings
    evaluations = _evaluations(stage_run.inputs)
    rows = read_rows(settings.arms, {k: a.path / "scores.json" for k, a in evaluations.items()})
    showcase = min((k for k in evaluations if k[0] == settings.showcase), default=None)
    if showcase is None:
        raise InputError(
            f"the showcase arm {settings.showcase!r} is not among the evaluated arms", fix="name one that is"
        )
    frames = _frame_pictures(stage_run, evaluations[showcase])
    curves = read_curves(settings.arms, stage_run.inputs)
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(
            settings=settings,
            rows=rows,
            findings=findings(rows),
            best=max((row.miou.mean for row in rows), default=1.0),
            legend=legend_entries(settings.label_schema.names, settings.label_schema.colours()),
            frames=frames,
            curves=draw_curves(curves) if curves else None,
            showcase=next(arm for arm in settings.arms if arm.name == settings.showcase),
            costs_placeholder=COSTS_PLACEHOLDER,
        )
    )
    (stage_run.build.path / "index.html").write_text(html, encoding="utf-8")
    table = summary(rows)
    (stage_run.build.path / "summary.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return {"miou": {name: arm["miou"] for name, arm in table.items()}}


def findings(rows: list[Row]) -> list[str]:
    """What the table says, in sentences made of its own figures; differences are in percentage points (pp)."""
    plain = [row for row in rows if not row.arm.changes and not row.arm.began_saved]
    by_kind = {(row.arm.pretrained, row.arm.label_fraction): row for row in plain}
    sentences = []
    full = by_kind.get((False, 1.0))
    untrained = by_kind.get((False, 0.0))
    without = by_kind.get((True, 0.0))
    if without and untrained:
        sentences.append(
            f"Pretraining alone, without any BEV label, reaches {without.miou} % mIoU; "
            f"the untrained model has {untrained.miou} %."
        )
    for fraction in sorted({row.arm.label_fraction for row in rows} - {0.0}):
        scratch, pretrained = by_kind.get((False, fraction)), by_kind.get((True, fraction))
        if scratch and pretrained:
            gain = 100 * (pretrained.miou.mean - scratch.miou.mean)
            sentences.append(
                f"With {fraction:.0%} of the labels: pretrained {pretrained.miou} %, "
                f"from scratch {scratch.miou} % ({gain:+z.1f} pp)."
            )
    half = by_kind.get((True, 0.5))
    if half and full:
        gain = 100 * (half.miou.mean - full.miou.mean)
        sentences.append(
            f"Pretrained with half the labels against from scratch with all of them: {half.miou} % to "
            f"{full.miou} % ({gain:+z.1f} pp)."
        )
    return sentences


def _evaluations(inputs: Mapping[str, Artifact]) -> dict[tuple[str, int], Artifact]:
    """Evaluation artifacts by (arm, seed), from roles "evaluate:<arm>:<seed>"."""
    found = {}
    for role, artifact in inputs.items():
        if role.startswith("evaluate:"):
            _, arm, seed = role.split(":")
            found[arm, int(seed)] = artifact
    return found


def _frame_pictures(stage_run: StageRun, evaluation: Artifact) -> list[FramePictures]:
    settings: ReportSettings = stage_run.settings
    if stage_run.data_root is None:
        raise InputError("the report needs the data set's folder for its pictures")
    index = FrameIndex.load(stage_run.inputs["index"].path / "index.npz")
    labels = (
        open_arrays(stage_run.inputs["teacher_labels"].path / "labels.zarr")["class_id"]
        if settings.pseudo_labels
        else None
    )
    geometry = open_arrays(stage_run.inputs["geometry"].path / "geometry.zarr")
    bev = open_arrays(stage_run.inputs["bev_labels"].path / "bev.zarr")
    predictions = open_arrays(evaluation.path / "predictions.zarr")
    evaluated = np.asarray(predictions["frame"][:])
    chosen = np.unique(np.linspace(0, len(evaluated) - 1, settings.num_frames + 2).round()[1:-1].astype(int))
    pictures = []
    for row in chosen:
        frame = int(evaluated[row])
        moment = Moment(
            frame=frame,
            class_id=None if labels is None else np.asarray(labels[frame]),
            label_hw_px=tuple(geometry.attrs["label_hw_px"]),
            ground_from_pixel=np.asarray(geometry["ground_from_pixel"][frame]),
            seen=_seen_by_any(np.asarray(geometry["seen_cells"][frame]), settings.grid.shape),
            truth=settings.label_schema.classes_from_layers(np.asarray(bev["layers"][frame])),
            prediction=np.asarray(predictions["class_id"][int(row)]),
        )
        pictures.append(draw(moment, index, stage_run.data_root, settings.grid, settings.label_schema))
    return pictures


def _seen_by_any(packed: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(X, Y) bool from the packed masks (C, bytes) of the cameras."""
    cells = np.unpackbits(np.bitwise_or.reduce(packed, axis=0), count=shape[0] * shape[1])
    return cells.reshape(shape).astype(np.bool_)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("stages.learn.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )

"""The study's plots: PNG files that stand on their own."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from study.arms import LABELS_OF
from study.rows import Row
from study.settings import Clock, Kind, Study

COLOURS: dict[Kind, str] = {"scratch": "#8f9bb0", "pretrained": "#1f7a6d"}
TITLES: dict[Kind, str] = {"scratch": "from scratch", "pretrained": "pretrained without labels, then fine-tuned"}


def draw_plots(study: Study, rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes a label-fraction curve and a time curve for each setting and world; the files."""
    files = []
    for world_seed in study.world_seeds:
        for name, setting in study.settings.items():
            own = [row for row in rows if (row.world_seed, row.setting) == (world_seed, name)]
            for what in ("labels", "time"):
                figure, axes = plt.subplots(figsize=(7.2, 4.4), dpi=120, layout="constrained")
                if what == "labels":
                    _label_curve(axes, own)
                else:
                    _time_curve(axes, own, study.clock)
                axes.set_ylabel("mIoU, %")
                axes.set_title(f"{setting.title}, world {world_seed}", loc="left", fontsize=11)
                axes.grid(alpha=0.25)
                axes.spines[["top", "right"]].set_visible(False)
                axes.legend(frameon=False)
                files.append(folder / f"{what}-{name}-{world_seed}.png")
                figure.savefig(files[-1], metadata={"Software": None})
                plt.close(figure)
    return files


def _label_curve(axes: Axes, rows: Sequence[Row]) -> None:
    """mIoU against the share of labelled scenes; bands are one standard deviation over the seeds."""
    for kind in COLOURS:
        curve = [row for row in rows if row.part == "curve" and row.arm == kind]
        fractions = sorted({row.label_fraction for row in curve})
        _band(axes, kind, [(100 * f, [r.miou for r in curve if r.label_fraction == f]) for f in fractions])
    axes.set_xscale("symlog", linthresh=5)
    ticks = sorted({100 * row.label_fraction for row in rows if row.part == "curve"})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("labelled scenes, %")


def _time_curve(axes: Axes, rows: Sequence[Row], clock: Clock) -> None:
    """mIoU against seconds of processor (or accelerator) time, pretraining included."""
    for kind in COLOURS:
        _band(axes, kind, time_points(rows, kind, clock))
    unit = "CPU" if clock == "cpu_s" else "wall-clock"
    axes.set_xlabel(f"{unit} seconds of training, pretraining included (from scratch: all labels; pretrained: half)")


def time_points(rows: Sequence[Row], kind: Kind, clock: Clock) -> list[tuple[float, list[float]]]:
    """Mean seconds, and mIoU of every seed, of what was chosen and of each other length: shortest first."""
    curve = [r for r in rows if r.part in ("curve", "time") and (r.arm, r.label_fraction) == (kind, LABELS_OF[kind])]
    points = [[row for row in curve if row.variant == variant] for variant in {row.variant for row in curve}]
    return sorted((statistics.fmean(r.time_s(clock) for r in point), [r.miou for r in point]) for point in points)


def _band(axes: Axes, kind: Kind, points: Sequence[tuple[float, Sequence[float]]]) -> None:
    if not points:
        return
    x = [at for at, _ in points]
    mean = [100 * statistics.fmean(values) for _, values in points]
    spread = [100 * statistics.stdev(values) if len(values) > 1 else 0.0 for _, values in points]
    axes.errorbar(x, mean, spread, fmt="o-", capsize=3, color=COLOURS[kind], label=TITLES[kind])
    low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
    axes.fill_between(x, low, high, color=COLOURS[kind], alpha=0.18, linewidth=0)

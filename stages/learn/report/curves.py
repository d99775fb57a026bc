"""Learning curves: how well each model did while it was trained, where its trainings were watched."""

import io
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cache.store import Artifact
from stages.learn.report import Arm
from stages.learn.report.pictures import data_uri
from trainer.files import SCORES_FILE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {"pretrain": "pretraining", "finetune": "fine-tuning"}
"""What each stage that trains is called, in the order of the panels."""


@dataclass(frozen=True)
class Curve:
    """mIoU of one model, as fractions of 1: `seeds` holds a list for each seed, with a figure for each of `steps`."""

    title: str
    steps: tuple[int, ...]
    seeds: tuple[tuple[float, ...], ...]


def read_curves(arms: Sequence[Arm], inputs: Mapping[str, Artifact]) -> dict[str, list[Curve]]:
    """The curves of each stage, from roles "training:<stage>:<arm>:<seed>"; trainings that arms share have one."""
    curves: dict[str, list[Curve]] = {}
    for stage in TITLES:
        shared: dict[tuple[str, ...], list[Arm]] = {}
        found: dict[tuple[str, ...], list[Artifact]] = {}
        for arm in arms:
            prefix = f"training:{stage}:{arm.name}:"
            own = [inputs[role] for role in sorted(inputs) if role.startswith(prefix)]
            if own:
                digests = tuple(artifact.output_digest for artifact in own)
                shared.setdefault(digests, []).append(arm)
                found[digests] = own
        for digests, sharing in shared.items():
            if curve := _curve(_title(stage, sharing), found[digests]):
                curves.setdefault(stage, []).append(curve)
    return curves


def _title(stage: str, arms: Sequence[Arm]) -> str:
    if stage == "pretrain":
        plain = len(arms) > 1 and not arms[0].began_saved and not arms[0].changes
        return "pretrained, no label" if plain else arms[0].title
    return f"{arms[0].title}, {100 * arms[0].label_fraction:g} %"


def _curve(title: str, artifacts: Iterable[Artifact]) -> Curve | None:
    """None where no score is known; where the seeds differ in what is known, what all know is drawn."""
    seeds = []
    for artifact in artifacts:
        rows = [json.loads(line) for line in (artifact.path / SCORES_FILE).read_text().splitlines()]
        seeds.append({row["step"]: row["miou"] for row in rows if row["miou"] is not None})
    steps = sorted(set.intersection(*(set(rows) for rows in seeds)))
    return Curve(title, tuple(steps), tuple(tuple(rows[s] for s in steps) for rows in seeds)) if steps else None


def draw_curves(curves: Mapping[str, Sequence[Curve]]) -> str:
    """A data URI: one panel for each stage, mIoU over steps; faint lines are seeds, the others their mean."""
    stream = io.BytesIO()
    figure_of(curves).savefig(stream, format="png", metadata={"Software": None})
    return data_uri(stream.getvalue(), "image/png")


def figure_of(curves: Mapping[str, Sequence[Curve]]) -> "Figure":
    """The same as a figure."""
    from matplotlib.figure import Figure  # a second that reports without curves need not wait

    figure = Figure(figsize=(5.4 * len(curves), 3.9), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (stage, drawn) in zip(panels, curves.items(), strict=True):
        for number, curve in enumerate(drawn):
            colour = f"C{number}"  # of matplotlib's own cycle
            columns = list(zip(*curve.seeds, strict=True))
            mean = [100 * statistics.fmean(column) for column in columns]
            axes.plot(curve.steps, mean, "o-", markersize=3.5, color=colour, label=curve.title)
            for values in curve.seeds if len(curve.seeds) > 1 else ():
                axes.plot(curve.steps, [100 * value for value in values], color=colour, linewidth=0.7, alpha=0.4)
        axes.set_xlabel(f"steps of {TITLES[stage]}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylim(bottom=0)  # of all panels, once everything is drawn
    panels[0].set_ylabel("mIoU, %")
    return figure

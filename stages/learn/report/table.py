"""The result table: evaluations of every arm and seed, averaged over the seeds."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.learn.report import Arm


@dataclass(frozen=True)
class Score:
    """A figure over the seeds, as fractions of 1; `spread` is the sample standard deviation, None for one seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the seeds."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        """In per cent, with the spread where there is one: "37.8 ± 1.2"."""
        spread = "" if self.spread is None else f" ± {100 * self.spread:.1f}"
        return f"{100 * self.mean:.1f}{spread}"


@dataclass(frozen=True)
class Row:
    """One arm's scores: mIoU over the scored classes, IoU by class, mIoU by distance band and by visibility."""

    arm: Arm
    seeds: tuple[int, ...]
    miou: Score
    per_class: Mapping[str, Score]
    per_distance: Mapping[str, Score]
    per_visibility: Mapping[str, Score]


def read_rows(arms: tuple[Arm, ...], scores_files: Mapping[tuple[str, int], Path]) -> list[Row]:
    """Rows in the order of `arms`, without those that have no scores.

    `scores_files` maps (arm name, seed) to the evaluation's scores.json.
    """
    rows = []
    for arm in arms:
        seeds = tuple(sorted(seed for name, seed in scores_files if name == arm.name))
        if not seeds:
            continue
        scores = [json.loads(scores_files[arm.name, seed].read_text()) for seed in seeds]
        rows.append(
            Row(
                arm=arm,
                seeds=seeds,
                miou=Score(tuple(s["miou"] for s in scores)),
                per_class=_gather([s["per_class"] for s in scores]),
                per_distance=_gather([{k: v["miou"] for k, v in s["per_distance"].items()} for s in scores]),
                per_visibility=_gather([{k: v["miou"] for k, v in s["per_visibility"].items()} for s in scores]),
            )
        )
    return rows


def _gather(figures: list[dict[str, float | None]]) -> dict[str, Score]:
    """Scores by name; a class that occurs in no evaluated cell has no IoU (null) and is left out."""
    columns = {name: tuple(f[name] for f in figures) for name in figures[0]}
    return {
        name: Score(tuple(v for v in values if v is not None)) for name, values in columns.items() if None not in values
    }


def summary(rows: list[Row]) -> dict[str, Any]:
    """The table as JSON values, every seed listed."""
    return {
        row.arm.name: {
            "title": row.arm.title,
            "label_fraction": row.arm.label_fraction,
            "pretrained": row.arm.pretrained,
            "began_saved": row.arm.began_saved,
            "seeds": list(row.seeds),
            "miou": list(row.miou.values),
            "per_class": {k: list(v.values) for k, v in row.per_class.items()},
            "per_distance": {k: list(v.values) for k, v in row.per_distance.items()},
            "per_visibility": {k: list(v.values) for k, v in row.per_visibility.items()},
        }
        for row in rows
    }

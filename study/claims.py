"""What the rows claim: differences paired by seed, with their spread, beside the goals."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import t as student_t

from study.rows import Row
from study.settings import Study


@dataclass(frozen=True)
class Claim:
    """One claim in one setting and world.

    Attributes:
        name, title: what is claimed.
        value, spread: mean over the seeds and sample standard deviation of the paired figures; percentage points for
            differences, plain ratios otherwise. None where the study has no such rows.
        interval: the paired figures' mean lies in it with 95 % confidence (Student's t, so wide for few seeds); None
            for fewer than two.
        per_seed: the paired figures.
        goal, at_most: what is wanted, and whether less is better.
    """

    name: str
    title: str
    setting: str
    world_seed: int
    value: float | None
    spread: float | None
    interval: tuple[float, float] | None
    per_seed: tuple[float, ...]
    goal: float
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the mean reaches the goal."""
        if self.value is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    @property
    def distance(self) -> float | None:
        """How far the mean is beyond the goal; negative where it falls short."""
        if self.value is None:
            return None
        return self.goal - self.value if self.at_most else self.value - self.goal

    def canonical(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "met": self.met, "distance": self.distance}


def claims_of(study: Study, rows: Sequence[Row]) -> list[Claim]:
    """Every claim that the study's goals name, in every setting and world."""
    claims = []
    for world_seed in study.world_seeds:
        for name in study.settings:
            own = [row for row in rows if (row.world_seed, row.setting) == (world_seed, name)]
            claims += _claims(study, name, world_seed, own)
    return claims


def _claims(study: Study, setting: str, world_seed: int, rows: Sequence[Row]) -> list[Claim]:
    goals, clock = study.goals, study.clock
    full = _by_seed(rows, "scratch", 1.0)
    half = _by_seed(rows, "pretrained", 0.5)
    none = _by_seed(rows, "pretrained", 0.0)

    def claim(name: str, title: str, figures: list[float], goal: float, at_most: bool = False) -> Claim:
        value = statistics.fmean(figures) if figures else None
        spread = statistics.stdev(figures) if len(figures) > 1 else None
        return Claim(
            name, title, setting, world_seed, value, spread, interval95(figures), tuple(figures), goal, at_most
        )

    claims = []
    if setting in goals.gain_pp:
        gains = [100 * (half[s].miou - full[s].miou) for s in _both(half, full)]
        title = "Pretrained + 50 % of the labels, over from scratch with 100 % (pp mIoU)"
        claims.append(claim("gain", title, gains, goals.gain_pp[setting]))
        ratios = [half[s].time_s(clock) / full[s].time_s(clock) for s in _both(half, full)]
        seconds = "CPU seconds" if clock == "cpu_s" else "wall-clock seconds"
        title = f"Its total training time over the baseline's ({seconds})"
        claims.append(claim("time", title, ratios, goals.time_ratio, at_most=True))
    if setting in goals.unlabelled_ratio:
        ratios = [none[s].miou / full[s].miou for s in _both(none, full) if full[s].miou > 0]
        title = "Pretrained without any label, over from scratch with 100 % (ratio of mIoU)"
        claims.append(claim("no_labels", title, ratios, goals.unlabelled_ratio[setting]))
    if setting in goals.few:
        few = _by_seed(rows, "pretrained", goals.few[setting])
        gains = [100 * (few[s].miou - full[s].miou) for s in _both(few, full)]
        title = f"Pretrained + {100 * goals.few[setting]:g} % of the labels, over from scratch with 100 % (pp mIoU)"
        claims.append(claim("few_labels", title, gains, 0.0))
    return claims


def interval95(figures: Sequence[float]) -> tuple[float, float] | None:
    """Between which values the mean lies with 95 % confidence, if the figures are drawn from a normal distribution."""
    if len(figures) < 2:
        return None
    half = float(student_t.ppf(0.975, len(figures) - 1)) * statistics.stdev(figures) / len(figures) ** 0.5
    return statistics.fmean(figures) - half, statistics.fmean(figures) + half


def _by_seed(rows: Sequence[Row], arm: str, fraction: float) -> dict[int, Row]:
    return {row.seed: row for row in rows if row.part == "curve" and row.arm == arm and row.label_fraction == fraction}


def _both(first: dict[int, Row], second: dict[int, Row]) -> list[int]:
    return sorted(first.keys() & second.keys())

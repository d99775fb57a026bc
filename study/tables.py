"""The page's tables, as rows of plain values."""

import statistics
from collections.abc import Sequence

from study.rows import Row
from study.settings import Clock, Study

Cells = tuple[str, ...]


def curve_table(study: Study, rows: Sequence[Row]) -> list[Cells]:
    """World, setting, arm, labelled scenes, labels in %, mIoU, steps and seconds: one row per point of a curve."""
    keys = [(w, s, a) for w in study.world_seeds for s in study.settings for a in ("scratch", "pretrained")]
    table: list[Cells] = []
    for world, setting, arm in keys:
        own = [r for r in rows if r.part == "curve" and (r.world_seed, r.setting, r.arm) == (world, setting, arm)]
        for fraction in sorted({row.label_fraction for row in own}):
            point = [row for row in own if row.label_fraction == fraction]
            table.append(
                (
                    str(world),
                    setting,
                    arm,
                    str(point[0].labelled_scenes),
                    f"{100 * fraction:g}",
                    *_figures(point, study.clock),
                )
            )
    return table


def tuning_table(study: Study, rows: Sequence[Row]) -> list[Cells]:
    """Setting, arm, candidate, mIoU on the tuning towns, steps and seconds: everything that was tried."""
    table: list[Cells] = []
    for name, setting in study.settings.items():
        for kind, candidates in setting.candidates.items():
            for candidate in candidates:
                own = [r for r in rows if (r.part, r.setting, r.arm, r.variant) == ("tuning", name, kind, candidate)]
                if own:
                    table.append((name, kind, candidate, *_figures(own, study.clock)))
    return table


def ablation_table(rows: Sequence[Row]) -> list[Cells]:
    """World, setting, arm, what was changed, labels in %, mIoU, and the paired difference to what was chosen."""
    table: list[Cells] = []
    for row in rows:
        if row.part != "ablation" or row.seed != min(r.seed for r in rows if r.part == "ablation"):
            continue
        own = {
            r.seed: r.miou
            for r in rows
            if (r.part, r.variant, r.setting, r.world_seed) == ("ablation", row.variant, row.setting, row.world_seed)
        }
        whole = {
            r.seed: r.miou
            for r in rows
            if (r.part, r.arm, r.setting, r.world_seed, r.label_fraction)
            == ("curve", row.arm, row.setting, row.world_seed, row.label_fraction)
        }
        both = sorted(own.keys() & whole.keys())
        difference = [100 * (own[seed] - whole[seed]) for seed in both]
        table.append(
            (
                str(row.world_seed),
                row.setting,
                row.arm,
                row.variant,
                f"{100 * row.label_fraction:g}",
                _mean([100 * value for value in own.values()]),
                _mean(difference, sign=True) if difference else "-",
            )
        )
    return table


def _figures(rows: Sequence[Row], clock: Clock) -> Cells:
    return (
        _mean([100 * row.miou for row in rows]),
        f"{statistics.fmean(row.steps for row in rows):.0f}",
        f"{statistics.fmean(row.time_s(clock) for row in rows):.0f}",
    )


def _mean(values: Sequence[float], sign: bool = False) -> str:
    mean = f"{statistics.fmean(values):+z.1f}" if sign else f"{statistics.fmean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean

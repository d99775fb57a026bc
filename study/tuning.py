"""Choosing settings on towns that the study never shows."""

import statistics
from collections.abc import Sequence

from stages.learn.report import Changes
from study.rows import Row
from study.settings import Kind, Study


def chosen_candidates(study: Study, rows: Sequence[Row]) -> dict[tuple[str, Kind], str]:
    """For each setting and kind, the candidate with the best mean mIoU; among equals the first of the file.

    Where there is one candidate there is nothing to choose.
    """
    best: dict[tuple[str, Kind], str] = {}
    for name, setting in study.settings.items():
        for kind, candidates in setting.candidates.items():
            best[name, kind] = next(iter(candidates))
            if len(candidates) > 1:
                best[name, kind] = max(candidates, key=lambda tried: tuning_score(rows, name, kind, tried))
    return best


def tuning_score(rows: Sequence[Row], setting: str, kind: Kind, candidate: str) -> float:
    """Mean mIoU of a candidate over the tuning seeds."""
    return statistics.fmean(
        row.miou
        for row in rows
        if (row.part, row.setting, row.arm, row.variant) == ("tuning", setting, kind, candidate)
    )


def changes_of(study: Study, chosen: dict[tuple[str, Kind], str]) -> dict[tuple[str, Kind], Changes]:
    """The settings behind the names."""
    return {(name, kind): study.settings[name].candidates[kind][choice] for (name, kind), choice in chosen.items()}

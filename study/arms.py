"""From a study's settings to the arms that its experiments train."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.layers import merge
from stages.learn.report import Arm, Changes
from study.settings import Kind, Setting, Study

LABELS_OF: dict[Kind, float] = {"scratch": 1.0, "pretrained": 0.5}
"""The share of the labels that each kind is compared with: what the claim is about."""


@dataclass(frozen=True)
class Run:
    """One arm of a study, before it is repeated over seeds.

    Attributes:
        setting: the setting's name.
        kind: how its training starts.
        label_fraction: of the labelled scenes; 0 for none.
        arm: the experiment's arm.
        part: what it is for: "tuning", "curve", "time" or "ablation".
        variant: name of the candidate, length or ablation.
    """

    setting: str
    kind: Kind
    label_fraction: float
    arm: Arm
    part: str
    variant: str = ""


def combined(*parts: Changes) -> Changes:
    """Changes laid over each other, the last on top."""
    result: Changes = {}
    for part in parts:
        for stage, values in part.items():
            result[stage] = merge(result.get(stage, {}), values)
    return result


def tuning_runs(study: Study) -> list[Run]:
    """Every candidate of every kind and setting, scored on the tuning towns: from scratch with all labels, pretrained
    with half of them."""
    chosen_by: Changes = {"evaluate": {"split": study.tuning_split}}
    return [
        _run(name, setting, kind, LABELS_OF[kind], "tuning", candidate, combined(changes, chosen_by))
        for name, setting in study.settings.items()
        for kind, candidates in setting.candidates.items()
        for candidate, changes in candidates.items()
        if len(candidates) > 1
    ]


def shown_runs(study: Study, chosen: dict[tuple[str, Kind], Changes]) -> list[Run]:
    """What the study shows, with the candidates that were `chosen`."""
    runs: list[Run] = []
    for name, setting in study.settings.items():
        for kind, fractions in setting.fractions.items():
            runs += (_run(name, setting, kind, f, "curve", "", chosen[name, kind]) for f in fractions)
        for kind, lengths in setting.lengths.items():
            for length, changes in lengths.items():
                changed = combined(chosen[name, kind], changes)
                runs.append(_run(name, setting, kind, LABELS_OF[kind], "time", length, changed))
        for kind, ablation, changes in study.ablations_of(setting):
            unlabelled = 0.0 in setting.fractions[kind] and "finetune" not in changes
            changed = combined(chosen[name, kind], changes)
            runs.append(
                _run(name, setting, kind, 0.0 if unlabelled else LABELS_OF[kind], "ablation", ablation, changed)
            )
    return runs


def arms_of(runs: Iterable[Run]) -> tuple[Arm, ...]:
    """The arms of runs."""
    return tuple(run.arm for run in runs)


def _run(name: str, setting: Setting, kind: Kind, fraction: float, part: str, variant: str, changes: Changes) -> Run:
    words = (name, kind, f"{fraction:g}", part, variant)
    arm = Arm(
        name="-".join("".join(c if c.isalnum() or c in "._" else "_" for c in word) for word in words if word),
        title=variant or kind,
        label_fraction=setting.labelled * fraction,
        pretrained=kind == "pretrained",
        changes=changes,
    )
    return Run(name, kind, fraction, arm, part, variant)

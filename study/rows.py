"""The study's table: one row per trained model, with its scores and everything that its trainings cost."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cache.store import Artifact
from pipeline.execute import Outcome
from study.arms import Run
from study.settings import Clock, Kind


@dataclass(frozen=True)
class Row:
    """One trained and scored model; mIoU and IoU are fractions of 1, seconds and bytes are of its trainings together.

    Attributes:
        world_seed: of the embedded world.
        setting, arm, part, variant, label_fraction: see `study.arms.Run`; `arm` is its kind.
        labelled_scenes, unlabelled_scenes: scenes whose BEV labels, and whose images alone, it has seen.
        seed: of its trainings.
        steps: optimisation steps, pretraining included.
        wall_s, cpu_s, peak_memory_bytes: as measured when the artifacts were made.
        miou, per_class, per_distance, per_visibility: on evaluation towns, in the part "tuning" on those that choose.
    """

    world_seed: int
    setting: str
    arm: Kind
    part: str
    variant: str
    label_fraction: float
    labelled_scenes: int
    unlabelled_scenes: int
    seed: int
    steps: int
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    miou: float
    per_class: Mapping[str, float | None]
    per_distance: Mapping[str, float | None]
    per_visibility: Mapping[str, float | None]

    def time_s(self, clock: Clock) -> float:
        """What counts as time in the study."""
        return self.cpu_s if clock == "cpu_s" else self.wall_s

    def canonical(self) -> dict[str, Any]:
        """As JSON values; an ablation's name stands where the arm's would."""
        values = asdict(self)
        if self.part == "ablation":
            values["arm"] = self.variant
        return values


def rows_of(runs: list[Run], outcomes: list[Outcome], world_seed: int) -> list[Row]:
    """The rows of runs that an engine has carried out."""
    made = {outcome.step.name: outcome for outcome in outcomes}
    rows = []
    for run in runs:
        for name, outcome in made.items():
            if name.startswith(f"evaluate:{run.arm.name}:"):
                rows.append(_row(run, outcome, made, world_seed))
    return rows


def _row(run: Run, evaluation: Outcome, made: Mapping[str, Outcome], world_seed: int) -> Row:
    trainings = _trainings(evaluation, made)
    recorded = [training.artifact.manifest.provenance["recorded"] for training in trainings]
    costs = [_cost(training.artifact) for training in trainings]
    scores = json.loads((evaluation.artifact.path / "scores.json").read_text())
    return Row(
        world_seed=world_seed,
        setting=run.setting,
        arm=run.kind,
        part=run.part,
        variant=run.variant,
        label_fraction=run.label_fraction,
        labelled_scenes=max((int(r.get("labelled_scenes", 0)) for r in recorded), default=0),
        unlabelled_scenes=max((int(r.get("scenes", 0)) for r in recorded), default=0),
        seed=int(evaluation.step.name.rpartition(":")[2]),
        steps=sum(int(r["optimisation_steps"]) for r in recorded),
        wall_s=round(sum(cost["wall_s"] for cost in costs), 2),
        cpu_s=round(sum(cost["cpu_s"] for cost in costs), 2),
        peak_memory_bytes=max((int(cost["peak_memory_bytes"]) for cost in costs), default=0),
        miou=scores["miou"],
        per_class=scores["per_class"],
        per_distance={name: band["miou"] for name, band in scores["per_distance"].items()},
        per_visibility={name: cells["miou"] for name, cells in scores["per_visibility"].items()},
    )


def _trainings(evaluation: Outcome, made: Mapping[str, Outcome]) -> list[Outcome]:
    """The trainings that the evaluated model went through, the last one first."""
    found = []
    name = evaluation.step.inputs.get("model")
    while name is not None:
        found.append(made[name])
        name = made[name].step.inputs.get("pretrain")
    return found


def _cost(artifact: Artifact) -> dict[str, float]:
    cost: dict[str, float] = artifact.manifest.provenance["cost"]
    return cost

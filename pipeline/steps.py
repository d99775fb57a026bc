"""From an experiment to its plan: which steps its goal needs."""

from typing import Any

from pipeline.checks import check_plan
from pipeline.config import Experiment
from pipeline.draft import Draft
from pipeline.layers import Layers
from pipeline.plan import Plan
from pipeline.table import STAGES
from scene.errors import InputError
from stages.learn.pretrain import PretrainSettings
from stages.learn.report import Arm


def plan_experiment(experiment: Experiment, layers: Layers, until: str | None = None) -> Plan:
    """The steps that lead to `until`, or to the experiment's goal; stages that nothing asks for are left out.

    Raises:
        InputError: for a stage that does not exist, or settings that are wrong or missing.
    """
    goal = until or experiment.goal
    if goal not in STAGES:
        raise InputError(f"there is no stage {goal!r}", where="--until", fix=f"choose one of {', '.join(STAGES)}")
    draft = Draft(experiment, layers)
    draft.check_sections()
    if goal in ("pretrain", "finetune", "evaluate", "report"):
        _plan_learning(draft, goal)
    else:
        draft.prepared(goal)
    order = list(STAGES)  # stage by stage: what is alike runs together
    plan = Plan(tuple(sorted(draft.steps.values(), key=lambda step: order.index(step.stage.name)))).until(goal)
    check_plan(plan, layers, experiment)
    return plan


def _plan_learning(draft: Draft, goal: str) -> None:
    experiment = draft.experiment
    if not experiment.arms:
        raise InputError(
            "the experiment has no arms to train", where=draft.layers.source_of(("arms",)), fix="add `arms`"
        )
    showcase = draft.section("report").get("showcase")
    shown = next((arm for arm in experiment.arms if arm.name == showcase), None)
    if goal == "report" and showcase is not None and shown is None:
        where = draft.layers.place_of(("report", "showcase"))
        fix = f"choose one of {', '.join(arm.name for arm in experiment.arms)}"
        raise InputError(f"there is no arm {showcase!r}", where=where, fix=fix)
    shows: dict[str, str] = {}
    for arm in experiment.arms:
        for seed in experiment.seeds:
            shows |= _plan_arm(draft, arm, seed)
    if goal == "report":
        rows = [arm.model_dump(mode="json") for arm in experiment.arms]
        # The report draws what the showcase predicts on the data that it was made from.
        draft.add("report", inputs=shows, arm=shown, arms=rows, title=experiment.title or experiment.name)


def _plan_arm(draft: Draft, arm: Arm, seed: int) -> dict[str, str]:
    """Trains and scores one arm with one seed; returns the steps that the report reads, by role."""
    model: dict[str, str] = {}
    trainings: list[str] = []
    if arm.pretrained:
        own_pretraining = arm.initial_model or arm.changes.keys() - {"finetune", "evaluate"}
        name = f"pretrain:{arm.name}:{seed}" if own_pretraining else f"pretrain:{seed}"
        model = {"model": draft.add("pretrain", name, arm=arm, seed=seed, initial_model=arm.initial_model)}
        trainings.append(model["model"])
        settings = draft.steps[model["model"]].settings
        assert isinstance(settings, PretrainSettings)
        if arm.label_fraction == 0 and not settings.objective.predicts_bev:
            what = f"{settings.objective.name!r} predicts no BEV classes: pretrained alone, there is nothing to score"
            raise InputError(what, where=f"arm {arm.name}", fix="give its label_fraction a value above 0")
    if arm.label_fraction > 0:
        start = {"pretrain": model["model"]} if model else {}
        name = f"finetune:{arm.name}:{seed}"
        own: dict[str, Any] = {"seed": seed, "label_fraction": arm.label_fraction, **_begins_with(arm)}
        if (objective := draft.section("pretrain", arm).get("objective")) is not None:
            own["kept_objective"] = objective
        model = {"model": draft.add("finetune", name, start, arm, **own)}
        trainings.append(model["model"])
    name = f"evaluate:{arm.name}:{seed}"
    as_it_came = None if model else arm.initial_model
    shows = {name: draft.add("evaluate", name, model, arm, seed=seed, initial_model=as_it_came)}
    for step in (draft.steps[training] for training in trainings):
        if getattr(step.settings, "watched", None) is not None:
            shows[f"training:{step.stage.name}:{arm.name}:{seed}"] = step.name
    return shows


def _begins_with(arm: Arm) -> dict[str, str | None]:
    """Settings of an arm's fine-tuning: the weights that it begins with."""
    if arm.pretrained:
        return {"init": "pretrained", "initial_model": None}
    return {"init": "random" if arm.initial_model is None else "saved", "initial_model": arm.initial_model}

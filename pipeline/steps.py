"""From an experiment to its plan: which steps its goal needs, and the settings of each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.config import Experiment
from pipeline.faults import check_keys, parse_settings
from pipeline.layers import Layers, Location, merge
from pipeline.plan import Plan, Step, roles
from pipeline.table import STAGES, stage
from scene.errors import InputError
from scene.settings import Settings
from stages.learn.evaluate import EvaluateSettings
from stages.learn.finetune import FinetuneSettings
from stages.learn.pretrain import PretrainSettings
from stages.learn.report import Arm
from stages.prepare.index import IndexSettings
from trainer.settings import check_split

REPEATED = ("evaluate", "report")
"""Stages that each arm and seed has a step of its own of; every other step serves all arms that ask for the same."""
TRAINED = {"pretrain", "finetune", "evaluate"}
"""Stages that no preparing stage reads: an arm that changes only these shares the prepared data."""


def plan_experiment(experiment: Experiment, layers: Layers, until: str | None = None) -> Plan:
    """The steps that lead to `until`, or to the experiment's goal; stages that nothing asks for are left out.

    Raises:
        InputError: for a stage that does not exist, or settings that are wrong or missing.
    """
    goal = until or experiment.goal
    if goal not in STAGES:
        raise InputError(f"there is no stage {goal!r}", where="--until", fix=f"choose one of {', '.join(STAGES)}")
    draft = _Draft(experiment, layers)
    draft.check_sections()
    if goal in ("pretrain", "finetune", "evaluate", "report"):
        _plan_learning(draft, goal)
    else:
        draft.prepared(goal)
    order = list(STAGES)  # stage by stage: what is alike runs together
    plan = Plan(tuple(sorted(draft.steps.values(), key=lambda step: order.index(step.stage.name)))).until(goal)
    _check_batches(plan, experiment.runtime.num_processes)
    _check_splits(plan, layers)
    _check_queries(plan, layers)
    return plan


def _check_batches(plan: Plan, num_processes: int) -> None:
    """Raises InputError for a training whose batches cannot be split: now, and not when its turn comes."""
    for step in plan:
        if isinstance(step.settings, PretrainSettings | FinetuneSettings):
            settings = step.settings
            check_split(settings.batch_parts, num_processes, settings.optimiser.gradient_accumulation)


def _check_splits(plan: Plan, layers: Layers) -> None:
    """Raises InputError for a stage that asks for a split that the index will not have: not after all trainings."""
    index = next((step.settings for step in plan if isinstance(step.settings, IndexSettings)), None)
    for step in plan:
        split = getattr(step.settings, "split", None)
        if index is None or step.settings is index or not isinstance(split, str) or split in index.names_of_splits:
            continue
        fix = f"choose one of {', '.join(index.names_of_splits)}, or list its scenes in index.split"
        where = layers.place_of((step.stage.name, "split"))
        raise InputError(f"no scene will be in the split {split!r}", where=where, fix=fix)


def _check_queries(plan: Plan, layers: Layers) -> None:
    """Raises InputError for a grid that a model's BEV queries do not cover: now, and not when a training begins."""
    for step in plan:
        if isinstance(step.settings, PretrainSettings | FinetuneSettings | EvaluateSettings):
            grid, factor = step.settings.grid, step.settings.model.query_factor
            try:
                grid.coarser(factor)
            except ValueError:
                what = f"queries of {factor} x {factor} cells do not cover a grid of {grid.shape[0]} x {grid.shape[1]}"
                where = layers.place_of(("model", "query_factor"))
                raise InputError(what, where=where, fix="give a divisor of both, or another grid") from None


def _plan_learning(draft: "_Draft", goal: str) -> None:
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
    evaluations = {
        f"evaluate:{arm.name}:{seed}": _plan_arm(draft, arm, seed)
        for arm in experiment.arms
        for seed in experiment.seeds
    }
    if goal == "report":
        rows = [arm.canonical() for arm in experiment.arms]
        # The report draws what the showcase predicts on the data that it was made from.
        draft.add("report", inputs=evaluations, arm=shown, arms=rows, title=experiment.title or experiment.name)


def _plan_arm(draft: "_Draft", arm: Arm, seed: int) -> str:
    """Trains and scores one arm with one seed; returns the name of the evaluating step."""
    model: dict[str, str] = {}
    if arm.pretrained:
        own_pretraining = arm.changes.keys() - {"finetune", "evaluate"}
        name = f"pretrain:{arm.name}:{seed}" if own_pretraining else f"pretrain:{seed}"
        model = {"model": draft.add("pretrain", name, arm=arm, seed=seed)}
        settings = draft.steps[model["model"]].settings
        assert isinstance(settings, PretrainSettings)
        if arm.label_fraction == 0 and not settings.objective.predicts_bev:
            what = f"{settings.objective.name!r} predicts no BEV classes: pretrained alone, there is nothing to score"
            raise InputError(what, where=f"arm {arm.name}", fix="give its label_fraction a value above 0")
    if arm.label_fraction > 0:
        start = {"pretrain": model["model"]} if model else {}
        name = f"finetune:{arm.name}:{seed}"
        init = "pretrained" if arm.pretrained else "random"
        own: dict[str, Any] = {"seed": seed, "init": init, "label_fraction": arm.label_fraction}
        if (objective := draft.section("pretrain", arm).get("objective")) is not None:
            own["kept_objective"] = objective
        model = {"model": draft.add("finetune", name, start, arm, **own)}
    return draft.add("evaluate", f"evaluate:{arm.name}:{seed}", model, arm, seed=seed)


class _Draft:
    """Steps collected so far, each after what it needs."""

    def __init__(self, experiment: Experiment, layers: Layers) -> None:
        self.experiment, self.layers = experiment, layers
        self.steps: dict[str, Step] = {}
        self.shared = _shared_settings(experiment)
        self._prepared: dict[tuple[str, str], str] = {}

    def check_sections(self) -> None:
        """Refuses unknown keys in every section, also of stages that this run does not need."""
        for name in STAGES:
            if values := self.experiment.section(name):
                check_keys(stage(name).settings, values, self.layers, _location(name))
        for i, arm in enumerate(self.experiment.arms):
            for name, values in arm.changes.items():
                check_keys(stage(name).settings, values, self.layers, ("arms", i, "changes", name))

    def section(self, name: str, arm: Arm | None = None) -> dict[str, Any]:
        """What the file says for a stage, with an arm's changes laid over it."""
        changes = {} if arm is None else {str(stage): values for stage, values in arm.changes.items()}
        return merge(self.experiment.section(name), changes.get(name, {}))

    def prepared(self, name: str, arm: Arm | None = None) -> str:
        """The one step of a preparing stage that every arm shares, added when it is first asked for; or an arm's own,
        where what the arm changes makes a difference to that stage or to one before it."""
        shared = name if name in self.steps else self.add(name)
        if arm is None or arm.changes.keys() <= TRAINED:
            return shared
        if (name, arm.name) not in self._prepared:
            self._prepared[name, arm.name] = self.add(name, f"{name}:{arm.name}", arm=arm)
        return self._prepared[name, arm.name]

    def add(
        self,
        stage_name: str,
        name: str = "",
        inputs: Mapping[str, str] | None = None,
        arm: Arm | None = None,
        **own: Any,
    ) -> str:
        """Adds a step, after the shared steps that it needs, and returns its name, or that of one that does the same.

        Args:
            stage_name: the stage.
            name: of the step; the stage's name by default.
            inputs: names of the steps behind roles that no shared step fills.
            arm: whose changes hold.
            own: values of this step alone for fields of the stage's settings.
        """
        described = stage(stage_name)
        settings = self._settings(stage_name, arm, own)
        filled = dict(inputs or {})
        for role in roles(described, settings):
            plain = role.removesuffix("?")
            if plain in STAGES and plain not in filled and (plain == role or self._offers(plain, arm)):
                filled[plain] = self.prepared(plain, arm)
        world = self.experiment.data.world is not None
        step = Step(
            name or stage_name,
            described,
            settings,
            filled,
            data_root=None if world or not described.reads_data else self.experiment.data.root,
            data_step=self.prepared("world") if world and described.reads_data else None,
        )
        same = replace(step, name="")
        for other in self.steps.values():
            if other.stage is described and described.name not in REPEATED and replace(other, name="") == same:
                return other.name
        self.steps[step.name] = step
        return step.name

    def _offers(self, role: str, arm: Arm | None) -> bool:
        """Whether an optional input that any step may have can be had."""
        data = self.experiment.data
        lidar = self.section("geometry", arm).get("ground") == "lidar_plane"
        return {
            "ground": lidar,
            "world": data.world is not None,
            "bev_labels": data.has_map,
            "teacher_labels": True,
        }.get(role, False)

    def _settings(self, stage_name: str, arm: Arm | None, own: Mapping[str, Any]) -> Settings:
        model, section = stage(stage_name).settings, self.section(stage_name, arm)
        given = {name: value for name, value in {**self.shared, **own}.items() if name in model.model_fields}
        if twice := sorted(set(given) & set(section)):
            location = (*_location(stage_name), twice[0])
            where, fix = self.layers.place_of(location), "set it where it is shared"
            raise InputError(f"{twice[0]!r} is given to this stage already", where=where, fix=fix)
        for name, field in Experiment.model_fields.items():
            lacks = name in model.model_fields and model.model_fields[name].is_required() and name not in given
            if lacks and name not in section:
                said = field.alias or name
                fix = f"add `{said}`, for example a file below configs/"
                raise InputError(f"the stage {stage_name} needs `{said}`", where=self.layers.file, fix=fix)
        return parse_settings(model, _on_defaults(model, {**given, **section}), self.layers, _location(stage_name))


def _shared_settings(experiment: Experiment) -> dict[str, Any]:
    """What is written once and handed to every stage that has a field of that name."""
    shared: dict[str, Any] = {"grid": experiment.grid.canonical()}
    if experiment.label_hw_px is not None:
        shared["label_hw_px"] = experiment.label_hw_px
    if experiment.label_schema is not None:
        shared["label_schema"] = experiment.label_schema.canonical()
    if experiment.model is not None:
        shared["model"] = experiment.model.model_dump(mode="json")  # with the place of its weights
    return shared


def _on_defaults(model: type[Settings], section: Mapping[str, Any]) -> dict[str, Any]:
    """A section's values, where a nested mapping holds differences from the stage's own default of that field."""
    defaults = {name: field.default for name, field in model.model_fields.items() if name in section}
    below = {name: d.model_dump(mode="json") for name, d in defaults.items() if isinstance(d, Settings)}
    return merge(below, dict(section))


def _location(stage_name: str) -> Location:
    return ("data", "world") if stage_name == "world" else (stage_name,)

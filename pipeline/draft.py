"""A plan in the making: one step after the other, each with its settings and after the steps that it needs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.config import Experiment
from pipeline.faults import check_keys, parse_settings
from pipeline.layers import Layers, Location, merge
from pipeline.plan import Step, roles
from pipeline.table import STAGES, stage
from scene.errors import InputError
from scene.settings import Settings
from stages.learn.report import Arm

REPEATED = ("evaluate", "report")
"""Stages that each arm and seed has a step of its own of; every other step serves all arms that ask for the same."""
TRAINED = {"pretrain", "finetune", "evaluate"}
"""Stages that no preparing stage reads: an arm that changes only these shares the prepared data."""


class Draft:
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
            where, fix = self.layers.place_of(location), "leave it out here: the experiment or its arms say it"
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

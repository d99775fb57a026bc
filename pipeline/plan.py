"""The plan: which steps an experiment takes, in an order in which every step follows its inputs. Data, no action."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from models.objectives.choice import ObjectiveConfig
from scene.errors import InputError
from scene.settings import Settings
from stages.stage import Stage


@dataclass(frozen=True)
class Step:
    """One stage with its settings and inputs; a stage may take several steps (one per arm and seed).

    Attributes:
        name: unique in the plan: the stage's name, with ":arm:seed" where it takes several steps.
        stage: what it does.
        settings: of the stage's settings model.
        inputs: names of the steps whose artifacts it reads, by role.
        data_root: the data set's folder, where the stage reads one that is not made here.
        data_step: the step that makes the data set, where the stage reads that one.
    """

    name: str
    stage: Stage
    settings: Settings
    inputs: Mapping[str, str] = field(default_factory=dict)
    data_root: Path | None = None
    data_step: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the steps that must be done before this one."""
        made = () if self.data_step is None else (self.data_step,)
        return tuple(dict.fromkeys((*self.inputs.values(), *made)))


@dataclass(frozen=True)
class Plan:
    """Steps in topological order.

    Raises:
        ValueError: if a step reads what no earlier step makes, or its roles are not those its stage declares.
    """

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        made: set[str] = set()
        for step in self.steps:
            if step.name in made:
                raise ValueError(f"two steps are called {step.name!r}")
            if missing := set(step.needs) - made:
                raise ValueError(f"{step.name} reads {sorted(missing)}, which no earlier step makes")
            _check_roles(step)
            made.add(step.name)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages that the plan goes through, in order."""
        return tuple(dict.fromkeys(step.stage.name for step in self.steps))

    def until(self, stage: str) -> "Plan":
        """The steps of one stage with everything that they need, and nothing else.

        Raises:
            InputError: if the plan has no such stage.
        """
        if stage not in self.stage_names:
            raise InputError(
                f"this experiment has no stage {stage!r}", where="--until", fix=f"it has {', '.join(self.stage_names)}"
            )
        wanted: set[str] = set()
        for step in reversed(self.steps):
            if step.stage.name == stage or step.name in wanted:
                wanted |= {step.name, *step.needs}
        return Plan(tuple(step for step in self.steps if step.name in wanted))


def roles(stage: Stage, settings: Settings) -> tuple[str, ...]:
    """The roles that a stage reads with these settings: its own, but for those that they leave out (`unread`), those
    that they add (`also_reads`), and what its pretraining objective needs, if any."""
    unread: tuple[str, ...] = getattr(settings, "unread", ())
    objective: ObjectiveConfig | None = getattr(settings, "objective", None)
    own = [role for role in stage.inputs if role.removesuffix("?") not in unread]
    own += getattr(settings, "also_reads", ())
    return tuple(dict.fromkeys((*own, *(objective.needs if objective is not None else ()))))


def _check_roles(step: Step) -> None:
    """A declared role that ends in "?" may be absent; one with a "*" stands for any number of roles."""
    read = roles(step.stage, step.settings)
    declared = {role.removesuffix("?"): role.endswith("?") or "*" in role for role in read}
    for role in step.inputs:
        if not any(fnmatchcase(role, pattern) for pattern in declared):
            raise ValueError(f"{step.name}: the stage {step.stage.name!r} reads no {role!r}")
    if missing := [role for role, optional in declared.items() if not optional and role not in step.inputs]:
        raise ValueError(f"{step.name}: no input for {missing}")

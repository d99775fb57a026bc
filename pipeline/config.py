"""The experiment: what a configuration file may say.

Sections named after a stage hold that stage's own settings and are checked by the stage's own model; nothing is
declared twice. What several stages share (grid, label schema, model, seed) is written once, at the top, and handed to
each stage that has a field for it by `pipeline.draft`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.bev.config import BevFormerConfig
from pipeline.faults import parse_settings
from pipeline.layers import Layers, find_config, read_layers
from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import Settings
from stages.learn.report import Arm
from stages.stage import Runtime

Section = Annotated[dict[str, Any], Field(default_factory=dict)]
"""A stage's own settings, not yet checked."""


class Data(Settings):
    """Where frames come from: the embedded world, or a nuScenes-format folder.

    Attributes:
        world: settings of the embedded world, or None.
        root: folder of the data set. No part of any cache key: its content is.
        has_map: whether the map expansion is there; without it there are no BEV labels.
    """

    world: dict[str, Any] | None = None
    root: Path | None = None
    has_map: bool = True

    @model_validator(mode="after")
    def _one_of_two(self) -> "Data":
        if (self.world is None) == (self.root is None):
            raise ValueError(
                "exactly one of `world` and `root` is needed: give --set data.root=FOLDER (make: DATA=FOLDER)"
            )
        return self


class Experiment(Settings):
    """Everything that decides an experiment's result, and (in `runtime`) how it is computed.

    Attributes:
        name: of the experiment, and of the folder of its report.
        title: headline of the report; the name by default.
        goal: the stage that a run ends with, unless it is asked to end earlier.
        data: see `Data`.
        grid: BEV grid of labels, model and scores.
        label_schema: `schema` in the file: the BEV classes.
        label_hw_px: (height, width) of the teacher's label images.
        model: the BEV model.
        arms: rows of the result table.
        seeds: every arm is trained once per seed.
        runtime: how fast and where, never what.
        index, ...: sections, each the settings of the stage of that name, less what is shared.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    title: str = ""
    goal: Literal["report", "look", "teacher", "backbone"] = "report"
    data: Data
    grid: BevGrid = BevGrid()
    label_schema: Annotated[LabelSchema | None, Field(alias="schema")] = None
    label_hw_px: tuple[int, int] | None = None
    model: BevFormerConfig | None = None
    arms: tuple[Arm, ...] = ()
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    runtime: Runtime = Runtime()
    index: Section
    teacher_labels: Section
    ground: Section
    geometry: Section
    ground_points: Section
    bev_labels: Section
    look: Section
    teacher: Section
    backbone: Section
    pretrain: Section
    finetune: Section
    evaluate: Section
    report: Section
    predict: Section

    @model_validator(mode="after")
    def _distinct(self) -> "Experiment":
        for what, values in (("arm names", [arm.name for arm in self.arms]), ("seeds", self.seeds)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} repeat: {list(values)}")
        return self

    def section(self, stage: str) -> dict[str, Any]:
        """What the file says for one stage."""
        values: dict[str, Any] = (self.data.world or {}) if stage == "world" else getattr(self, stage)
        return values


def load_experiment(config: str, overrides: Sequence[str] = ()) -> tuple[Experiment, Layers]:
    """The experiment of a file (or of a bare name in `configs/experiments/`) with `--set` overrides laid over it.

    Raises:
        InputError: naming the first fault, its file and its place.
    """
    layers = read_layers(find_config(config), overrides)
    return parse_settings(Experiment, layers.merged(), layers), layers

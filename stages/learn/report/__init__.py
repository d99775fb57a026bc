"""The report: scores of every arm in one table, and pictures of a few frames, as one static HTML file."""

from typing import Annotated, Any, Literal

from pydantic import Field

from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import NOT_IN_KEY, Settings
from stages.stage import Stage

Changes = dict[Literal["geometry", "ground_points", "pretrain", "finetune", "evaluate"], dict[str, Any]]
"""Settings by stage, to be laid over an experiment's."""


class Arm(Settings):
    """One row of the result table.

    Attributes:
        name: the arm's name; its evaluations come in under the roles "evaluate:<name>:<seed>".
        title: what the reader sees.
        label_fraction: share of the labelled scenes that it was fine-tuned on; 0 for none.
        pretrained: whether it was pretrained on the unlabelled frames.
        initial_model: folder that `bevprior save-model` wrote: the model that it began as; None: random weights. The
            report's key has whether there is one; which, the evaluations' keys have.
        changes: settings of its own for some stages (`Changes`), laid over the experiment's.
    """

    name: Annotated[str, Field(pattern=r"^[^:/]+$")]  # roles and steps are made of it
    title: str
    label_fraction: float
    pretrained: bool
    initial_model: Annotated[str | None, NOT_IN_KEY] = None
    changes: Changes = Field(default={})

    @property
    def began_saved(self) -> bool:
        """Whether it began as a saved model: what it knows is not this experiment's alone."""
        return self.initial_model is not None

    def for_key(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: D102 - see Settings
        return super().for_key(values) | ({"began_saved": True} if self.began_saved else {})


class ReportSettings(Settings):
    """What the report shows.

    Attributes:
        title: headline.
        grid: the BEV grid of the predictions.
        label_schema: the label schema of labels and predictions.
        arms: rows of the table, in order.
        showcase: the arm whose predictions the pictures show (its first seed).
        num_frames: how many frames are pictured; they are evenly spaced over the evaluated ones, never picked.
        pseudo_labels: whether the pictures show the teacher's labels; see `EvaluateSettings.by_visibility`.
    """

    title: str
    grid: BevGrid
    label_schema: LabelSchema
    arms: tuple[Arm, ...]
    showcase: str
    num_frames: int = 4
    pseudo_labels: Annotated[bool, NOT_IN_KEY] = True

    @property
    def unread(self) -> tuple[str, ...]:
        """Inputs of the stage that these settings do without."""
        return () if self.pseudo_labels else ("teacher_labels",)


STAGE = Stage(
    name="report",
    version=4,
    settings=ReportSettings,
    inputs=("index", "geometry", "teacher_labels", "bev_labels", "evaluate:*", "training:*"),
    entry="stages.learn.report.run:run",
    reads_data=True,
    sources=("stages.learn.report", "scene"),
)

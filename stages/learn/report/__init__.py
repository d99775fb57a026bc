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
        initial_model: folder that `bevprior save-model` wrote: the model that it began as; None: random weights. What
            it made of it is in the evaluations' keys.
        changes: settings of its own for some stages (`Changes`), laid over the experiment's.
    """

    name: str
    title: str
    label_fraction: float
    pretrained: bool
    initial_model: Annotated[str | None, NOT_IN_KEY] = None
    changes: Changes = Field(default={})


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
    version=3,
    settings=ReportSettings,
    inputs=("index", "geometry", "teacher_labels", "bev_labels", "evaluate:*", "training:*"),
    entry="stages.learn.report.run:run",
    reads_data=True,
    sources=("stages.learn.report", "scene", "trainer.settings"),
)

"""A look at prepared data: calibration, pseudo-labels and map labels of a few frames as pictures."""

from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import Settings
from stages.stage import Stage


class LookSettings(Settings):
    """What is pictured.

    Attributes:
        grid: the BEV grid of geometry and BEV labels.
        label_schema: the label schema of the pseudo-labels.
        num_frames: how many frames, evenly spaced over the index.
        camera_width_px: width of one camera in the picture.
        labels: whether pseudo-labels are shown, and made first where there are none yet.
    """

    grid: BevGrid
    label_schema: LabelSchema
    num_frames: int = 3
    camera_width_px: int = 640
    labels: bool = True

    @property
    def unread(self) -> tuple[str, ...]:
        """Inputs that are not read with these settings."""
        return () if self.labels else ("teacher_labels",)


STAGE = Stage(
    name="look",
    version=2,
    settings=LookSettings,
    inputs=("index", "geometry", "teacher_labels?", "bev_labels?"),
    entry="stages.prepare.look.run:run",
    reads_data=True,
    sources=("stages.prepare.look", "scene"),
)

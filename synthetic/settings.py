"""Settings of a world, and its plan: which towns lie where, which scenes are driven in which town."""

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import Field, model_validator

from scene.settings import Settings

Split = Literal["train", "val", "teacher"]
SPLITS: tuple[Split, ...] = get_args(Split)

CANVASES: dict[Split, tuple[str, ...]] = {
    "train": ("singapore-onenorth", "singapore-queenstown"),
    "val": ("singapore-hollandvillage",),
    "teacher": ("boston-seaport",),
}
"""The devkit knows these four location names and no other, so they serve as canvases: each split has its own, and no
town of one split is near a town of another."""

PITCH_M = 440.0
"""Distance of neighbouring towns on a canvas; a town measures up to about 350 m with what surrounds it."""
COLUMNS = 4


class SplitSettings(Settings):
    """How much is driven in one split, spread evenly over its towns."""

    num_towns: int = Field(ge=1)
    num_scenes: int = Field(ge=0)


class WorldSettings(Settings):
    """Everything that decides a world's bytes.

    Attributes:
        image_wh_px: width and height of the camera images; the horizontal field of view is that of nuScenes.
        speed_ms: slowest in bends, fastest on straights.
        attitude_deg: root mean square of the ego vehicle's pitch and roll that the recorded poses know of.
        jitter_deg, jitter_height_m: the same of suspension motion that only the truth knows.
        noise_scale: factor on the sensor noise drawn for each scene.
        jpeg_quality: of the camera images, chroma at full resolution.
    """

    seed: int = 0
    train: SplitSettings = SplitSettings(num_towns=6, num_scenes=24)
    val: SplitSettings = SplitSettings(num_towns=3, num_scenes=8)
    teacher: SplitSettings = SplitSettings(num_towns=4, num_scenes=16)
    frames_per_scene: int = Field(default=12, ge=1, le=40)
    frame_interval_s: float = Field(default=0.5, gt=0.1)
    image_wh_px: tuple[int, int] = (192, 96)
    ground_resolution_m: float = Field(default=0.1, gt=0.02, le=0.2)
    speed_ms: tuple[float, float] = (3.0, 12.0)
    attitude_deg: float = Field(default=0.15, ge=0)
    jitter_deg: float = Field(default=0.15, ge=0)
    jitter_height_m: float = Field(default=0.015, ge=0)
    noise_scale: float = Field(default=1.0, ge=0)
    jpeg_quality: int = Field(default=95, ge=50, le=100)

    @model_validator(mode="after")
    def _possible(self) -> "WorldSettings":
        if min(self.image_wh_px) < 16:
            raise ValueError(f"images of {self.image_wh_px} px are too small to show anything: at least 16 x 16")
        if not 0 < self.speed_ms[0] <= self.speed_ms[1]:
            raise ValueError(f"speed_ms {self.speed_ms} must be (slowest, fastest), both above 0")
        return self


@dataclass(frozen=True)
class TownPlan:
    """A town to build: its name, its location (canvas) and its centre in that location's global frame."""

    name: str
    split: Split
    location: str
    centre_m: tuple[float, float]


@dataclass(frozen=True)
class ScenePlan:
    """A scene to drive; `number` counts the scenes of its split and sets their time of day."""

    name: str
    split: Split
    number: int
    town: TownPlan


def plan_towns(settings: WorldSettings) -> list[TownPlan]:
    """The towns of a world, split by split. What a town looks like does not depend on how many others there are."""
    towns = []
    for split in SPLITS:
        canvases = CANVASES[split]
        for i in range(getattr(settings, split).num_towns):
            place, canvas = divmod(i, len(canvases))
            row, column = divmod(place, COLUMNS)
            centre = ((column + 0.5) * PITCH_M, (row + 0.5) * PITCH_M)
            towns.append(TownPlan(f"{split}-town-{i:02d}", split, canvases[canvas], centre))
    return towns


def plan_scenes(settings: WorldSettings) -> list[ScenePlan]:
    """The scenes of a world, town by town within each split."""
    towns = plan_towns(settings)
    scenes = []
    for split in SPLITS:
        own = [town for town in towns if town.split == split]
        numbers = range(getattr(settings, split).num_scenes)
        planned = [ScenePlan(f"{split}-{k:04d}", split, k, own[k % len(own)]) for k in numbers]
        scenes += sorted(planned, key=lambda scene: (scene.number % len(own), scene.number))
    return scenes


def canvas_edge_m(towns: list[TownPlan]) -> tuple[float, float]:
    """Width and height of the canvas that holds these towns of one location."""
    rows = max(int(town.centre_m[1] // PITCH_M) for town in towns) + 1
    columns = max(int(town.centre_m[0] // PITCH_M) for town in towns) + 1
    return columns * PITCH_M, rows * PITCH_M

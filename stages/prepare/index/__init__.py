"""Stage `index`: the tables of a nuScenes-format data set, checked, as one compact typed index."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from scene.settings import Settings
from stages.stage import Stage

NUSCENES_CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")

Split = Literal["official", "dataset", "all_train"] | dict[str, tuple[str, ...]]


class IndexSettings(Settings):
    """Which keyframes of which data set are indexed, and how closely they are checked.

    Attributes:
        version: folder of the JSON tables under the data root.
        cameras: channels, in the order of the camera axis of every later artifact.
        split: which scenes are used, and for what. Scenes in no split are left out of the index.
            "official": the devkit's scene lists for `version`. "dataset": `splits.json` in the data root.
            "all_train": every scene, all as train. Or the lists of scene names themselves.
        used_splits: which of the splits of `splits.json` are used; the embedded world's third one, "teacher", has
            towns of its own on which settings can be chosen.
        skip_bad_frames: leave frames with problems out (and say so in problems.json) instead of stopping.
        check_images: "exists" looks at file sizes; "header" also reads the size in pixels and the end marker, which
            finds truncated JPEGs; "full" decodes every image.
    """

    version: str = Field("v1.0-trainval", pattern=r"^[\w.\-]+$")
    cameras: tuple[str, ...] = Field(NUSCENES_CAMERAS, min_length=1)
    split: Split = "official"
    used_splits: Annotated[tuple[str, ...], Field(min_length=1)] = ("train", "val", "test")
    skip_bad_frames: bool = False
    check_images: Literal["exists", "header", "full"] = "header"

    @property
    def names_of_splits(self) -> tuple[str, ...]:
        """Splits that scenes can be in."""
        if isinstance(self.split, dict):
            return tuple(self.split)
        known = {"official": ("train", "val", "test"), "dataset": self.used_splits, "all_train": ("train",)}
        return known[self.split]

    @field_validator("cameras")
    @classmethod
    def _distinct(cls, cameras: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(cameras)) != len(cameras):
            raise ValueError(f"a camera is named twice: {list(cameras)}")
        return cameras


STAGE = Stage(
    name="index",
    version=1,
    settings=IndexSettings,
    inputs=("world?",),  # the embedded world is an artifact itself: lineage leads back to it
    entry="stages.prepare.index.run:run",
    reads_data=True,
    fingerprint="stages.prepare.index.fingerprint:fingerprint",
    sources=("stages.prepare.index", "scene"),
)

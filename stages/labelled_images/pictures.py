"""The teacher towns' camera images with their exact semantics, in memory: 74 kB for an image of 96 x 192 px."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cache.manifest import Artifact
from scene.errors import InputError
from scene.frames import FrameIndex
from synthetic.contents import CAMERAS
from synthetic.settings import WorldSettings, plan_scenes


@dataclass(frozen=True, eq=False)
class Pictures:
    """N labelled images.

    Attributes:
        images: (N, 3, h, w) uint8 RGB.
        semantic: (N, h, w) uint8 `synthetic.contents.Semantic`.
        town: (N,) the town of each.
    """

    images: NDArray[np.uint8]
    semantic: NDArray[np.uint8]
    town: NDArray[np.str_]

    def of_towns(self, towns: tuple[str, ...]) -> Self:
        """Those of some towns."""
        kept = np.isin(self.town, towns)
        return type(self)(self.images[kept], self.semantic[kept], self.town[kept])


def load_pictures(world: Path, settings: WorldSettings, index: FrameIndex) -> Pictures:
    """Every camera image of the world's teacher scenes, in index order.

    Args:
        world: folder of the artifact.
        settings: that the world was made with: they say which scene lies in which town.
        index: of that world; scenes of other splits are passed over.

    Raises:
        InputError: if the index lacks the teacher scenes, or a scene's truth has another number of frames.
    """
    town_of_scene = {scene.name: scene.town.name for scene in plan_scenes(settings) if scene.split == "teacher"}
    images, semantic, towns = [], [], []
    columns = np.array([list(index.camera_names).index(camera) for camera in CAMERAS])
    for scene in np.flatnonzero(np.isin(index.scene_name, sorted(town_of_scene))):
        frames = np.flatnonzero(index.frame_scene == scene)
        name = str(index.scene_name[scene])
        with np.load(world / "truth" / f"{name}.npz", allow_pickle=False) as truth:
            exact = truth["semantic"]
        if len(exact) != len(frames):
            raise InputError(
                f"{len(frames)} frames of scene {name} are in the index and {len(exact)} in its truth",
                where=str(world),
                fix="index the whole world, without skipped frames",
            )
        files = index.camera_file[np.ix_(frames, columns)]
        images += [np.asarray(Image.open(world / file).convert("RGB")) for file in files.flat]
        semantic += list(exact.reshape(-1, *exact.shape[2:]))
        towns += [town_of_scene[name]] * files.size
    if not images:
        raise InputError(
            "the index holds none of the world's teacher scenes",
            where=str(world),
            fix="index them (index.split: all_train)",
        )
    return Pictures(np.stack(images).transpose(0, 3, 1, 2).copy(), np.stack(semantic), np.array(towns))


def pictures_of(world: Artifact, index: Artifact) -> Pictures:
    """`load_pictures` of two artifacts.

    Raises:
        InputError: see there.
    """
    return load_pictures(world.path, world_settings(world), FrameIndex.load(index.path / "index.npz"))


def world_settings(world: Artifact) -> WorldSettings:
    """What a world was made with."""
    return WorldSettings.parse(dict(world.manifest.spec.settings))


def split_by_town(pictures: Pictures, num_held_out: int) -> tuple[Pictures, Pictures]:
    """Pictures to train on, and those of the last `num_held_out` towns by name.

    Raises:
        InputError: if no town would be left on either side.
    """
    towns = tuple(sorted(set(pictures.town.tolist())))
    if not 0 < num_held_out < len(towns):
        raise InputError(
            f"{num_held_out} of {len(towns)} teacher towns cannot be held out",
            where="held_out_towns",
            fix="build more towns (data.world.teacher.num_towns), hold out fewer, but at least one",
        )
    return pictures.of_towns(towns[:-num_held_out]), pictures.of_towns(towns[-num_held_out:])


def resized(images: NDArray[np.uint8], hw_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Images (N, 3, h, w) at another size, as the stage `teacher_labels` resizes them."""
    pil = (Image.fromarray(image.transpose(1, 2, 0)) for image in images)
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(image.resize((hw_px[1], hw_px[0]), bilinear)).transpose(2, 0, 1) for image in pil])

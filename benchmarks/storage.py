"""Bytes per keyframe of the prepared data at the settings for nuScenes, measured on a small embedded world.

python -m benchmarks.storage [FOLDER]

Geometry and BEV labels do not depend on the images' size, so the world's images stay small.
"""

import sys
import tempfile
from pathlib import Path

from cache.keys import KeySpec
from cache.store import Artifact, Store
from scene.settings import Settings
from stages.prepare.bev_labels import STAGE as BEV_LABELS
from stages.prepare.bev_labels import BevLabelsSettings
from stages.prepare.geometry import STAGE as GEOMETRY
from stages.prepare.geometry import GeometrySettings
from stages.prepare.index import STAGE as INDEX
from stages.prepare.index import IndexSettings
from stages.stage import Runtime, Stage, StageRun
from synthetic.settings import SplitSettings, WorldSettings, plan_scenes
from synthetic.writer import finish_world, write_scene

TRAINVAL_SAMPLES = 34_149
WORLD = WorldSettings(
    train=SplitSettings(num_towns=2, num_scenes=6),
    val=SplitSettings(num_towns=1, num_scenes=2),
    teacher=SplitSettings(num_towns=1, num_scenes=0),
    frames_per_scene=16,
    image_wh_px=(96, 48),
)


def write_world(folder: Path) -> None:
    for plan in plan_scenes(WORLD):
        write_scene(WORLD, plan, folder)
    finish_world(WORLD, folder)


def prepare(stage: Stage, settings: Settings, store: Store, data_root: Path, **inputs: Artifact) -> Artifact:
    digests = {role: artifact.output_digest for role, artifact in inputs.items()}
    spec = KeySpec(stage.name, stage.version, settings.canonical(), digests)
    parents = {role: artifact.key for role, artifact in inputs.items()}

    def fill(build):
        return stage.run(StageRun(settings, inputs, build, Runtime(), data_root))

    return store.get_or_build(spec, parents, fill)[0]


def bytes_by_array(artifact: Artifact) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, entry in artifact.manifest.files.items():
        array = "/".join(Path(name).parts[:2]) if ".zarr" in name else name
        sizes[array] = sizes.get(array, 0) + entry.bytes
    return sizes


def main(folder: Path) -> None:
    data_root, store = folder / "world", Store(folder / "cache")
    write_world(data_root)
    index = prepare(INDEX, IndexSettings(version="v1.0-synthetic", split="dataset"), store, data_root)
    geometry = prepare(GEOMETRY, GeometrySettings(), store, data_root, index=index)
    labels = prepare(BEV_LABELS, BevLabelsSettings(), store, data_root, index=index)
    num_frames = index.manifest.statistics["frames"]
    print(f"{num_frames} keyframes; MB for the {TRAINVAL_SAMPLES:,} of nuScenes trainval")
    for artifact in (index, geometry, labels):
        sizes = bytes_by_array(artifact)
        for name, size in [*sizes.items(), (f"= {artifact.manifest.spec.stage}", sum(sizes.values()))]:
            per_frame = size / num_frames
            print(f"{name:32s} {per_frame:8.0f} B per keyframe {per_frame * TRAINVAL_SAMPLES / 1e6:8.1f} MB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else scratch))

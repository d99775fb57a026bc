"""A world of two small teacher towns, and the recipe cut down to seconds."""

from pathlib import Path
from typing import Any

from cache.keys import KeySpec
from cache.manifest import Artifact
from cache.store import Store
from stages.learn.teacher import STAGE, TeacherTrainingSettings
from stages.prepare.index import STAGE as INDEX
from stages.prepare.index import IndexSettings
from stages.prepare.world import STAGE as WORLD
from stages.stage import Runtime, Stage, StageRun
from synthetic.settings import WorldSettings
from tests.models.teachers.tiny import SIZE

RUNTIME = Runtime(num_workers=1, device="cpu", progress=False, checkpoint_seconds=0.0)
SETTINGS: dict[str, Any] = {
    "network": {**SIZE.canonical(), "num_queries": 12},
    "image_hw_px": [64, 128],
    "per_pixel": {"steps": 3, "warmup_steps": 1, "learning_rate": 0.001},
    "universal": {"steps": 3, "warmup_steps": 1, "learning_rate": 0.001},
    "batch_size": 2,
    "held_out_towns": 1,
}


def build(store: Store, stage: Stage, settings: Any, inputs: dict[str, Artifact], data: Path | None) -> Artifact:
    """The artifact of a stage."""
    digests = {role: artifact.output_digest for role, artifact in inputs.items()}
    spec = KeySpec(stage.name, stage.version, settings.canonical(), digests, {})
    parents = {role: artifact.key for role, artifact in inputs.items()}
    fill = lambda build: stage.run(StageRun(settings, inputs, build, RUNTIME, data))  # noqa: E731
    return store.get_or_build(spec, parents, fill)[0]


def prepared(root: Path) -> dict[str, Artifact]:
    """World and index, in a cache of their own two folders above `root`; made at the first call."""
    store = Store(root.parent.parent / "inputs")
    nothing = {"num_towns": 1, "num_scenes": 0}
    settings = WorldSettings.parse(
        {
            "train": nothing,
            "val": nothing,
            "teacher": {"num_towns": 2, "num_scenes": 2},
            "frames_per_scene": 1,
            "image_wh_px": [64, 32],
            "ground_resolution_m": 0.2,
        }
    )
    world = build(store, WORLD, settings, {}, None)
    index = build(store, INDEX, IndexSettings(version="v1.0-synthetic", split="all_train"), {}, world.path)
    return {"world": world, "index": index}


def recipe(root: Path, inputs: dict[str, Artifact] | None = None, **changes: Any) -> tuple[Artifact, bool]:
    """Builds the stage's artifact in the cache at `root`."""
    read = inputs or prepared(root)
    settings = TeacherTrainingSettings.parse({**SETTINGS, **changes})
    digests = {role: artifact.output_digest for role, artifact in read.items()}
    spec = KeySpec(STAGE.name, STAGE.version, settings.canonical(), digests, {})
    parents = {role: artifact.key for role, artifact in read.items()}
    return Store(root).get_or_build(
        spec, parents, lambda build: STAGE.run(StageRun(settings, read, build, RUNTIME, None))
    )

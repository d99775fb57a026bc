"""A world of two small teacher towns, and what is trained in it."""

from pathlib import Path
from typing import Any

from cache.keys import KeySpec
from cache.manifest import Artifact
from cache.store import Store
from stages.prepare.index import STAGE as INDEX
from stages.prepare.index import IndexSettings
from stages.prepare.world import STAGE as WORLD
from stages.stage import Runtime, Stage, StageRun
from synthetic.settings import WorldSettings

RUNTIME = Runtime(num_workers=1, device="cpu", progress=False, checkpoint_seconds=0.0)


def build(
    store: Store, stage: Stage, settings: Any, inputs: dict[str, Artifact], data: Path | None
) -> tuple[Artifact, bool]:
    """The artifact of a stage, and whether it was there."""
    digests = {role: artifact.output_digest for role, artifact in inputs.items()}
    spec = KeySpec(stage.name, stage.version, settings.canonical(), digests, {})
    parents = {role: artifact.key for role, artifact in inputs.items()}
    fill = lambda build: stage.run(StageRun(settings, inputs, build, RUNTIME, data))  # noqa: E731
    return store.get_or_build(spec, parents, fill)


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
    world, _ = build(store, WORLD, settings, {}, None)
    index, _ = build(store, INDEX, IndexSettings(version="v1.0-synthetic", split="all_train"), {}, world.path)
    return {"world": world, "index": index}

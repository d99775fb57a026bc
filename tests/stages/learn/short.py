"""The training stages on a flat world of four frames, one step long: recipes for the contract tests."""

from cache.store import Store
from stages.stage import Runtime
from tests.flat_world import run_stage, write_dataset
from tests.trainer import tiny

RUNTIME = Runtime(progress=False, device="cpu", checkpoint_seconds=1e9)
ONE_STEP = tiny.optimiser(steps=1, batch_size=1, log_every=1)


def make(root, stage, settings, **extra):
    """A stage's artifact in the cache at `root`; its data set lies beside it, its own, so that equal runs are equal."""
    folder = root.with_name(f"{root.name}-data-set")
    artifacts = write_dataset(folder, num_scenes=2, frames_per_scene=2)
    objective = getattr(settings, "objective", None)
    roles = [*stage.inputs, *(objective.needs if objective else ())]
    inputs = {role: artifacts[role] for role in roles if role in artifacts} | extra
    return run_stage(Store(root), stage, settings, inputs, folder / "data", RUNTIME)

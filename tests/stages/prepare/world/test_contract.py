from cache.keys import KeySpec
from cache.store import Store
from stages.prepare.world import STAGE, SplitSettings, WorldSettings
from stages.stage import Runtime, StageRun
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema

ONE, NONE = SplitSettings(num_towns=1, num_scenes=1), SplitSettings(num_towns=1, num_scenes=0)
SETTINGS = WorldSettings(
    train=ONE, val=NONE, teacher=NONE, frames_per_scene=1, image_wh_px=(48, 24), ground_resolution_m=0.2
)


def recipe(root, **changes):
    """One frame of one town."""
    settings = SETTINGS.model_copy(update=changes)
    spec = KeySpec(STAGE.name, STAGE.version, settings.canonical())

    def fill(build):
        return STAGE.run(StageRun(settings, {}, build, Runtime(num_workers=1, progress=False)))

    return Store(root).get_or_build(spec, {}, fill)


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    check_changed_setting(recipe, tmp_path, seed=5)
    check_schema(recipe(tmp_path / "cache")[0], {})


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=2)

from stages.prepare.index import STAGE
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, run_stage, write_data_set


def recipe(root, **changes):
    write_data_set(root.parent / "data")
    return run_stage(STAGE, INDEX_SETTINGS.model_copy(update=changes), root, root.parent / "data")


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    check_changed_setting(recipe, tmp_path, check_images="full", skip_bad_frames=True, cameras=("CAM_BACK",))
    check_schema(recipe(tmp_path / "cache")[0], {})


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=2)

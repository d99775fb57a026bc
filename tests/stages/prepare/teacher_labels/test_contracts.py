from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema
from tests.stages.prepare.teacher_labels.toy import LABEL_HW, NUM_FRAMES, recipe


def test_rerun_does_nothing(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)


def test_changed_setting_new_key(tmp_path):
    check_changed_setting(recipe, tmp_path, min_confidence=0.3, ego_bonnet={"CAM_BACK": 0.1}, frames_per_shard=3)


def test_schema(tmp_path):
    artifact, _ = recipe(tmp_path / "cache")
    dims = ["frame", "camera", "row", "column"]
    height, width = LABEL_HW
    check_schema(
        artifact,
        {
            "labels.zarr/class_id": {"shape": [NUM_FRAMES, 2, height, width], "dtype": "uint8", "dims": dims},
            "labels.zarr/confidence": {"shape": [NUM_FRAMES, 2, 8, 16], "dtype": "uint8", "dims": dims},
        },
    )


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=4)

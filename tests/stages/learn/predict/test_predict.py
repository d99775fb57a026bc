import shutil

import cv2
import numpy as np
import pytest

from cache.arrays import open_arrays
from pipeline.config import load_experiment
from pipeline.steps import plan_experiment
from scene.errors import InputError
from stages.learn.predict import STAGE, PredictSettings
from stages.learn.predict.fingerprint import fingerprint
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema
from tests.flat_world import CAMERAS, GRID, SCHEMA
from tests.stages.learn.short import make
from tests.trainer.tiny import save_small_model
from trainer.files import MODEL_FILE

DEMO = load_experiment("demo")[0]
pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(root, model=None, **changes):
    saved = save_small_model(root.with_name(f"{root.name}-model"), **(model or {}))
    return make(root, STAGE, PredictSettings(saved_model=saved, **changes))


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    check_changed_setting(recipe, tmp_path, split="val")
    array = {"shape": (2, *GRID.shape), "dtype": "uint8", "dims": ["keyframe", "x", "y"]}
    artifact, _ = recipe(tmp_path / "cache")
    check_schema(artifact, {f"predictions.zarr/scene-{scene}": array for scene in range(2)})


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=2)


def test_every_keyframe_is_predicted_and_some_are_pictured(tmp_path):
    artifact, _ = recipe(tmp_path / "cache")
    assert artifact.manifest.statistics == {"scenes": 2, "keyframes": 4}
    for number in range(2):
        array = open_arrays(artifact.path / "predictions.zarr")[f"scene-{number}"]
        assert (np.asarray(array[:]) < len(SCHEMA.classes)).all()
        assert array.attrs["sample_tokens"] == [f"frame-{2 * number}", f"frame-{2 * number + 1}"]
    assert {file.name for file in artifact.path.glob("*.png")} == {f"frame-{row:05d}.png" for row in range(4)}
    assert np.ptp(cv2.imread(str(artifact.path / "frame-00000.png"))) > 50, "an empty picture"


def test_one_split_alone(tmp_path):
    artifact, _ = recipe(tmp_path / "cache", split="val")
    assert set(open_arrays(artifact.path / "predictions.zarr")) == {"scene-1"}
    with pytest.raises(InputError, match="no keyframe is in the split 'test'"):
        recipe(tmp_path / "cache", split="test")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({}, r"predicts on a grid of .*give the experiment the same grid"),
        (
            {"grid": DEMO.grid, "ground": "lidar_plane", "cameras": CAMERAS[::-1]},
            "index.cameras = CAM_FRONT_LEFT, .* here it is CAM_FRONT, ",
        ),
        ({"grid": DEMO.grid, "ground": "ego_plane"}, "geometry.ground = ego_plane, here it is lidar_plane"),
    ],
)
def test_the_plan_tells_what_does_not_fit_before_anything_runs(tmp_path, model, says):
    folder = save_small_model(tmp_path / "model", **model)
    experiment, layers = load_experiment("demo", (f"predict.saved_model={folder}",))
    with pytest.raises(InputError, match=says):
        plan_experiment(experiment, layers, "predict")
    (tmp_path / "model" / MODEL_FILE).write_text("[]")
    with pytest.raises(InputError, match="no saved model of the format"):
        plan_experiment(experiment, layers, "predict")


def test_the_key_has_the_model_s_content_and_not_its_place(tmp_path):
    first = save_small_model(tmp_path / "one")
    shutil.copytree(first, tmp_path / "two")
    settings = [PredictSettings(saved_model=str(tmp_path / name)) for name in ("one", "two")]
    assert settings[0].canonical() == settings[1].canonical()
    assert fingerprint(settings[0], tmp_path) == fingerprint(settings[1], tmp_path)
    other = PredictSettings(saved_model=save_small_model(tmp_path / "other", seed=4))
    assert fingerprint(other, tmp_path) != fingerprint(settings[0], tmp_path)
    with pytest.raises(InputError, match=r"no saved model: no model\.json.*save-model"):
        fingerprint(PredictSettings(saved_model=str(tmp_path / "none")), tmp_path)

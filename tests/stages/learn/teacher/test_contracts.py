import pytest

from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing
from tests.stages.labelled_images.toy_world import prepared
from tests.stages.learn.teacher.toy import recipe


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("toy") / "any" / "cache")


def test_rerun_does_nothing(tmp_path, inputs):
    check_rerun_does_nothing(lambda root: recipe(root, inputs), tmp_path)


def test_changed_setting_new_key(tmp_path, inputs):
    check_changed_setting(lambda root, **changes: recipe(root, inputs, **changes), tmp_path, seed=1)


def test_the_artifact_is_a_teachers_folder(tmp_path, inputs):
    artifact, _ = recipe(tmp_path / "cache", inputs)
    names = {file.name for file in artifact.path.iterdir()}
    assert names == {
        "README.md",
        "config.json",
        "history.jsonl",
        "manifest.copy.json",
        "manifest.json",
        "model.safetensors",
        "preprocessor_config.json",
        "scores.json",
    }


def test_kill_and_resume(tmp_path):
    prepared(tmp_path / "kills" / "any")  # ahead, so that no run's instants are those of making its inputs
    check_kill_and_resume(recipe, tmp_path, num_kills=2)

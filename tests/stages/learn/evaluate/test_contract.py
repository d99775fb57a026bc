import pytest

from stages.learn.evaluate import STAGE, EvaluateSettings
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing
from tests.flat_world import GRID, SCHEMA
from tests.stages.learn.short import make
from tests.trainer import tiny

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(root, **changes):
    settings = EvaluateSettings(model=tiny.MODEL, grid=GRID, label_schema=SCHEMA, **changes)
    return make(root, STAGE, settings)


def test_rerun_does_nothing(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)


def test_changed_setting_new_key(tmp_path):
    check_changed_setting(recipe, tmp_path, seed=1, split="train")


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=2)

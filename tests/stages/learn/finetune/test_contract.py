import pytest

from stages.learn.finetune import STAGE
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing
from tests.stages.learn.short import ONE_STEP, make
from tests.trainer import tiny

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(root, **changes):
    return make(root, STAGE, tiny.finetune_settings(from_random=ONE_STEP, **changes))


def test_rerun_does_nothing(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)


def test_changed_setting_new_key(tmp_path):
    check_changed_setting(recipe, tmp_path, seed=1, label_fraction=0.5, subset_seed=1)


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=2)

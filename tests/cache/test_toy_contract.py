"""The promises that every stage makes, kept by a toy stage; and what needs more than one process."""

from collections import Counter

from tests.cache import toy
from tests.contracts.stage import (
    check_changed_setting,
    check_kill_and_resume,
    check_rerun_does_nothing,
    check_schema,
    run_driver,
)


def test_rerun_does_nothing(tmp_path):
    check_rerun_does_nothing(toy.recipe, tmp_path)


def test_changed_setting_new_key(tmp_path):
    check_changed_setting(toy.recipe, tmp_path, slope=4)


def test_schema(tmp_path):
    check_schema(toy.recipe(tmp_path / "cache")[0], toy.ARRAYS)


def test_kill_anywhere_and_resume(tmp_path):
    check_kill_and_resume(toy.logged_recipe, tmp_path, num_kills=26)  # 0 is every instant, some 75
    logs = list((tmp_path / "kills").glob("killed-*.log"))
    assert len(logs) == 26
    for log in logs:
        killed, resumed = [run.split() for run in log.read_text().split("start\n")[1:3]]
        # all but the last unit of a killed run were certainly marked done
        assert not set(killed[:-1]) & set(resumed), "a unit that was done is computed again"
        assert set(killed) | set(resumed) == {"shard/0", "shard/1", "shard/2", "text"}


def slow_at_first(root):
    """As `recipe`, and the uninterrupted run changes more files than any other."""
    artifact = toy.recipe(root)
    for number in range(20 if root.name == "whole" else 0):
        (root / "beat").write_text(str(number))
    return artifact


def test_an_instant_that_a_shorter_run_never_comes_to_is_moved_to_its_end(tmp_path):
    check_kill_and_resume(slow_at_first, tmp_path, num_kills=2)


def test_eight_racers_one_artifact_each_unit_once(tmp_path):
    answers = run_driver("race", toy.logged_recipe, tmp_path / "race", 8, timeout_s=60)
    assert [answer["code"] for answer in answers] == [0] * 8
    assert len({answer["output_digest"] for answer in answers}) == 1
    assert [answer["found"] for answer in answers].count(False) == 1
    units = Counter((tmp_path / "race" / "raced.log").read_text().split())
    assert units == {"start": 8, "shard/0": 1, "shard/1": 1, "shard/2": 1, "text": 1}
    assert list((tmp_path / "race" / "raced" / "tmp").iterdir()) == []

"""Several processes in one build: each unit once, dead ones' units taken over, one artifact."""

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from cache.store import Store
from tests.cache import toy

MEMBER = """
import os, signal, sys, time
from pathlib import Path
from cache.store import Store
from tests.cache import toy
root, name, die_at = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
os.environ["TOY_LOG"] = f"{root}.{name}.log"
log = toy.log
def slow(unit):
    log(unit)
    time.sleep(0.15)
    if unit == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
toy.log = slow
if len(sys.argv) > 4:  # the clocks that people set
    jump, now = float(sys.argv[4]), time.time
    time.time = lambda: now() + jump * (int(now() * 10) % 3 - 1)
print(toy.recipe(root)[0].output_digest)
"""


def member(root: Path, name: str, *more: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", MEMBER, str(root), name, *(more or ("",))]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def digests(members: list[subprocess.Popen[str]]) -> list[str]:
    found = []
    for process in members:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        found.append(out.strip())
    return found


def computed(root: Path) -> Counter[str]:
    return Counter(" ".join(log.read_text() for log in root.parent.glob(f"{root.name}.*.log")).split())


def whole(tmp_path: Path) -> str:
    return toy.recipe(tmp_path / "alone")[0].output_digest


def test_processes_share_the_units(tmp_path):
    root = tmp_path / "cache"
    found = digests([member(root, name) for name in "abc"])
    assert set(found) == {whole(tmp_path)}
    assert set(computed(root).values()) == {1}
    assert sum(1 for _ in tmp_path.glob("cache.*.log")) > 1, "one did it all"


def test_a_killed_process_gives_up_only_the_unit_it_was_at(tmp_path):
    root = tmp_path / "cache"
    dying = member(root, "dying", "shard/0")
    survivors = [member(root, name) for name in "ab"]
    dying.wait(timeout=60)
    assert set(digests(survivors)) == {whole(tmp_path)}
    times = computed(root)
    if dying.returncode == -signal.SIGKILL:  # unless a survivor had claimed shard/0 first
        assert times.pop("shard/0") == 2
    assert set(times.values()) == {1}
    assert list((root / "tmp").iterdir()) == []
    assert list((root / "owners").iterdir()) == []


def test_clocks_that_jump_do_not_make_two_writers(tmp_path):
    root = tmp_path / "cache"
    found = digests([member(root, name, "", jump) for name, jump in (("a", "3600"), ("b", "-3600"), ("c", "0"))])
    assert set(found) == {whole(tmp_path)}
    assert set(computed(root).values()) == {1}


def test_what_another_has_claimed_is_waited_for_and_then_taken(tmp_path):
    root = tmp_path / "cache"
    with Store(root).build(toy.spec(), {}) as build:
        toy_units = [f"shard/{shard}" for shard in range(toy.NUM_SHARDS)]
        assert build.units([*toy_units, "text"]).take(9) == [*toy_units, "text"]
        others = member(root, "other")
        deadline_s = time.monotonic() + 60
        while len(list((root / "owners").iterdir())) < 2:  # until it is there to take something
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        time.sleep(0.5)
        assert others.poll() is None, "it took what is claimed"
    assert digests([others]) == [whole(tmp_path)]


def test_two_takers_of_one_process_share_nothing(tmp_path):
    with Store(tmp_path / "cache").build(toy.spec(), {}) as build:
        first, second = build.units(["a", "b", "c"]), build.units(["c", "b", "a"])
        assert first.take(2) == ["a", "b"]
        assert second.take(3) == ["c"]
        assert first.take(3) == []
        for unit in "abc":
            assert not first.finished
            build.mark_done(unit)
        second.take()
        first.take()
        assert first.finished
        assert second.finished

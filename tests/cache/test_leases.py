"""Claims between processes: of this machine and, by a changed machine name, as if of another."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cache import leases
from cache.leases import LeaseLostError, Owner, living_owners
from cache.objects import LocalObjects

HOLD = """
import sys, time
from pathlib import Path
from cache import leases
from cache.objects import LocalObjects
if sys.argv[2] == "elsewhere":
    leases.MACHINE = "another machine"
with leases.Owner(LocalObjects(Path(sys.argv[1])), duration_s=float(sys.argv[3])) as owner:
    assert owner.claim("unit")
    print("claimed", flush=True)
    until_s = time.monotonic() + (20 if sys.stdin.readline().strip() == "until it is lost" else 0)
    try:
        owner.check()
        while time.monotonic() < until_s:
            time.sleep(0.05)
            owner.check()
        print("mine", flush=True)
    except leases.LeaseLostError:
        print("lost", flush=True)
"""


def hold(folder: Path, where: str = "here", duration_s: float = 30.0) -> subprocess.Popen[str]:
    """A process that has claimed "unit" and waits for a line on its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), where, str(duration_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    return process


def answer(process: subprocess.Popen[str], asked: str = "now") -> str:
    out, _ = process.communicate(f"{asked}\n", timeout=40)
    return out.strip()


def test_one_owner_at_a_time_until_it_releases(tmp_path):
    objects = LocalObjects(tmp_path)
    with Owner(objects) as first, Owner(objects) as second:
        assert first.claim("a/unit")
        assert first.claim("a/unit")
        assert not second.claim("a/unit")
        second.release("a/unit")  # not its own
        assert not second.claim("a/unit")
        first.release("a/unit")
        assert second.claim("a/unit")
        assert living_owners(objects) == {first.id, second.id}
    assert living_owners(objects) == set()


def test_what_an_owner_left_claimed_is_free_when_it_has_ended(tmp_path):
    objects = LocalObjects(tmp_path)
    with Owner(objects) as first:
        assert first.claim("unit")
    with Owner(objects) as second:
        assert second.claim("unit")


def test_a_killed_process_of_this_machine_is_dead_at_once(tmp_path):
    process = hold(tmp_path)
    with Owner(LocalObjects(tmp_path)) as owner:
        assert not owner.claim("unit")
        process.kill()
        process.wait()
        assert owner.claim("unit")


def test_a_silent_process_elsewhere_is_dead_after_its_lease_and_knows_it(tmp_path):
    process = hold(tmp_path, "elsewhere", duration_s=2.0)
    objects = LocalObjects(tmp_path)
    with Owner(objects) as owner:
        for _ in range(6):  # longer than its lease: it beats
            assert not owner.claim("unit")
            time.sleep(0.5)
        process.send_signal(signal.SIGSTOP)
        watched_from_s = time.monotonic()
        while not owner.claim("unit"):
            assert time.monotonic() - watched_from_s < 20
            time.sleep(0.05)
        assert time.monotonic() - watched_from_s > 1.6
        process.send_signal(signal.SIGCONT)
        assert answer(process, "until it is lost") == "lost", "its next beat finds its record gone"
        assert json.dumps(sorted(living_owners(objects))) == json.dumps([owner.id])


def test_a_killed_process_elsewhere_is_not_dead_before_its_lease_ends(tmp_path):
    process = hold(tmp_path, "elsewhere", duration_s=0.8)
    process.kill()
    process.wait()
    with Owner(LocalObjects(tmp_path)) as owner:
        start_s = time.monotonic()
        while not owner.claim("unit"):
            time.sleep(0.05)
        assert time.monotonic() - start_s > 0.7


def test_a_process_number_used_again_is_another_process(tmp_path):
    objects = LocalObjects(tmp_path)
    with Owner(objects) as first:
        assert first.claim("unit")
        record = f"owners/{first.id}.json"
        content = json.loads(objects.read(record).data)
        objects.put(record, json.dumps({**content, "pid": os.getpid(), "started": "1"}).encode())
        with Owner(objects) as second:
            assert second.claim("unit")


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_clock_that_jumps_an_hour_changes_nothing(tmp_path, monkeypatch, jump_s):
    process = hold(tmp_path, "elsewhere")
    with Owner(LocalObjects(tmp_path)) as owner:
        assert not owner.claim("unit")
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + jump_s)
        record = next((tmp_path / "owners").glob("*.json"))
        os.utime(record, (now() + jump_s, now() + jump_s))
        assert not owner.claim("unit")
    assert answer(process) == "mine"


def test_damaged_claims_and_records_free_the_unit(tmp_path):
    objects = LocalObjects(tmp_path)
    with Owner(objects) as owner:
        objects.put("unit", b"\xff not an owner")
        assert owner.claim("unit")
        owner.release("unit")
        objects.put("unit", b"0" * 32)  # an owner without a record
        assert owner.claim("unit")


def test_an_owner_without_its_record_is_lost(tmp_path):
    objects = LocalObjects(tmp_path)
    with Owner(objects, duration_s=0.3) as owner:
        objects.delete(f"owners/{owner.id}.json")
        deadline_s = time.monotonic() + 10
        with pytest.raises(LeaseLostError, match="silent"):
            while time.monotonic() < deadline_s:
                owner.check()
                time.sleep(0.02)


def test_the_duration_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("BEVPRIOR_LEASE_S", "7.5")
    assert leases.lease_duration_s() == 7.5

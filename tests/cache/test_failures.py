"""What happens when the disk is full, read-only or not ours."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cache.failures import explain_write_errors
from cache.store import Store
from scene.errors import InputError
from tests.cache import toy

IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this kernel lets us mount no file system")
def test_disks_of_every_size_too_small(tmp_path):
    command = [*IN_A_NAMESPACE, sys.executable, str(Path(__file__).parent / "small_disk.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    whole = toy.recipe(tmp_path / "whole")[0].output_digest
    failed = [trial["first"] for trial in trials if "error" in trial["first"]]
    assert len(failed) >= 12
    for first in failed:
        assert "disk full" in first["error"] or "read-only file system" in first["error"]
        assert "run again" in first["error"]
        assert "\n" not in first["error"]
        assert first["traces"] == 0, "something looks like an artifact"
    assert {trial["second"]["output_digest"] for trial in trials} == {whole}
    for log in tmp_path.glob("*.log"):
        first, second = [run.split() for run in log.read_text().split("start\n")[1:]]
        assert not set(first[:-1]) & set(second), "a unit that was done is computed again"


def test_file_size_limit(tmp_path):
    """A full disk for those who cannot mount one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(build):
        build.mark_done("small")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        (build.path / "large").write_bytes(b"x" * 200_000)
        return {}

    try:
        with pytest.raises(InputError, match="file size limit"):
            Store(tmp_path).get_or_build(toy.spec(), {}, fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    progress = Store(tmp_path).progress(toy.spec())
    assert (progress.state, progress.done) == ("partial", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permission_denied(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(InputError, match="permission denied"):
        toy.recipe(tmp_path / "cache")


def test_full_disk_is_recognised_through_other_libraries(tmp_path):
    for error in (
        RuntimeError("I/O error: No space left on device (os error 28)"),  # as safetensors says it
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ):
        with pytest.raises(InputError, match="disk") as caught, explain_write_errors(tmp_path):
            try:
                raise error
            except Exception as cause:
                raise ValueError("could not save") from cause
        assert str(tmp_path) in str(caught.value)


def test_other_errors_stay_what_they_are(tmp_path):
    data = PermissionError(errno.EACCES, "Permission denied", "/data/camera.jpg")  # not a file of the cache
    for error in (data, ValueError("a fault of ours"), OSError(errno.EIO, "Input/output error")):
        with pytest.raises(type(error)) as caught, explain_write_errors(tmp_path):
            raise error
        assert caught.value is error
    with pytest.raises(InputError, match="not permitted"), explain_write_errors(tmp_path):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(tmp_path / "artifacts"))

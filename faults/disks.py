"""Full, read-only and forbidden disks cost nothing but time: python -m faults.disks [--json]

On small file systems in memory, runs, gc and push meet a disk that is full, read-only or not theirs any more. Each must
end with one line that says so and exit status 2, and the same command must finish once that is over: with the
undisturbed run's digests, and without computing anew what was done. Needs the right to mount; without, says so.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from faults import ledger, show
from faults.attempts import Attempt, Command, Kill, attempt
from faults.experiment import Undisturbed, load_everything, undisturbed
from faults.layout import done_units, finished, half_artifacts
from faults.triggers import DISCARD, Trigger

FULL_AT = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97)
"""Free space, as a fraction of what the command writes in all."""
EXIT_BAD_INPUT = 2


@dataclass
class Row:
    """One line of the table: how often a fault was met, told in one line, and gone on from."""

    command: str
    fault: str
    trials: int = 0
    met: int = 0
    told: int = 0
    finished: int = 0
    kept: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=float, nargs="+", default=FULL_AT, help="free space, of what is written")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not can_mount():
        print("make disks is skipped: mounting a file system needs root, or CAP_SYS_ADMIN")
        return 0
    load_everything()
    with tempfile.TemporaryDirectory(prefix="bevprior-faults-") as scratch:
        Path(scratch).chmod(0o755)
        harness = Harness(undisturbed(Path(scratch)), Path(scratch) / "disk")
        harness.run(tuple(arguments.levels))
    rows = [[r.command, r.fault, r.trials, r.met, r.told, r.finished, r.kept] for r in harness.rows]
    columns = ("command", "fault", "trials", "met it", "one line, status 2", "finished after", "units kept")
    facts = {"trials": sum(r.trials for r in harness.rows), "of them met their fault": sum(r.met for r in harness.rows)}
    return show.Report("Disks that fail", columns, rows, facts, harness.broken).print(as_json=arguments.json)


class Harness:
    """Makes disks fail; `rows` and `broken` say what came of it."""

    def __init__(self, whole: Undisturbed, disk: Path) -> None:
        self._whole, self._disk = whole, disk
        self._size = sum(file.stat().st_size for file in whole.cache.rglob("*") if file.is_file())
        self.rows: list[Row] = []
        self.broken: list[str] = []

    def run(self, levels: tuple[float, ...]) -> None:
        """All trials."""
        cache = self._disk / "cache"
        work = self._disk.parent / "work"
        run = self._whole.command(cache, work)
        push = Command(("push", str(cache)), str(self._whole.cache), work, [cache])
        collect = Command(("gc", "--yes", "--keep-runs", "0", "--grace-hours", "0"), str(cache), work, [cache])
        trials: list[tuple[str, str, Callable[[Row], None]]] = []
        for level in levels:
            trials += [("run", "disk full", partial(self._full, command=run, free=level))]
            trials += [("push", "disk full", partial(self._full, command=push, free=level))]
        trials += [("gc", "disk full", partial(self._full_gc, command=collect))]
        for name, command in (("run", run), ("push", push), ("gc", collect)):
            trials += [(name, "read-only", partial(self._read_only, command=command))]
            trials += [(name, "permission lost", partial(self._forbidden, command=command))]
        for name, title, trial in tqdm(trials, desc="disks", unit="disk"):
            trial(self._row(name, title))

    def _full(self, row: Row, command: Command, free: float) -> None:
        with self._mounted(int(self._size * free) + (64 << 10)):
            self._met_and_mended(row, command, "disk full", lambda: self._mount_again("size=1g"))

    def _full_gc(self, row: Row, command: Command) -> None:
        """Nothing can be written, and gc still removes: it must be able to make space."""
        with self._mounted(1 << 30):
            self._fill_cache()
            (self._disk / "ballast").write_bytes(b"")
            self._mount_again(f"size={shutil.disk_usage(self._disk).used + (1 << 12)}")
            self._met_and_mended(row, command, "disk full", lambda: self._mount_again("size=1g"))

    def _read_only(self, row: Row, command: Command) -> None:
        """Half-way through, the file system becomes one that cannot be written to."""
        with self._mounted(1 << 30):
            kill = self._half_way(command, lambda: self._mount_again("ro"))
            self._met_and_mended(row, command, "read-only file system", lambda: self._mount_again("rw"), kill)

    def _forbidden(self, row: Row, command: Command) -> None:
        """Half-way through, every folder of the cache is made read-only for the user."""
        with self._mounted(1 << 30):
            kill = self._half_way(command, lambda: self._permit(0o555))
            plain = replace(command, plain_user=True)
            self._met_and_mended(row, plain, "permission denied", lambda: self._permit(0o755), kill)

    def _permit(self, mode: int) -> None:
        for folder in (self._disk, *(entry for entry in self._disk.rglob("*") if entry.is_dir())):
            with suppress(FileNotFoundError):  # it was just renamed
                folder.chmod(mode)

    def _half_way(self, command: Command, instead: Callable[[], None]) -> Kill:
        """Prepares the disk for a command; the fault comes when some of the work is done."""
        kinds = {"run": ("unit file", 60), "push": ("copied file", 60), "gc": (DISCARD, 5)}
        kind, number = kinds[command.arguments[0]]
        if command.arguments[0] == "gc":
            self._fill_cache()
        return Kill(Trigger("", kind, number, "pause"), instead=instead)

    def _fill_cache(self) -> None:
        self._whole.copy(self._disk / "cache", self._whole.artifacts, linked=False)

    def _met_and_mended(
        self, row: Row, command: Command, message: str, mend: Callable[[], None], kill: Kill | None = None
    ) -> None:
        cache, told = self._disk / "cache", f"{row.command}, {row.fault}"
        row.trials += 1
        first = attempt(command, kill)
        row.met += first.status != 0
        if first.status == 0 and command.arguments[0] != "gc":  # which needs no space, and may be done before the fault
            self.broken.append(f"{told}: ended well although it could not")
        elif first.status != 0:
            row.told += self._is_told(first, message, told)
        self.broken += [f"{told}: half an artifact: {name}" for name in half_artifacts(cache)]
        done = done_units(cache)
        mend()
        second = attempt(command)
        again = {(e.build, e.unit) for e in ledger.read(second.ledger) if e.what in ("begun", "entered")} & done
        self.broken += [f"{told}: {build} {unit} is computed again" for build, unit in again]
        row.kept += len({unit for unit in done if unit[1]})
        left = {} if command.arguments[0] == "gc" else self._whole.artifacts
        expected = {name: artifact.output_digest for name, artifact in left.items()}
        found = {name: artifact.output_digest for name, artifact in finished(cache).items()}
        well = second.status == 0 and found == expected and not half_artifacts(cache, digests=True)
        row.finished += well
        if not well:
            self.broken.append(f"{told}: the second attempt: status {second.status}, {second.errors[-1500:]}")

    def _is_told(self, met: Attempt, message: str, told: str) -> bool:
        lines = met.errors.strip().splitlines()
        good = met.status == EXIT_BAD_INPUT and len(lines) == 1 and lines[0].startswith("bevprior: ")
        good = good and message in lines[0]
        if not good:
            self.broken.append(f"{told}: status {met.status}, said: {met.errors[-1500:]}")
        return good

    def _row(self, command: str, fault: str) -> Row:
        for row in self.rows:
            if (row.command, row.fault) == (command, fault):
                return row
        self.rows.append(Row(command, fault))
        return self.rows[-1]

    @contextmanager
    def _mounted(self, size: int) -> Iterator[None]:
        self._disk.mkdir()
        mount(self._disk, f"size={size}")
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(self._disk)], check=True)
            self._disk.rmdir()

    def _mount_again(self, options: str) -> None:
        mount(self._disk, f"remount,{options}")


def mount(folder: Path, options: str) -> None:
    """A file system in memory; or other options for it. It is read-only only when no file is just being written."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    for _ in range(200):
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.005)
    subprocess.run(command, check=True, capture_output=True)


def can_mount() -> bool:
    """Whether this process may mount."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder), "size=4k")
        except subprocess.CalledProcessError:
            return False
        subprocess.run(["umount", "--lazy", folder], check=True)
    return True


if __name__ == "__main__":
    sys.exit(main())

"""Everything that is wrong with a data set, gathered in one run and named by table and token."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from scene.errors import InputError

MAX_LISTED = 20


@dataclass
class Problem:
    """One fault.

    Attributes:
        table, token: the row where it is.
        reason: what is wrong with it.
        frames: sample tokens of the keyframes that cannot be used because of it.
        fatal: it cannot be skipped by leaving frames out.
    """

    table: str
    token: str
    reason: str
    frames: set[str] = field(default_factory=set)
    fatal: bool = False

    def __str__(self) -> str:
        row = f"{self.table} {self.token}" if self.token else self.table
        return f"{row}: {self.reason}"


class Problems:
    """A growing list of problems that knows which rows are already blamed, so that one fault is reported once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.unreadable_tables: set[str] = set()
        self._by_row: dict[tuple[str, str], list[Problem]] = {}

    def report(self, table: str, token: str, reason: str, frames: Iterable[str] = (), *, fatal: bool = False) -> None:
        """Adds one problem."""
        problem = Problem(table, token, reason, set(frames), fatal)
        self.found.append(problem)
        self._by_row.setdefault((table, token), []).append(problem)

    def report_table(self, table: str, reason: str) -> None:
        """Adds a table that cannot be read; rows missing from it are then no news."""
        self.unreadable_tables.add(table)
        self.report(table, "", reason, fatal=True)

    def has(self, table: str, token: str) -> bool:
        """Whether this row is known to be bad."""
        return (table, token) in self._by_row

    def dangling(self, table: str, token: str, column: str, target: tuple[str, str], frames: Iterable[str]) -> None:
        """A reference that could not be followed: blames what is known to be wrong with its target, if anything."""
        if target[0] in self.unreadable_tables:
            self._by_row.setdefault((table, token), [])
        elif target in self._by_row:
            for problem in self._by_row[target]:
                problem.frames.update(frames)
        else:
            self.report(table, token, f"{column} {target[1]!r} names no row of {target[0]}", frames)

    def bad_frames(self) -> set[str]:
        """Sample tokens of all keyframes that some problem touches."""
        return {frame for problem in self.found for frame in problem.frames}

    def write(self, file: Path) -> None:
        """Writes all problems as JSON; equal problems give equal bytes."""
        listed = [
            {"table": p.table, "token": p.token, "reason": p.reason, "skipped_frames": sorted(p.frames)}
            for p in self.found
        ]
        file.write_text(json.dumps({"problems": listed}, indent=1) + "\n", encoding="utf-8")

    def error(self, tables_dir: Path, listing: Path) -> InputError:
        """The error that names them: one line for one problem, a headline and a list for many."""
        many = len(self.found) > 1
        what, them = (f"the data set has {len(self.found)} problems", "them") if many else (str(self.found[0]), "it")
        if any(p.fatal for p in self.found):
            fix = f"restore {them} from the original data set, leaving frames out does not help"
        else:
            fix = f"mend {them}, or leave {'their' if many else 'its'} frames out with skip_bad_frames"
        if not many:
            return InputError(what, where=str(tables_dir), fix=fix)
        details = [str(p) for p in self.found[:MAX_LISTED]]
        if hidden := len(self.found) - len(details):
            details.append(f"... and {hidden} more")
        return InputError(what, where=str(tables_dir), fix=f"{fix}; the whole list is in {listing}", details=details)

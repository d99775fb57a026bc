"""What every harness here prints: progress, a table or JSON, broken promises."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

tqdm.monitor_interval = 0  # no thread of its own: these processes fork


def machine() -> str:
    """Where figures were measured."""
    return f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, Python {platform.python_version()}"


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        title, columns, rows: of the table.
        facts: figures beside it.
        broken: promises that were not kept, each in a line.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    facts: Mapping[str, Any]
    broken: Sequence[str]

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "machine": machine(), **self.facts, "rows": rows, "broken": list(self.broken)}

    def print(self, *, as_json: bool) -> int:
        """Prints it; the exit status: 1 if a promise was broken."""
        if as_json:
            json.dump(self.document(), sys.stdout, indent=1)
            print()
            return 1 if self.broken else 0
        table = Table(title=self.title, box=box.SIMPLE)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=not number)
        for row in self.rows:
            table.add_row(*("" if cell == 0 else str(cell) for cell in row))
        console = Console(width=max(160, Console().width), highlight=False)
        console.print(table)
        for name, value in {**self.facts, "machine": machine()}.items():
            console.print(f"{name}: {value}", markup=False)
        for line in self.broken:
            console.print(f"BROKEN  {line}", markup=False)
        console.print(f"{len(self.broken)} promises were broken" if self.broken else "every promise was kept")
        return 1 if self.broken else 0

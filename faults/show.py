"""What every harness here prints: progress, a table or JSON, broken promises."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

tqdm.monitor_interval = 0  # no thread of its own: these processes fork


def machine() -> str:
    """Where figures were measured."""
    return f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}, Python {platform.python_version()}"


def conclude(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    facts: Mapping[str, Any],
    broken: Sequence[str],
    *,
    as_json: bool,
) -> int:
    """Prints what was found; the exit status: 1 if a promise is broken."""
    if as_json:
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        document = {"title": title, "machine": machine(), **facts, "rows": named, "broken": list(broken)}
        json.dump(document, sys.stdout, indent=1)
        print()
        return 1 if broken else 0
    table = Table(title=title, box=box.SIMPLE)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*("" if cell == 0 else str(cell) for cell in row))
    console = Console(width=max(160, Console().width), highlight=False)
    console.print(table)
    for name, value in {**facts, "machine": machine()}.items():
        console.print(f"{name}: {value}", markup=False)
    for line in broken:
        console.print(f"BROKEN  {line}", markup=False)
    console.print("every promise was kept" if not broken else f"{len(broken)} promises were broken")
    return 1 if broken else 0

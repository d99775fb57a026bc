"""What the benchmarks print: repeated measurements as median and range."""

import json
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of one thing."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, measured: Sequence[float]) -> Self:
        return cls(statistics.median(measured), min(measured), max(measured))

    def text(self, digits: int = 2) -> str:
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f} to {self.most:,.{digits}f})"


def machine() -> str:
    """Processor and system, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{len(names)} x {names[0]}" if names else platform.processor()
    return f"{processor}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def answer(document: dict[str, Any], tables: Sequence[Table], notes: Sequence[str], *, as_json: bool) -> None:
    """Prints the document for programs, or tables and notes for people."""
    if as_json:
        json.dump({"machine": machine(), **document}, sys.stdout, indent=1)
        print()
        return
    print(machine())
    for table in tables:
        Console(width=140).print(table)
    for note in notes:
        print(note)

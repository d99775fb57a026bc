"""The program as a user runs it: a process, its exit status, what it prints, and what it leaves."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]
BEVPRIOR = Path(sys.executable).with_name("bevprior")


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "BEVPRIOR_CACHE": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}

"""How every command answers: options that all have, tables for people, JSON for programs."""

import json
import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

_WHERE = "folder, or s3://bucket/prefix [$BEVPRIOR_CACHE, or .cache]"
Cache = Annotated[
    str | None, typer.Option(metavar="WHERE", help="folder or s3://bucket/prefix [$BEVPRIOR_CACHE, .cache]")
]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable output on stdout")]
WIDTH = 140


def console(*, stderr: bool = False) -> Console:
    """A table that goes to a file or a pipe is not squeezed into 80 columns."""
    made = Console(stderr=stderr, soft_wrap=True)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH
    return made


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")

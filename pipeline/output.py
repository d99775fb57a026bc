"""How every command answers: options that all have, tables for people, JSON for programs."""

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console

from cache.failures import explain_write_errors
from pipeline.places import cache_folder
from scene.errors import EXIT_BAD_INPUT, InputError

Parameters = ParamSpec("Parameters")
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

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


def answer(value: Any, as_json: bool, show: Callable[[], object]) -> None:
    """Tells a program the value, or shows a person what to see of it."""
    if as_json:
        print_json(plain(value))
    else:
        show()


def plain(value: Any) -> Any:
    """Dataclasses as what JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@contextmanager
def bytes_bar(title: str, total_bytes: int) -> Iterator[Callable[[int], object]]:
    """A bar on stderr with the time left, for what takes more than a second; yields what to tell of bytes done."""
    from tqdm import tqdm

    with tqdm(total=total_bytes, desc=title, unit="B", unit_scale=True, delay=1) as bar:
        yield bar.update


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a cluster's scheduler sends it: everything unwinds as it does for Ctrl-C."""


def _terminate(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break into the unwinding
    raise Terminated


def told_in_one_line(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """A command for which Ctrl-C, SIGTERM, a full disk and a cache that may not be written are a line and an exit
    status."""

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        given = kwargs.get("cache")
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            with explain_write_errors(cache_folder(None if given is None else str(given))):
                command(*args, **kwargs)
        except KeyboardInterrupt as stop:
            typer.echo("stopped; the same command goes on from here", err=True)
            raise typer.Exit(EXIT_TERMINATED if isinstance(stop, Terminated) else EXIT_INTERRUPTED) from None
        finally:
            signal.signal(signal.SIGTERM, before)

    return run


def main(app: typer.Typer) -> None:
    """An entry point: bad input is one line on stderr and exit status 2; anything else is a bug, with its traceback."""
    try:
        app()
    except InputError as error:
        sys.stderr.write(f"bevprior: {error}\n")
        raise SystemExit(EXIT_BAD_INPUT) from None

"""The command line `bevprior`. Starts without torch and without Prefect: looking things up must be instant."""

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cache.manifest import MANIFEST_FILE
from pipeline import cli_cache, cli_transfer, output
from pipeline.listing import describe, listing
from pipeline.output import AsJson, Cache, console, print_json, told_in_one_line
from pipeline.places import open_cache

if TYPE_CHECKING:
    from pipeline.request import ExperimentRequest

app = typer.Typer(
    help="Bird's-eye-view models with few labels: pseudo-label, pretrain by reprojection, fine-tune, evaluate.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
OFFLINE = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
"""Prefect reads these when it is imported; without them its server reports usage."""

Config = Annotated[str, typer.Argument(help="experiment file, or a bare name in configs/experiments/")]
Until = Annotated[str | None, typer.Option(metavar="STAGE", help="stop after this stage")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="change one setting; repeatable")]
SkipBadFrames = Annotated[bool, typer.Option("--skip-bad-frames", help="go on without unreadable frames")]


@app.command()
@told_in_one_line
def run(
    config: Config,
    until: Until = None,
    overrides: Overrides = None,
    engine: Annotated[Literal["inline", "prefect"], typer.Option(help="who runs the steps")] = "inline",
    cache: Cache = None,
    skip_bad_frames: SkipBadFrames = False,
    as_json: AsJson = False,
) -> None:
    """Run an experiment; what is cached is not run again."""
    request = _request(config, until, overrides, cache, skip_bad_frames)
    out = console(stderr=as_json)
    if engine == "prefect":
        request.load()  # a fault of the configuration is told before a server is started
        for name, value in OFFLINE.items():
            os.environ.setdefault(name, value)
        from pipeline.flows import run_here

        store, keys = open_cache(request.cache), run_here(request)
        rows = [{"step": step, **describe(store.find(key))} for step, key in keys.items()]
    else:
        from pipeline.session import run_and_report

        outcomes = run_and_report(request, out)
        done = [{"step": o.step.name, "built": o.built, "wall_s": round(o.wall_s, 3)} for o in outcomes]
        rows = [step | describe(o.artifact) for step, o in zip(done, outcomes, strict=True)]
    if as_json:
        print_json(rows)


@app.command()
@told_in_one_line
def plan(
    config: Config,
    until: Until = None,
    overrides: Overrides = None,
    cache: Cache = None,
    skip_bad_frames: SkipBadFrames = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do: cached, partial or missing, and why."""
    from pipeline.console import plan_table
    from pipeline.status import survey

    request = _request(config, until, overrides, cache, skip_bad_frames)
    statuses = survey(request.load()[1], open_cache(request.cache))
    if as_json:
        print_json([vars(status) for status in statuses])
    else:
        console().print(plan_table(statuses))


@app.command("ls")
@told_in_one_line
def list_artifacts(cache: Cache = None, as_json: AsJson = False) -> None:
    """List what is in the cache: artifacts, and builds in progress."""
    from pipeline.console import listing_lines

    store = open_cache(cache)
    rows = listing(store)
    if as_json:
        print_json(rows)
    else:
        for line in listing_lines(rows, store.name):
            console().print(line, highlight=False)


@app.command()
@told_in_one_line
def show(
    key: Annotated[str, typer.Argument(help="key, or its first digits")], cache: Cache = None, as_json: AsJson = False
) -> None:
    """Show one artifact's manifest: settings, lineage, files, cost."""
    store = open_cache(cache)
    entry = store.find_entry(key)
    artifact = store.open(entry)
    manifest = json.loads(store.read(entry, MANIFEST_FILE) or b"{}")
    if as_json:
        print_json(describe(artifact) | {"manifest": manifest})
    else:
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # written in C, ten times as fast, where it is there
        typer.echo(yaml.dump(describe(artifact) | manifest, Dumper=dumper, sort_keys=False, width=120), nl=False)


def _request(
    config: str, until: str | None, overrides: Sequence[str] | None, cache: str | None, skip_bad_frames: bool
) -> "ExperimentRequest":
    from pipeline.request import ExperimentRequest

    return ExperimentRequest(
        config=config, until=until, overrides=tuple(overrides or ()), cache=cache, skip_bad_frames=skip_bad_frames
    )


cli_cache.register(app)
cli_transfer.register(app)


def main() -> None:
    """Entry point of the program."""
    output.main(app)


if __name__ == "__main__":
    main()

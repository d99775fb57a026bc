"""The commands that take artifacts elsewhere: to another cache, through a tar file, or as a model to predict with."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from cache.store import Store
from cache.transfer import Transferred
from pipeline.console import counted, size
from pipeline.output import AsJson, Cache, answer, bytes_bar, told_in_one_line
from pipeline.places import open_cache
from pipeline.selection import Key, Keys, entries_of, size_of

Other = Annotated[str, typer.Argument(help="another cache: a folder, or s3://bucket/prefix")]


def register(app: typer.Typer) -> None:
    """Adds the commands to the program."""
    for command in (push, pull, export):
        app.command()(told_in_one_line(command))
    app.command("import")(told_in_one_line(import_archive))
    app.command()(told_in_one_line(save_model))


def push(
    target: Other,
    keys: Keys = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Copy artifacts and their lineage to another cache."""
    _copy(open_cache(cache), open_cache(target), keys, "push", as_json)


def pull(
    source: Other,
    keys: Keys = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Copy artifacts and their lineage out of another cache."""
    _copy(open_cache(source), open_cache(cache), keys, "pull", as_json)


def export(
    key: Key,
    target: Annotated[str, typer.Argument(help="a new file that ends in .tar, or another cache")],
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Copy an artifact and all it was made from to a tar file."""
    from cache.archive import export_tar
    from cache.transfer import lineage, transfer

    store = open_cache(cache)
    artifacts = lineage(store, [store.find(key).key])
    with bytes_bar("export", sum(map(size_of, artifacts))) as progress:
        if target.endswith(".tar"):
            done = export_tar([store.materialise(artifact) for artifact in artifacts], Path(target), progress)
        else:
            done = list(transfer(store, open_cache(target), artifacts, progress))
    answer(done, as_json, lambda: _told(done, target))


def import_archive(
    source: Annotated[str, typer.Argument(help="a tar file of `export`, or another cache")],
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Take in what `export` wrote; every byte is checked."""
    from cache.archive import import_tar
    from cache.transfer import lineage, transfer

    store = open_cache(cache)
    if "://" in source or Path(source).is_dir():
        other = open_cache(source)
        artifacts = lineage(other, [entry.key for entry in other.entries()])
        with bytes_bar("import", sum(map(size_of, artifacts))) as progress:
            done = list(transfer(other, store, artifacts, progress))
    else:
        file = Path(source)
        with bytes_bar("import", file.stat().st_size if file.exists() else 0) as progress:
            done = list(import_tar(store, file, progress))
    answer(done, as_json, lambda: _told(done, store.name))


def save_model(
    key: Key,
    folder: Annotated[Path, typer.Argument(help="a new folder")],
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Save a trained model with all that predicting needs."""
    from pipeline.model import save_artifact

    store = open_cache(cache)
    saved = save_artifact(store, store.find(key), folder)
    answer(saved, as_json, lambda: typer.echo(f"saved: {folder}, see {folder / 'README.md'}"))


def _copy(source: Store, target: Store, keys: list[str] | None, title: str, as_json: bool) -> None:
    from cache.transfer import lineage, transfer

    artifacts = lineage(source, [entry.key for entry in entries_of(source, keys)])
    with bytes_bar(title, sum(map(size_of, artifacts))) as progress:
        done = list(transfer(source, target, artifacts, progress))
    answer(done, as_json, lambda: _told(done, target.name))


def _told(done: Iterable[Transferred], where: str) -> None:
    done = list(done)
    copied = [item for item in done if item.copied]
    there = f", {len(done) - len(copied)} were there" if len(done) > len(copied) else ""
    typer.echo(f"{counted(len(copied), 'artifact')}, {size(sum(i.bytes for i in copied))}, copied{there}: {where}")

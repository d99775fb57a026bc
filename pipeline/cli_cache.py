"""The commands that look after a cache: what is in it, whether it is whole, what to keep, and taking it elsewhere."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cache.store import Entry, Store
from pipeline.output import AsJson, Cache, console, print_json
from pipeline.places import open_cache
from scene.errors import InputError

Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="keys, or their first digits; none is all")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="key, or its first digits")]
EXIT_DAMAGED = 1


def register(app: typer.Typer) -> None:
    """Adds the commands to the program."""
    for command in (diff, verify, repair, gc, pin, unpin, du, export, push, pull, rm):
        app.command()(command)
    app.command("import")(import_archive)


def diff(old: Key, new: Key, cache: Cache = None, as_json: AsJson = False) -> None:
    """Show what differs between two artifacts: settings, code version, inputs, arrays, files."""
    from cache.compare import compare
    from pipeline.console import comparison_lines

    store = open_cache(cache)
    found = compare(store.find(old), store.find(new))
    _answer(found, as_json, lambda: console().print("\n".join(comparison_lines(found)), highlight=False, markup=False))


def verify(
    keys: Keys = None,
    full: Annotated[bool, typer.Option("--full", help="read every byte and compare digests")] = False,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Look for damage; exit status 1 if there is any."""
    from cache.verify import verify as find_damage
    from cache.verify import verify_records
    from pipeline.console import damage_table

    store = open_cache(cache)
    entries = _entries(store, keys)
    with _bytes_bar("verify", _bytes(store, entries), show=full) as progress:
        damages = list(find_damage(store, entries, full=full, progress=progress))
    damages += [] if keys else verify_records(store.objects)

    def show() -> None:
        if damages:
            console().print(damage_table(damages))
        depth = "every byte read" if full else "names and sizes; --full reads every byte"
        typer.echo(f"{len(entries)} artifacts, {len(damages)} damages ({depth})")

    _answer(damages, as_json, show)
    if damages:
        raise typer.Exit(EXIT_DAMAGED)


def repair(
    keys: Keys = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="the data set, where it is not where it was")] = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Make damaged artifacts whole: only what is damaged is computed anew. Exit status 1 if the content changed."""
    from pipeline.remake import damaged
    from pipeline.remake import repair as make_whole
    from stages.stage import Runtime

    store = open_cache(cache)
    done = []
    for entry, damages in damaged(store, _entries(store, keys)).items():
        done.append(make_whole(store, entry, damages, Runtime(), data))
        if not as_json:
            r = done[-1]
            same = "as before" if r.same_content else "NOT as before: what was made from it is out of date"
            typer.echo(f"repaired {r.stage} {r.key[:12]}: {r.units_kept} of {r.units} units kept, content {same}")
    _answer(done, as_json, lambda: typer.echo("nothing is damaged") if not done else None)
    if not all(r.same_content for r in done):
        raise typer.Exit(EXIT_DAMAGED)


def gc(
    keep_runs: Annotated[int, typer.Option(metavar="N", help="keep what the last N runs used")] = 10,
    grace_hours: Annotated[float, typer.Option(metavar="H", help="keep what is younger than that")] = 24.0,
    yes: Annotated[bool, typer.Option("--yes", help="remove it; without, this only says what would go")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="the default")] = False,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Remove what no pin, recent run or build in progress needs. Says what would go, unless told --yes."""
    from cache.gc import collect, survey
    from pipeline.console import garbage_table, size

    if yes and dry_run:
        raise InputError("--yes and --dry-run contradict each other", fix="give one of them")
    store = open_cache(cache)
    verdict = survey(store, keep_runs=keep_runs, grace_s=grace_hours * 3600)
    gone = list(collect(store, verdict.garbage)) if yes else list(verdict.garbage)

    def show() -> None:
        if gone:
            console().print(garbage_table(gone))
        total = size(sum(item.bytes for item in gone))
        verb = "removed" if yes else "would be removed (--yes does it)"
        typer.echo(f"{len(gone)} things, {total}, {verb}; {verdict.kept} artifacts stay ({verdict.young} as too young)")

    answer = {"removed": yes, "garbage": gone, "kept": verdict.kept, "young": verdict.young}
    _answer(answer | {"roots": {name: sorted(keys) for name, keys in verdict.roots.items()}}, as_json, show)


def pin(
    key: Annotated[str | None, typer.Argument(help="key, or its first digits; none lists the pins")] = None,
    name: Annotated[str | None, typer.Argument(help="of the pin")] = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Keep an artifact and all it was made from, under a name; or list the pins."""
    from cache.roots import pin as set_pin
    from cache.roots import pins

    store = open_cache(cache)
    if key is not None:
        entry = store.find_entry(key)
        set_pin(store.objects, name or f"{entry.stage}-{entry.key[:12]}", entry.key)
    found = pins(store.objects)
    lines = [f"{pinned[:12]}  {title}" for title, pinned in found.items()] or ["no pins"]
    _answer(found, as_json, lambda: typer.echo("\n".join(lines)))


def unpin(name: Annotated[str, typer.Argument(help="of the pin")], cache: Cache = None) -> None:
    """Take a pin back."""
    from cache.roots import unpin as remove_pin

    remove_pin(open_cache(cache).objects, name)


def du(cache: Cache = None, as_json: AsJson = False) -> None:
    """Show where the bytes are."""
    from cache.usage import usage
    from pipeline.console import usage_table

    rows = usage(open_cache(cache))
    _answer(rows, as_json, lambda: console().print(usage_table(rows)))


def rm(key: Key, cache: Cache = None) -> None:
    """Remove one artifact, whatever needs it; it is made again when a run wants it."""
    store = open_cache(cache)
    with store.builds_held():
        trash = store.discard(store.find_entry(key))
    store.objects.delete_all(trash)


def export(
    key: Key,
    target: Annotated[Path, typer.Argument(help="a new file that ends in .tar, or a cache folder")],
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Copy an artifact and all it was made from to a tar file or to another cache folder."""
    from cache.archive import export_tar
    from cache.transfer import lineage, transfer

    store = open_cache(cache)
    artifacts = lineage(store, [store.find(key).key])
    with _bytes_bar("export", sum(map(_size, artifacts))) as progress:
        if target.suffix == ".tar":
            done = export_tar([store.materialise(artifact) for artifact in artifacts], target, progress)
        else:
            done = list(transfer(store, Store(target), artifacts, progress))
    _answer(done, as_json, lambda: _told(done, str(target)))


def import_archive(
    source: Annotated[Path, typer.Argument(help="a tar file of `export`, or a cache folder")],
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Take in what `export` wrote; every name and every byte is checked."""
    from cache.archive import import_tar
    from cache.transfer import lineage, transfer

    store = open_cache(cache)
    if source.is_dir():
        other = Store(source)
        artifacts = lineage(other, [entry.key for entry in other.entries()])
        with _bytes_bar("import", sum(map(_size, artifacts))) as progress:
            done = list(transfer(other, store, artifacts, progress))
    else:
        with _bytes_bar("import", source.stat().st_size if source.exists() else 0) as progress:
            done = list(import_tar(store, source, progress))
    _answer(done, as_json, lambda: _told(done, store.name))


def push(
    target: Annotated[str, typer.Argument(help="another cache: a folder, or s3://bucket/prefix")],
    keys: Keys = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Copy artifacts, and all they were made from, to another cache."""
    _copy(open_cache(cache), open_cache(target), keys, "push", as_json)


def pull(
    source: Annotated[str, typer.Argument(help="another cache: a folder, or s3://bucket/prefix")],
    keys: Keys = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Copy artifacts, and all they were made from, from another cache."""
    _copy(open_cache(source), open_cache(cache), keys, "pull", as_json)


def _copy(source: Store, target: Store, keys: list[str] | None, title: str, as_json: bool) -> None:
    from cache.transfer import lineage, transfer

    artifacts = lineage(source, [entry.key for entry in _entries(source, keys)])
    with _bytes_bar(title, sum(map(_size, artifacts))) as progress:
        done = list(transfer(source, target, artifacts, progress))
    _answer(done, as_json, lambda: _told(done, target.name))


def _entries(store: Store, keys: list[str] | None) -> list[Entry]:
    return [store.find_entry(key) for key in keys] if keys else store.entries()


def _size(artifact: Any) -> int:
    return sum(file.bytes for file in artifact.manifest.files.values())


def _bytes(store: Store, entries: Iterable[Entry]) -> int:
    total = 0
    for entry in entries:
        try:
            total += _size(store.open(entry))
        except InputError:  # which verify tells of
            continue
    return total


def _told(done: Iterable[Any], where: str) -> None:
    done = list(done)
    copied = [item for item in done if item.copied]
    typer.echo(f"{len(copied)} artifacts copied, {len(done) - len(copied)} were there: {where}")


@contextmanager
def _bytes_bar(title: str, total: int, *, show: bool = True) -> Iterator[Callable[[int], object]]:
    from tqdm import tqdm

    with tqdm(total=total, desc=title, unit="B", unit_scale=True, disable=not show, delay=1) as bar:
        yield bar.update


def _answer(value: Any, as_json: bool, show: Callable[[], object]) -> None:
    if as_json:
        print_json(_plain(value))
    else:
        show()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value

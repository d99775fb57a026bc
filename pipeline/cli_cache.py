"""The commands that look after a cache: whether it is whole, what differs, what to keep and what to remove."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipeline.output import AsJson, Cache, answer, bytes_bar, console, told_in_one_line
from pipeline.places import open_cache
from pipeline.selection import Key, Keys, bytes_of, entries_of
from scene.errors import InputError

EXIT_DAMAGED = 1


def register(app: typer.Typer) -> None:
    """Adds the commands to the program."""
    for command in (diff, verify, repair, du, pin, unpin, gc, rm):
        app.command()(told_in_one_line(command))


def diff(old: Key, new: Key, cache: Cache = None, as_json: AsJson = False) -> None:
    """Compare two artifacts: settings, version, inputs, files."""
    from cache.compare import compare
    from pipeline.console import comparison_lines

    store = open_cache(cache)
    found = compare(store.find(old), store.find(new))
    answer(found, as_json, lambda: console().print("\n".join(comparison_lines(found)), highlight=False, markup=False))


def verify(
    keys: Keys = None,
    full: Annotated[bool, typer.Option("--full", help="read every byte and compare digests")] = False,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Look for damage; exit status 1 if there is any."""
    from cache.verify import verify as find_damage
    from cache.verify import verify_records
    from pipeline.console import counted, damage_table

    store = open_cache(cache)
    entries = entries_of(store, keys)
    with bytes_bar("verify", bytes_of(store, entries)) as progress:
        damages = list(find_damage(store, entries, full=full, progress=progress))
    damages += [] if keys else verify_records(store.objects)

    def show() -> None:
        if damages:
            console().print(damage_table(damages))
        depth = "every byte read" if full else "names and sizes; --full reads every byte"
        typer.echo(f"{counted(len(entries), 'artifact')}, {counted(len(damages), 'damage')} ({depth})")
        if damages:
            typer.echo("`bevprior repair` computes anew what is damaged")

    answer(damages, as_json, show)
    if damages:
        raise typer.Exit(EXIT_DAMAGED)


def repair(
    keys: Keys = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="the data set, where it is not where it was")] = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Compute anew what is damaged, and nothing else."""
    from cache.repair import interrupted
    from pipeline.console import counted
    from pipeline.remake import damaged, finish
    from pipeline.remake import repair as make_whole
    from stages.stage import Runtime

    store = open_cache(cache)
    begun = interrupted(store)
    begun = {e: m for e, m in begun.items() if not keys or any(e.key.startswith(key) for key in keys)}
    others = [key for key in keys or () if not any(entry.key.startswith(key) for entry in begun)]
    entries = entries_of(store, others) if others or not keys else []
    with bytes_bar("look for damage", bytes_of(store, entries)) as progress:
        found = damaged(store, entries, progress)
    copies = [entry for entry in entries if store.mend_copy(entry)]
    for entry in copies:
        typer.echo(f"{entry.stage} {entry.key[:12]}: a damaged copy on this machine is removed", err=as_json)
    done, failed = [], []
    jobs = [partial(finish, store, manifest, Runtime(), data) for manifest in begun.values()]
    jobs += [partial(make_whole, store, entry, damages, Runtime(), data) for entry, damages in found.items()]
    for job in jobs:
        try:
            done.append(r := job())
        except InputError as error:  # what does not need this one can still be mended
            failed.append(error)
            continue
        if not as_json:
            same = "as before" if r.same_content else "NOT as before: what was made from it is out of date"
            typer.echo(f"repaired {r.stage} {r.key[:12]}: {r.units_kept} of {r.units} units kept, content {same}")
    none = f"{counted(len(entries), 'artifact')}, none is damaged"
    answer(done, as_json, lambda: None if done or copies or failed else typer.echo(none))
    for left in failed[:-1]:
        typer.echo(f"bevprior: {left}", err=True)
    if failed:
        raise failed[-1]
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
    """Remove, with --yes, what no pin, recent run or build needs."""
    from cache.gc import collect, survey
    from pipeline.console import counted, garbage_table, size

    if yes and dry_run:
        raise InputError("--yes and --dry-run contradict each other", fix="give one of them")
    store = open_cache(cache)
    verdict = survey(store, keep_runs=keep_runs, grace_s=grace_hours * 3600)
    gone = list(verdict.garbage)
    if yes:
        with bytes_bar("gc", sum(item.bytes for item in gone)) as progress:
            gone = []
            for item in collect(store, verdict.garbage):
                progress(item.bytes)
                gone.append(item)

    def show() -> None:
        if gone:
            console().print(garbage_table(gone))
        total = size(sum(item.bytes for item in gone))
        verb = "removed" if yes else "would be removed (--yes does it)" if gone else "to remove"
        young = f", {verdict.young} of them as they are younger than {grace_hours:g} h" if verdict.young else ""
        typer.echo(f"{counted(len(gone), 'thing')}, {total}, {verb}; {counted(verdict.kept, 'artifact')} kept{young}")

    found = {"removed": yes, "garbage": gone, "kept": verdict.kept, "young": verdict.young}
    answer(found | {"roots": {name: sorted(keys) for name, keys in verdict.roots.items()}}, as_json, show)


def pin(
    key: Annotated[str | None, typer.Argument(help="key, or its first digits; none lists the pins")] = None,
    name: Annotated[str | None, typer.Argument(help="of the pin")] = None,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Keep an artifact and what it was made from; or list pins."""
    from cache.roots import pin as set_pin
    from cache.roots import pins

    store = open_cache(cache)
    if key is not None:
        entry = store.find_entry(key)
        set_pin(store.objects, name or f"{entry.stage}-{entry.key[:12]}", entry.key)
    found = pins(store.objects)
    lines = [f"{pinned[:12]}  {title}" for title, pinned in found.items()] or [f"no pins in {store.name}"]
    answer(found, as_json, lambda: typer.echo("\n".join(lines)))


def unpin(
    name: Annotated[str, typer.Argument(help="of the pin")], cache: Cache = None, as_json: AsJson = False
) -> None:
    """Take a pin back; nothing is removed before the next gc."""
    from cache.roots import unpin as remove_pin

    remove_pin(open_cache(cache).objects, name)
    answer({"unpinned": name}, as_json, lambda: typer.echo(f"unpinned {name}"))


def du(cache: Cache = None, as_json: AsJson = False) -> None:
    """Show where the bytes are."""
    from cache.usage import usage
    from pipeline.console import usage_table

    rows = usage(open_cache(cache))
    answer(rows, as_json, lambda: console().print(usage_table(rows)))


def rm(key: Key, cache: Cache = None, as_json: AsJson = False) -> None:
    """Remove one artifact, unless a build is using it."""
    from cache.gc import remove

    store = open_cache(cache)
    entry = store.find_entry(key)
    remove(store, entry)
    gone = {"stage": entry.stage, "key": entry.key}
    answer(gone, as_json, lambda: typer.echo(f"removed {entry.stage} {entry.key[:12]}"))

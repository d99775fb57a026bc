"""What the command line shows: one line per step, and tables."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cache.compare import SHORT, Comparison
from cache.gc import Garbage
from cache.usage import Usage
from cache.verify import Damage
from pipeline.execute import Outcome
from pipeline.status import StepStatus, source_note
from stages.learn.report.table import Score

COLOURS = {"cached": "green", "made": "bold cyan", "partial": "yellow", "missing": "red", "damaged": "bold red"}


def step_line(outcome: Outcome) -> Text:
    """State, step, seconds and key of one finished step."""
    state = "made" if outcome.built else "cached"
    seconds = f"{outcome.wall_s:8.1f} s" if outcome.built else " " * 10
    note = source_note(outcome.changed_sources)
    return Text.assemble(
        (f"{state:<7}", COLOURS[state]),
        f"{outcome.step.name:<40}{seconds}  ",
        (outcome.artifact.key[:SHORT], "dim"),
        (f"  {note}" if note else "", "yellow"),
    )


def plan_table(statuses: Iterable[StepStatus]) -> Table:
    """The state of every step of a plan."""
    table = _table("step", "state", "key", "why")
    for s in statuses:
        table.add_row(s.step, Text(s.state, COLOURS[s.state]), (s.key or "")[:SHORT], s.why)
    return table


def listing_lines(rows: Sequence[dict[str, Any]], where: str) -> Iterator[RenderableType]:
    """What `pipeline.listing.listing` found: a table, why something is damaged, and a sum."""
    pinned = any(row["pins"] for row in rows)
    table = _table("stage", "key", "state", "size", *(["pins"] if pinned else []))
    table.columns[3].justify = "right"
    for row in rows:
        state = Text(row["state"], COLOURS[row["state"]])
        if row["state"] == "partial":
            state.append(f", {counted(row['units_done'], 'unit')} done")
        shown = size(row["bytes"]) if row["state"] == "cached" else "-"
        table.add_row(row["stage"], row["key"][:SHORT], state, shown, *([", ".join(row["pins"])] if pinned else []))
    if rows:
        yield table
        yield ""
    for row in rows:
        if row["state"] == "damaged":
            yield Text(f"{row['stage']} {row['key'][:SHORT]}: {row['damage']}", COLOURS["damaged"])
    made = [row for row in rows if row["state"] == "cached"]
    yield f"{counted(len(made), 'artifact')}, {size(sum(row['bytes'] for row in made))}, in {where}"


def counted(number: int, thing: str) -> str:
    """A number of things, in the plural where that is right."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def damage_table(damages: Iterable[Damage]) -> Table:
    """What is damaged, a line each."""
    table = _table("stage", "key", "unit", "file", "damage")
    for damage in damages:
        table.add_row(damage.stage, damage.key[:SHORT], damage.unit, damage.file, Text(damage.what, "red"))
    return table


def garbage_table(garbage: Iterable[Garbage]) -> Table:
    """What a collection removes."""
    table = _table("kind", "what", "size")
    for item in garbage:
        what = f"{item.stage} {item.key[:SHORT]}" if item.key else item.name
        table.add_row(item.kind, what, size(item.bytes))
    return table


def usage_table(rows: Iterable[Usage]) -> Table:
    """Where the bytes are."""
    table = _table("what", "artifacts", "files", "size")
    for row in rows:
        table.add_row(row.name, str(row.artifacts), str(row.files), size(row.bytes))
    return table


def comparison_lines(found: Comparison) -> list[str]:
    """A comparison, a line per difference under the part that it is in."""
    parts = {"key": found.key, "arrays": found.arrays, "statistics": found.statistics}
    lines = [f"{part}\n  " + "\n  ".join(map(str, changes)) for part, changes in parts.items() if changes]
    files = [f"{len(names)} {kind}, first {names[0]}" for kind, names in found.files.items() if names]
    lines += ["files\n  " + "\n  ".join(files)] if files else []
    return [*lines, "same content" if found.same_content else "other content"]


def result_table(summary: dict[str, dict[str, Any]]) -> Table:
    """The report's summary: mIoU of each arm, mean and spread over seeds, and its IoU by class, all in per cent."""
    classes = list(dict.fromkeys(name for row in summary.values() for name in row["per_class"]))
    table = _table("arm", "labels", "mIoU %", *classes)
    for row in summary.values():
        per_class = [percent(row["per_class"].get(name, [])) for name in classes]
        table.add_row(row["title"], f"{row['label_fraction']:.0%}", percent(row["miou"]), *per_class)
    return table


def percent(values: Sequence[float]) -> str:
    """Mean of fractions in per cent, with the spread where there are several."""
    return str(Score(tuple(values))) if values else "-"


def size(num_bytes: int) -> str:
    """Bytes as a person reads them."""
    value, units = float(num_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table

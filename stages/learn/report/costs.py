"""The cost table: what each step took, from the provenance of its artifact."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from stages.learn.report.run import COSTS_PLACEHOLDER


@dataclass(frozen=True)
class Cost:
    """What one step took when its artifact was made: seconds, bytes, and optimisation steps where it trained."""

    step: str
    wall_s: float | None
    cpu_s: float | None
    peak_memory_bytes: int | None
    artifact_bytes: int
    optimisation_steps: int | None = None
    samples: int | None = None


def insert_costs(html: str, costs: Sequence[Cost]) -> str:
    """The report's page with the cost table in its place."""
    return html.replace(COSTS_PLACEHOLDER, _table(costs), 1)


def _table(costs: Sequence[Cost]) -> str:
    head = ("step", "wall s", "CPU s", "peak memory", "on disk", "steps", "samples")
    rows = [
        (
            escape(c.step),
            _number(c.wall_s, ".1f"),
            _number(c.cpu_s, ".1f"),
            _size(c.peak_memory_bytes),
            _size(c.artifact_bytes),
            _number(c.optimisation_steps, "d"),
            _number(c.samples, "d"),
        )
        for c in costs
    ]
    total = sum(c.wall_s or 0.0 for c in costs)
    cpu = sum(c.cpu_s or 0.0 for c in costs)
    size = sum(c.artifact_bytes for c in costs)
    rows.append(("all steps", f"{total:.1f}", f"{cpu:.1f}", "", _size(size), "", ""))
    header = "".join(f"<th>{h}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="costs"><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>'


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _size(num_bytes: int | None) -> str:
    if num_bytes is None:
        return ""
    return f"{num_bytes / 2**30:.2f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.1f} MiB"

"""Puts the finished report where a person finds it, with the cost of every step, which no artifact may hold."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cache.durable import write_atomically
from cache.failures import explain_write_errors
from cache.store import Artifact
from pipeline.places import REPORTS
from pipeline.plan import Step
from stages.learn.report.costs import Cost, insert_costs


def summary_of(report: Artifact) -> dict[str, dict[str, Any]]:
    """The result table of a report artifact, by arm."""
    summary: dict[str, dict[str, Any]] = json.loads((report.path / "summary.json").read_text())
    return summary


def publish(name: str, report: Artifact, made: Sequence[tuple[Step, Artifact]], folder: Path = REPORTS) -> Path:
    """Writes `folder/<name>/index.html`: the report with its cost table. Replaces an older one in one step."""
    html = insert_costs((report.path / "index.html").read_text(encoding="utf-8"), [cost_of(s, a) for s, a in made])
    target = folder / name / "index.html"
    with explain_write_errors(folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, html.encode())
    return target


def cost_of(step: Step, artifact: Artifact) -> Cost:
    """What a step cost when its artifact was made, whenever that was."""
    provenance = artifact.manifest.provenance
    cost, recorded = provenance.get("cost", {}), provenance.get("recorded", {})
    return Cost(
        step=step.name,
        wall_s=cost.get("wall_s"),
        cpu_s=cost.get("cpu_s"),
        peak_memory_bytes=cost.get("peak_memory_bytes"),
        artifact_bytes=sum(file.bytes for file in artifact.manifest.files.values()),
        optimisation_steps=recorded.get("optimisation_steps"),
        samples=recorded.get("samples"),
    )

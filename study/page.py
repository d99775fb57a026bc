"""The study's page: one static HTML file whose first lines say what is shown and what is not."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from study.claims import Claim
from study.rows import Row
from study.settings import Study
from study.tables import ablation_table, curve_table, tuning_table


def write_page(
    study: Study,
    rows: Sequence[Row],
    claims: Sequence[Claim],
    chosen: Mapping[str, str],
    plots: Sequence[Path],
    file: Path,
) -> None:
    """Renders `study.html.j2`; plots are put into the page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("study", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["figure"] = figure
    page = environment.get_template("study.html.j2").render(
        study=study,
        claims=claims,
        verdicts=[verdict(claim) for claim in claims],
        measured=[claim for claim in claims if claim.met is not None],
        missed=[claim for claim in claims if claim.met is False],
        chosen=chosen,
        curves=curve_table(study, rows),
        tuning=tuning_table(study, rows),
        ablations=ablation_table(rows),
        seconds="CPU s" if study.clock == "cpu_s" else "s",
        plots=[(plot.stem, base64.b64encode(plot.read_bytes()).decode()) for plot in plots],
    )
    file.write_text(page, encoding="utf-8")


def verdict(claim: Claim) -> str:
    """One claim in one sentence made of its own figures."""
    if claim.value is None:
        return f"{claim.title}: not measured in this study."
    wanted = f"{'at most' if claim.at_most else 'at least'} {figure(claim.goal)}"
    reached = "reached" if claim.met else f"missed by {figure(-(claim.distance or 0.0))}"
    spread = "" if claim.spread is None else f" ± {figure(claim.spread)}"
    if claim.interval is not None:
        spread += f" (95 %: {figure(claim.interval[0])} to {figure(claim.interval[1])})"
    return f"{claim.title}: {figure(claim.value)}{spread}; wanted {wanted}: {reached}."


def figure(value: Any) -> str:
    """A number as the page shows it."""
    return "-" if value is None else f"{value:.2f}"

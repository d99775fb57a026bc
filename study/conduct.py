"""Carries out a study: tunes, runs what is shown, and writes it down."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from cache.durable import write_atomically
from cache.store import Store
from pipeline.config import load_experiment
from pipeline.execute import Outcome
from pipeline.inline import run_inline
from pipeline.runlog import RunLog
from pipeline.steps import plan_experiment
from stages.learn.evaluate import EvaluateSettings
from stages.prepare.ground_points import GroundPointsSettings
from stages.prepare.teacher_labels import TeacherLabelsSettings
from study.arms import Run, arms_of, shown_runs, tuning_runs
from study.ceiling import ceilings
from study.claims import Claim, claims_of
from study.page import verdict, write_page
from study.plots import draw_plots
from study.rows import Row, rows_of
from study.settings import Study
from study.tuning import changes_of, chosen_candidates

CEILING_ROW_M = 3.0
"""As far as a row of pixels covers no more ground than this, exact labels are voted; our choice."""
NOWHERE = "-"
"""The setting of a claim that no training takes part in."""


def conduct(study: Study, store: Store, console: Console, reports: Path) -> list[Claim]:
    """Runs the study and writes `reports/<name>/`; what is cached is not trained again.

    Raises:
        scene.errors.InputError: for what a user can mend.
    """
    first = study.world_seeds[0]  # whose settings hold in the others: they are there to show that these are no luck
    tried: list[Row] = []
    if candidates := tuning_runs(study):
        console.print(f"tuning, world {first}")
        tried, _ = _rows(study, candidates, study.tuning_seeds, first, store, console)
    names = chosen_candidates(study, tried)
    for (setting, kind), name in names.items():
        console.print(f"chosen: {setting}, {kind}: {name}")
    shown: list[Row] = []
    claims: list[Claim] = []
    for world_seed in study.world_seeds:
        console.print(f"study, world {world_seed}")
        runs = shown_runs(study, changes_of(study, names))
        rows, outcomes = _rows(study, runs, study.seeds, world_seed, store, console)
        shown += rows
        if study.goals.ground_ratio is not None:
            claims.append(_ground_claim(study.goals.ground_ratio, world_seed, outcomes))
    claims += claims_of(study, shown)
    chosen = {f"{setting}, {kind}": name for (setting, kind), name in names.items()}
    _write(study, [*tried, *shown], claims, chosen, reports / study.name)
    for claim in claims:
        console.print(f"world {claim.world_seed}, {claim.setting}: {verdict(claim)}", highlight=False)
    console.print(f"\nreport: {reports / study.name / 'index.html'}", highlight=False)
    return claims


def _rows(
    study: Study, runs: list[Run], seeds: Sequence[int], world_seed: int, store: Store, console: Console
) -> tuple[list[Row], list[Outcome]]:
    overrides = (*study.overrides, f"data.world.seed={world_seed}")
    experiment, layers = load_experiment(study.experiment, overrides)
    experiment = experiment.model_copy(update={"arms": arms_of(runs), "seeds": tuple(seeds)})
    plan = plan_experiment(experiment, layers, "evaluate")
    log = RunLog(store, study.name)
    outcomes = run_inline(plan, store, experiment.runtime, console, log.finished)
    outcomes = [replace(o, artifact=store.materialise(o.artifact)) for o in outcomes]
    return rows_of(runs, outcomes, world_seed), outcomes


def _ground_claim(goal: float, world_seed: int, outcomes: Sequence[Outcome]) -> Claim:
    """How much of what exact labels could give on the true ground the ground found leaves."""
    made = {outcome.step.name: outcome for outcome in outcomes}
    labels = made["teacher_labels"].step.settings
    evaluation = next(o.step.settings for o in outcomes if o.step.stage.name == "evaluate")
    assert isinstance(labels, TeacherLabelsSettings)
    assert isinstance(evaluation, EvaluateSettings)
    exact_map = labels.teacher.map.lookup(labels.label_schema)
    folders = {name: made[name].artifact.path for name in ("world", "index", "ground", "bev_labels")}
    points = GroundPointsSettings(grid=evaluation.grid, label_schema=labels.label_schema, max_row_m=CEILING_ROW_M)
    found = ceilings(folders, evaluation.split, exact_map, points)
    title = (
        f"Exact image labels voted into BEV cells reach {100 * found['true']:.1f} % mIoU on the true ground, "
        f"{100 * found['found']:.1f} on that found in the LiDAR, {100 * found['flat']:.1f} on z = 0; found over true"
    )
    ratio = found["found"] / found["true"]
    return Claim("ground", title, NOWHERE, world_seed, ratio, None, None, (ratio,), goal)


def _write(study: Study, rows: list[Row], claims: list[Claim], chosen: dict[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shown = [row for row in rows if row.part != "tuning"]
    plots = draw_plots(study, shown, folder)
    summary: dict[str, Any] = {
        "study": study.canonical(),
        "chosen": chosen,
        "claims": [claim.canonical() for claim in claims],
        "runs": [row.canonical() for row in shown],
        "tried": [row.canonical() for row in rows if row.part == "tuning"],
    }
    write_atomically(folder / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    write_page(study, rows, claims, chosen, plots, folder / "index.html")

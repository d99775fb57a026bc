from dataclasses import replace

import pytest

from study.claims import claims_of
from study.page import verdict, write_page
from study.settings import Goals
from study.tables import curve_table
from tests.study.conftest import row


def rows():
    """From scratch 20 and 22 %; pretrained 25 and 23 with half the labels in a quarter of the time; 21, 20 with none"""
    return [
        row("scratch", 1.0, 0, 0.20, cpu_s=400.0),
        row("scratch", 1.0, 1, 0.22, cpu_s=400.0),
        row("pretrained", 0.5, 0, 0.25, cpu_s=100.0),
        row("pretrained", 0.5, 1, 0.23, cpu_s=100.0),
        row("pretrained", 0.0, 0, 0.21),
        row("pretrained", 0.0, 1, 0.20),
        row("scratch", 1.0, 0, 0.99, part="tuning"),
        row("scratch", 1.0, 0, 0.99, world_seed=7),
        row("pretrained", 0.5, 0, 0.99, part="ablation", variant="no temporal loss"),
    ]


def test_differences_are_paired_by_seed_and_other_rows_have_no_say(study):
    claims = {claim.name: claim for claim in claims_of(study, rows())}
    gain = claims["gain"]
    assert gain.per_seed == pytest.approx((5.0, 1.0))
    assert gain.value == pytest.approx(3.0)
    assert gain.spread == pytest.approx(8.0**0.5)
    assert gain.interval == pytest.approx((3.0 - 12.706 * 2.0, 3.0 + 12.706 * 2.0), rel=1e-3), "one degree of freedom"
    assert gain.met
    assert claims["time"].value == pytest.approx(0.25)
    assert claims["time"].met
    assert claims["no_labels"].value == pytest.approx((1.05 + 0.20 / 0.22) / 2)
    assert claims["no_labels"].met is False
    assert claims["no_labels"].distance == pytest.approx((1.05 + 0.20 / 0.22) / 2 - 1)


def test_what_was_not_run_is_not_met_and_the_page_says_so(study, tmp_path):
    few = next(claim for claim in claims_of(study, rows()) if claim.name == "few_labels")
    assert few.value is None
    assert few.met is None
    assert "not measured" in verdict(few)
    claims = claims_of(study, rows())
    write_page(study, rows(), claims, {}, [], tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert "1 of 3 claims are not reached." in page
    assert "1 more are not measured in this study." in page


def test_a_study_without_goals_claims_nothing_and_its_page_says_so(study, tmp_path):
    study = study.model_copy(update={"goals": Goals()})
    assert claims_of(study, rows()) == []
    write_page(study, rows(), [], {}, [], tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert "Nothing is claimed in this study." in page
    assert "a claim is reached" not in page


def test_verdicts_say_by_how_much_a_goal_is_missed(study):
    claims = {claim.name: verdict(claim) for claim in claims_of(study, rows())}
    assert claims["time"].endswith("0.25 ± 0.00 (95 %: 0.25 to 0.25); wanted at most 0.33: reached.")
    assert claims["no_labels"].endswith("wanted at least 1.00: missed by 0.02.")


def test_time_is_by_the_clock_that_the_study_names(study):
    by_wall = study.model_copy(update={"clock": "wall_s"})
    slower = [replace(row, wall_s=300.0) if row.arm == "pretrained" else row for row in rows()]
    (time,) = (claim for claim in claims_of(by_wall, slower) if claim.name == "time")
    assert time.value == pytest.approx(6.0)
    assert "wall-clock" in time.title
    (seconds,) = {cells[-1] for cells in curve_table(by_wall, slower) if cells[2] == "pretrained"}
    assert seconds == "300"

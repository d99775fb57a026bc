import json
from pathlib import Path

import pytest

from stages.learn.report import Arm
from stages.learn.report.costs import Cost, insert_costs
from stages.learn.report.run import COSTS_PLACEHOLDER, findings
from stages.learn.report.table import read_rows, summary

ARMS = (
    Arm(name="untrained", title="Untrained", label_fraction=0.0, pretrained=False),
    Arm(name="scratch-100", title="From scratch", label_fraction=1.0, pretrained=False),
    Arm(name="pretrained-50", title="Pretrained", label_fraction=0.5, pretrained=True),
    Arm(name="pretrained-0", title="Pretrained only", label_fraction=0.0, pretrained=True),
)


def scores(file: Path, miou: float, crossing: float | None = 0.2) -> Path:
    bands = {"0-10 m": {"miou": miou + 0.1}, "10-20 m": {"miou": miou - 0.1}}
    values = {
        "miou": miou,
        "per_class": {"divider": miou, "crossing": crossing},
        "per_distance": bands,
        "per_visibility": {"seen": {"miou": miou}, "outside": {"miou": None}},
    }
    file.write_text(json.dumps(values))
    return file


def test_rows_average_over_seeds_and_keep_the_order_of_the_arms(tmp_path: Path) -> None:
    files = {
        ("scratch-100", 1): scores(tmp_path / "a", 0.40),
        ("scratch-100", 0): scores(tmp_path / "b", 0.30),
        ("untrained", 0): scores(tmp_path / "c", 0.05),
    }
    rows = read_rows(ARMS, files)
    assert [r.arm.name for r in rows] == ["untrained", "scratch-100"]
    assert rows[1].seeds == (0, 1)
    assert rows[1].miou.mean == pytest.approx(0.35)
    assert str(rows[1].miou) == "35.0 ± 7.1"
    assert str(rows[0].miou) == "5.0"
    assert rows[1].per_distance["0-10 m"].mean == pytest.approx(0.45)


def test_a_class_without_cells_is_left_out_not_counted_as_zero(tmp_path: Path) -> None:
    rows = read_rows(ARMS, {("untrained", 0): scores(tmp_path / "a", 0.1, crossing=None)})
    assert set(rows[0].per_class) == {"divider"}
    assert set(rows[0].per_visibility) == {"seen"}


def test_findings_state_differences_in_percentage_points(tmp_path: Path) -> None:
    mious = {"untrained": 0.05, "scratch-100": 0.40, "pretrained-50": 0.38, "pretrained-0": 0.30}
    rows = read_rows(ARMS, {(arm, 0): scores(tmp_path / arm, miou) for arm, miou in mious.items()})
    text = " ".join(findings(rows))
    assert "30.0 % mIoU; the untrained model has 5.0 %" in text
    assert "38.0 % to 40.0 % (-2.0 pp)" in text
    assert summary(rows)["pretrained-50"]["miou"] == [0.38]


def test_costs_go_where_the_page_has_room_for_them() -> None:
    page = f"<body>{COSTS_PLACEHOLDER}</body>"
    costs = [Cost("a <step>", 1.0, 2.0, 2**30, 3 * 2**20), Cost("train", 4.0, None, None, 0, 300, 600)]
    html = insert_costs(page, costs)
    assert COSTS_PLACEHOLDER not in html
    assert "a &lt;step&gt;" in html
    assert "<td>5.0</td>" in html, "the total of the wall-clock seconds"
    assert "1.00 GiB" in html


def test_a_difference_that_rounds_to_nothing_has_no_minus_sign(tmp_path: Path) -> None:
    mious = {"scratch-100": 0.3804, "pretrained-50": 0.3802}
    rows = read_rows(ARMS, {(arm, 0): scores(tmp_path / arm, miou) for arm, miou in mious.items()})
    assert "(+0.0 pp)" in " ".join(findings(rows))


def test_an_arm_that_began_as_a_saved_model_is_no_baseline(tmp_path: Path) -> None:
    begun = Arm(name="tuned", title="Tuned", label_fraction=1.0, pretrained=False, initial_model="somewhere")
    arms = (*ARMS, begun, begun.model_copy(update={"name": "as-it-came", "label_fraction": 0.0}))
    mious = {"scratch-100": 0.40, "pretrained-50": 0.38, "tuned": 0.6, "as-it-came": 0.2}
    rows = read_rows(arms, {(arm, 0): scores(tmp_path / arm, miou) for arm, miou in mious.items()})
    said = " ".join(findings(rows))
    assert "38.0 % to 40.0 % (-2.0 pp)" in said
    assert "60.0" not in said
    assert "20.0" not in said
    assert summary(rows)["tuned"]["began_saved"]
    assert not summary(rows)["scratch-100"]["began_saved"]
    assert begun.canonical()["began_saved"]
    assert begun.canonical() == begun.model_copy(update={"initial_model": "elsewhere"}).canonical()
    assert "began_saved" not in ARMS[0].canonical()


@pytest.mark.parametrize("name", ["a:b", "a/b", ""])
def test_a_name_that_roles_cannot_be_made_of_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Arm(name=name, title="x", label_fraction=0.0, pretrained=False)

"""The experiments that the project ships, and what they schedule."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_experiment
from pipeline.places import CONFIGS
from pipeline.plan import Plan
from pipeline.steps import plan_experiment
from scene.errors import InputError
from tests.pipeline.saved_model import describe_model

SHIPPED = sorted(file.stem for file in (CONFIGS / "experiments").glob("*.yaml"))
NEEDS_DATA = {"nuscenes", "keyframe"}


def plan(config: str, *overrides: str, until: str | None = None) -> Plan:
    data = ("data.root=somewhere",) if config in NEEDS_DATA else ()
    return plan_experiment(*load_experiment(config, (*data, *overrides)), until)


@pytest.mark.parametrize("config", SHIPPED)
def test_a_shipped_experiment_can_be_planned(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    describe_model(Path("saved-model"))  # what `adapt` begins as
    experiment, _ = load_experiment(config, ("data.root=somewhere",) if config in NEEDS_DATA else ())
    assert plan(config).steps[-1].stage.name == experiment.goal


@pytest.mark.parametrize("config", ["demo", "nuscenes"])
def test_the_table_has_the_rows_that_the_method_is_judged_by(config: str) -> None:
    arms = load_experiment(config, ("data.root=x",) if config in NEEDS_DATA else ())[0].arms
    rows = {(arm.pretrained, arm.label_fraction) for arm in arms}
    assert rows == {(False, 1.0), (False, 0.5), (False, 0.1), (True, 0.5), (True, 0.1), (True, 0.0), (False, 0.0)}


def test_every_arm_has_a_training_and_a_score_per_seed() -> None:
    names = [step.name for step in plan("smoke", "seeds=[0, 1]")]
    assert names.count("pretrain:1") == 1
    assert {
        "finetune:pretrained-50:1",
        "evaluate:pretrained-50:1",
        "evaluate:pretrained-0:1",
        "evaluate:untrained:1",
    } <= set(names)
    assert "finetune:untrained:0" not in names


def test_arms_read_what_their_names_say() -> None:
    inputs = {step.name: step.inputs for step in plan("smoke")}
    assert inputs["evaluate:pretrained-0:0"]["model"] == "pretrain:0"
    assert inputs["evaluate:pretrained-50:0"]["model"] == "finetune:pretrained-50:0"
    assert inputs["finetune:pretrained-50:0"]["pretrain"] == "pretrain:0"
    assert "pretrain" not in inputs["finetune:scratch-100:0"]
    assert "model" not in inputs["evaluate:untrained:0"]


def test_stages_that_no_arm_needs_are_left_out() -> None:
    scratch = "arms=[{name: scratch, title: x, label_fraction: 1.0, pretrained: false}]"
    assert plan("smoke", scratch, until="finetune").stage_names == (
        "world",
        "index",
        "ground",
        "geometry",
        "bev_labels",
        "finetune",
    )
    assert "pretrain" not in plan("smoke", scratch, "report.showcase=scratch").stage_names


def test_an_objective_that_is_kept_brings_its_needs() -> None:
    kept = {s.name: s for s in plan("smoke", until="finetune")}
    assert kept["finetune:pretrained-50:0"].inputs["ground_points"] == "ground_points"
    dropped = {s.name: s for s in plan("smoke", "finetune.keep_objective_weight=0", until="finetune")}
    assert "ground_points" not in dropped["finetune:pretrained-50:0"].inputs


def test_an_arm_that_changes_how_data_are_prepared_has_a_step_of_its_own() -> None:
    arms = """arms=[
      {name: one, title: x, label_fraction: 0, pretrained: true},
      {name: two, title: x, label_fraction: 0.5, pretrained: true, changes: {ground_points: {max_row_m: 2.0}}},
      {name: three, title: x, label_fraction: 0, pretrained: true, changes: {ground_points: {max_row_m: 2.0}}}]"""
    steps = {step.name: step for step in plan("smoke", arms, "report.showcase=one")}
    read = {name: step.inputs.get("ground_points") for name, step in steps.items()}
    assert read["pretrain:0"] == "ground_points"
    assert read["finetune:two:0"] == read[steps["evaluate:three:0"].inputs["model"]] == "ground_points:two"
    assert [name for name in steps if name.startswith("ground_points")] == ["ground_points", "ground_points:two"]
    assert steps["ground_points:two"].inputs == steps["ground_points"].inputs


def test_a_look_at_the_calibration_needs_no_labels() -> None:
    assert "teacher_labels" in plan("nuscenes", until="look").stage_names
    assert plan("nuscenes", "look.labels=false", until="look").stage_names == (
        "index",
        "ground",
        "geometry",
        "bev_labels",
        "look",
    )


def test_what_follows_a_changed_preparation_is_the_arms_own_too() -> None:
    arms = """arms=[
      {name: one, title: x, label_fraction: 0, pretrained: true},
      {name: flat, title: x, label_fraction: 0, pretrained: true, changes: {geometry: {ground: ego_plane}}}]"""
    steps = {step.name: step for step in plan("demo", arms, "report.showcase=one")}
    own = {name.partition(":")[0] for name in steps if "flat" in name}
    assert own == {"geometry", "ground_points", "pretrain", "evaluate"}
    assert steps["ground_points:flat"].inputs == {**steps["ground_points"].inputs, "geometry": "geometry:flat"}
    assert steps["pretrain:flat:0"].inputs["ground_points"] == "ground_points:flat"
    assert "ground" in steps["geometry"].inputs
    assert "ground" not in steps["geometry:flat"].inputs
    assert steps["pretrain:0"].inputs["geometry"] == "geometry"
    shown = plan("demo", arms, "report.showcase=flat").steps[-1]
    assert (shown.name, shown.inputs["geometry"]) == ("report", "geometry:flat")


def test_a_change_of_the_objective_reaches_pretraining_and_what_is_kept_of_it() -> None:
    expected = objectives(plan("smoke"))
    for objective in expected.values():
        objective["temporal"]["weight"] = 0
    assert objectives(plan("smoke", "pretrain.objective.temporal.weight=0")) == expected


def objectives(planned: Plan) -> dict[str, dict[str, Any]]:
    settings = {step.name: step.settings.model_dump() for step in planned}
    return {
        "pretrain": settings["pretrain:0"]["objective"],
        "finetune": settings["finetune:pretrained-50:0"]["kept_objective"],
    }


def test_what_is_shared_reaches_every_stage_that_has_it() -> None:
    steps = plan("smoke", "grid.resolution_m=0.75", "label_hw_px=[48, 96]")
    assert {s.settings.grid.resolution_m for s in steps if hasattr(s.settings, "grid")} == {0.75}
    assert {s.settings.label_hw_px for s in steps if hasattr(s.settings, "label_hw_px")} == {(48, 96)}


def test_data_are_read_where_they_are_and_made_where_they_are_not() -> None:
    outside = {s.name: s for s in plan("nuscenes", until="bev_labels")}
    assert "world" not in outside
    assert outside["index"].data_root == Path("somewhere")
    inside = {s.name: s for s in plan("smoke", until="bev_labels")}
    assert inside["bev_labels"].data_step == "world"


def test_a_folder_without_a_map_gets_no_bev_labels() -> None:
    assert plan("keyframe").stage_names == ("index", "teacher_labels", "ground", "geometry", "look")


@pytest.mark.parametrize("until", ["finetune", "evaluate", "bev_labels"])
def test_without_a_map_what_needs_bev_labels_is_refused_before_anything_is_labelled(until: str) -> None:
    with pytest.raises(InputError, match=r"there is no map to make BEV labels of \(.*has_map"):
        plan("nuscenes", "data.has_map=false", until=until)
    assert plan("nuscenes", "data.has_map=false", until="pretrain")
    with pytest.raises(InputError, match="no map"):
        plan("nuscenes", "data.has_map=false", "pretrain.validation={}", until="pretrain")


def test_eight_gpus_split_every_batch_of_nuscenes() -> None:
    plan("nuscenes", "runtime.num_processes=8")
    plan("nuscenes", "runtime.num_processes=4", *(f"{where}.gradient_accumulation=2" for where in TRAININGS))


TRAININGS = ("pretrain.optimiser", "finetune.from_random", "finetune.from_pretrained")


@pytest.mark.parametrize("training", TRAININGS)
def test_a_batch_that_does_not_split_is_found_before_anything_is_computed(training: str) -> None:
    with pytest.raises(InputError, match=r"samples cannot be split over 8 processes.*runtime.num_processes"):
        plan("nuscenes", "runtime.num_processes=8", f"{training}.batch_size=12")
    assert plan("nuscenes", "runtime.num_processes=8", f"{training}.batch_size=12", until="look")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("evaluate.split=vall", r"no scene will be in the split 'vall' \(--set evaluate.split, evaluate.split\)"),
        ("index.split={train: [scene-0061]}", r"in the split 'val' .*choose one of train, or list its scenes"),
        ("index.split=all_train", "in the split 'val'"),
        ("model.query_factor=3", r"queries of 3 x 3 cells do not cover a grid of 400 x 200 \(--set model.query_factor"),
        ("report.showcase=nosuch", r"there is no arm 'nosuch' .*choose one of scratch-100"),
    ],
)
def test_what_only_the_last_stages_would_miss_is_found_before_anything_is_computed(override: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        plan("nuscenes", override)
    if "index" in override:
        assert plan("nuscenes", override, until="pretrain")


def test_a_baseline_alone_needs_no_teacher_where_nothing_is_said_of_its_labels() -> None:
    baseline = (
        "arms=[{name: a, title: a, label_fraction: 1.0, pretrained: false}]",
        "report.showcase=a",
        "evaluate.by_visibility=false",
    )
    assert "teacher_labels" in plan("nuscenes", *baseline).stage_names
    without = plan("nuscenes", *baseline, "report.pseudo_labels=false")
    assert "teacher_labels" not in without.stage_names
    assert without.steps[-1].stage.name == "report"


def test_another_objective_takes_nothing_of_the_experiments_own() -> None:
    """Only its name decides which settings it has: those of the file's objective are not its own."""
    with pytest.raises(InputError, match="no objective 'edges'"):
        plan("demo", "pretrain.objective={name: edges, threshold: 3}")


def test_the_ground_is_looked_for_only_where_the_geometry_stands_on_it() -> None:
    assert "ground" in plan("smoke", until="geometry").stage_names
    assert plan("smoke", "geometry.ground=ego_plane", until="geometry").stage_names == ("world", "index", "geometry")


def arm(name: str, changes: str = "{}", fraction: float = 0.0) -> str:
    return f"{{name: {name}, title: x, label_fraction: {fraction}, pretrained: true, changes: {changes}}}"


def test_an_arms_changes_hold_for_its_own_steps_and_what_is_alike_runs_once() -> None:
    hot = "{pretrain: {optimiser: {learning_rate: 1.0e-2}}}"
    arms = ", ".join([arm("plain"), arm("hot", hot), arm("hot-half", hot, 0.5), arm("other", "{evaluate: {every: 2}}")])
    steps = {step.name: step for step in plan("smoke", f"arms=[{arms}]", "report={showcase: plain}")}
    assert [name for name in steps if name.startswith("pretrain:")] == ["pretrain:0", "pretrain:hot:0"]
    assert steps["pretrain:hot:0"].settings.optimiser.learning_rate == 1e-2  # type: ignore[attr-defined]
    assert steps["finetune:hot-half:0"].inputs["pretrain"] == "pretrain:hot:0"
    assert steps["evaluate:other:0"].inputs["model"] == "pretrain:0"
    assert steps["evaluate:other:0"].settings.every == 2  # type: ignore[attr-defined]


def test_an_unknown_key_in_an_arms_changes_is_named_with_its_place() -> None:
    wrong = arm("hot", "{pretrain: {optimizer: {steps: 3}}}")
    with pytest.raises(InputError, match=r"unknown key 'optimizer' \(--set arms, arms\.0\.changes\.pretrain"):
        plan("smoke", f"arms=[{wrong}]")

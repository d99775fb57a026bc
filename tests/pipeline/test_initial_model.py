"""Arms that begin as a saved model: which of their steps read it, what does not fit, what their keys hold."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_experiment
from pipeline.plan import Plan
from pipeline.steps import plan_experiment
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from stages.fingerprint import of_model
from tests.pipeline.saved_model import SAW, describe_model
from tests.trainer.tiny import finetune_settings

OTHER_CLASSES = LabelSchema.parse({"name": "other", "classes": [{"name": "road"}, {"name": "kerb"}]}).canonical()
ARMS = """[
 {{name: as-it-came, title: A, label_fraction: 0, pretrained: false, initial_model: {folder}}},
 {{name: adapted, title: B, label_fraction: 0, pretrained: true, initial_model: {folder}}},
 {{name: tuned, title: C, label_fraction: 0.5, pretrained: false, initial_model: {folder}}},
 {{name: adapted-and-tuned, title: D, label_fraction: 0.5, pretrained: true, initial_model: {folder}}},
 {{name: pretrained-50, title: E, label_fraction: 0.5, pretrained: true}}]"""


def planned(folder: str, *overrides: str) -> Plan:
    return plan_experiment(*load_experiment("demo", (f"arms={ARMS.format(folder=folder)}", *overrides)))


def test_the_first_step_of_an_arm_begins_with_the_saved_model_and_no_later_one(tmp_path: Path) -> None:
    folder = describe_model(tmp_path / "model")
    learns = [step for step in planned(folder) if hasattr(step.settings, "initial_model")]
    begins: dict[str, Any] = {step.name: step.settings.initial_model for step in learns}
    assert {name for name, place in begins.items() if place == folder} == {
        "evaluate:as-it-came:0",
        "pretrain:adapted:0",
        "finetune:tuned:0",
    }
    assert {name for name, place in begins.items() if place is None} == {
        "pretrain:0",
        "finetune:adapted-and-tuned:0",
        "finetune:pretrained-50:0",
        *(f"evaluate:{arm}:0" for arm in ("adapted", "tuned", "adapted-and-tuned", "pretrained-50")),
    }


def test_saved_weights_are_gone_on_with_as_gently_as_pretrained_ones(tmp_path: Path) -> None:
    steps = {step.name: step for step in planned(describe_model(tmp_path / "model"))}
    tuned: Any = steps["finetune:tuned:0"].settings
    assert tuned.optimiser == tuned.from_pretrained != tuned.from_random
    assert steps["finetune:tuned:0"].inputs.keys() == {"index", "geometry", "bev_labels"}, "it needs no teacher"
    assert steps["finetune:adapted-and-tuned:0"].inputs["pretrain"] == "pretrain:adapted:0"


def test_a_key_has_the_model_s_content_and_not_its_place(tmp_path: Path) -> None:
    one = describe_model(tmp_path / "one")
    shutil.copytree(one, tmp_path / "two")
    other = describe_model(tmp_path / "other", dropout=0.3)

    def key(folder: str) -> tuple[Any, dict[str, str]]:
        settings = next(step.settings for step in planned(folder) if step.name == "finetune:tuned:0")
        return settings.canonical(), of_model(settings, tmp_path)

    assert key(one) == key(str(tmp_path / "two"))
    assert key(one)[0] == key(other)[0]
    assert key(one)[1] != key(other)[1]
    assert {"initial model.json", "initial model.safetensors"} < key(one)[1].keys()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"num_layers": 7}, r"trained with model.num_layers = 7, here it is 1 \(.*num_layers\): give the experiment"),
        ({"backbone": {"pretrained": "saved", "out_stages": [4]}}, r"out_stages = \[4\], here it is \[.*out_stages"),
        ({"said": {"trained_on": SAW | {"cameras": ["L", "R"]}}}, r"index.cameras = L, R, here it is CAM_FRONT, CAM"),
        ({"said": {"trained_on": SAW | {"ground": "ego_plane"}}}, r"geometry.ground = ego_plane, here it is lidar_pl"),
        ({"said": {"grid": BevGrid(resolution_m=0.25).canonical()}}, r"predicts on a grid of .*grid"),
        ({"said": {"schema": OTHER_CLASSES}}, r"predicts other classes: road, kerb \(.*train it first"),
        ({"said": {"schema": None}}, r"the saved model is damaged: .*model\.json\): save it again"),
        ({"said": {"format": "x"}}, r"no saved model of the format .*model\.json\)"),
    ],
)
def test_a_model_that_does_not_fit_is_told_of_before_anything_runs(
    tmp_path: Path, model: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        planned(describe_model(tmp_path / "model", **model))


def test_other_classes_are_what_a_training_is_for(tmp_path: Path) -> None:
    folder = describe_model(tmp_path / "model", said={"schema": OTHER_CLASSES})
    arm = f"{{name: tuned, title: C, label_fraction: 0.5, pretrained: false, initial_model: {folder}}}"
    assert plan_experiment(*load_experiment("demo", (f"arms=[{arm}]", "report.showcase=tuned")))


def test_another_image_size_fits(tmp_path: Path) -> None:
    assert planned(describe_model(tmp_path / "model", image_hw_px=[200, 400], history=3))


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no saved model: no model\.json.*save-model"):
        planned(str(tmp_path / "none"))


@pytest.mark.parametrize("own", [{"init": "saved"}, {"initial_model": "somewhere"}])
def test_saved_weights_need_a_place_and_others_have_none(own: dict[str, str]) -> None:
    with pytest.raises(ValueError, match='is what init "saved" begins with'):
        finetune_settings(**own)


@pytest.mark.parametrize("stage", ["pretrain", "finetune", "evaluate"])
def test_a_stage_is_not_given_one_by_its_section(stage: str) -> None:
    with pytest.raises(InputError, match=r"'initial_model' is given to this stage already .*its arms say it"):
        plan_experiment(*load_experiment("demo", (f"{stage}.initial_model=somewhere",)))


def test_a_training_may_go_on_from_a_model_of_another_ground_and_without_camera_embeddings_of_other_cameras(
    tmp_path: Path,
) -> None:
    arms = "arms=[{{name: tuned, title: C, label_fraction: 0.5, pretrained: false, initial_model: {}}}]"
    folder = describe_model(
        tmp_path / "model", {"trained_on": {"cameras": ["L"], "ground": "ego_plane"}}, max_cameras=0
    )
    changes = (arms.format(folder), "report.showcase=tuned", "model.max_cameras=0")
    assert plan_experiment(*load_experiment("demo", changes))


def test_an_arm_with_a_ground_of_its_own_is_compared_with_that(tmp_path: Path) -> None:
    arm = "{{name: {}, title: A, label_fraction: 0, pretrained: false, initial_model: {}, changes: {}}}"
    upright = describe_model(tmp_path / "upright")
    recorded = describe_model(tmp_path / "recorded", {"trained_on": SAW | {"ground": "ego_plane"}})
    own = "{geometry: {ground: ego_plane}}"

    def plan(first: str, second: str) -> Plan:
        arms = f"arms=[{arm.format('shared', first, '{}')}, {arm.format('own', second, own)}]"
        return plan_experiment(*load_experiment("demo", (arms, "report.showcase=shared")))

    assert plan(upright, recorded)
    for first, second in ((upright, upright), (recorded, recorded)):
        with pytest.raises(InputError, match=r"geometry\.ground = \w+, here it is \w+"):
            plan(first, second)


def test_the_seed_has_no_say_in_how_a_saved_model_scores(tmp_path: Path) -> None:
    steps = planned(describe_model(tmp_path / "model"), "seeds=[0, 1]")
    by_name = {step.name: step.settings.canonical() for step in steps}
    assert by_name["evaluate:as-it-came:0"] == by_name["evaluate:as-it-came:1"]
    assert by_name["evaluate:adapted:0"] != by_name["evaluate:adapted:1"]

"""Configurations that cannot be used: one line, with file, place and the nearest valid key."""

from pathlib import Path

import pytest

from pipeline.config import load_experiment
from pipeline.places import CONFIGS
from pipeline.steps import plan_experiment
from scene.errors import InputError

SMOKE = str(CONFIGS / "experiments" / "smoke.yaml")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("pretain.steps=1", "unknown key 'pretain' (--set pretain.steps, pretain): did you mean 'pretrain'?"),
        (
            "grid.resolution=1",
            "unknown key 'resolution' (--set grid.resolution, grid.resolution): did you mean 'resolution_m'?",
        ),
        ("pretrain.sed=1", "unknown key 'sed' (--set pretrain.sed, pretrain.sed): did you mean 'seed'?"),
        ("pretrain.optimiser.stps=1", "--set pretrain.optimiser.stps, pretrain.optimiser.stps): did you mean 'steps'?"),
        ("data.world.train.num_scene=1", "data.world.train.num_scene): did you mean 'num_scenes'?"),
        ("model.backbone.shape.depth=[1]", "model.backbone.shape.depth): did you mean 'depths'?"),
        ("finetune.zzz=1", "valid keys here are "),
        ("grid.resolution_m=abc", "(--set grid.resolution_m, grid.resolution_m)"),
        ("grid.resolution_m=0.7", "no whole number of 0.7 m cells (--set grid.resolution_m, grid)"),
        ("seeds=[0, 0]", "seeds repeat: [0, 0]"),
        ("data.root=/somewhere", "exactly one of `world` and `root`"),
        (
            "pretrain.grid={resolution_m: 1}",
            "'grid' is given to this stage already (--set pretrain.grid, pretrain.grid)",
        ),
        ("arms=[]", "no arms to train (--set arms)"),
        ("goal=teach", "(--set goal, goal)"),
        ("schema=labels/nothing.yaml", "no file 'labels/nothing.yaml' (--set)"),
        ("model=null", "needs `model` (configs/experiments/smoke.yaml): add `model`"),
        ("schema=null", "needs `schema` (configs/experiments/smoke.yaml): add `schema`"),
        (
            "arms=[{name: a, title: b, pretrained: true}]",
            "(--set arms, arms.0.label_fraction): add arms.0.label_fraction",
        ),
    ],
)
def test_a_fault_is_one_line_that_leads_to_its_place(override: str, says: str) -> None:
    with pytest.raises(InputError) as raised:
        plan_experiment(*load_experiment(SMOKE, [override]))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_fault_in_a_file_names_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("name: mine\ndata: data.yaml\ngrid: {resolution_m: 0.5}\n")
    Path("data.yaml").write_text("rot: /data\n")
    with pytest.raises(InputError, match=r"unknown key 'rot' .*\(data.yaml, data.rot\): did you mean 'root'"):
        load_experiment("mine.yaml")


def test_unknown_keys_of_stages_that_do_not_run_are_refused_too() -> None:
    with pytest.raises(InputError, match="did you mean 'num_frames'"):
        plan_experiment(*load_experiment(SMOKE, ["report.num_frame=1"]), until="index")

import pytest
import yaml

from pipeline.places import CONFIGS
from scene.errors import InputError
from study.arms import arms_of, shown_runs, tuning_runs
from study.settings import load_study
from study.tuning import changes_of
from tests.study.conftest import STUDY

STUDIES = sorted(file.stem for file in (CONFIGS / "studies").glob("*.yaml"))


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_in_the_house_plans(name):
    from pipeline.config import load_experiment
    from pipeline.steps import plan_experiment

    study = load_study(name)
    first = {
        (s, kind): next(iter(c)) for s, setting in study.settings.items() for kind, c in setting.candidates.items()
    }
    tried, shown = tuning_runs(study), shown_runs(study, changes_of(study, first))
    assert shown
    for runs in filter(None, (tried, shown)):  # with one candidate each there is nothing to try
        experiment, layers = load_experiment(study.experiment, study.overrides)
        experiment = experiment.model_copy(update={"arms": arms_of(runs), "seeds": study.seeds})
        plan = plan_experiment(experiment, layers, "evaluate")
        assert sum(step.stage.name == "evaluate" for step in plan) == len(runs) * len(study.seeds)


@pytest.mark.parametrize("name", STUDIES)
def test_both_arms_are_tuned_alike(name):
    for setting in load_study(name).settings.values():
        assert len(setting.candidates["scratch"]) == len(setting.candidates["pretrained"])


@pytest.mark.parametrize("name", ["second", "curves"])
def test_studies_beside_the_small_one_have_settings_that_it_tried(name):
    small, beside = load_study("small"), load_study(name)
    for name, setting in beside.settings.items():
        for kind, candidates in setting.candidates.items():
            assert candidates.items() <= small.settings[name].candidates[kind].items()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seeds": [0]}, "seeds"),
        ({"goal": {}}, "unknown key 'goal' .*study.yaml, goal.: did you mean 'goals'"),
        (
            {"settings": {"B": {**STUDY["settings"]["B"], "candidates": {"scratch": {"one": {}}}}}},
            "pretrained has fractions",
        ),
        ({"ablations": {}}, "no ablation 'no temporal loss'"),
        ({"tuning_seeds": [1]}, "seed 1 is to choose settings, and to be shown"),
        ({"tuning_split": "val"}, r"chosen on the towns 'val', which are shown.*third set of towns"),
        ({"tuning_split": "train"}, "chosen on the towns 'train', which are trained on"),
    ],
)
def test_a_fault_is_told_in_one_line(tmp_path, change, says):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**STUDY, **change}))
    with pytest.raises(InputError, match=says):
        load_study(str(file))


def test_a_study_of_an_objective_without_ground_makes_no_claim_of_it(tmp_path):
    goals = {name: goal for name, goal in STUDY["goals"].items() if name != "ground_ratio"}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**STUDY, "goals": goals}))
    assert load_study(str(file)).goals.ground_ratio is None


def test_seeds_may_be_more_and_not_fewer_than_two():
    assert load_study("small").with_seeds(5).seeds == (0, 1, 2, 3, 4)
    with pytest.raises(InputError, match="one seed tells no spread"):
        load_study("small").with_seeds(1)


def test_an_unknown_study_names_those_there_are():
    with pytest.raises(InputError, match=f"no study 'nothing'.*{STUDIES[0]}"):
        load_study("nothing")

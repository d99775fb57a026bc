from study.arms import arms_of, combined, shown_runs, tuning_runs
from study.tables import ablation_table
from study.tuning import changes_of, chosen_candidates
from tests.study.conftest import row


def test_candidates_are_scored_on_the_tuning_towns_and_the_shown_runs_are_not(study):
    tuned = tuning_runs(study)
    assert [(run.kind, run.variant, run.label_fraction) for run in tuned] == [
        ("scratch", "short", 1.0),
        ("scratch", "long", 1.0),
        ("pretrained", "plain", 0.5),
        ("pretrained", "hot", 0.5),
    ]
    assert all(run.arm.changes["evaluate"]["split"] == "teacher" for run in tuned)
    chosen = changes_of(study, {("B", "scratch"): "long", ("B", "pretrained"): "hot"})
    assert all("evaluate" not in run.arm.changes for run in shown_runs(study, chosen))


def test_the_best_candidate_on_the_tuning_towns_is_taken(study):
    scores = {"short": 0.3, "long": 0.2, "plain": 0.1, "hot": 0.4}
    kinds = {"short": "scratch", "long": "scratch", "plain": "pretrained", "hot": "pretrained"}
    rows = [row(kinds[name], 1.0, 5, miou, part="tuning", variant=name) for name, miou in scores.items()]
    rows.append(row("scratch", 1.0, 5, 0.9, part="curve", variant="long"))
    assert chosen_candidates(study, rows) == {("B", "scratch"): "short", ("B", "pretrained"): "hot"}


def test_curves_lengths_and_ablations_vary_the_chosen_settings(study):
    chosen = changes_of(study, {("B", "scratch"): "long", ("B", "pretrained"): "hot"})
    runs = shown_runs(study, chosen)
    curve = [(run.kind, run.label_fraction, run.arm.label_fraction) for run in runs if run.part == "curve"]
    assert curve == [
        ("scratch", 0.5, 0.25),
        ("scratch", 1.0, 0.5),
        ("pretrained", 0.0, 0.0),
        ("pretrained", 0.5, 0.25),
        ("pretrained", 1.0, 0.5),
    ]
    (length,) = (run for run in runs if run.part == "time")
    assert length.arm.changes == {"finetune": {"from_random": {"steps": 2}}}
    (ablation,) = (run for run in runs if run.part == "ablation")
    assert ablation.arm.changes["pretrain"] == {
        "optimiser": {"learning_rate": 4e-3},
        "objective": {"temporal": {"weight": 0.0}},
    }
    names = [arm.name for arm in arms_of(runs)]
    assert len(set(names)) == len(names)


def test_each_kind_has_ablations_of_its_own(study):
    changes = {"finetune": {"augment": {"flip": False}}}
    study = study.model_copy(update={"ablations": {**study.ablations, "scratch": {"no mirroring": changes}}})
    setting = study.settings["B"].model_copy(update={"ablations": "all"})
    study = study.model_copy(update={"settings": {"B": setting}})
    chosen = changes_of(study, {("B", "scratch"): "long", ("B", "pretrained"): "plain"})
    ablations = [run for run in shown_runs(study, chosen) if run.part == "ablation"]
    assert [(run.kind, run.variant, run.label_fraction) for run in ablations] == [
        ("pretrained", "no temporal loss", 0.0),
        ("scratch", "no mirroring", 1.0),
    ]
    assert ablations[1].arm.changes == {"finetune": {"from_random": {"steps": 4}, **changes["finetune"]}}
    named = [("pretrained", 0.0, 0.2, ""), ("scratch", 1.0, 0.4, ""), ("scratch", 1.0, 0.3, "no mirroring")]
    rows = [row(arm, f, 0, miou, variant=v, part="ablation" if v else "curve") for arm, f, miou, v in named]
    assert [(cells[2], cells[3], cells[-1]) for cells in ablation_table(rows)] == [("scratch", "no mirroring", "-10.0")]


def test_changes_lie_over_each_other_and_none_is_changed():
    first, second = {"pretrain": {"a": {"b": 1, "c": 2}}}, {"pretrain": {"a": {"b": 3}}, "evaluate": {"d": 4}}
    assert combined(first, second) == {"pretrain": {"a": {"b": 3, "c": 2}}, "evaluate": {"d": 4}}
    assert first == {"pretrain": {"a": {"b": 1, "c": 2}}}

import json

import pytest

from cache.store import Store
from stages.learn import evaluate, finetune, report
from stages.learn.report import Arm, ReportSettings
from stages.stage import Runtime
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema
from tests.flat_world import GRID, SCHEMA, run_stage, write_dataset
from tests.stages.learn.short import ONE_STEP
from tests.trainer import tiny
from trainer.settings import ValidationSettings

pytestmark = pytest.mark.usefixtures("one_thread")
RUNTIME = Runtime(progress=False, device="cpu")
ARM = Arm(name="untrained", title="Untrained", label_fraction=0.0, pretrained=False)
SETTINGS = ReportSettings(
    title="A report", grid=GRID, label_schema=SCHEMA, arms=(ARM,), showcase="untrained", num_frames=1
)


def recipe(root, teacher=True, watched=False, **changes):
    """The report of one untrained model."""
    folder = root.with_name(f"{root.name}-dataset")  # its own: equal runs change equal files
    artifacts = write_dataset(folder, num_scenes=2, frames_per_scene=2)
    store, data_root = Store(root), folder / "data"
    settings = evaluate.EvaluateSettings(model=tiny.MODEL, grid=GRID, label_schema=SCHEMA)
    if not teacher:
        del artifacts["teacher_labels"]
        settings = settings.model_copy(update={"by_visibility": False})
    roles = [role for role in evaluate.STAGE.inputs if role in artifacts]
    scored = run_stage(store, evaluate.STAGE, settings, {r: artifacts[r] for r in roles}, data_root, RUNTIME)[0]
    inputs = {role: artifacts[role] for role in report.STAGE.inputs if role in artifacts}
    inputs["evaluate:untrained:0"] = scored
    if watched:
        settings = tiny.finetune_settings(from_random=ONE_STEP, validation=ValidationSettings(frames=1))
        roles = [role for role in finetune.STAGE.inputs if role in artifacts]
        training = run_stage(store, finetune.STAGE, settings, {r: artifacts[r] for r in roles}, data_root, RUNTIME)[0]
        inputs["training:finetune:untrained:0"] = training
    return run_stage(store, report.STAGE, SETTINGS.model_copy(update=changes), inputs, data_root, RUNTIME)


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    check_changed_setting(recipe, tmp_path, title="Another title", num_frames=2)
    artifact, _ = recipe(tmp_path / "cache")
    check_schema(artifact, {})
    assert set(artifact.manifest.files) == {"index.html", "summary.json"}
    assert set(json.loads((artifact.path / "summary.json").read_text())) == {"untrained"}


def test_without_a_teacher_there_is_all_that_needs_none(tmp_path):
    (full, _), (without, _) = recipe(tmp_path / "a"), recipe(tmp_path / "b", teacher=False, pseudo_labels=False)
    expected, found = (json.loads((a.path / "summary.json").read_text())["untrained"] for a in (full, without))
    assert found["per_visibility"] == {}
    assert {**found, "per_visibility": expected["per_visibility"]} == expected
    page = (without.path / "index.html").read_text()
    assert page.count("<img") == (full.path / "index.html").read_text().count("<img") - 1
    assert "visibility" not in page


def test_a_watched_training_has_a_learning_curve(tmp_path):
    plain, _ = recipe(tmp_path / "a")
    watched, _ = recipe(tmp_path / "b", watched=True)
    assert "Learning curves" in (watched.path / "index.html").read_text()
    assert "Learning curves" not in (plain.path / "index.html").read_text()


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=2)

"""Pretrain, fine-tune and evaluate as stages: what they read, what they leave, what reaches their key."""

import json
import shutil

import numpy as np
import pytest

from cache.arrays import open_arrays
from cache.store import Store
from scene.errors import InputError
from scene.frames import FrameIndex
from stages.learn import evaluate, finetune, pretrain
from stages.learn.evaluate import EvaluateSettings
from stages.stage import Runtime
from tests.contracts.stage import check_schema
from tests.flat_world import GRID, SCHEMA, run_stage
from tests.trainer import tiny

pytestmark = pytest.mark.usefixtures("one_thread")
RUNTIME = Runtime(progress=False, device="cpu", checkpoint_seconds=1e9)
SHORT = tiny.optimiser(steps=2, log_every=1)


def needed(artifacts, stage, settings, **extra):
    objective = getattr(settings, "objective", None)
    roles = [*stage.inputs, *(objective.needs if objective else ())]
    return {role: artifacts[role] for role in roles if role in artifacts} | extra


def run(root, artifacts, stage, settings, **extra):
    inputs = needed(artifacts, stage, settings, **extra)
    return run_stage(Store(root / "cache"), stage, settings, inputs, root / "data", RUNTIME)


@pytest.fixture(scope="module")
def trained(dataset):
    """The three learning stages, run once."""
    root, artifacts = dataset
    first = run(root, artifacts, pretrain.STAGE, tiny.pretrain_settings(optimiser=SHORT))[0]
    settings = tiny.finetune_settings(init="pretrained", label_fraction=0.5, from_pretrained=SHORT)
    second = run(root, artifacts, finetune.STAGE, settings, pretrain=first)[0]
    scored = run(root, artifacts, evaluate.STAGE, evaluate_settings(), model=second)[0]
    return first, second, scored


def evaluate_settings(**changes):
    return EvaluateSettings(**{"model": tiny.MODEL, "grid": GRID, "label_schema": SCHEMA, **changes})


def test_trained_artifacts_hold_weights_description_and_history_and_nothing_else(trained):
    for artifact in trained[:2]:
        assert set(artifact.manifest.files) == {"model.safetensors", "model.json", "history.jsonl"}
        assert artifact.manifest.statistics["last_losses"]["step"] == 2
        assert artifact.manifest.provenance["recorded"]["optimisation_steps"] == 2
        assert artifact.manifest.provenance["recorded"]["samples"] == 4


def test_finetuning_goes_on_from_the_pretrained_weights_with_both_losses(trained):
    row = json.loads((trained[1].path / "history.jsonl").read_text().splitlines()[0])
    assert {"supervised", "dice", "reprojection", "temporal", "total"} <= set(row)
    assert trained[1].manifest.provenance["recorded"]["labelled_scenes"] == 2
    parts = row["supervised"] + row["dice"] + row["reprojection"] + row["temporal"]
    assert row["total"] == pytest.approx(parts)


def test_scores_and_predictions_cover_the_validation_frames(trained, dataset):
    scored = trained[2]
    index = FrameIndex.load(dataset[1]["index"].path / "index.npz")
    scores = json.loads((scored.path / "scores.json").read_text())
    assert scores["num_frames"] == 3
    assert set(scores["per_class"]) == set(SCHEMA.names)
    dims = ["prediction", "x", "y"]
    check_schema(
        scored,
        {
            "predictions.zarr/class_id": {"shape": [3, *GRID.shape], "dtype": "uint8", "dims": dims},
            "predictions.zarr/frame": {"shape": [3], "dtype": "int64", "dims": ["prediction"]},
        },
    )
    predictions = open_arrays(scored.path / "predictions.zarr")
    np.testing.assert_array_equal(predictions["frame"][:], index.frames_of_split("val"))
    assert int(np.max(predictions["class_id"][:])) < len(SCHEMA.classes)


def test_random_arm_reads_neither_ground_points_nor_pretraining():
    scratch, kept = tiny.finetune_settings(), tiny.finetune_settings(init="pretrained")
    plain = tiny.finetune_settings(init="pretrained", keep_objective_weight=0.0)
    assert scratch.objective is None
    assert plain.objective is None
    assert kept.objective is not None
    assert kept.objective.needs == ("ground_points",)


def test_key_of_an_arm_holds_only_what_plays_a_part_in_it():
    scratch = tiny.finetune_settings()
    same = tiny.finetune_settings(keep_objective_weight=0.3, from_pretrained=tiny.optimiser(steps=99))
    assert same.canonical() == scratch.canonical()
    assert tiny.finetune_settings(label_fraction=0.5).canonical() != scratch.canonical()
    kept = tiny.finetune_settings(init="pretrained")
    assert (
        tiny.finetune_settings(init="pretrained", from_random=tiny.optimiser(steps=99)).canonical() == kept.canonical()
    )
    other = tiny.finetune_settings(init="pretrained", keep_objective_weight=0.3)
    assert other.canonical() != kept.canonical()


def test_equal_seeds_give_equal_bytes_and_others_do_not(dataset, trained, tmp_path):
    root, artifacts = dataset
    copied = tmp_path / "copy"
    shutil.copytree(root / "data", copied / "data")
    again = run(copied, artifacts, pretrain.STAGE, tiny.pretrain_settings(optimiser=SHORT))[0]
    assert again.output_digest == trained[0].output_digest
    other = run(copied, artifacts, pretrain.STAGE, tiny.pretrain_settings(optimiser=SHORT, seed=1))[0]
    assert other.output_digest != trained[0].output_digest


def test_more_labels_lower_the_loss_on_the_labelled_frames(dataset, tmp_path):
    root, artifacts = dataset
    settings = tiny.finetune_settings(from_random=tiny.optimiser(steps=30, learning_rate=1e-2, log_every=10))
    artifact = run(root, artifacts, finetune.STAGE, settings)[0]
    rows = [json.loads(line) for line in (artifact.path / "history.jsonl").read_text().splitlines()]
    assert rows[-1]["total"] < 0.8 * rows[0]["total"]


def test_untrained_and_unfitting_models(dataset, trained):
    root, artifacts = dataset
    untrained = run(root, artifacts, evaluate.STAGE, evaluate_settings(seed=4))[0]
    assert json.loads((untrained.path / "scores.json").read_text())["num_frames"] == 3
    wider = tiny.MODEL.model_copy(update={"ffn_dim": 64})
    with pytest.raises(InputError, match="trained with another model"):
        run(root, artifacts, evaluate.STAGE, evaluate_settings(model=wider), model=trained[0])
    with pytest.raises(InputError, match="no frame is in the split 'test'"):
        run(root, artifacts, evaluate.STAGE, evaluate_settings(split="test"), model=trained[0])
    classes = tuple(c.model_copy(update={"scored": False}) for c in SCHEMA.classes)
    unscored = evaluate_settings(label_schema=SCHEMA.model_copy(update={"classes": classes}))
    with pytest.raises(InputError, match="no class that is scored occurs in the frames"):
        run(root, artifacts, evaluate.STAGE, unscored)


def test_half_labelled_batches_must_be_even(dataset, trained):
    root, artifacts = dataset
    settings = tiny.finetune_settings(init="pretrained", from_pretrained=tiny.optimiser(batch_size=3))
    with pytest.raises(InputError, match="cannot be half labelled"):
        run(root, artifacts, finetune.STAGE, settings, pretrain=trained[0])

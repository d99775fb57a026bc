"""Trainings and scores that begin with a saved model."""

import numpy as np
import pytest
import torch

from cache.arrays import open_arrays
from scene.errors import InputError
from stages.learn import evaluate, finetune, pretrain
from tests.flat_world import GRID, SCHEMA
from tests.stages.learn.short import make
from tests.trainer import tiny
from trainer.checkpoint import load_model
from trainer.segmenter import initial_weights, load_segmenter

pytestmark = pytest.mark.usefixtures("one_thread")

STILL = tiny.optimiser(steps=1, batch_size=2, learning_rate=1e-12, warmup_steps=0, log_every=1)
"""A step that changes nothing."""
FEWER = SCHEMA.model_copy(update={"classes": SCHEMA.classes[:2]})


def finetuned(root, place, **changes):
    values = {"from_pretrained": STILL, "init": "saved", "initial_model": place, **changes}
    return make(root, finetune.STAGE, tiny.finetune_settings(**values))[0]


def pretrained(root, place):
    return make(root, pretrain.STAGE, tiny.pretrain_settings(optimiser=STILL, initial_model=place))[0]


@pytest.mark.parametrize("train", [pretrained, finetuned])
def test_a_training_begins_with_the_saved_weights(tmp_path, train):
    place = tiny.save_small_model(tmp_path / "model")
    expected = load_segmenter(place).state_dict()
    found, _ = load_model(train(tmp_path / "cache", place).path)
    for name, value in expected.items():
        own = name if name.startswith("trunk.") else f"heads.{name}"
        torch.testing.assert_close(found[own], value, atol=1e-6, rtol=0)


def test_of_a_model_with_other_classes_the_trunk_is_taken_and_the_decoder_is_new(tmp_path):
    place = tiny.save_small_model(tmp_path / "model", schema=FEWER)
    expected = load_segmenter(place).state_dict()
    found, _ = load_model(finetuned(tmp_path / "cache", place).path)
    torch.testing.assert_close(found["trunk.level_embedding"], expected["trunk.level_embedding"], atol=1e-6, rtol=0)
    last = [name for name in expected if name.startswith("decoder.")][-1]
    assert found[f"heads.{last}"].shape[0] == len(SCHEMA.classes) != expected[last].shape[0]


def test_classes_of_the_same_names_in_other_colours_are_the_same(tmp_path):
    dyed = tuple(one.model_copy(update={"colour": (1, 2, 3)}) for one in SCHEMA.classes)
    place = tiny.save_small_model(tmp_path / "model", schema=SCHEMA.model_copy(update={"classes": dyed}))
    assert any(name.startswith("heads.decoder.") for name in initial_weights(place, SCHEMA))


def test_a_saved_model_is_scored_as_it_came(tmp_path):
    place = tiny.save_small_model(tmp_path / "model")
    settings = {"model": tiny.MODEL, "grid": GRID, "label_schema": SCHEMA}
    trained = finetuned(tmp_path / "cache", place)
    by_model, _ = make(tmp_path / "one", evaluate.STAGE, evaluate.EvaluateSettings(**settings), model=trained)
    saved = evaluate.EvaluateSettings(**settings, initial_model=place)
    as_it_came, _ = make(tmp_path / "two", evaluate.STAGE, saved)
    random, _ = make(tmp_path / "three", evaluate.STAGE, evaluate.EvaluateSettings(**settings))
    one, two, three = (
        np.asarray(open_arrays(found.path / "predictions.zarr")["class_id"]) for found in (by_model, as_it_came, random)
    )
    assert (one == two).mean() > 0.99  # a step of 1e-12 may turn a tie
    assert (one == three).mean() < 0.9


def test_a_backbone_of_another_width_is_told_of_in_one_line(tmp_path):
    shape = tiny.MODEL.backbone.shape.model_copy(update={"hidden_sizes": (8, 24)})
    model = tiny.MODEL.model_copy(update={"backbone": tiny.MODEL.backbone.model_copy(update={"shape": shape})})
    place = tiny.save_small_model(tmp_path / "model", model=model)
    with pytest.raises(InputError, match=r"weights do not fit the model: size mismatch for backbone.*\(.*model\)"):
        finetuned(tmp_path / "cache", place)

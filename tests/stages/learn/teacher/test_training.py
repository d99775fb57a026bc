import json

import numpy as np
import pytest
import torch

from models.teachers.mask2former import Mask2FormerTeacher
from scene.errors import InputError
from stages.learn.teacher import PhaseSettings
from stages.learn.teacher.augmentation import batch_of_step
from stages.learn.teacher.losses import class_weights, per_pixel_loss
from stages.learn.teacher.pictures import Pictures
from stages.learn.teacher.training import schedule
from synthetic.contents import Semantic
from tests.stages.learn.teacher.toy import prepared, recipe


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("toy") / "any" / "cache")


def pictures_whose_colour_is_their_class(count=6, hw=(24, 48)):
    """Grey value 20 x class, in large blocks."""
    coarse = np.random.default_rng(0).integers(0, 12, (count, hw[0] // 8, hw[1] // 8)).astype(np.uint8)
    semantic = coarse.repeat(8, axis=1).repeat(8, axis=2)
    images = np.repeat(20 * semantic[:, None], 3, axis=1).astype(np.uint8)
    return Pictures(images, semantic, np.array(["a"] * count))


def batch(step=0, pictures=None, **changes):
    settings = {"batch_size": 3, "image_hw_px": (48, 96), "max_zoom": 1.6, "seed": 0, **changes}
    return batch_of_step(pictures or pictures_whose_colour_is_their_class(), step, **settings)


def test_a_batch_depends_on_seed_and_step_alone():
    again, other, reseeded = batch(4), batch(5), batch(4, seed=1)
    assert torch.equal(batch(4).images, again.images)
    assert torch.equal(batch(4).semantic, again.semantic)
    assert not torch.equal(again.images, other.images)
    assert not torch.equal(again.images, reseeded.images)


def test_an_epoch_shows_every_picture_once():
    pictures = pictures_whose_colour_is_their_class()
    distinct = Pictures(
        pictures.images, np.arange(6, dtype=np.uint8)[:, None, None].repeat(24, 1).repeat(48, 2), pictures.town
    )
    seen = [int(c) for step in (2, 3) for c in batch(step, distinct).semantic[:, 0, 0]]
    assert sorted(seen) == list(range(6))


def test_classes_stay_on_their_pixels_through_crops_and_mirrors():
    made = batch(batch_size=6)
    grey = torch.nn.functional.avg_pool2d(made.images.mean(dim=1, keepdim=True), 2)[:, 0]
    for image, semantic in zip(grey, made.semantic, strict=True):
        # recolouring is monotonic up to noise, so class and grey value rank alike where they belong together
        correlation = np.corrcoef(image.ravel().numpy(), semantic.ravel().numpy())[0, 1]
        assert correlation > 0.9


def test_rare_classes_weigh_more_but_not_without_bound():
    weights = class_weights(torch.tensor([1e6, 1e3, 0.0]))
    assert weights[0] < weights[1] < weights[2] < 40 * weights[0]
    assert weights.mean() == pytest.approx(1)


def test_the_per_pixel_loss_falls_towards_the_truth():
    semantic = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.one_hot(semantic, 4).permute(0, 3, 1, 2).float()
    losses = [per_pixel_loss((2 * truth - 1) * scale, semantic, torch.ones(4)).item() for scale in (-5, 0, 5, 20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-3


def test_the_schedule_rises_and_ends_near_zero():
    phase = PhaseSettings(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [schedule(step, phase) for step in range(100)]
    assert rates[0] < rates[5] < max(rates)
    assert int(np.argmax(rates)) in (9, 10)
    assert rates[-1] < 0.001


def test_the_trained_network_is_a_teacher_and_its_score_is_that_of_its_folder(inputs, tmp_path):
    artifact, _ = recipe(tmp_path, inputs)
    Mask2FormerTeacher.load(artifact.path, len(Semantic))
    scores = json.loads((artifact.path / "scores.json").read_text())
    assert scores == artifact.manifest.statistics["image_plane_iou"]
    card = (artifact.path / "README.md").read_text()
    assert f"| **mean** | **{scores['mean']:.3f}** | |" in card
    history = [json.loads(line) for line in (artifact.path / "history.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in history] == ["per_pixel", "universal"]


def test_a_world_without_a_town_to_hold_out_is_refused(inputs, tmp_path):
    with pytest.raises(InputError, match="2 of 2 teacher towns cannot be held out"):
        recipe(tmp_path, inputs, held_out_towns=2)

import json

import pytest
import torch

from models.teachers.mask2former import Mask2FormerTeacher
from scene.errors import InputError
from stages.learn.teacher.losses import per_pixel_loss
from synthetic.contents import Semantic
from tests.stages.labelled_images.toy_world import prepared
from tests.stages.learn.teacher.toy import recipe


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("toy") / "any" / "cache")


def test_the_per_pixel_loss_falls_towards_the_truth():
    semantic = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.one_hot(semantic, 4).permute(0, 3, 1, 2).float()
    losses = [per_pixel_loss((2 * truth - 1) * scale, semantic, torch.ones(4)).item() for scale in (-5, 0, 5, 20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-3


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

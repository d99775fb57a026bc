import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Mask2FormerImageProcessorPil
from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput

from models.teachers.mask2former import Mask2FormerTeacher, decide, semantic_scores, stored_confidence
from scene.errors import InputError
from tests.models.teachers.tiny import NAMES, tiny_mask2former

IDENTITY = torch.arange(len(NAMES), dtype=torch.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_mask2former(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def teacher(folder):
    return Mask2FormerTeacher.load(folder, len(NAMES))


@pytest.fixture
def images():
    return torch.randint(0, 256, (2, 3, 64, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_scores_are_those_of_transformers():
    generator = torch.Generator().manual_seed(0)
    classes = torch.randn(2, 5, 7, generator=generator)
    masks = 4 * torch.randn(2, 5, 24, 32, generator=generator)
    ours = semantic_scores(classes, masks, (384, 384), (90, 160))
    output = Mask2FormerForUniversalSegmentationOutput(class_queries_logits=classes, masks_queries_logits=masks)
    theirs = Mask2FormerImageProcessorPil().post_process_semantic_segmentation(
        output, target_sizes=[(90, 160)] * 2, return_segmentation_scores=True
    )
    assert torch.equal(ours, torch.stack([t.segmentation_scores for t in theirs]))
    identity = torch.arange(6, dtype=torch.uint8)
    assert torch.equal(decide(ours, identity).class_id.long(), torch.stack([t.segmentation for t in theirs]))


def test_images_are_normalised_as_by_the_image_processor_of_transformers(teacher):
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3)).astype(np.uint8)
    resized = np.asarray(Image.fromarray(image).resize((128, 64), Image.Resampling.BILINEAR))
    ours = teacher.normalise(torch.from_numpy(resized.copy()).permute(2, 0, 1)[None])
    processor = Mask2FormerImageProcessorPil(
        size={"height": 64, "width": 128}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.2, 0.25]
    )
    theirs = processor(images=[image], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)


def test_every_class_wins_somewhere_and_shares_are_probabilities(teacher, images):
    labels = teacher(images, (32, 64), IDENTITY)
    assert labels.class_id.shape == labels.probability.shape == (2, 32, 64)
    assert len(labels.class_id.unique()) > 2
    assert labels.probability.min() >= 1 / len(NAMES) - 1e-6
    assert labels.probability.max() <= 1


def test_classes_of_one_target_add_up_in_the_share_but_not_in_the_vote():
    scores = torch.tensor([0.4, 0.3, 0.3]).view(1, 3, 1, 1)
    labels = decide(scores, torch.tensor([9, 5, 5], dtype=torch.uint8))
    assert (labels.class_id.item(), round(labels.probability.item(), 4)) == (9, 0.4)
    labels = decide(scores, torch.tensor([9, 5, 9], dtype=torch.uint8))
    assert (labels.class_id.item(), round(labels.probability.item(), 4)) == (9, 0.7)


def test_stored_confidence_is_a_mean_over_blocks_also_at_a_ragged_border():
    probability = torch.zeros(1, 6, 5)
    probability[0, :4, :4] = 0.5
    probability[0, 4:, 4:] = 1.0
    assert stored_confidence(probability).tolist() == [[[125, 0], [0, 250]]]


def test_a_network_with_other_classes_is_refused(folder):
    with pytest.raises(InputError, match="knows 6 classes, the teacher map expects 65"):
        Mask2FormerTeacher.load(folder, 65)


@pytest.mark.parametrize("damage", ["truncated", "one tensor missing", "one tensor misshapen", "no weights", "other"])
def test_damaged_folders_are_refused_and_never_filled_with_random_numbers(folder, tmp_path, damage):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "one tensor missing":
        del tensors["class_predictor.weight"]
        save_file(tensors, weights, {"format": "pt"})
    elif damage == "one tensor misshapen":
        tensors["class_predictor.weight"] = torch.zeros(3, 3)
        save_file(tensors, weights, {"format": "pt"})
    elif damage == "no weights":
        weights.unlink()
    else:
        values = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**values, "model_type": "maskformer"}))
    with pytest.raises(InputError, match="teacher"):
        Mask2FormerTeacher.load(tmp_path, len(NAMES))

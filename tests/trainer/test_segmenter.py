import json

import pytest
import torch

from models.bev import backbone
from models.bev.config import BackboneConfig, BackboneShape
from scene.errors import InputError
from tests.flat_world import CAMERAS, GRID, SCHEMA
from tests.trainer.tiny import MODEL, save_training
from trainer.batches import collate_clip
from trainer.files import MODEL_FILE, WEIGHTS_FILE
from trainer.reader import FrameReader
from trainer.segmenter import TrainedOn, load_segmenter, new_segmenter, save_segmenter, trained_segmenter

TRAINED_ON = TrainedOn(CAMERAS, "ego_plane")
PUBLISHED = MODEL.model_copy(
    update={
        "backbone": BackboneConfig(pretrained="embedded", out_stages=(1, 2, 3), norm="frozen"),
        "pretrained_neck": True,
        "neck_channels": 32,
    }
)


@torch.inference_mode()
def logits_of(segmenter, clip):
    return segmenter(clip)


@pytest.fixture(scope="module")
def clip(sources):
    reader = FrameReader(sources, MODEL.image_hw_px, GRID, SCHEMA, history=1)
    return collate_clip([reader.clip(1), reader.clip(3)])


def shaped(kind, **shape):
    backbone = BackboneConfig(kind=kind, shape=BackboneShape(**shape, depths=(1, 1)), out_stages=(1, 2), norm="group")
    return MODEL.model_copy(update={"backbone": backbone})


MODELS = {
    "random": MODEL,
    "published": PUBLISHED,
    "swin": shaped("swin", stem_channels=8, num_heads=(2, 2), window_size=3),
    "convnext": shaped("convnext", stem_channels=8, hidden_sizes=(8, 16)),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_saved_model_answers_as_before_and_reads_nothing_else(model, clip, tmp_path, monkeypatch):
    segmenter = new_segmenter(model, GRID, SCHEMA, seed=3).eval()
    save_segmenter(segmenter, tmp_path, TRAINED_ON, {"key": "abc"})
    monkeypatch.setattr(backbone, "_load_pretrained", lambda *_: pytest.fail("the backbone's own weights were read"))
    monkeypatch.setattr("models.bev.former.load_neck", lambda *_: pytest.fail("the pyramid's own weights were read"))
    again = load_segmenter(tmp_path)
    assert torch.equal(logits_of(again, clip), logits_of(segmenter, clip))
    assert (again.grid, again.schema, again.trained_on, again.training) == (GRID, SCHEMA, TRAINED_ON, False)
    assert "embedded" not in (tmp_path / MODEL_FILE).read_text(), "where the backbone came from is nobody's business"
    assert logits_of(again, clip).shape == (2, len(SCHEMA.classes), *GRID.shape)


def test_a_drive_step_by_step_is_the_clip(clip):
    """The first keyframe knows of none before it; the second one gets its features."""
    segmenter = new_segmenter(MODEL, GRID, SCHEMA, seed=3).eval()
    with torch.inference_mode():
        nothing = torch.zeros(2, dtype=torch.bool)
        _, features = segmenter.advance(clip.frames[0], torch.eye(4).expand(2, 4, 4), nothing, None)
        logits, _ = segmenter.advance(clip.frames[1], clip.ego_from_previous[0], clip.has_previous[0], features)
    assert torch.equal(logits, logits_of(segmenter, clip))


def test_without_history_each_keyframe_is_seen_alone(clip):
    segmenter = new_segmenter(MODEL.model_copy(update={"history": 0}), GRID, SCHEMA, seed=3).eval()
    frames, motion, known = clip.frames[1], clip.ego_from_previous[0], torch.ones(2, dtype=torch.bool)
    with torch.inference_mode():
        alone, features = segmenter.advance(frames, motion, ~known, None)
        after, _ = segmenter.advance(frames, motion, known, 9 * features)
    assert torch.equal(after, alone)


def test_a_training_is_taken_out_of_its_artifact(clip, tmp_path):
    trained = save_training(tmp_path).eval()
    assert torch.equal(logits_of(trained_segmenter(tmp_path, MODEL, GRID, SCHEMA), clip), logits_of(trained, clip))


def test_a_training_without_bev_classes_is_refused(tmp_path):
    save_training(tmp_path, heads=())
    with pytest.raises(InputError, match="predicts no BEV classes"):
        trained_segmenter(tmp_path, MODEL, GRID, SCHEMA)


def test_what_is_no_saved_model_is_one_line(tmp_path):
    with pytest.raises(InputError, match="missing or damaged"):
        load_segmenter(tmp_path)
    save_training(tmp_path)  # an artifact does not say what its backbone is built like
    with pytest.raises(InputError, match=r"no saved model of the format.*save-model"):
        load_segmenter(tmp_path)
    (tmp_path / MODEL_FILE).write_text("[]")
    with pytest.raises(InputError, match="no saved model of the format"):
        load_segmenter(tmp_path)


def test_damage_is_one_line(tmp_path):
    save_segmenter(new_segmenter(MODEL, GRID, SCHEMA, seed=3), tmp_path, TRAINED_ON, {})
    said = json.loads((tmp_path / MODEL_FILE).read_text())
    (tmp_path / MODEL_FILE).write_text(json.dumps({name: value for name, value in said.items() if name != "grid"}))
    with pytest.raises(InputError, match="the saved model is damaged: KeyError: 'grid'"):
        load_segmenter(tmp_path)
    for nonsense in (None, "x", {"depths": "many"}, {**said["architecture"], "out_features": ["stage9"]}):
        (tmp_path / MODEL_FILE).write_text(json.dumps({**said, "architecture": nonsense}))
        with pytest.raises(InputError, match="the saved model is damaged"):
            load_segmenter(tmp_path)
    said["model"]["embed_dim"] = 32
    (tmp_path / MODEL_FILE).write_text(json.dumps(said))
    with pytest.raises(InputError, match="weights do not fit the model"):
        load_segmenter(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes((tmp_path / WEIGHTS_FILE).read_bytes()[:-9])
    with pytest.raises(InputError, match="missing or damaged"):
        load_segmenter(tmp_path)

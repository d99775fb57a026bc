import json

import numpy as np
import pytest
import torch
from torch import nn

from models.objectives.segmentation import make_decoder
from scene.errors import InputError
from scene.labels import IGNORE
from tests.flat_world import GRID, SCHEMA
from tests.trainer import tiny
from trainer.distributed import run_job
from trainer.drives import predict_drives
from trainer.files import SCORES_FILE
from trainer.learner import Learner
from trainer.metrics import Scores
from trainer.network import new_trunk
from trainer.process import Process
from trainer.segmenter import trained_segmenter
from trainer.settings import ValidationSettings
from trainer.validation import Validation

pytestmark = pytest.mark.usefixtures("one_thread")

ALONE = Process(torch.device("cpu"))
WATCHED = ValidationSettings(times=3, frames=2)


def rows_of(folder):
    return [json.loads(line) for line in (folder / SCORES_FILE).read_text().splitlines()]


@pytest.mark.parametrize("settings", [tiny.pretrain_settings, tiny.finetune_settings])
def test_watching_changes_no_weight(dataset, tmp_path, settings):
    for name, validation in (("watched", WATCHED), ("not", None)):
        run_job(tiny.job(dataset, tmp_path / name, settings(validation=validation), checkpoint_seconds=1e9))
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("watched", "not"))
    assert one == two
    assert [row["step"] for row in rows_of(tmp_path / "watched")] == [0, 2, 4, 6]
    assert not (tmp_path / "not" / SCORES_FILE).exists()


@pytest.mark.parametrize(("times", "steps"), [(1, [0, 6]), (4, [0, 2, 3, 5, 6]), (6, [*range(7)]), (99, [*range(7)])])
def test_scores_are_evenly_spaced_and_the_last_step_is_always_scored(times, steps):
    assert [step for step in range(7) if ValidationSettings(times=times).is_due(step, 6)] == steps


def test_the_figures_are_those_of_the_evaluation_where_clips_are_as_long_as_drives(dataset, reader, tmp_path):
    model = tiny.MODEL.model_copy(update={"history": 3})
    settings = tiny.finetune_settings(model=model, validation=ValidationSettings(times=1, frames=100))
    run_job(tiny.job(dataset, tmp_path, settings, checkpoint_seconds=1e9))
    segmenter = trained_segmenter(tmp_path, settings.model, settings.grid, settings.label_schema)
    scores = Scores(SCHEMA, settings.grid)
    rows = reader.index.frames_of_split("val")
    for row, predicted in predict_drives(segmenter, reader, rows, 1, ALONE.device):
        scores.add(predicted, reader.labels.bev_class(row), None)
    expected, last = scores.summary(), rows_of(tmp_path)[-1]
    assert last["miou"] == pytest.approx(expected["miou"], abs=1e-6)
    assert last["per_class"] == pytest.approx(expected["per_class"], abs=1e-6)


def test_cells_without_a_label_do_not_count(reader, monkeypatch):
    trunk = new_trunk(tiny.MODEL, GRID, seed=0)
    learner = Learner(trunk, nn.ModuleDict({"decoder": make_decoder(trunk, len(SCHEMA.classes))}), None, None)
    validation = Validation.of(ValidationSettings(frames=1), reader, SCHEMA, ALONE)
    whole = validation.score(learner)
    truth = reader.labels.bev_class
    monkeypatch.setattr(reader.labels, "bev_class", lambda row: np.where(truth(row) == 1, IGNORE, truth(row)))
    assert validation.score(learner)["per_class"]["road"] == 0 != whole["per_class"]["road"]


def test_a_split_without_frames_is_one_line(reader):
    with pytest.raises(InputError, match=r"no frame is in the split 'test' \(validation\.split\)"):
        Validation.of(ValidationSettings(split="test"), reader, SCHEMA, ALONE)


def test_what_is_not_watched_has_the_key_that_it_had():
    assert "validation" not in tiny.pretrain_settings().canonical()
    assert tiny.pretrain_settings(validation=WATCHED).canonical()["validation"]["times"] == 3
    assert tiny.pretrain_settings().also_reads == ()
    assert tiny.pretrain_settings(validation=WATCHED).also_reads == ("bev_labels",)


def test_an_objective_without_bev_classes_is_not_watched(monkeypatch):
    plain, watched = tiny.pretrain_settings(), tiny.pretrain_settings(validation=WATCHED)
    monkeypatch.setattr("models.objectives.reprojection.config.ReprojectionConfig.predicts_bev", False)
    assert watched.watched is None
    assert watched.also_reads == ()
    assert watched.canonical() == plain.canonical()

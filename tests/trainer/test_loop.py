import json
import subprocess
import sys
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from models.objectives.base import Losses
from scene.errors import InputError
from tests.trainer import tiny
from trainer import loop
from trainer.distributed import run_job
from trainer.files import HISTORY_FILE, MODEL_FILE, SCORES_FILE, WEIGHTS_FILE
from trainer.loop import Training, Waited, seed_step
from trainer.process import Process
from trainer.settings import ValidationSettings

OUTPUTS = (WEIGHTS_FILE, MODEL_FILE, HISTORY_FILE, SCORES_FILE)


pytestmark = pytest.mark.usefixtures("one_thread")


def killed(job, folder, first_step, die_in_step):
    call = {"job": asdict(job), "first_step": first_step, "die_in_step": die_in_step}
    file = folder.with_suffix(".json")
    file.write_text(json.dumps(call))
    return subprocess.run([sys.executable, "-m", "tests.trainer.tiny", str(file)], check=False, timeout=100).returncode


def test_killed_and_resumed_training_ends_with_the_same_bytes(dataset, tmp_path):
    optimiser = tiny.optimiser(muon_factor=4.0)  # AdamW's state as well as Muon's
    settings = tiny.pretrain_settings(optimiser=optimiser, validation=ValidationSettings(times=3, frames=2))
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    run_job(tiny.job(dataset, whole, settings))
    job = tiny.job(dataset, resumed, settings)
    for first_step, die_in_step in ((0, 3), (3, 5)):
        assert killed(job, resumed, first_step, die_in_step) == -9
        assert not (resumed / "model.safetensors").exists()
        assert torch.load(resumed / "checkpoint.pt", weights_only=True)["step"] == die_in_step
        for name, rows in ((HISTORY_FILE, die_in_step // 2), (SCORES_FILE, 1 + die_in_step // 2)):
            assert len((resumed / name).read_text().splitlines()) == rows, "to look at meanwhile"
    run_job(job)
    for name in OUTPUTS:
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), name


def test_history_has_a_row_for_every_stretch_and_the_loss_falls(dataset, tmp_path):
    settings = tiny.pretrain_settings(optimiser=tiny.optimiser(steps=25, log_every=10, learning_rate=1e-2))
    run_job(tiny.job(dataset, tmp_path, settings, checkpoint_seconds=1e9))
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 25]
    assert rows[-1]["total"] < rows[0]["total"]
    assert rows[0]["total"] == pytest.approx(rows[0]["reprojection"] + rows[0]["temporal"])
    assert not (tmp_path / "checkpoint.pt").exists(), "no checkpoint was due"


def test_a_batch_in_parts_trains_like_the_whole(dataset, tmp_path):
    model = tiny.MODEL.model_copy(update={"dropout": 0.0})
    for count in (1, 2):
        optimiser = tiny.optimiser(steps=4, batch_size=4, gradient_accumulation=count)
        settings = tiny.pretrain_settings(model=model, optimiser=optimiser)
        plain = {"temporal": {"weight": 0.0}, "points_per_frame": 500, "dice_weight": 0.0}
        settings = type(settings).parse({**settings.model_dump(mode="json"), "objective": plain})
        run_job(tiny.job(dataset, tmp_path / str(count), settings))
    tiny.assert_weights_alike(tmp_path / "1", tmp_path / "2")


def test_what_is_accumulated_is_no_part_of_the_key_where_nothing_is():
    assert "gradient_accumulation" not in tiny.pretrain_settings().canonical()["optimiser"]
    settings = tiny.pretrain_settings(optimiser=tiny.optimiser(gradient_accumulation=2))
    assert settings.canonical()["optimiser"]["gradient_accumulation"] == 2
    assert type(settings).parse(settings.model_dump(mode="json")) == settings


def test_divergence_is_an_error(dataset, tmp_path):
    settings = tiny.pretrain_settings(optimiser=tiny.optimiser(learning_rate=1e30, warmup_steps=0, gradient_clip=1e30))
    with pytest.raises(InputError, match=r"not finite at step .*: lower the learning rate"):
        run_job(tiny.job(dataset, tmp_path, settings))
    assert not (tmp_path / "model.safetensors").exists()


class Spike(nn.Module):
    """A finite loss whose gradient is none."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.ones(1))

    def forward(self, batch):  # noqa: ARG002
        return Losses({"root": (self.place - 1).square().sqrt().sum()})


def test_a_gradient_that_is_no_number_spoils_no_weights(tmp_path):
    batch = SimpleNamespace(part=lambda *_: SimpleNamespace(to=lambda _: None))
    learner, process = Spike(), Process(torch.device("cpu"), checkpoint_seconds=0.0, progress=False)
    batches = lambda step: (batch for _ in range(step, 3))  # noqa: E731
    training = Training(learner, batches, tiny.optimiser(steps=3), 0, tmp_path / "checkpoint.pt", process)
    with pytest.raises(InputError, match="the gradient is not finite at step 1: lower the learning rate"):
        training.run()
    assert learner.place == 1
    assert not (tmp_path / "checkpoint.pt").exists()


def test_the_time_that_batches_are_waited_for_is_told(monkeypatch):
    now_s = 0.0
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now_s))

    def slow():
        nonlocal now_s
        for number in range(3):
            now_s += 3.0
            yield number

    waited = Waited(slow())
    for _ in waited:
        now_s += 1.0
    assert waited.share == 9 / 12


def test_random_state_of_a_step_does_not_depend_on_the_steps_before():
    seed_step(5, 7, 0)
    first = torch.rand(3)
    torch.rand(100)
    seed_step(5, 7, 0)
    assert torch.equal(torch.rand(3), first)
    for seed, step, rank in ((5, 8, 0), (5, 7, 1), (6, 7, 0)):
        seed_step(seed, step, rank)
        assert not torch.equal(torch.rand(3), first)

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import psutil
import pytest
import torch

from scene.errors import InputError
from tests.trainer import tiny
from trainer.distributed import run_job
from trainer.files import HISTORY_FILE, SCORES_FILE
from trainer.process import Process, choose_device
from trainer.settings import JOB_SLOT, ValidationSettings, check_split

PLAIN = tiny.MODEL.model_copy(update={"dropout": 0.0})


WATCHED = ValidationSettings(times=1, frames=3)


def rows(folder, name=HISTORY_FILE):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


TEMPORAL_OFF = {"temporal": {"weight": 0.0}, "points_per_frame": 500, "dice_weight": 1.0}


def assert_alike(one, two):
    """Two trainings whose sums are in another order."""
    for a, b in zip(rows(one), rows(two), strict=True):
        assert b["total"] == pytest.approx(a["total"], rel=1e-4)
    tiny.assert_weights_alike(one, two)


def test_two_processes_train_like_one(dataset, tmp_path):
    settings = tiny.pretrain_settings(model=PLAIN, optimiser=tiny.optimiser(steps=4, batch_size=4))
    settings = type(settings).parse({**settings.model_dump(mode="json"), "objective": TEMPORAL_OFF})
    one, two = tmp_path / "one", tmp_path / "two"
    run_job(tiny.job(dataset, one, settings))
    result = run_job(tiny.job(dataset, two, settings, num_processes=2))
    assert result["samples"] == 16
    assert_alike(one, two)


def test_two_processes_fine_tune_like_one_where_half_of_a_batch_is_labelled(dataset, tmp_path):
    start = tmp_path / "start"
    run_job(tiny.job(dataset, start, tiny.pretrain_settings(model=PLAIN, optimiser=tiny.optimiser(steps=1))))
    settings = tiny.finetune_settings(
        model=PLAIN, init="pretrained", from_pretrained=tiny.optimiser(steps=4, batch_size=4), validation=WATCHED
    )
    settings = type(settings).parse({**settings.model_dump(mode="json"), "kept_objective": TEMPORAL_OFF})
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, num_processes in ((one, 1), (two, 2)):
        job = tiny.job(dataset, folder, settings, {"pretrain": str(start)}, num_processes=num_processes)
        assert run_job(job)["samples"] == 16
    assert set(rows(one)[0]) > {"reprojection", "dice", "supervised", "supervised_dice"}
    assert_alike(one, two)
    before, after = (rows(folder, SCORES_FILE) for folder in (one, two))
    assert before[0] == after[0], "the same weights, scored by one process and shared by two"
    assert [row["step"] for row in after] == [0, 4]


def test_bad_input_in_a_process_is_one_error(dataset, tmp_path):
    settings = tiny.pretrain_settings(optimiser=tiny.optimiser(batch_size=3))
    with pytest.raises(InputError, match="a batch of 3 samples cannot be split over 2 processes"):
        run_job(tiny.job(dataset, tmp_path / "out", settings, num_processes=2))
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_what_one_process_alone_cannot_read_is_told(dataset, tmp_path):
    job = tiny.job(dataset, tmp_path / "out", tiny.pretrain_settings(), num_processes=2)
    with pytest.raises(InputError, match="its image is gone"):
        run_job(replace(job, entry="tests.trainer.tiny:second_process_fails"))


def test_processes_end_when_their_launcher_is_killed(dataset, tmp_path):
    settings = tiny.pretrain_settings(optimiser=tiny.optimiser(steps=100_000))
    folder = tmp_path / "out"
    job = tiny.job(dataset, folder, settings, num_processes=2)
    code = "import json, sys; from trainer.distributed import *; run_job(Job(**json.loads(sys.argv[1])))"
    launcher = subprocess.Popen([sys.executable, "-c", code, json.dumps(asdict(job))])
    try:
        wait_for(lambda: (folder / "checkpoint.pt").exists())
        workers = psutil.Process(launcher.pid).children(recursive=True)
        assert len(workers) >= 3
        os.kill(launcher.pid, signal.SIGKILL)
        wait_for(lambda: launcher.poll() is not None and not any(alive(w) for w in workers))
    finally:
        launcher.kill()
        launcher.wait()


def alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def wait_for(condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


def test_device_must_exist():
    assert choose_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        assert choose_device("auto") == torch.device("cpu")
        with pytest.raises(InputError, match="no CUDA device"):
            choose_device("cuda")


@pytest.fixture
def gpus(monkeypatch):
    """As if there were so many; and the one that became torch's current one."""

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        current = []
        monkeypatch.setattr(torch.cuda, "set_device", current.append)
        return current

    return pretend


@pytest.mark.parametrize(
    ("slot", "rank", "processes", "gpu"),
    [(0, 0, 1, 0), (3, 0, 1, 3), (9, 0, 1, 1), (0, 2, 4, 2), (1, 2, 4, 6), (2, 2, 4, 2)],
)
def test_each_process_of_each_training_has_a_gpu_of_its_own_while_there_are_any(
    gpus, monkeypatch, slot, rank, processes, gpu
):
    current = gpus(8)
    for name, number in ((JOB_SLOT, slot), ("LOCAL_RANK", rank), ("LOCAL_WORLD_SIZE", processes)):
        monkeypatch.setenv(name, str(number))
    assert choose_device("auto") == torch.device("cuda", gpu)
    assert current == [torch.device("cuda", gpu)], "Triton launches on the current one"


def test_more_processes_than_gpus_are_refused(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(InputError, match=r"more training processes than GPUs .*num_processes.* 2 at most"):
        choose_device("auto")


def test_each_part_of_a_batch_must_split():
    check_split((2, 2), 2)
    check_split((3,), 1)
    with pytest.raises(InputError, match=r"a batch of 1 \+ 1 samples .*a multiple of 2 times runtime.num_processes"):
        check_split((1, 1), 2)
    check_split((8,), 2, 4)
    with pytest.raises(
        InputError, match=r"4 samples .* 2 processes in 4 parts each: .*num_processes times gradient_acc"
    ):
        check_split((4,), 2, 4)


def test_the_mean_of_one_process_is_its_own():
    assert Process(torch.device("cpu")).mean({"a": torch.tensor(0.5)}) == {"a": 0.5}

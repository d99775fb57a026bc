import os
import shutil
import threading
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster, get_worker
from pydantic import ValidationError

from cache.arrays import open_arrays
from scene.errors import InputError
from scene.labels import IGNORE, NEVER_WRITTEN, STRUCTURE
from stages.prepare.teacher_labels.cluster import (
    PLUGIN,
    LabellerPlugin,
    gpu_of_worker,
    in_flight,
    label_in_worker,
    num_workers,
)
from stages.prepare.teacher_labels.ignoring import ignore_regions
from stages.prepare.teacher_labels.labelling import Frame, Shard
from stages.stage import Runtime
from tests.models.teachers.tiny import tiny_mask2former, tiny_sam
from tests.stages.prepare.teacher_labels.toy import INVALID, LABEL_HW, prepared, recipe, stage_settings


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("toy") / "cache")


def read(artifact):
    group = open_arrays(artifact.path / "labels.zarr")
    return {name: group[name][:] for name in group.array_keys()}


@pytest.fixture(scope="module")
def labels(inputs, tmp_path_factory):
    return read(recipe(tmp_path_factory.mktemp("labels"), inputs=inputs)[0])


def test_labels_hold_our_ids_only_and_everything_is_written(labels):
    ids = np.unique(labels["class_id"])
    assert set(ids) <= {0, 1, 2, STRUCTURE, IGNORE}
    assert len(ids) >= 3
    assert NEVER_WRITTEN not in labels["confidence"]
    assert labels["confidence"].max() <= 250


def test_a_missing_camera_supervises_nothing(labels):
    assert np.all(labels["class_id"][INVALID] == IGNORE)
    assert np.all(labels["confidence"][INVALID] == 0)


def test_the_statistics_count_every_pixel(inputs, tmp_path):
    artifact, _ = recipe(tmp_path, inputs=inputs)
    share = artifact.manifest.statistics["share"]
    class_id = read(artifact)["class_id"]
    assert share["ignored"] == pytest.approx(np.mean(class_id == IGNORE), abs=1e-6)
    assert sum(share.values()) == pytest.approx(1, abs=1e-5)


def test_two_processes_write_the_same_bytes_as_one(inputs, tmp_path):
    alone, _ = recipe(tmp_path / "one", inputs=inputs)
    together, _ = recipe(tmp_path / "two", runtime={"num_workers": 2}, inputs=inputs)
    assert together.manifest.provenance["recorded"]["workers"] == 2
    assert together.output_digest == alone.output_digest


def test_a_cluster_that_is_there_already_writes_the_same_bytes(inputs, tmp_path):
    alone, _ = recipe(tmp_path / "one", inputs=inputs)
    local = {"protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "processes": False}
    with LocalCluster(n_workers=1, threads_per_worker=1, **local) as cluster:
        there, _ = recipe(tmp_path / "two", runtime={"scheduler_address": cluster.scheduler_address}, inputs=inputs)
    assert there.manifest.provenance["recorded"]["workers"] == "cluster"
    assert there.output_digest == alone.output_digest


@dataclass(frozen=True)
class WhichGpu:
    """Stands for a labeller, and tells the worker's number and the GPU that it computes on."""

    device: str = "cuda"

    def label(self, number):
        return number, get_worker().name, chosen[threading.get_ident()]


chosen: dict[int, int] = {}
"""The GPU that each thread has set, as CUDA keeps it."""


def test_each_worker_of_this_machine_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda gpu: chosen.update({threading.get_ident(): gpu}))
    local = {"protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "processes": False}
    with LocalCluster(n_workers=3, threads_per_worker=1, **local) as cluster, Client(cluster) as client:
        client.register_plugin(LabellerPlugin(WhichGpu()), name=PLUGIN)
        workers = client.scheduler_info()["workers"]
        done = client.gather([client.submit(label_in_worker, i, workers=[at]) for i, at in enumerate(workers)])
    assert {(worker, gpu) for _, worker, gpu in done} == {(0, 0), (1, 1), (2, 0)}


def test_a_worker_of_another_cluster_takes_the_gpu_that_it_was_given():
    assert gpu_of_worker("tcp://10.0.0.7:40231", 8) == 0


def test_small_jobs_start_no_process_unless_asked_to():
    def shards(num_images):
        return [Shard(i, (Frame("token", ("image.jpg",)),)) for i in range(num_images)]

    auto = Runtime(device="cpu")
    assert num_workers(auto, shards(3)) == 1
    assert num_workers(auto, shards(100_000)) == len(os.sched_getaffinity(0))
    assert num_workers(Runtime(device="cpu", num_workers=2), shards(3)) == 2
    assert num_workers(Runtime(device="cpu", num_workers=8), shards(3)) == 3


def test_doubtful_pixels_and_the_bonnet_are_ignored(inputs, labels, tmp_path):
    artifact, _ = recipe(tmp_path, inputs=inputs, min_confidence=0.35, ego_bonnet={"CAM_BACK": 0.2})
    changed = read(artifact)["class_id"]
    assert np.all(changed[:, 1, -round(0.2 * LABEL_HW[0]) :] == IGNORE)
    where = changed != labels["class_id"]
    assert where[:, 0].any()
    assert np.all(changed[where] == IGNORE)


def test_standing_things_grow_and_doubtful_pixels_do_not():
    class_id = np.ones((7, 9), np.uint8)
    class_id[3, 2] = IGNORE
    probability = np.ones((7, 9), np.float32)
    probability[3, 7] = 0.1
    result = ignore_regions(class_id, probability, bonnet_share=0.0, min_confidence=0.5, dilate_px=1)
    assert np.argwhere(result == IGNORE).tolist() == [[2, 2], [3, 1], [3, 2], [3, 3], [3, 7], [4, 2]]


def test_sam_masks_are_written_on_demand(inputs, tmp_path):
    sam = {
        "teacher": {"source": str(tiny_sam(tmp_path / "sam"))},
        "points_per_side": 3,
        "min_predicted_iou": -99.0,
        "min_stability": 0.0,
        "min_area_px": 1,
    }
    masks = read(recipe(tmp_path / "cache", inputs=inputs, sam=sam)[0])["sam_mask_id"]
    assert masks.dtype == np.uint16
    assert masks[0, 0].max() >= 1
    assert np.all(masks[INVALID] == 0)


def test_where_the_teacher_lies_is_no_part_of_the_key_and_what_it_is_is(inputs, tmp_path):
    data, teacher = inputs
    first, _ = recipe(tmp_path / "cache", inputs=inputs)
    moved = shutil.copytree(teacher, tmp_path / "elsewhere")
    again, found = recipe(tmp_path / "cache", inputs=(data, moved))
    assert found
    assert again.key == first.key
    other, found = recipe(tmp_path / "cache", inputs=(data, tiny_mask2former(tmp_path / "other", seed=1)))
    assert not found
    assert other.output_digest != first.output_digest


@pytest.mark.parametrize("damage", ["missing", "truncated", "no image"])
def test_a_bad_image_is_named_and_nothing_is_left_that_looks_whole(inputs, tmp_path, damage):
    data = shutil.copytree(inputs[0], tmp_path / "data")
    file = data / "samples/CAM_BACK/2.png"
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"not an image")
    with pytest.raises(InputError, match=r"CAM_BACK/2\.png, CAM_BACK of sample token-2"):
        recipe(tmp_path / "cache", inputs=(data, inputs[1]))
    assert not list((tmp_path / "cache").glob("artifacts/teacher_labels/*"))


def test_a_teacher_with_other_classes_is_refused(inputs, tmp_path):
    other = tiny_mask2former(tmp_path / "other", names=("a", "b"))
    with pytest.raises(InputError, match="knows 2 classes, the teacher map expects 6"):
        recipe(tmp_path / "cache", inputs=(inputs[0], other))


def test_settings_that_do_not_fit_are_refused(inputs, tmp_path):
    with pytest.raises(ValidationError, match="'road' is no class"):
        stage_settings(inputs[1], label_schema={"name": "bare", "classes": [{"name": "background"}, {"name": "way"}]})
    with pytest.raises(ValidationError, match="no share"):
        stage_settings(inputs[1], ego_bonnet={"CAM_BACK": 1.5})
    with pytest.raises(InputError, match="no such cameras"):
        recipe(tmp_path, inputs=inputs, ego_bonnet={"CAM_UP": 0.1})


def test_no_scheduler_is_one_clear_line(inputs, tmp_path):
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        recipe(tmp_path, inputs=inputs, runtime={"scheduler_address": "tcp://127.0.0.1:1"})


def test_workers_that_join_late_get_shards_too():
    alone = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(**alone) as cluster, Client(cluster) as client:
        assert in_flight(client) == 2
        cluster.scale(3)
        client.wait_for_workers(3, timeout=60)
        assert in_flight(client) == 6

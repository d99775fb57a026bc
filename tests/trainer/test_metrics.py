import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from scene.grid import BevGrid
from scene.labels import IGNORE
from tests.flat_world import SCHEMA
from trainer.metrics import OCCLUDED, OUTSIDE, SEEN, Scores

GRID = BevGrid(x_range_m=(-30.0, 30.0), y_range_m=(-15.0, 15.0), resolution_m=1.0)


def frames(count=3):
    random = np.random.default_rng(0)
    for _ in range(count):
        truth = random.choice(3, GRID.shape, p=[0.6, 0.3, 0.1]).astype(np.uint8)
        prediction = np.where(random.random(GRID.shape) < 0.7, truth, random.integers(0, 3, GRID.shape))
        visibility = random.integers(0, 3, GRID.shape).astype(np.uint8)
        yield prediction.astype(np.uint8), truth, visibility


def oracle(mask=None):
    metric = MulticlassJaccardIndex(num_classes=3, average="none")
    for prediction, truth, visibility in frames():
        chosen = np.ones(GRID.shape, bool) if mask is None else mask(visibility)
        metric.update(torch.from_numpy(prediction[chosen]), torch.from_numpy(truth[chosen]))
    return metric.compute().tolist()


def summary():
    scores = Scores(SCHEMA, GRID)
    for frame in frames():
        scores.add(*frame)
    return scores.summary()


def test_scores_are_those_of_torchmetrics():
    found = summary()
    expected = oracle()
    assert list(found["per_class"].values()) == pytest.approx(expected, abs=1e-6)
    assert found["miou"] == pytest.approx(np.mean(expected[1:]), abs=1e-6), "the background is not scored"
    assert found["num_frames"] == 3


def test_bands_and_visibilities_split_the_cells():
    found = summary()
    distance_m = GRID.distance_m()
    for name, (near_m, far_m) in {"0-10 m": (0, 10), "10-20 m": (10, 20), "20-30 m": (20, 30)}.items():
        band = (distance_m >= near_m) & (distance_m < far_m)
        expected = oracle(lambda _, band=band: band)
        assert list(found["per_distance"][name]["per_class"].values()) == pytest.approx(expected, abs=1e-6)
    for name, value in {"seen": SEEN, "occluded": OCCLUDED, "outside": OUTSIDE}.items():
        expected = oracle(lambda visibility, value=value: visibility == value)
        assert list(found["per_visibility"][name]["per_class"].values()) == pytest.approx(expected, abs=1e-6)
    assert sum(v["num_cells"] for v in found["per_visibility"].values()) == 3 * GRID.shape[0] * GRID.shape[1]


def test_a_class_that_never_occurs_is_null_and_left_out_of_the_mean():
    scores = Scores(SCHEMA, GRID)
    truth = np.zeros(GRID.shape, np.uint8)
    truth[:30] = 1
    scores.add(truth, truth, np.zeros(GRID.shape, np.uint8))
    found = scores.summary()
    assert found["per_class"] == {"background": 1.0, "road": 1.0, "crossing": None}
    assert found["miou"] == 1.0
    assert found["per_visibility"]["outside"]["miou"] is None


def test_confusion_rows_are_truth():
    scores = Scores(SCHEMA, GRID)
    truth, prediction = np.full(GRID.shape, 1, np.uint8), np.full(GRID.shape, 2, np.uint8)
    scores.add(prediction, truth, np.zeros(GRID.shape, np.uint8))
    assert scores.summary()["confusion"][1][2] == GRID.shape[0] * GRID.shape[1]


def test_cells_without_a_label_do_not_count():
    known, unknown = Scores(SCHEMA, GRID), Scores(SCHEMA, GRID)
    for prediction, truth, visibility in frames():
        hidden = np.arange(truth.size).reshape(truth.shape) % 5 == 0
        unknown.add(prediction, np.where(hidden, IGNORE, truth).astype(np.uint8), visibility)
        known.add(
            np.where(hidden, 0, prediction).astype(np.uint8), np.where(hidden, 0, truth).astype(np.uint8), visibility
        )
    expected, found = known.summary(), unknown.summary()
    hits = expected["confusion"][0].pop(0) - found["confusion"][0].pop(0)
    assert hits == 3 * (truth.size // 5)
    assert found["confusion"] == expected["confusion"]

import numpy as np

from study.ceiling import NOBODY, voted
from tests import flat_world

SETTINGS = flat_world.POINTS.model_copy(update={"max_row_m": 1.0})


def test_exact_labels_on_the_true_ground_vote_for_the_true_map():
    ego = flat_world.pose(3, 1, 0.4)
    labels, truth = flat_world.image_labels(ego), flat_world.bev_class(ego)
    vote = voted(labels.class_id, labels.ground_from_pixel, SETTINGS)
    counted = vote != NOBODY
    assert counted.mean() > 0.4
    assert (vote == truth)[counted].mean() > 0.97


def test_a_wrong_ground_costs():
    ego = flat_world.pose(3, 1, 0.4)
    labels, truth = flat_world.image_labels(ego), flat_world.bev_class(ego)
    shift = np.array([[1.0, 0, 1.5], [0, 1, 0.0], [0, 0, 1]])
    vote = voted(labels.class_id, shift @ labels.ground_from_pixel, SETTINGS)
    counted = vote != NOBODY
    assert (vote == truth)[counted].mean() < 0.95

import numpy as np
import pytest

from scene.confusion import confusion, iou_per_class


def test_iou_of_a_hand_counted_image():
    truth = np.array([[0, 0, 1, 1], [2, 2, 254, 1]], np.uint8)
    predicted = np.array([[0, 1, 1, 1], [2, 254, 2, 0]], np.uint8)
    counts = confusion(predicted, truth, 4, ignored=(254,))
    assert counts.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(iou_per_class(counts), [1 / 3, 2 / 4, 1, np.nan])
    assert iou_per_class(np.array([[3, 1], [0, 0]])).tolist() == [0.75, 0.0], "predicted and never there"


def test_misfits_are_refused():
    with pytest.raises(ValueError, match="shape"):
        confusion(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 3)
    with pytest.raises(ValueError, match="an id of 3 with 3 classes"):
        confusion(np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8), 3)

"""How well one class map agrees with another: confusion matrices and intersection over union."""

import numpy as np
from numpy.typing import NDArray


def confusion(
    predicted: NDArray[np.uint8], truth: NDArray[np.uint8], num_classes: int, ignored: tuple[int, ...] = ()
) -> NDArray[np.int64]:
    """Pixel counts (num_classes, num_classes), rows the truth, columns the prediction, both arrays (..., h, w).

    Pixels whose truth or prediction is in `ignored` are left out.

    Raises:
        ValueError: if shapes differ or an id that is not ignored is no class.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"labels of shape {predicted.shape} against a truth of shape {truth.shape}")
    kept = ~(np.isin(truth, ignored) | np.isin(predicted, ignored))
    truth, predicted = truth[kept].astype(np.int64), predicted[kept].astype(np.int64)
    if truth.size and max(int(truth.max()), int(predicted.max())) >= num_classes:
        raise ValueError(f"an id of {max(int(truth.max()), int(predicted.max()))} with {num_classes} classes")
    counts = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def iou_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union (K,) of a confusion matrix (K, K); NaN for a class in neither truth nor prediction."""
    hit = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hit
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)

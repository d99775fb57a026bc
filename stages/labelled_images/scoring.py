"""How well a network sees: intersection over union per class, with towns that it was not trained on."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from scene.confusion import confusion, iou_per_class
from stages.labelled_images.pictures import Pictures
from synthetic.contents import Semantic


def score(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], pictures: Pictures, images_per_batch: int
) -> dict[str, float]:
    """IoU of each class that is in the pictures, by lower-case name, with "mean" over them; rounded to 4 digits.

    Args:
        predict: images (B, 3, h, w) RGB to classes (B, h, w).
        pictures: to predict.
        images_per_batch: how many at once.
    """
    counts = np.zeros((len(Semantic), len(Semantic)), np.int64)
    for start in range(0, len(pictures.images), images_per_batch):
        rows = slice(start, start + images_per_batch)
        counts += confusion(predict(pictures.images[rows]), pictures.semantic[rows], len(Semantic))
    iou = iou_per_class(counts)
    scores = {c.name.lower(): round(float(iou[c]), 4) for c in Semantic if not np.isnan(iou[c])}
    return {**scores, "mean": round(float(np.nanmean(iou)), 4)}


def score_table(scores: Mapping[str, float], pictures: Pictures) -> str:
    """Scores as a Markdown table, with the share of each class among the pictures' pixels."""
    pixels = np.bincount(pictures.semantic.ravel(), minlength=len(Semantic))
    shares = {c.name.lower(): pixels[c] / pixels.sum() for c in Semantic}
    rows = [f"| {name} | {scores[name]:.3f} | {shares[name]:.2%} |" for name in scores if name != "mean"]
    lines = ["| class | IoU | share of pixels |", "|---|---|---|", *rows, f"| **mean** | **{scores['mean']:.3f}** | |"]
    return "\n".join(lines)

"""How much a pixel of each class counts."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stages.labelled_images.pictures import Pictures
from synthetic.contents import Semantic


def class_weights(pixels_of_class: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """1 / log(1.02 + share of pixels), scaled to mean 1 (the bounded weighting of ENet, Paszke et al. 2016)."""
    share = pixels_of_class / pixels_of_class.sum()
    weights = 1 / torch.log(1.02 + share)
    return weights / weights.mean()


def weights_of(pictures: Pictures) -> Float[Tensor, " K"]:
    """`class_weights` by the pixels of some pictures, one per `Semantic`."""
    pixels = np.bincount(pictures.semantic.ravel(), minlength=len(Semantic))
    return class_weights(torch.from_numpy(pixels).float())

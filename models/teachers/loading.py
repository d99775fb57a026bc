"""Loads a network of `transformers` from a folder: safetensors only, whole or not at all."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from models.teachers.source import read_json
from scene.errors import InputError

IMAGENET_MEAN, IMAGENET_STD = tuple(IMAGENET_DEFAULT_MEAN), tuple(IMAGENET_DEFAULT_STD)


def load_network(network_class: type[PreTrainedModel], folder: Path) -> Any:
    """The network of a teacher's folder in float32, in evaluation mode.

    Raises:
        InputError: if the folder holds another kind of model, or its weights are truncated, missing or misshapen
            (`transformers` alone would fill what is missing with random numbers).
    """
    kind = read_json(folder / "config.json").get("model_type")
    if kind != network_class.config_class.model_type:
        raise InputError(
            f"the teacher is a {kind!r} model, not a {network_class.config_class.model_type!r}",
            where=str(folder / "config.json"),
            fix="choose another model",
        )
    # Mask2Former announces on every load that a backbone other than Swin "may not be compatible"; ours is tested.
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        network, info = network_class.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            "the teacher's weights cannot be read", where=f"{folder}: {reason}", fix="copy or download them again"
        ) from error
    finally:
        logging.set_verbosity(before)
    if missing := sorted(info["missing_keys"]):
        raise InputError(
            f"the teacher's weights lack {len(missing)} tensors, first {missing[0]!r}",
            where=str(folder),
            fix="copy or download them again",
        )
    return network.eval()


class Normalise(nn.Module):
    """Images as the teacher was trained on them: (value / 255 - mean) / std per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    @classmethod
    def of_folder(cls, folder: Path) -> "Normalise":
        """With the values of preprocessor_config.json, or those of ImageNet where there is none.

        The image processors of `transformers` are not used: they need torchvision or decide the image's size
        themselves, and all they would do here is this (a test compares).

        Raises:
            InputError: if the file asks for a rescaling other than 1 / 255.
        """
        file = folder / "preprocessor_config.json"
        values = read_json(file) if file.is_file() else {}
        if abs(float(values.get("rescale_factor", 1 / 255)) - 1 / 255) > 1e-9:  # type: ignore[arg-type]
            raise InputError("rescale_factor is not 1/255", where=str(file), fix="choose another model")
        mean, std = values.get("image_mean", IMAGENET_MEAN), values.get("image_std", IMAGENET_STD)
        return cls(tuple(mean), tuple(std))  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, h, w) uint8 RGB to float32."""
        return (images.to(torch.float32) / 255 - self.mean) / self.std

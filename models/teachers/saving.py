"""Writes a trained teacher in the layout that `models.teachers.loading` and transformers itself read."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from models.teachers.loading import IMAGENET_MEAN, IMAGENET_STD


def save_teacher(network: Any, folder: Path, image_hw_px: tuple[int, int]) -> None:
    """config.json, model.safetensors (float32) and preprocessor_config.json."""
    logging.disable_progress_bar()
    network.to(memory_format=torch.contiguous_format).save_pretrained(folder, max_shard_size="1GB")
    processor = {
        "image_processor_type": "Mask2FormerImageProcessor",
        "do_resize": True,
        "size": {"height": image_hw_px[0], "width": image_hw_px[1]},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=1) + "\n")

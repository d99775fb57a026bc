"""Networks of the real classes, small and random, saved the way that real ones are."""

import json
from pathlib import Path

import torch
from transformers import SamConfig, SamModel
from transformers.utils import logging

from models.teachers.embedded import build_embedded_teacher, start_from_classifier
from models.teachers.settings import EmbeddedTeacherSettings

SIZE = EmbeddedTeacherSettings(
    stem_channels=8,
    stage_channels=(8, 8, 16, 16),
    stage_depths=(1, 1, 1, 1),
    feature_channels=32,
    feedforward_channels=32,
    pixel_layers=1,
    query_layers=1,
    num_heads=2,
    num_queries=8,
    num_points=64,
)
NAMES = tuple(f"class-{i}" for i in range(6))


def tiny_mask2former(folder: Path, seed: int = 0, names: tuple[str, ...] = NAMES) -> Path:
    """A teacher's folder; the network disagrees with itself enough that every class wins somewhere."""
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    network = build_embedded_teacher(SIZE, names)
    with torch.no_grad():
        network.model.pixel_level_module.decoder.mask_projection.weight.mul_(8)
    classifier = torch.randn(len(names), SIZE.feature_channels)
    start_from_classifier(network, classifier - classifier.mean(dim=0), torch.Generator().manual_seed(seed))
    network.save_pretrained(folder)
    mean_std = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.25], "rescale_factor": 1 / 255}
    (folder / "preprocessor_config.json").write_text(json.dumps(mean_std))
    return folder


def tiny_sam(folder: Path, seed: int = 0) -> Path:
    """A SAM for images of 64 px."""
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    config = SamConfig(
        vision_config={
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
            "window_size": 4,
            "global_attn_indexes": [1],
            "num_pos_feats": 8,
            "mlp_dim": 32,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16,
            "mlp_dim": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    )
    SamModel(config).save_pretrained(folder)
    return folder

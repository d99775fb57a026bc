"""Networks as artifacts hold them: built from settings, described beside their weights, checked when loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.bev.config import BevFormerConfig
from models.bev.former import BevFormer
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from trainer.checkpoint import load_model


def new_trunk(model: BevFormerConfig, grid: BevGrid, seed: int) -> BevFormer:
    """A trunk with random weights of `seed`; heads that are made right after it are part of the same draw."""
    torch.manual_seed(int(np.random.SeedSequence([seed]).generate_state(1)[0]))
    return BevFormer(model, grid)


def put_in_place(weights: Mapping[str, Tensor], module: nn.Module, where: str = "") -> None:
    """Fills a module with weights, which come from `where`.

    Raises:
        InputError: if names or shapes differ.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        fix = "use the settings they were made with"
        raise InputError(f"weights do not fit the model: {first}", where=where, fix=fix) from error


def describe(model: BevFormerConfig, grid: BevGrid, schema: LabelSchema, heads: list[str]) -> dict[str, Any]:
    """What weights are weights of, as JSON values."""
    return {
        "model": model.canonical(),
        "grid": grid.canonical(),
        "schema": schema.canonical(),
        "heads": sorted(heads),
    }


def load_network(folder: Path, model: BevFormerConfig, grid: BevGrid, schema: LabelSchema) -> dict[str, Tensor]:
    """Weights of an artifact that was trained with the same model, grid and schema.

    Raises:
        InputError: naming what differs, or if the files are damaged.
    """
    weights, found = load_model(folder)
    wanted = describe(model, grid, schema, found.get("heads", []))
    if different := [name for name in wanted if found.get(name) != wanted[name]]:
        raise InputError(
            f"the weights were trained with another {' and '.join(different)}",
            where=str(folder),
            fix="give all learning stages the same settings",
        )
    return weights

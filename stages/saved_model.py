"""Saved models as a plan knows them: what they say of themselves, and the digests that stand for them.

`trainer.segmenter.save_segmenter` writes them. Imports no torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from cache.durable import sha256_of
from models.bev.config import BevFormerConfig
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import ValidationError

FILES = ("model.json", "model.safetensors")
"""As `trainer.checkpoint` calls them."""


@dataclass(frozen=True)
class SavedModel:
    """What a saved model says of itself.

    Attributes:
        model: the trunk that the weights belong to.
        grid, label_schema: of its prediction.
    """

    model: BevFormerConfig
    grid: BevGrid
    label_schema: LabelSchema


def digests(place: str) -> dict[str, str]:
    """SHA-256 of a saved model's files, by name; of the folder's place they say nothing.

    Raises:
        InputError: if there is no model.
    """
    folder = _folder(place)
    return {name: sha256_of(folder / name) for name in FILES}


def read_saved_model(place: str) -> SavedModel:
    """What lies in a folder.

    Raises:
        InputError: if there is no model, or it does not say.
    """
    file = _folder(place) / FILES[0]
    try:
        said = json.loads(file.read_bytes())
        parts = BevFormerConfig.parse(said["model"]), BevGrid.parse(said["grid"]), LabelSchema.parse(said["schema"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        fix = "save the model again: bevprior save-model"
        raise InputError("it does not describe a saved model", where=str(file), fix=fix) from error
    return SavedModel(*parts)


def _folder(place: str) -> Path:
    folder = Path(place).expanduser()
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        fix = "write one: bevprior save-model KEY FOLDER"
        raise InputError(f"there is no saved model: no {missing[0]}", where=str(folder), fix=fix)
    return folder

"""Saved models, as far as they are known without torch: what they say of themselves, and what stands for them in a key.

`trainer.segmenter` writes and reads them whole.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.durable import sha256_of
from models.bev.config import BevFormerConfig
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from trainer.files import MODEL_FILE, WEIGHTS_FILE

FORMAT = "bevprior-segmenter-1"
"""Of the description beside saved weights."""
FILES = (MODEL_FILE, WEIGHTS_FILE)


@dataclass(frozen=True)
class TrainedOn:
    """What a model takes for granted of its input.

    Attributes:
        cameras: channel names in the order of the images; a camera embedding belongs to a place in it.
        ground: `geometry.ground`: the ego frame is as recorded, or upright on the ground found in the LiDAR.
    """

    cameras: tuple[str, ...]
    ground: str


@dataclass(frozen=True)
class SavedModel:
    """What a saved model says of itself.

    Attributes:
        model: the trunk that the weights belong to.
        architecture: of its backbone, as `transformers` keeps it.
        grid, schema: of its prediction.
        trained_on: see there.
    """

    model: BevFormerConfig
    architecture: Mapping[str, Any]
    grid: BevGrid
    schema: LabelSchema
    trained_on: TrainedOn

    @classmethod
    def of(cls, said: Any) -> "SavedModel":
        """From the JSON values beside the weights.

        Raises:
            InputError: if they do not describe one.
        """
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise InputError(f"no saved model of the format {FORMAT!r}")
        try:
            trained_on = TrainedOn(tuple(said["trained_on"]["cameras"]), str(said["trained_on"]["ground"]))
            model, grid = BevFormerConfig.parse(said["model"]), BevGrid.parse(said["grid"])
            return cls(model, dict(said["architecture"]), grid, LabelSchema.parse(said["schema"]), trained_on)
        except Exception as error:  # whatever pydantic makes of values that nobody wrote so
            raise damaged(error) from error


def damaged(error: Exception) -> InputError:
    """The error for a description that nobody wrote so, and of which something else became `error`."""
    reason = " ".join(str(error).split())[:200]
    return InputError(f"the saved model is damaged: {type(error).__name__}: {reason}")


def read_saved_model(place: str) -> SavedModel:
    """What a folder's model says of itself.

    Raises:
        InputError: if there is no model, or it does not say.
    """
    file = _folder(place) / MODEL_FILE
    try:
        return SavedModel.of(json.loads(file.read_bytes()))
    except (ValueError, InputError) as error:
        reason = error.what if isinstance(error, InputError) else damaged(error).what
        raise InputError(reason, where=str(file), fix="save it again: bevprior save-model") from error


def digests(place: str) -> dict[str, str]:
    """SHA-256 of a saved model's files, by name; of the folder's place they say nothing.

    Raises:
        InputError: if there is no model.
    """
    folder = _folder(place)
    return {name: sha256_of(folder / name) for name in FILES}


def _folder(place: str) -> Path:
    folder = Path(place).expanduser()
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        fix = "save it there: bevprior save-model KEY FOLDER (the same KEY gives the same files)"
        raise InputError(f"there is no saved model: no {missing[0]}", where=str(folder), fix=fix)
    return folder

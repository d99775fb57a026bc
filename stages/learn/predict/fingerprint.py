"""What a prediction depends on outside the cache: the saved model. Imports no torch: planning calls it."""

import json
from pathlib import Path

from cache.durable import sha256_of
from scene.errors import InputError
from scene.grid import BevGrid
from scene.settings import ValidationError
from stages.learn.predict import PredictSettings

FILES = ("model.json", "model.safetensors")
"""As `trainer.checkpoint` calls them."""


def fingerprint(settings: PredictSettings, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (every fingerprint's)
    """Digests of the model's files. The images are the index's business: it knows their names and sizes.

    Raises:
        InputError: if there is no model.
    """
    folder = _folder(settings)
    return {name: sha256_of(folder / name) for name in FILES}


def grid_of_model(settings: PredictSettings) -> BevGrid:
    """The grid that the saved model predicts on.

    Raises:
        InputError: if there is no model, or it does not say.
    """
    file = _folder(settings) / FILES[0]
    try:
        return BevGrid.parse(json.loads(file.read_bytes())["grid"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        fix = "save the model again: bevprior save-model"
        raise InputError("it does not describe a saved model", where=str(file), fix=fix) from error


def _folder(settings: PredictSettings) -> Path:
    folder = Path(settings.saved_model).expanduser()
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        fix = "write one: bevprior save-model KEY FOLDER"
        raise InputError(f"there is no saved model: no {missing[0]}", where=str(folder), fix=fix)
    return folder

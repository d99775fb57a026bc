"""What a prediction depends on outside the cache: the saved model. Imports no torch: planning calls it."""

from pathlib import Path

from cache.durable import sha256_of
from scene.errors import InputError
from stages.learn.predict import PredictSettings

FILES = ("model.json", "model.safetensors")
"""As `trainer.checkpoint` calls them."""


def fingerprint(settings: PredictSettings, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (every fingerprint's)
    """Digests of the model's files. The images are the index's business: it knows their names and sizes.

    Raises:
        InputError: if there is no model.
    """
    folder = Path(settings.saved_model).expanduser()
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        fix = "write one: bevprior save-model KEY FOLDER"
        raise InputError(f"there is no saved model: no {missing[0]}", where=str(folder), fix=fix)
    return {name: sha256_of(folder / name) for name in FILES}

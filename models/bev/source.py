"""The digest that stands for a pretrained backbone in a cache key. Imports no torch."""

from pathlib import Path

from models.bev.config import BackboneConfig
from models.sources import WEIGHTS_FOLDER, folder_digest, local_folder
from scene.errors import InputError

WHAT = "backbone"
EMBEDDED_FOLDER = WEIGHTS_FOLDER / "embedded-backbone"


def weights_folder(config: BackboneConfig) -> Path:
    """The local folder that a pretrained backbone comes from.

    Raises:
        InputError: if there is none: no such folder, or a hub name.
    """
    folder = local_folder(config.pretrained or "", WHAT)
    if folder is None:
        fix = "download it and give its folder as model.backbone.pretrained, or set model.pretrained_neck to false"
        raise InputError("a pyramid is read from local folders only", where=str(config.pretrained), fix=fix)
    return folder


def digest(config: BackboneConfig) -> str | None:
    """Stands for the weights that a backbone starts from; None where they are random.

    A local folder is hashed; a hub model is its name and revision, so that planning needs no download.

    Raises:
        InputError: if there is no such folder, or it lacks configuration or weights.
    """
    if config.pretrained is None:
        return None
    folder = local_folder(config.pretrained, WHAT)
    if folder is None:
        return f"hub:{config.pretrained}@{config.revision or 'main'}"
    return folder_digest(folder, WHAT)

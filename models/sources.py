"""Where published weights lie: kept in this repository, in a local folder, or on the hub. Imports no torch."""

import hashlib
import re
from pathlib import Path

from scene.errors import InputError

EMBEDDED = "embedded"
WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
FILES = ("config.json", "preprocessor_config.json")
WEIGHTS = "*.safetensors*"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def local_folder(source: str, what: str) -> Path | None:
    """The folder that `source` names, or None where it is a hub name.

    Args:
        source: "embedded" (`weights/embedded-<what>` of this repository), a folder, or a hub name org/model.
        what: the weights are of: "teacher" or "backbone".

    Raises:
        InputError: if it looks like a path and is no folder.
    """
    folder = WEIGHTS_FOLDER / f"embedded-{what}" if source == EMBEDDED else Path(source).expanduser()
    if folder.is_dir():
        return folder
    if source != EMBEDDED and _HUB_NAME.fullmatch(source) and not source.startswith("."):
        return None
    raise InputError(
        f"there is no such {what}",
        where=str(folder),
        fix="give 'embedded', an existing folder, or a hub name org/model",
    )


def files_of(folder: Path, what: str) -> list[Path]:
    """The files that decide what a model in a local folder answers: configurations, then weights.

    Raises:
        InputError: if the configuration or the weights are missing.
    """
    found = [folder / name for name in FILES if (folder / name).is_file()] + sorted(folder.glob(WEIGHTS))
    if not (folder / FILES[0]).is_file() or not any(file.suffix == ".safetensors" for file in found):
        raise InputError(
            f"the {what}'s folder is not whole",
            where=str(folder),
            fix="it needs config.json and *.safetensors (pickled .bin weights are never read)",
        )
    return found


def folder_digest(folder: Path, what: str) -> str:
    """SHA-256 over names and contents of `files_of`: equal for equal files, wherever they lie.

    Raises:
        InputError: see there.
    """
    whole = hashlib.sha256()
    for file in files_of(folder, what):
        whole.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()

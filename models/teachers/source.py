"""Where a teacher's weights come from, and the digest that stands for them in a cache key. Imports no torch."""

import hashlib
import json
import re
from pathlib import Path

from scene.errors import InputError

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parents[2] / "weights" / "embedded-teacher"
FILES = ("config.json", "preprocessor_config.json")
WEIGHTS = "*.safetensors*"
HUB_TIMEOUT_S = 10
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def digest(source: str, revision: str | None) -> str:
    """Stands for everything that decides what the teacher says; equal for equal files, wherever they lie.

    A local folder is hashed (sha256 of its weights and configurations); a hub model is its name and commit, which
    the hub guarantees to be the content's hash, so that planning needs no download.

    Raises:
        InputError: if there is no such folder, or a hub name has no full commit hash.
    """
    folder = local_folder(source)
    if folder is None:
        return f"hub:{source}@{_pinned(source, revision)}"
    whole = hashlib.sha256()
    for file in _files(folder):
        whole.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def fetch(source: str, revision: str | None) -> Path:
    """The folder with the teacher's files; a hub model is downloaded once, safetensors and JSON only.

    Raises:
        InputError: if the folder or the model does not exist, or the hub cannot be reached.
    """
    folder = local_folder(source)
    if folder is not None:
        _files(folder)
        return folder
    return _download(source, _pinned(source, revision))


def _download(source: str, commit: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    wanted = [*FILES, WEIGHTS]
    try:
        # Asked first because it fails at once where there is no network; the download would retry for half a minute.
        HfApi().model_info(source, revision=commit, timeout=HUB_TIMEOUT_S)
    except Exception as error:  # of whichever HTTP library this version of the hub's client is built on
        try:
            return Path(snapshot_download(source, revision=commit, allow_patterns=wanted, local_files_only=True))
        except OSError:
            raise _unreachable(source, commit, error) from error
    try:
        return Path(snapshot_download(source, revision=commit, allow_patterns=wanted))
    except Exception as error:
        raise _unreachable(source, commit, error) from error


def _unreachable(source: str, commit: str, error: Exception) -> InputError:
    return InputError(
        f"the teacher {source!r} is not on this machine and could not be downloaded",
        where=f"commit {commit}: {type(error).__name__}",
        fix="check name, commit and network, or copy the model's folder here and set teacher.source to its path",
    )


def local_folder(source: str) -> Path | None:
    """The folder that `source` names, or None where it is a hub name.

    Raises:
        InputError: if it looks like a path and is no folder.
    """
    folder = EMBEDDED_FOLDER if source == EMBEDDED else Path(source).expanduser()
    if folder.is_dir():
        return folder
    if source != EMBEDDED and _HUB_NAME.fullmatch(source) and not source.startswith("."):
        return None
    raise InputError(
        "there is no such teacher",
        where=str(folder),
        fix="give 'embedded', an existing folder, or a hub name org/model",
    )


def read_json(file: Path) -> dict[str, object]:
    """A configuration file's values.

    Raises:
        InputError: if it is no JSON object.
    """
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError("a teacher's configuration cannot be read", where=str(file), fix="copy it again") from error
    if not isinstance(values, dict):
        raise InputError("a teacher's configuration is no JSON object", where=str(file), fix="copy it again")
    return values


def _files(folder: Path) -> list[Path]:
    found = [folder / name for name in FILES if (folder / name).is_file()] + sorted(folder.glob(WEIGHTS))
    if not (folder / FILES[0]).is_file() or not any(file.suffix == ".safetensors" for file in found):
        raise InputError(
            "the teacher's folder is not whole",
            where=str(folder),
            fix="it needs config.json and *.safetensors (pickled .bin weights are never read)",
        )
    return found


def _pinned(source: str, revision: str | None) -> str:
    if revision is None or not _COMMIT.fullmatch(revision):
        raise InputError(
            f"the teacher {source!r} is not pinned",
            where=f"teacher.revision is {revision!r}",
            fix="give the full 40-digit commit of the model's repository",
        )
    return revision

"""Where a teacher's weights come from, and the digest that stands for them in a cache key. Imports no torch."""

import json
import re
from pathlib import Path

from models.sources import FILES, WEIGHTS, WEIGHTS_FOLDER, files_of, folder_digest, local_folder
from scene.errors import InputError

WHAT = "teacher"
EMBEDDED_FOLDER = WEIGHTS_FOLDER / "embedded-teacher"
HUB_TIMEOUT_S = 10
_COMMIT = re.compile(r"[0-9a-f]{40}")


def digest(source: str, revision: str | None) -> str:
    """Stands for everything that decides what the teacher says; equal for equal files, wherever they lie.

    A local folder is hashed (sha256 of its weights and configurations); a hub model is its name and commit, which
    the hub guarantees to be the content's hash, so that planning needs no download.

    Raises:
        InputError: if there is no such folder, or a hub name has no full commit hash.
    """
    folder = local_folder(source, WHAT)
    if folder is None:
        return f"hub:{source}@{_pinned(source, revision)}"
    return folder_digest(folder, WHAT)


def fetch(source: str, revision: str | None) -> Path:
    """The folder with the teacher's files; a hub model is downloaded once, safetensors and JSON only.

    Raises:
        InputError: if the folder or the model does not exist, or the hub cannot be reached.
    """
    folder = local_folder(source, WHAT)
    if folder is not None:
        files_of(folder, WHAT)
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


def _pinned(source: str, revision: str | None) -> str:
    if revision is None or not _COMMIT.fullmatch(revision):
        raise InputError(
            f"the teacher {source!r} is not pinned",
            where=f"teacher.revision is {revision!r}",
            fix="give the full 40-digit commit of the model's repository",
        )
    return revision

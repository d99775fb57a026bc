"""Copies of artifacts' files that are checked while they are made."""

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cache.manifest import Artifact
from cache.objects import locked
from scene.errors import InputError


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder that is gone afterwards, or that garbage collection takes away after a kill: this locks it meanwhile."""
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        while True:
            folder = parent / f"{name}-{secrets.token_hex(4)}"
            folder.mkdir()
            with suppress(FileNotFoundError):
                stack.enter_context(locked(folder))
                if folder.exists():  # and not collected just before it was locked
                    break
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def copy_checked(source: Path, target: Path, sha256: str, artifact: Artifact) -> None:
    """Copies one file of an artifact, hashing what is written.

    Raises:
        InputError: if the bytes are not those of the manifest.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
    if digest.hexdigest() != sha256:
        where = f"{artifact.stage} {artifact.key[:12]}, {source}"
        raise InputError("a file of the artifact is damaged", where=where, fix=artifact.remedy)


_BLOCK = 1 << 20

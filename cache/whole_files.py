"""Files of artifacts that are read as a whole, such as weights."""

import hashlib
from pathlib import Path

from cache.manifest import Artifact
from scene.errors import InputError


def read_checked(file: Path) -> bytes:
    """The bytes of a file; where it lies in an artifact, they are those that were committed.

    Raises:
        InputError: if they are not, or the artifact's manifest cannot be read.
        OSError: if the file cannot be read.
    """
    content = file.read_bytes()
    if artifact := Artifact.around(file):
        listed = artifact.entry_of(file)
        if listed is not None and hashlib.sha256(content).hexdigest() != listed.sha256:
            raise InputError("the file is damaged", where=str(file), fix=artifact.remedy)
    return content

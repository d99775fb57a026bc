"""Copies a trained teacher from the cache to the place from which this repository loads it.

python -m stages.learn.teacher.publish ARTIFACT_FOLDER
"""

import hashlib
import sys
from pathlib import Path

from cache.manifest import Artifact
from models.teachers.source import EMBEDDED_FOLDER

PUBLISHED = ("README.md", "config.json", "model.safetensors", "preprocessor_config.json")
CHECKSUMS = "SHA256SUMS"


def publish(artifact: Artifact, folder: Path = EMBEDDED_FOLDER) -> None:
    """Replaces the files in `folder` by the artifact's, and writes their checksums beside them (for `sha256sum -c`)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in PUBLISHED:
        content = (artifact.path / name).read_bytes()
        (folder / name).write_bytes(content)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (folder / CHECKSUMS).write_text("".join(lines))


if __name__ == "__main__":
    publish(Artifact.open(Path(sys.argv[1])))

"""Copies trained weights from the cache to the place from which this repository loads them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cache.manifest import Artifact

CHECKSUMS = "SHA256SUMS"


def publish(artifact: Artifact, folder: Path, names: Sequence[str]) -> None:
    """Replaces files in `folder` by the artifact's, and writes their checksums beside them (for `sha256sum -c`)."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in names:
        content = (artifact.path / name).read_bytes()
        (folder / name).write_bytes(content)
        lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (folder / CHECKSUMS).write_text("".join(lines))

"""Copies a trained backbone from the cache to the place from which this repository loads it.

python -m stages.learn.backbone.publish ARTIFACT_FOLDER
"""

import sys
from pathlib import Path

from cache.manifest import Artifact
from models.bev.source import EMBEDDED_FOLDER
from stages.labelled_images.publish import publish

PUBLISHED = ("README.md", "config.json", "model.safetensors", "neck.safetensors")

if __name__ == "__main__":
    publish(Artifact.open(Path(sys.argv[1])), EMBEDDED_FOLDER, PUBLISHED)

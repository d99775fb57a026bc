"""The bytes of a world's files: the same content gives the same bytes."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def encode_jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """JPEG of an (h, w, 3) image with chroma at full resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    return encoded.tobytes()


def write_json(file: Path, value: Any) -> None:
    """Writes compact JSON; the order of keys is that of insertion, so equal records give equal bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")

"""Reading camera images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from scene.errors import InputError


def read_image(file: Path, hw_px: tuple[int, int], frame_token: str, camera: str) -> NDArray[np.uint8]:
    """RGB image (3, height, width) resized to `hw_px` (PIL's bilinear filter, which averages when it shrinks).

    Raises:
        InputError: if the file is missing, cut short or no image; names file, camera and sample token.
    """
    try:
        with Image.open(file) as stored:
            image = stored.convert("RGB")
    except FileNotFoundError:
        raise InputError("a camera image is missing", where=_where(file, frame_token, camera), fix=_FIX) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        what = f"a camera image cannot be read ({error})"
        raise InputError(what, where=_where(file, frame_token, camera), fix=_FIX) from error
    if image.size != (hw_px[1], hw_px[0]):
        image = image.resize((hw_px[1], hw_px[0]), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


_FIX = "restore the file, or index the data set again without its frame (--skip-bad-frames)"


def _where(file: Path, frame_token: str, camera: str) -> str:
    return f"{file}, {camera} of sample {frame_token}"

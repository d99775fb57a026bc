"""Whether camera images are there and whole."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True)
class ImageCheck:
    """A file's size in bytes (0 where it cannot be read), and what is wrong with it ("" where nothing is)."""

    num_bytes: int
    fault: str = ""


def check_image(file: Path, wh_px: tuple[int, int], mode: str) -> ImageCheck:
    """Checks one file.

    Args:
        file: the image.
        wh_px: the (width, height) that the tables promise.
        mode: see `IndexSettings.check_images`.
    """
    try:
        num_bytes = file.stat().st_size
        if not file.is_file():
            return ImageCheck(0, "is no file")
        if num_bytes == 0:
            return ImageCheck(0, "is empty")
        return ImageCheck(num_bytes, "" if mode == "exists" else _content_fault(file, wh_px, mode))
    except FileNotFoundError:
        return ImageCheck(0, "is missing")
    except OSError as error:
        return ImageCheck(0, f"cannot be read ({error.strerror or error})")


def _content_fault(file: Path, wh_px: tuple[int, int], mode: str) -> str:
    """Reads the header; decodes the image where asked to, or where it does not end as a whole JPEG ends."""
    try:
        with file.open("rb") as stream, Image.open(stream) as image:
            if image.size != wh_px:
                return f"has {image.size[0]}x{image.size[1]} px, not {wh_px[0]}x{wh_px[1]} as the table says"
            if mode == "full" or image.format != "JPEG" or not _has_end_marker(file):
                image.load()
    except UnidentifiedImageError:
        return "is no image"
    except (OSError, SyntaxError, ValueError) as error:
        return f"is truncated or damaged ({error})"
    return ""


def _has_end_marker(file: Path) -> bool:
    with file.open("rb") as stream:
        stream.seek(-len(_JPEG_END), 2)
        return stream.read() == _JPEG_END

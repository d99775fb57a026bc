"""From the stored bytes of a chunk to its elements, each checksum verified."""

from dataclasses import dataclass
from typing import Any, Self

import google_crc32c
import numpy as np
from numcodecs import blosc, zstd
from numpy.typing import NDArray

CRC_BYTES = 4
COMPRESSORS = ("zstd", "blosc")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

# Those who read use all cores with threads or processes of their own; and Blosc's pool does not survive a fork.
blosc.use_threads = False


class Damage(Exception):
    """What is wrong with stored bytes."""


@dataclass(frozen=True)
class Decoder:
    """A chain of codecs behind Zarr's `bytes`: at most one compressor, then at most one CRC32C.

    Both compressors are bound by numcodecs, which writes to where the data belong, releases the interpreter lock and
    comes with zarr. For Zstandard it is as fast as the packages zstandard, cramjam and backports.zstd (within 5 %).

    Attributes:
        compressor: one of `COMPRESSORS`, or None.
        has_crc: whether the CRC32C of all that is before it follows. Without one, Zstandard's own checksum of the
            content is asked for.
    """

    compressor: str | None
    has_crc: bool

    @classmethod
    def parse(cls, codecs: list[dict[str, Any]]) -> Self:
        """The decoder of a codec chain in zarr.json.

        Raises:
            ValueError: for any other chain, or one that would not notice damage.
        """
        names = [codec["name"] for codec in codecs]
        compressor = names[0] if names and names[0] in COMPRESSORS else None
        has_crc = names[bool(compressor) :] == ["crc32c"]
        if len(names) != bool(compressor) + has_crc:
            raise ValueError(f"codecs {names}")
        if not has_crc and (compressor != "zstd" or not codecs[0]["configuration"].get("checksum")):
            raise ValueError(f"codecs {names} without a checksum")
        return cls(compressor, has_crc)

    def decode(self, stored: bytes, target: NDArray[np.uint8]) -> None:
        """Decodes into `target` (bytes,), which is filled.

        Raises:
            Damage: if the stored bytes do not decode to exactly that.
        """
        content = without_crc(stored) if self.has_crc else np.frombuffer(stored, np.uint8)
        try:
            if self.compressor == "zstd":
                _check_zstd_header(stored, target.nbytes, needs_checksum=not self.has_crc)
                zstd.decompress(content, target)
            elif self.compressor == "blosc":
                blosc.decompress(content, target)
            else:
                target[:] = content
        except (RuntimeError, ValueError) as error:
            raise Damage(str(error)) from error


def without_crc(stored: bytes) -> NDArray[np.uint8]:
    """The bytes before a CRC32C, not copied.

    Raises:
        Damage: if it is not theirs.
    """
    if len(stored) < CRC_BYTES:
        raise Damage("cut short")
    content = np.frombuffer(stored, np.uint8, len(stored) - CRC_BYTES)
    if google_crc32c.value(content) != int.from_bytes(stored[-CRC_BYTES:], "little"):
        raise Damage("checksum does not match")
    return content


def _check_zstd_header(frame: bytes, content_bytes: int, *, needs_checksum: bool) -> None:
    """Raises Damage unless the header of a Zstandard frame (RFC 8878, 3.1.1.1) tells of that much content.

    The library believes a header: one flipped bit, and it would leave out the checksum, or fill less than all.
    """
    if len(frame) < 5 or frame[:4] != ZSTD_MAGIC:
        raise Damage("no Zstandard frame")
    descriptor = frame[4]
    is_single_segment, has_checksum, unused_or_dictionary = descriptor & 0x20, descriptor & 0x04, descriptor & 0x1B
    size = (1 if is_single_segment else 0, 2, 4, 8)[descriptor >> 6]
    start = 5 if is_single_segment else 6
    told = int.from_bytes(frame[start : start + size], "little") + (256 if size == 2 else 0)
    if unused_or_dictionary or not size or told != content_bytes or (needs_checksum and not has_checksum):
        raise Damage("its header is not that of such a chunk")

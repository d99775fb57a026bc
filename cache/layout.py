"""How the chunks of a Zarr v3 array lie in its files, read off zarr.json without opening zarr."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cache.decoding import CRC_BYTES, Decoder
from cache.durable import sha256_of
from cache.manifest import Artifact
from cache.schema import METADATA_FILE
from scene.errors import InputError

INTEGERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
DTYPES = {"bool", *INTEGERS, "float16", "float32", "float64"}
INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]


class _OtherLayout(Exception):
    """A part of the metadata that is not of the one layout that is read here."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Regular chunks in C order, little endian, compressed or not, with a checksum, in shards or a file each.

    Source: the Zarr v3 core specification with its codecs sharding 1.0, blosc and crc32c, and zarr-extensions' zstd.

    Attributes:
        shape: of the array, at least one axis.
        dtype: of its elements.
        dims: a name for each axis; None where it has none.
        chunk: shape of what is compressed at once; at the array's edge a chunk reaches beyond it.
        chunks_per_shard: along each axis; None: each chunk is a file.
        decoder: of a chunk's stored bytes.
        separator: between the numbers in a file's name.
        fill_value: a scalar () of `dtype`: an element that was never written.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dims: tuple[str | None, ...]
    chunk: tuple[int, ...]
    chunks_per_shard: tuple[int, ...] | None
    decoder: Decoder
    separator: str
    fill_value: NDArray[Any]

    @property
    def index_bytes(self) -> int:
        """Size of the index at the end of a shard: offset and size of each chunk, and a checksum."""
        return 16 * prod(self.chunks_per_shard) + CRC_BYTES if self.chunks_per_shard else 0

    def place(self, chunk: tuple[int, ...]) -> tuple[str, int]:
        """The name of the file that holds a chunk, by its position in the grid, and its number in that file."""
        number = 0
        if self.chunks_per_shard is not None:
            for position, count in zip(chunk, self.chunks_per_shard, strict=True):
                number = number * count + position % count
            chunk = tuple(position // count for position, count in zip(chunk, self.chunks_per_shard, strict=True))
        return self.separator.join(("c", *map(str, chunk))), number

    @classmethod
    def parse(cls, metadata: dict[str, Any], where: str) -> Self:
        """The layout in the contents of zarr.json; `where` is named in errors.

        Raises:
            InputError: if the array is of another layout, which zarr may still read.
        """
        try:
            return cls._parse(metadata)
        except (_OtherLayout, LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"no array as the cache writes them: {error or type(error).__name__}"
            raise InputError(what, where=where, fix="read it with the zarr library") from error

    @classmethod
    def _parse(cls, metadata: dict[str, Any]) -> Self:
        _expect("format", (metadata["zarr_format"], metadata["node_type"]), (3, "array"))
        _expect("chunk grid", metadata["chunk_grid"]["name"], "regular")
        _expect("chunk keys", metadata["chunk_key_encoding"]["name"], "default")
        _expect("storage transformers", metadata.get("storage_transformers", []), [])
        if metadata["data_type"] not in DTYPES:
            raise _OtherLayout(f"data type {metadata['data_type']}")
        shape = tuple(metadata["shape"])
        dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        chunk, chunks_per_shard = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"]), None
        if not (codecs := metadata["codecs"]):
            raise _OtherLayout("codecs: none")
        if codecs[0]["name"] == "sharding_indexed":
            _expect("number of codecs", len(codecs), 1)
            sharding = codecs[0]["configuration"]
            _expect("index location", sharding.get("index_location", "end"), "end")
            _expect("index codecs", sharding["index_codecs"], INDEX_CODECS)
            shard, chunk, codecs = chunk, tuple(sharding["chunk_shape"]), sharding["codecs"]
            chunks_per_shard = tuple(whole // part for whole, part in zip(shard, chunk, strict=True))
        _expect("codecs", codecs[0]["name"], "bytes")
        if dtype.itemsize > 1:
            _expect("byte order", codecs[0]["configuration"]["endian"], "little")
        decoder = Decoder.parse(codecs[1:])
        if not shape or len(chunk) != len(shape) or min(chunk) < 1:
            raise _OtherLayout(f"shape {shape} in chunks {chunk}")
        fill_value = np.array(metadata["fill_value"]).astype(dtype)  # "NaN" and "Infinity" are numbers to numpy
        separator = metadata["chunk_key_encoding"].get("configuration", {}).get("separator", "/")
        dims = tuple(metadata.get("dimension_names") or [None] * len(shape))
        return cls(shape, dtype, dims, chunk, chunks_per_shard, decoder, separator, fill_value)


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise _OtherLayout(f"{what} {found}")


def read_metadata(folder: Path, artifact: Artifact | None) -> dict[str, Any]:
    """The contents of a folder's zarr.json, compared with the artifact that it lies in.

    Raises:
        InputError: if there is none, or not the one that was committed.
    """
    file = folder / METADATA_FILE
    if artifact is not None:
        entry = artifact.entry_of(file)
        if entry is not None and (not file.is_file() or sha256_of(file) != entry.sha256):
            raise InputError("array metadata are damaged", where=str(file), fix=artifact.remedy)
    try:
        metadata: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        fix = "check the path, or build the artifact again"
        raise InputError("no Zarr metadata that can be read", where=str(file), fix=fix) from error
    return metadata

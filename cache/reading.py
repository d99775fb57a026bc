"""Random access to the arrays of artifacts: plain reads, decoded in place, without zarr's event loop.

Reads what `cache.arrays` writes. Every checksum is verified: that of the metadata against the manifest, that of a
shard's index, and that of each chunk. Nothing stays open in a reader: it may be made before a fork, pickled, and used
by several threads.
"""

import operator
import os
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.decoding import Damage, without_crc
from cache.handles import HANDLES, OpenFile
from cache.layout import Layout, read_metadata
from cache.manifest import Artifact
from cache.schema import METADATA_FILE
from scene.errors import InputError

NOT_WRITTEN = 2**64 - 1
"""Offset and size, in the index of a shard, of a chunk that was never written (Zarr's sharding codec, 1.0)."""

Part = tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...], bool]


class ArrayReader:
    """One array.

    Args:
        path: its folder.
        artifact: what it is part of; None for an array outside any: then a chunk without a file was never written.

    Attributes:
        shape, dtype: of the array.
        dims: a name for each axis, None where it has none.

    Raises:
        InputError: if there is no array, its metadata are not those that were committed, or it is of another layout
            than `Layout` describes.
    """

    def __init__(self, path: Path, artifact: Artifact | None = None) -> None:
        self._folder = str(path)
        self._layout = Layout.parse(read_metadata(path, artifact), str(path))
        self._where, self._fix = str(path), "check the path, or build the array again"
        self._sizes: dict[str, int] | None = None
        if artifact is not None:
            self._where, self._fix = f"artifact {artifact.stage} {artifact.key[:12]}, {path}", artifact.remedy
            prefix = path.absolute().relative_to(artifact.path.absolute()).as_posix() + "/"
            files = artifact.manifest.files.items()
            self._sizes = {name.removeprefix(prefix): e.bytes for name, e in files if name.startswith(prefix)}
        axes = zip(self._layout.shape[1:], self._layout.chunk[1:], strict=True)
        self._parts = [_part(chosen) for chosen in product(*(list(_along(size, chunk)) for size, chunk in axes))]
        self.shape, self.dtype, self.dims = self._layout.shape, self._layout.dtype, self._layout.dims

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int | slice) -> NDArray[Any]:
        """The element at `index` along the first axis, of shape `shape[1:]`, or all those of a slice with step 1.

        Raises:
            IndexError: if there is no such element.
            InputError: naming the chunk that is damaged, cut short or missing, and what to do about it.
        """
        start, stop = self._rows(index)
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        self._fill(rows, start, stop)
        return rows if isinstance(index, slice) else rows[0, ...]

    def _rows(self, index: int | slice) -> tuple[int, int]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f"slices are read with step 1, not {step}")
            return start, max(start, stop)
        row = operator.index(index)
        row += len(self) if row < 0 else 0
        if not 0 <= row < len(self):
            raise IndexError(f"no element {index} among {len(self)}")
        return row, row + 1

    def _fill(self, rows: NDArray[Any], start: int, stop: int) -> None:
        """Decodes each chunk where it belongs, or beside where only a part of it is wanted."""
        height = self._layout.chunk[0]
        for first in range(start // height, -(-stop // height)):
            low, high = max(start, first * height), min(stop, (first + 1) * height)
            for chunk, inside, outside, is_whole in self._parts:
                target = rows[(slice(low - start, high - start), *outside)]
                if is_whole and high - low == height and target.flags.c_contiguous:
                    self._read_chunk((first, *chunk), target)
                else:
                    whole = np.empty(self._layout.chunk, self.dtype)
                    self._read_chunk((first, *chunk), whole)
                    target[...] = whole[(slice(low - first * height, high - first * height), *inside)]

    def _read_chunk(self, chunk: tuple[int, ...], target: NDArray[Any]) -> None:
        key, number = self._layout.place(chunk)
        try:
            stored = self._stored(key, number)
            if stored is None:
                target[...] = self._layout.fill_value
            else:
                self._layout.decoder.decode(stored, target.reshape(-1).view(np.uint8))
        except Damage as error:
            part = f" in its part {'/'.join(map(str, chunk))}" if self._layout.chunks_per_shard else ""
            raise self._error(key, f"is damaged{part}: {error}", self._fix) from error
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._error(key, "is missing", self._fix) from error
        except OSError as error:
            fix = "check the disk, its permissions and the limit of open files"
            raise self._error(key, f"cannot be read: {error.strerror}", fix) from error

    def _error(self, key: str, what: str, fix: str) -> InputError:
        HANDLES.forget(f"{self._folder}/{key}")
        return InputError(f"chunk {Path(self._folder).name}/{key} {what}", where=self._where, fix=fix)

    def _stored(self, key: str, number: int) -> bytes | None:
        """The bytes of a chunk as stored; None if it was never written."""
        expected = None if self._sizes is None else self._sizes.get(key, NOT_WRITTEN)
        if expected == NOT_WRITTEN:
            return None
        try:
            file = HANDLES.get(f"{self._folder}/{key}")
        except FileNotFoundError:
            if expected is None:
                return None
            raise
        if expected is not None and file.size != expected:
            raise Damage(f"{file.size} bytes instead of {expected}")
        if not self._layout.chunks_per_shard:
            return _read(file, 0, file.size)
        if file.index is None:
            file.index = self._read_index(file)
        offset, size = file.index[number]
        return None if offset == size == NOT_WRITTEN else _read(file, offset, size)

    def _read_index(self, file: OpenFile) -> list[tuple[int, int]]:
        size = self._layout.index_bytes
        numbers = without_crc(_read(file, file.size - size, size)).view("<u8").tolist()
        return list(zip(numbers[::2], numbers[1::2], strict=True))


class GroupReader(Mapping[str, ArrayReader]):
    """The arrays of a group by name.

    Args:
        path: the group's folder, in an artifact or not.

    Attributes:
        attributes: of the group, JSON values.

    Raises:
        InputError: if there is no group, or one of its arrays cannot be opened; see `ArrayReader`.
    """

    def __init__(self, path: Path) -> None:
        artifact = Artifact.around(path)
        self.attributes: dict[str, Any] = read_metadata(path, artifact).get("attributes", {})
        if artifact is None:
            folders = sorted(file.parent for file in path.glob(f"*/{METADATA_FILE}"))
        else:
            prefix = path.absolute().relative_to(artifact.path.absolute())
            listed = [Path(name) for name in artifact.manifest.files if name.endswith(f"/{METADATA_FILE}")]
            folders = sorted(artifact.path / f.parent for f in listed if f.parent.parent == prefix)
        self._arrays = {folder.name: ArrayReader(folder, artifact) for folder in folders}

    def __getitem__(self, name: str) -> ArrayReader:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def _along(size: int, chunk: int) -> Iterator[tuple[int, slice, slice, bool]]:
    """Each chunk along an axis: its number, what of it is inside the array, where that is, and whether it is all."""
    for number in range(-(-size // chunk)):
        start, stop = number * chunk, min((number + 1) * chunk, size)
        yield number, slice(0, stop - start), slice(start, stop), stop - start == chunk


def _part(chosen: tuple[tuple[int, slice, slice, bool], ...]) -> Part:
    return (
        tuple(c[0] for c in chosen),
        tuple(c[1] for c in chosen),
        tuple(c[2] for c in chosen),
        all(c[3] for c in chosen),
    )


def _read(file: OpenFile, offset: int, size: int) -> bytes:
    if offset < 0 or offset + size > file.size:
        raise Damage("cut short")
    content = os.pread(file.fd, size, offset)
    if len(content) != size:
        raise Damage("cut short")
    return content

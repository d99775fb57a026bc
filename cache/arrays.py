"""Arrays on disk: Zarr v3 groups, compressed, with checksums, that any Zarr library opens."""

import asyncio
import atexit
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
import zarr.core.sync
from numpy.typing import DTypeLike
from zarr.abc.store import ByteRequest
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, MemoryStore

from cache.durable import sha256_of, write_atomically
from cache.manifest import Artifact, FileEntry
from cache.schema import METADATA_FILE
from scene.errors import InputError

Compression = Literal["zstd", "lz4"]
COMPRESSORS: dict[Compression, list[Any]] = {
    "zstd": [ZstdCodec(level=3, checksum=True)],
    "lz4": [BloscCodec(cname="lz4hc", clevel=7, shuffle="noshuffle", typesize=1), Crc32cCodec()],
}
"""Codecs of a chunk, with a checksum; `blosc` and `crc32c` are in the Zarr v3 specification, `zstd` extends it."""

# A chunk of nothing but the fill value is written like any other: then a chunk that is not there is damage.
zarr.config.set({"array.write_empty_chunks": True})


@atexit.register
def _await_requests() -> None:
    """Lets zarr's requests end before its event loop does.

    After a failed read or write, those beside it are still under way, and asyncio would complain of each at exit: a
    full disk would be a page of noise instead of one line.
    """

    async def wait() -> None:
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=5)

    if zarr.core.sync.loop[0] is not None:
        zarr.core.sync.sync(wait())


@dataclass(frozen=True)
class ArraySpec:
    """One array of a group.

    Attributes:
        name: its name in the group.
        shape, chunks: in elements; a chunk is what is compressed and read at once.
        dtype: any fixed-size numpy type.
        shards: in elements, multiples of `chunks`: many chunks in one file. Exactly one process may write a shard at a
            time. None: each chunk is a file, and each file has one writer.
        dims: a name for each axis.
        fill_value: what an element reads as before it is written.
        units: of the values, e.g. "m" or "px"; "" for pure numbers.
        attributes: more facts, JSON values.
        compression: "zstd" is the smallest. "lz4" is for what is read again and again in training: class maps are
            decoded 3 times as fast, are 20 % larger and take 10 times as long to write (`benchmarks.reading`).
    """

    name: str
    shape: tuple[int, ...]
    dtype: DTypeLike
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    dims: tuple[str, ...]
    fill_value: int | float | bool
    units: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    compression: Compression = "zstd"


def create_arrays(path: Path, specs: Sequence[ArraySpec], attributes: Mapping[str, Any] | None = None) -> zarr.Group:
    """A writable group with the arrays of `specs`; what is there already is kept, so a resumed build just calls again.

    Equal specs give equal bytes.

    Raises:
        InputError: if an array of that name is there with another spec.
    """
    for name, content in _metadata(specs, attributes or {}).items():
        file = path / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, content, durable=False)
        elif json.loads(file.read_bytes()) != json.loads(content):
            fix = "delete that folder, and raise the stage's version if its code has changed"
            raise InputError("an unfinished array has another layout than this run's", where=str(file.parent), fix=fix)
    return open_arrays(path, "r+")


def open_arrays(path: Path, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """The group at `path`: "r" to read, "r+" to write elements of existing arrays.

    Reading inside an artifact is checked: the metadata against the manifest here, each file of chunks before its first
    byte is read, each chunk by its own checksum too, and a chunk that was lost is an error instead of the fill value.
    Open in each process anew, after any
    fork.

    Raises:
        InputError: if there is no group, or its metadata are not those that were committed.
    """
    artifact = Artifact.around(path) if mode == "r" else None
    if artifact is not None:
        _check_metadata(path, artifact)
    if not (path / METADATA_FILE).exists():
        raise InputError("no Zarr group", where=str(path), fix="check the path, or build the artifact again")
    if mode == "r+":
        return zarr.open_group(LocalStore(path), mode="r+", use_consolidated=False)
    if artifact is None:
        return zarr.open_group(LocalStore(path, read_only=True), mode="r", use_consolidated=False)
    return zarr.open_group(ArtifactStore(path, artifact), mode="r", use_consolidated=False)


def chunk_files(path: Path, span: slice) -> list[Path]:
    """The files that hold elements `span` along the first axis, of every array of the group at `path`.

    Raises:
        ValueError: if one of them also holds elements outside `span`: a file has one writer.
    """
    files: list[Path] = []
    for metadata_file in sorted(path.rglob(METADATA_FILE)):
        metadata = json.loads(metadata_file.read_bytes())
        if metadata["node_type"] != "array":
            continue
        length, step = metadata["shape"][0], metadata["chunk_grid"]["configuration"]["chunk_shape"][0]
        stop = min(span.stop, length)
        if span.start % step or (stop % step and stop != length):
            raise ValueError(f"elements {span.start}:{span.stop} are no whole files of {metadata_file.parent}")
        files += [metadata_file.parent / "c" / str(index) for index in range(span.start // step, -(-stop // step))]
    return files


class ArtifactStore(LocalStore):  # type: ignore[misc]
    """A read-only Zarr store in an artifact: each file is compared with the manifest before the first byte is read."""

    def __init__(self, root: Path, artifact: Artifact) -> None:
        super().__init__(root, read_only=True)
        self._artifact = artifact
        self._prefix = root.absolute().relative_to(artifact.path.absolute()).as_posix()
        self._compared: dict[str, tuple[int, ...]] = {}

    def with_read_only(self, read_only: bool = False) -> "ArtifactStore":
        """An artifact is never written."""
        if not read_only:
            raise ValueError(f"artifacts are read-only: {self.root}")
        return self

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of a file or of a part of it.

        Raises:
            InputError: if the manifest lists the file and it is not there, not of its size, or not of its digest.
        """
        if (entry := self._artifact.manifest.files.get(f"{self._prefix}/{key}")) is not None:
            await asyncio.to_thread(self._compare, key, entry)
        return await super().get(key, prototype, byte_range)

    def _compare(self, key: str, listed: FileEntry) -> None:
        """Raises InputError unless the file is as listed. It is read for that once, and again when it has changed."""
        file = self.root / key
        try:
            state = file.stat()
            seen = (state.st_ino, state.st_size, state.st_mtime_ns)
            if self._compared.get(key) == seen:
                return
            wrong = "cut short" if state.st_size < listed.bytes else "damaged"
            if state.st_size == listed.bytes and sha256_of(file) == listed.sha256:
                self._compared[key] = seen
                return
        except (FileNotFoundError, NotADirectoryError):
            wrong = "missing"
        where = f"artifact {self._artifact.stage} {self._artifact.key[:12]}, {self.root}"
        raise InputError(f"chunk {key} is {wrong}", where=where, fix=self._artifact.remedy)


def _metadata(specs: Sequence[ArraySpec], attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """The zarr.json files, by relative path, that describe a group of these arrays."""
    memory: dict[str, Buffer] = {}
    group = zarr.create_group(MemoryStore(memory), attributes=dict(sorted(attributes.items())))
    for spec in specs:
        extra = {"units": spec.units} if spec.units else {}
        group.create_array(
            spec.name,
            shape=spec.shape,
            dtype=np.dtype(spec.dtype),
            chunks=spec.chunks,
            shards=spec.shards,
            compressors=COMPRESSORS[spec.compression],
            filters=None,
            fill_value=spec.fill_value,
            dimension_names=spec.dims,
            attributes=dict(sorted({**spec.attributes, **extra}.items())),
        )
    return {name: buffer.to_bytes() for name, buffer in memory.items()}


def _check_metadata(path: Path, artifact: Artifact) -> None:
    prefix = path.absolute().relative_to(artifact.path.absolute())
    for name, entry in artifact.manifest.files.items():
        if Path(name).name == METADATA_FILE and Path(name).is_relative_to(prefix):
            file = artifact.path / name
            if not file.exists() or sha256_of(file) != entry.sha256:
                raise InputError("array metadata are damaged", where=str(file), fix=artifact.remedy)

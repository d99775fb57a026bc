"""The manifest: what an artifact is, where it came from, and the digest of every byte in it."""

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any, Self

from cache.documents import digest_of, seal
from cache.keys import KEY, KeySpec
from scene.errors import InputError

MANIFEST_FORMAT = 2
MANIFEST_FILE = "manifest.json"
MANIFEST_COPY = "manifest.copy.json"
"""Holds the same bytes, so that damage to either can be mended."""
RECOMPUTE = "`bevprior verify` tells more"
_NOT_PLAIN = {"", ".", ".."}


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact.

    Attributes:
        bytes: its size.
        sha256: of its bytes, hexadecimal.
        unit: the unit of work that wrote it, "" for what the stage wrote at its end. Never part of a digest.
    """

    bytes: int
    sha256: str
    unit: str = ""


def is_whole(file: Path, entry: FileEntry) -> bool:
    """Whether it is a plain file of the listed size. Says nothing about its bytes."""
    try:
        state = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(state.st_mode) and state.st_size == entry.bytes


def digest_of_files(files: Mapping[str, FileEntry]) -> str:
    """The output digest: SHA-256 over the sorted (path, digest) pairs, whoever computed them and whenever."""
    quote = encode_basestring_ascii  # each line is `json.dumps([path, digest])`, at a fifth of the time
    lines = [f"[{quote(path)}, {quote(files[path].sha256)}]" for path in sorted(files)]
    return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Manifest:
    """Everything the store knows about an artifact.

    Attributes:
        spec: what decided the content.
        parents: key of the artifact behind each input role: the lineage.
        files: every file by its path relative to the artifact, with forward slashes.
        schema: for each array its shape, dtype, dims and units.
        statistics: what the stage found worth telling; JSON values.
        provenance: who, when, with what and at what cost. Never part of the output digest. `cost` has attempts,
            wall_s, cpu_s and peak_memory_bytes; `recorded` has what the stage gave to `Build.record`.
    """

    spec: KeySpec
    parents: Mapping[str, str]
    files: Mapping[str, FileEntry]
    schema: Mapping[str, Any] = field(default_factory=dict)
    statistics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The artifact's key."""
        return self.spec.key

    @cached_property
    def output_digest(self) -> str:
        """Digest of the content alone; see `digest_of_files`."""
        return digest_of_files(self.files)

    def to_json(self) -> bytes:
        """The bytes of manifest.json."""
        document: dict[str, Any] = {
            "format": MANIFEST_FORMAT,
            "key": self.key,
            "output_digest": self.output_digest,
            "spec": self.spec.document(),
            "parents": dict(self.parents),
            "schema": self.schema,
            "statistics": self.statistics,
            "provenance": self.provenance,
            "files": {path: asdict(self.files[path]) for path in sorted(self.files)},
        }
        return seal(document, indent=1)

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Self:
        """Parses and checks manifest.json; `where` is named in errors.

        Raises:
            InputError: for a newer format, a file list that leaves the artifact, or contents that do not agree with
                the digests beside them.
        """
        try:
            document = json.loads(text)
            if document["format"] != MANIFEST_FORMAT:
                whose = "a newer" if document["format"] > MANIFEST_FORMAT else "an older"
                what = f"cache written by {whose} version (manifest format {document['format']})"
                raise InputError(what, where=where, fix="use that version, or another cache folder")
            spec = document["spec"]
            agrees = document.pop("sha256") == digest_of(document)
            manifest = cls(
                KeySpec(spec["stage"], spec["version"], spec["settings"], spec["inputs"], spec["external"]),
                document["parents"],
                {path: FileEntry(**entry) for path, entry in document["files"].items()},
                document["schema"],
                document["statistics"],
                document["provenance"],
            )
            agrees &= (document["key"], document["output_digest"]) == (manifest.key, manifest.output_digest)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError("manifest cannot be read", where=where, fix=RECOMPUTE) from error
        for path in manifest.files:
            check_relative(path, where)
        if not agrees:
            raise InputError("manifest does not agree with its own digests", where=where, fix=RECOMPUTE)
        return manifest


def check_relative(path: str, where: str) -> None:
    """Refuses a path that could lead out of its artifact.

    Raises:
        InputError: for an absolute path, `..`, a backslash, or any spelling that is not the plainest one.
    """
    if "\\" in path or "\0" in path or not _NOT_PLAIN.isdisjoint(path.split("/")):
        raise InputError(f"manifest lists the unsafe path {path!r}", where=where, fix="do not use this cache")


@dataclass(frozen=True)
class Artifact:
    """A finished artifact: a folder with its manifest.

    Attributes:
        path: the folder; read below it, never write.
        manifest: what is in it.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Self:
        """The artifact in a folder.

        Raises:
            InputError: see `Manifest.from_json`; also where the folder's name is not the manifest's key.
        """
        manifest = cls.read_manifest(path)
        if path.name != manifest.key:
            raise InputError(f"folder holds the artifact {manifest.key[:12]}", where=str(path), fix=RECOMPUTE)
        return cls(path, manifest)

    @staticmethod
    def read_manifest(path: Path) -> Manifest:
        """The manifest in a folder, whatever the folder's name."""
        try:
            text = (path / MANIFEST_FILE).read_bytes()
        except OSError as error:
            raise InputError("manifest cannot be read", where=str(path), fix=RECOMPUTE) from error
        return Manifest.from_json(text, str(path))

    @classmethod
    def around(cls, path: Path) -> Self | None:
        """The artifact that `path` lies in, None where it lies in none."""
        for folder in path.absolute().parents:
            if KEY.fullmatch(folder.name) and (folder / MANIFEST_FILE).exists():
                return cls.open(folder)
        return None

    def entry_of(self, file: Path) -> FileEntry | None:
        """What the manifest lists of a file that lies in the artifact's folder; None where it lists none."""
        return self.manifest.files.get(file.absolute().relative_to(self.path.absolute()).as_posix())

    def check_complete(self) -> None:
        """Checks that every listed file is there with its size: a cache that was half copied is not used.

        Raises:
            InputError: naming the first file that is not.
        """
        for name, entry in self.manifest.files.items():
            file = self.path / name
            if not is_whole(file, entry):
                raise InputError("a file of the artifact is missing or cut short", where=str(file), fix=self.remedy)

    @property
    def remedy(self) -> str:
        """What to do about damage."""
        return f"bevprior repair {self.key[:12]}"

    @property
    def key(self) -> str:
        """64 hexadecimal digits."""
        return self.manifest.key

    @property
    def stage(self) -> str:
        """Name of the stage that made it."""
        return self.manifest.spec.stage

    @property
    def output_digest(self) -> str:
        """Digest of the content alone."""
        return self.manifest.output_digest

"""Artifacts as one tar file, and back. What comes in is checked name by name and byte by byte, and unpickled never."""

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cache.copying import scratch_folder
from cache.durable import PARTIAL
from cache.keys import KEY, STAGE_NAME
from cache.manifest import MANIFEST_FILE, Artifact, Manifest
from cache.store import ARTIFACTS, TRASH, Entry, Store
from cache.transfer import Transferred
from scene.errors import InputError

UNTRUSTED = "do not use this archive"


def export_tar(
    artifacts: Iterable[Artifact], file: Path, progress: Callable[[int], object] = lambda _: None
) -> list[Transferred]:
    """Writes artifacts, in this order, to a new tar file; it is there whole or not at all.

    Raises:
        InputError: if `file` exists, or its folder does not.
    """
    if file.exists():
        raise InputError("the file exists", where=str(file), fix="name another, or remove it")
    if not file.parent.is_dir():
        raise InputError("there is no such folder", where=str(file.parent), fix="make it, or name another")
    partial = file.with_name(f"{file.name}{PARTIAL}")
    done = []
    try:
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            for artifact in artifacts:
                folder = f"{ARTIFACTS}/{artifact.stage}/{artifact.key}"
                manifest = artifact.manifest.to_json()
                tar.addfile(_member(f"{folder}/{MANIFEST_FILE}", len(manifest)), io.BytesIO(manifest))
                for name, entry in artifact.manifest.files.items():
                    with (artifact.path / name).open("rb") as stream:
                        tar.addfile(_member(f"{folder}/{name}", entry.bytes), stream)
                    progress(entry.bytes)
                size = sum(entry.bytes for entry in artifact.manifest.files.values())
                done.append(Transferred(artifact.stage, artifact.key, size, copied=True))
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    return done


def import_tar(store: Store, file: Path, progress: Callable[[int], object] = lambda _: None) -> Iterator[Transferred]:
    """Reads the artifacts of a tar file into a cache, one after the other; yields what became of each.

    Raises:
        InputError: for anything but plain files of artifacts, each after its manifest and as the manifest lists it.
    """
    try:
        with tarfile.open(file, "r:*") as tar:
            yield from _imported(store, tar, str(file), progress)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | tarfile.ReadError):
            raise
        missing = isinstance(error, FileNotFoundError)
        what = "cannot read the archive: " + ("no such file" if missing else "no tar file, or not the whole of one")
        raise InputError(what, where=str(file), fix="check the path and the copy") from error


def _imported(
    store: Store, tar: tarfile.TarFile, where: str, progress: Callable[[int], object]
) -> Iterator[Transferred]:
    member = tar.next()
    while member is not None:
        entry, name = _placed(member, where)
        if name != MANIFEST_FILE:
            raise InputError(f"{member.name!r} comes before its manifest", where=where, fix=UNTRUSTED)
        manifest = Manifest.from_json(_read(tar, member), f"{where}, {member.name}")
        if (manifest.spec.stage, manifest.key) != (entry.stage, entry.key):
            raise InputError(f"{member.name!r} is another artifact's manifest", where=where, fix=UNTRUSTED)
        left = dict(manifest.files)
        with scratch_folder(store.prepared() / TRASH, f"{entry.stage}-{entry.key}") as folder:
            while (member := tar.next()) is not None:
                other, name = _placed(member, where)
                if other != entry:
                    break
                listed = left.pop(name, None)
                if listed is None or member.size != listed.bytes:
                    raise InputError(f"{member.name!r} is not what its manifest lists", where=where, fix=UNTRUSTED)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(_read(tar, member))
                progress(listed.bytes)
            if left:
                raise InputError(f"{next(iter(left))!r} is missing", where=f"{where}, {entry.name}", fix=UNTRUSTED)
            there = store.exists(entry)
            if not there:
                store.receive(Artifact(folder, manifest))  # which compares every digest
        yield Transferred(entry.stage, entry.key, sum(f.bytes for f in manifest.files.values()), not there)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Equal artifacts give equal archives: no time, owner or mode of this machine."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _placed(member: tarfile.TarInfo, where: str) -> tuple[Entry, str]:
    """Artifact and file that a member is; whatever is no plain file of an artifact is refused."""
    parts = member.name.split("/")
    if not member.isreg():
        raise InputError(f"{member.name!r} is no plain file", where=where, fix=UNTRUSTED)
    known = len(parts) > 3 and parts[0] == ARTIFACTS and STAGE_NAME.fullmatch(parts[1]) and KEY.fullmatch(parts[2])
    if not known or any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise InputError(f"{member.name!r} is no file of an artifact", where=where, fix=UNTRUSTED)
    return Entry(parts[1], parts[2]), "/".join(parts[3:])


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    assert stream is not None, "a plain file"
    return stream.read()

"""Turns a damaged artifact back into a build in which each undamaged unit is done: its stage has the rest to do."""

from collections.abc import Iterable
from contextlib import suppress

from cache.manifest import MANIFEST_COPY, MANIFEST_FILE, Artifact, FileEntry, Manifest
from cache.store import Entry, Store
from cache.verify import Damage
from cache.work import TMP, Receipt
from scene.errors import InputError


def restore_manifest(store: Store, entry: Entry) -> Artifact:
    """Makes the manifest and its copy agree again, from whichever is whole.

    Raises:
        InputError: if neither is.
    """
    for name in (MANIFEST_FILE, MANIFEST_COPY):
        text = store.read(entry, name)
        try:
            manifest = None if text is None else Manifest.from_json(text, name)
        except InputError:
            continue
        if manifest is None or manifest.key != entry.key:
            continue
        for other in (MANIFEST_COPY, MANIFEST_FILE):
            if store.read(entry, other) != manifest.to_json():
                store.objects.put(f"{entry.name}/{other}", manifest.to_json())
        return store.open(entry)
    raise InputError(
        "manifest and copy are both damaged, so nobody knows what it was",
        where=f"{entry.stage} {entry.key[:12]}",
        fix=f"`bevprior rm {entry.key[:12]}` and run its experiment again",
    )


def interrupted(store: Store) -> dict[Entry, Manifest]:
    """Artifacts whose repair was begun and not finished: each is a build, and no artifact until it is."""
    found = {}
    for name in store.objects.folders(TMP):
        record = store.objects.read(f"{TMP}/{name}/repaired")
        with suppress(InputError):
            if record is not None:
                manifest = Manifest.from_json(record.data, name)
                found[Entry(manifest.spec.stage, manifest.key)] = manifest
    return {entry: manifest for entry, manifest in found.items() if not store.exists(entry)}


def reopen(store: Store, artifact: Artifact, damages: Iterable[Damage]) -> int:
    """Makes `artifact` a build again; the number of its units that are still done.

    Killed at any instant, it leaves the damaged artifact, or the build.
    """
    entry = Entry(artifact.stage, artifact.key)
    damages = list(damages)
    for damage in damages:
        if damage.file not in artifact.manifest.files:
            store.objects.delete(f"{entry.name}/{damage.file}")
    broken = {damage.unit for damage in damages if damage.file in artifact.manifest.files}
    units: dict[str, dict[str, FileEntry]] = {}
    for file, listed in artifact.manifest.files.items():
        if listed.unit and listed.unit not in broken:
            units.setdefault(listed.unit, {})[file] = listed
        else:
            store.objects.delete(f"{entry.name}/{file}")
    wall_s = artifact.manifest.provenance.get("unit_wall_s", {})
    store.reopen(artifact, {unit: Receipt(files, wall_s.get(unit, 0.0)) for unit, files in units.items()})
    return len(units)

"""What is in a cache, as plain JSON values."""

from typing import Any

from cache.roots import pins
from cache.store import Artifact, Store
from cache.work import TMP
from scene.errors import InputError


def listing(store: Store) -> list[dict[str, Any]]:
    """One object for each artifact, whole or damaged, and each build in progress, by stage and key."""
    names: dict[str, list[str]] = {}
    for name, key in pins(store.objects, strict=False).items():
        names.setdefault(key, []).append(name)
    rows = []
    for entry in store.entries():
        try:
            row = describe(store.open(entry))
        except InputError as error:
            row = _row(entry.stage, entry.key, "damaged", f"{store.name}/{entry.name}") | {"damage": str(error)}
        rows.append(row | {"pins": names.get(entry.key, [])})
    for name in store.objects.folders(TMP):
        stage, _, key = name.rpartition("-")
        if key not in {row["key"] for row in rows}:
            done = sum(1 for _ in store.objects.scan(f"{TMP}/{name}/done"))
            where = f"{store.name}/{TMP}/{name}"
            rows.append(_row(stage, key, "partial", where) | {"units_done": done, "pins": []})
    return sorted(rows, key=lambda row: (row["stage"], row["key"]))


def describe(artifact: Artifact) -> dict[str, Any]:
    """A whole artifact."""
    size = sum(file.bytes for file in artifact.manifest.files.values())
    row = _row(artifact.stage, artifact.key, "cached", str(artifact.path))
    return row | {"output_digest": artifact.output_digest, "bytes": size}


def _row(stage: str, key: str, state: str, path: str) -> dict[str, Any]:
    return {"stage": stage, "key": key, "state": state, "output_digest": None, "bytes": 0, "path": path}

"""Makes a damaged artifact whole: its undamaged units stay, its stage does the others, and the digest tells."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.compare import differences, ingredients
from cache.manifest import Manifest
from cache.repair import reopen, restore_manifest
from cache.store import Artifact, Entry, Store
from cache.verify import Damage, verify
from pipeline.execute import make
from pipeline.keys import Keyed, keyed
from pipeline.plan import Step
from pipeline.table import STAGES, stage
from scene.errors import InputError
from scene.settings import Settings, ValidationError
from stages.stage import Runtime

DATA = "data set"


@dataclass(frozen=True)
class Repaired:
    """What became of one damaged artifact.

    Attributes:
        stage, key: of the artifact.
        damages: how many there were; 0 where the repair was begun before.
        units_kept: units of work that were whole and stayed.
        units: how many there are.
        same_content: whether the output digest is what it was.
        wall_s: the seconds it took.
    """

    stage: str
    key: str
    damages: int
    units_kept: int
    units: int
    same_content: bool
    wall_s: float


def repair(store: Store, entry: Entry, damages: Iterable[Damage], runtime: Runtime, data_root: Path | None) -> Repaired:
    """Repairs one artifact. Its inputs must be whole.

    Args:
        store: the cache.
        entry: the artifact.
        damages: of it, from `cache.verify.verify` with `full`.
        runtime: how to run its stage.
        data_root: the data set's folder, where it is not where it was.

    Raises:
        InputError: if it cannot be made again here: an input or the data set is gone, or the code is another.
    """
    start = time.monotonic()
    damages = list(damages)
    artifact = restore_manifest(store, entry)
    listed = [damage for damage in damages if damage.file in artifact.manifest.files]
    known, data = (_known(store, artifact, data_root)) if listed else (None, None)
    for needed in [*(known.inputs.values() if known else ()), *([data] if data else ())]:
        store.materialise(needed)  # a damaged input is told of before anything is touched
    kept = reopen(store, artifact, damages) if listed else _remove_strays(store, entry, damages)
    again = artifact if known is None else make(known, data, store, runtime)[0]
    return _repaired(artifact.manifest, again, len(damages), kept, start)


def finish(store: Store, manifest: Manifest, runtime: Runtime, data_root: Path | None) -> Repaired:
    """Goes on with a repair that was stopped, see `cache.repair.interrupted`; raises as `repair` does."""
    start = time.monotonic()
    known, data = _known(
        store, Artifact(store.root / Entry(manifest.spec.stage, manifest.key).name, manifest), data_root
    )
    kept = store.progress(manifest.spec).done
    return _repaired(manifest, make(known, data, store, runtime)[0], 0, kept, start)


def _repaired(before: Manifest, after: Artifact, damages: int, kept: int, start_s: float) -> Repaired:
    units = before.provenance.get("units", 0)
    same = after.output_digest == before.output_digest
    return Repaired(before.spec.stage, before.key, damages, kept, units, same, round(time.monotonic() - start_s, 3))


def damaged(
    store: Store, entries: Iterable[Entry], progress: Callable[[int], object] = lambda _: None
) -> dict[Entry, list[Damage]]:
    """Damages by artifact, inputs before what was made from them; `progress` is told of the bytes that were read."""
    found = {entry: list(verify(store, [entry], full=True, progress=progress)) for entry in entries}
    order = list(STAGES)
    known = sorted((e for e in found if found[e]), key=lambda e: order.index(e.stage) if e.stage in order else -1)
    return {entry: found[entry] for entry in known}


def _remove_strays(store: Store, entry: Entry, damages: Iterable[Damage]) -> int:
    artifact = store.open(entry)
    for damage in damages:
        if damage.what == "not in the manifest":
            store.objects.delete(f"{entry.name}/{damage.file}")
    units: int = artifact.manifest.provenance.get("units", 0)
    return units


def settings_of(artifact: Artifact) -> Settings:
    """The settings that an artifact was made with, places of weights included.

    Raises:
        InputError: if no stage of this version has such settings.
    """
    where = f"{artifact.stage} {artifact.key[:12]}"
    if artifact.stage not in STAGES:
        raise InputError("no stage of this program made it", where=where, fix="use the program that did")
    try:
        return stage(artifact.stage).settings.parse(artifact.manifest.provenance["origin"]["settings"])
    except (KeyError, ValidationError) as error:
        raise InputError("its settings are not of this version", where=where, fix="use the version it names") from error


def _known(store: Store, artifact: Artifact, data_root: Path | None) -> tuple[Keyed, Artifact | None]:
    """The step that made the artifact, with its inputs; and the data set, if it is an artifact.

    Raises:
        InputError: if another one would come of it.
    """
    where = f"{artifact.stage} {artifact.key[:12]}"
    settings = settings_of(artifact)
    origin: Mapping[str, Any] = artifact.manifest.provenance["origin"]
    artifacts = {role: input_of(store, role, key, where) for role, key in artifact.manifest.parents.items()}
    data = input_of(store, DATA, origin["data_key"], where) if origin.get("data_key") else None
    root = data_root or (Path(origin["data_root"]) if origin.get("data_root") else None)
    roles, data_step = {role: role for role in artifacts}, None if data is None else DATA
    step = Step(artifact.stage, stage(artifact.stage), settings, roles, None if data_step else root, data_step)
    known = keyed(step, artifacts if data is None else artifacts | {DATA: data}, store)
    if known.spec.key != artifact.key:
        changed = differences(ingredients(artifact.manifest.spec), ingredients(known.spec))
        fix = "use the version and the data that it was made with"
        raise InputError(f"it would become another: {changed[0]}", where=where, fix=fix)
    return known, data


def input_of(store: Store, role: str, key: str, where: str) -> Artifact:
    """The artifact that another one, told of as `where`, was made from.

    Raises:
        InputError: if it is gone.
    """
    found = store.get(key)
    if found is None:
        raise InputError(f"its input {role} {key[:12]} is gone", where=where, fix="run its experiment again")
    return found

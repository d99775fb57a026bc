"""Damage to artifacts that is then repaired."""

import random
from dataclasses import dataclass
from pathlib import Path

from faults import ledger
from faults.attempts import Command, attempt
from faults.damaging import DAMAGES, damage
from faults.experiment import Undisturbed
from faults.layout import finished, half_artifacts, unit_of


@dataclass(frozen=True)
class Mended:
    """What came of one repair.

    Attributes:
        stage: of the artifact.
        same_content: whether its output digest is the undisturbed run's.
        units_computed, units_kept: units of work that were computed anew, and that were not.
        broken: promises that were.
    """

    stage: str
    same_content: bool
    units_computed: int
    units_kept: int
    broken: list[str]


def mend(cache: Path, whole: Undisturbed, name: str, num_files: int, seed: int) -> Mended:
    """Damages files of an artifact, by the folder's name, and runs `bevprior repair`."""
    rng = random.Random(seed)
    folder, expected = cache / name, whole.artifacts[name]
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    hit = rng.sample(files, min(num_files, len(files)))
    if {"manifest.json", "manifest.copy.json"} <= {file.name for file in hit}:  # nobody could tell what it was
        hit = [file for file in hit if file.name != "manifest.json"]
    relative = [file.relative_to(folder).as_posix() for file in hit]
    damaged_units = {unit_of(whole.cache / name, file) for file in relative}
    for file in hit:
        damage(file, rng.choice(DAMAGES), rng)
    done = attempt(Command(("repair", "--json"), str(cache), cache.parent / "repairs", [cache]))
    events = list(ledger.read(done.ledger))
    computed = {event.unit for event in events if event.what == "begun"}
    found = finished(cache).get(name)
    same = found is not None and found.output_digest == expected.output_digest
    told = f"repair of {name}, {relative}"
    broken = [] if same else [f"{told}: another output digest"]
    broken += [f"{told}: status {done.status}: {done.errors[-1500:]}"] if done.status != 0 else []
    broken += [f"{told}: still damaged: {file}" for file in half_artifacts(cache, digests=True)]
    broken += [f"{told}: {unit} was whole, and is computed again" for unit in computed - damaged_units]
    return Mended(expected.stage, same, len(computed), len(expected.units - computed), broken)

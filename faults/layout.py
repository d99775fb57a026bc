"""What lies in a cache, read without the cache's own code, which is what is tested here."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote


@dataclass(frozen=True)
class Finished:
    """An artifact as its manifest tells.

    Attributes:
        stage, key: of it.
        output_digest: as the manifest says.
        units: of work that made it.
        wall_s: how long that took.
        parents: keys of what it was made from.
    """

    stage: str
    key: str
    output_digest: str
    units: frozenset[str]
    wall_s: float = 0.0
    parents: frozenset[str] = frozenset()


def finished(cache: Path) -> dict[str, Finished]:
    """Every artifact by the name of its folder."""
    found = {}
    for manifest in sorted(cache.glob("artifacts/*/*/manifest.json")):
        content = json.loads(manifest.read_text())
        units = frozenset(entry["unit"] for entry in content["files"].values()) - {""}
        units |= frozenset(content["provenance"]["unit_wall_s"])
        stage, key = manifest.parts[-3:-1]
        wall_s, parents = content["provenance"]["cost"]["wall_s"], frozenset(content["parents"].values())
        name = manifest.parent.relative_to(cache).as_posix()
        found[name] = Finished(stage, key, content["output_digest"], units, wall_s, parents)
    return found


def half_artifacts(cache: Path, *, digests: bool = False) -> list[str]:
    """What looks like an artifact and is none: a folder without a manifest, a file missing, or not as it is listed."""
    wrong = []
    for folder in cache.glob("artifacts/*/*"):
        manifest = folder / "manifest.json"
        name = folder.relative_to(cache).as_posix()
        if not manifest.exists():
            wrong.append(name)
            continue
        for file, entry in json.loads(manifest.read_text())["files"].items():
            path = folder / file
            whole = path.is_file() and path.stat().st_size == entry["bytes"]
            if not whole or (digests and _sha(path) != entry["sha256"]):
                wrong.append(f"{name}/{file}")
    return wrong


def done_units(cache: Path) -> set[tuple[str, str]]:
    """(build, unit) of all that is done: units with a receipt; for an artifact its units, and "" for itself."""
    done = {
        (receipt.parts[-3], unquote(receipt.name.removesuffix(".json")))
        for receipt in cache.glob("tmp/*/done/*.json")
        if (receipt.parents[1] / "data").exists()
    }
    for artifact in finished(cache).values():
        done |= {(f"{artifact.stage}-{artifact.key}", unit) for unit in ("", *artifact.units)}
    return done


def unit_of(artifact: Path, file: str) -> str:
    """The unit of work that wrote a file, "" for what no unit did."""
    files: dict[str, dict[str, str]] = json.loads((artifact / "manifest.json").read_text())["files"]
    return files.get(file, {}).get("unit", "")


def leftovers(cache: Path) -> list[str]:
    """What a finished run has no more use for: builds, trash, owners; relative to the cache."""
    found = (entry for folder in ("tmp", "trash", "owners") for entry in cache.glob(f"{folder}/*"))
    return sorted(entry.relative_to(cache).as_posix() for entry in found)


def _sha(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()

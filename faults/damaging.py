"""The files of a cache by what they are, and ways to damage one."""

import random
from collections import defaultdict
from pathlib import Path

DAMAGES = ("flip", "truncate", "delete", "extend")
RECORDS = ("receipt", "attempt's record", "pin", "run's record")
"""Nothing lists these: one that is gone cannot be missed. A unit without a receipt is not done, and that is all."""


def kind_of(name: str) -> str:
    """What a file is, by its name below the cache; "" for what holds nothing that could be lost."""
    parts = name.split("/")
    if parts[0] == "artifacts":
        return _kind_in_artifact(parts[3:])
    if parts[0] == "tmp":
        return {"done": "receipt", "attempts": "attempt's record"}.get(parts[2], "")
    return {"pins": "pin", "runs": "run's record", "bevprior-cache.json": "marker of the cache"}.get(parts[0], "")


def _kind_in_artifact(parts: list[str]) -> str:
    last = parts[-1]
    if parts in (["manifest.json"], ["manifest.copy.json"]):
        return "manifest" if last == "manifest.json" else "copy of a manifest"
    if last == "zarr.json":
        return "Zarr metadata"
    if any(part.endswith(".zarr") for part in parts):
        return "Zarr chunk"
    kinds = {"npz": "NumPy archive", "safetensors": "weights", "jpg": "image", "png": "image", "bin": "LiDAR sweep"}
    return kinds.get(last.rpartition(".")[2], "JSON and text")


def files_by_kind(cache: Path) -> dict[str, list[str]]:
    """Names below the cache of all files that matter, sorted."""
    found = defaultdict(list)
    for file in sorted(cache.rglob("*")):
        name = file.relative_to(cache).as_posix()
        if file.is_file() and (kind := kind_of(name)):
            found[kind].append(name)
    return dict(found)


def damage(file: Path, how: str, rng: random.Random) -> None:
    """Damages a file in one of `DAMAGES`: a bit, the end, all, or bytes too many."""
    content = bytearray(file.read_bytes())
    if how == "delete" or not content:
        file.unlink()
        return
    if how == "flip":
        position = rng.randrange(len(content) * 8)
        content[position // 8] ^= 1 << position % 8
    elif how == "truncate":
        content = content[: -1 if rng.random() < 0.2 else rng.randrange(len(content))]
    else:
        content += rng.choice([b"\0", b"\n", b" ", bytes(content[-64:])])
    file.write_bytes(content)

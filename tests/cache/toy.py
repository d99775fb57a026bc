"""A tiny stage: three shards of a ramp and a text, each a unit of work; every computed unit is logged."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cache.arrays import ArraySpec, chunk_files, create_arrays
from cache.build import Build
from cache.keys import KeySpec
from cache.store import Artifact, Store

NUM_SHARDS = 3
ROWS = 4  # of a shard
ARRAYS = {
    "toy.zarr/ramp": {"shape": [12, 5], "dtype": "uint16", "dims": ["row", "column"], "units": "m"},
    "toy.zarr/blank": {"shape": [12], "dtype": "uint8", "dims": ["row"], "units": ""},
}


def spec(slope: int = 3, version: int = 1) -> KeySpec:
    return KeySpec("toy", version, {"slope": slope}, {}, {"weights": "abc"})


def fill(build: Build, slope: int = 3) -> Mapping[str, Any]:
    group = create_arrays(
        build.path / "toy.zarr",
        [
            ArraySpec("ramp", (12, 5), "u2", (1, 5), (ROWS, 5), ("row", "column"), 65535, units="m"),
            ArraySpec("blank", (12,), "u1", (ROWS,), None, ("row",), 255),
        ],
    )
    for unit in build.units([*(f"shard/{shard}" for shard in range(NUM_SHARDS)), "text"]):
        log(unit)
        if unit == "text":
            for part in ("first half\n", "second half\n"):
                with (build.path / "text.txt").open("w" if part.startswith("first") else "a") as stream:
                    stream.write(part)
            build.mark_done(unit, ["text.txt"])
            continue
        shard = int(unit[-1])
        rows = slice(shard * ROWS, (shard + 1) * ROWS)
        values = np.arange(shard * ROWS * 5, (shard + 1) * ROWS * 5, dtype=np.uint16)
        group["ramp"][rows] = slope * values.reshape(-1, 5)
        group["blank"][rows] = 255  # the fill value: written all the same
        build.mark_done(unit, chunk_files(build.path / "toy.zarr", rows))
    build.record(pid=os.getpid())
    return {"slope": slope}


def recipe(root: Path, *, shared: bool = True, **changes: Any) -> tuple[Artifact, bool]:
    return recipe_in(Store(root), shared=shared, **changes)


def recipe_in(store: Store, *, shared: bool = True, **changes: Any) -> tuple[Artifact, bool]:
    """As `recipe`, in a cache of any kind."""
    return store.get_or_build(spec(**changes), {}, lambda build: fill(build, **changes), shared=shared)


def logged_recipe(root: Path) -> tuple[Artifact, bool]:
    """As `recipe`; a line in `<root>.log` for each start, and for each unit when it is computed."""
    os.environ["TOY_LOG"] = f"{root}.log"
    log("start")
    return recipe(root)


def log(unit: str) -> None:
    if "TOY_LOG" in os.environ:
        with Path(os.environ["TOY_LOG"]).open("a") as stream:
            stream.write(f"{unit}\n")

"""A tiny stage: three shards of a ramp and a text, each a unit of work; every computed unit is logged."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cache.arrays import ArraySpec, create_arrays
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
    build.expect(NUM_SHARDS + 1)
    for shard in range(NUM_SHARDS):
        if build.is_done(f"shard/{shard}"):
            continue
        log(f"shard/{shard}")
        rows = slice(shard * ROWS, (shard + 1) * ROWS)
        group["ramp"][rows] = slope * np.arange(shard * ROWS * 5, (shard + 1) * ROWS * 5, dtype=np.uint16).reshape(
            -1, 5
        )
        group["blank"][rows] = 255  # the fill value: written all the same
        build.mark_done(f"shard/{shard}")
    if not build.is_done("text"):
        log("text")
        for part in ("first half\n", "second half\n"):
            with (build.path / "text.txt").open("w" if part.startswith("first") else "a") as stream:
                stream.write(part)
        build.mark_done("text")
    build.record(pid=os.getpid())
    return {"slope": slope}


def recipe(root: Path, **changes: Any) -> tuple[Artifact, bool]:
    return Store(root).get_or_build(spec(**changes), {}, lambda build: fill(build, **changes))


def logged_recipe(root: Path) -> tuple[Artifact, bool]:
    """As `recipe`; a line in `<root>.log` for each start, and for each unit when it is computed."""
    os.environ["TOY_LOG"] = f"{root}.log"
    log("start")
    return recipe(root)


def log(unit: str) -> None:
    if "TOY_LOG" in os.environ:
        with Path(os.environ["TOY_LOG"]).open("a") as stream:
            stream.write(f"{unit}\n")

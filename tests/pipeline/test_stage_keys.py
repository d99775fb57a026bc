"""Nothing that decides how fast or where reaches a key, whatever the stage."""

import getpass
import json
import socket
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cache.durable import sha256_of
from cache.keys import KeySpec
from cache.manifest import Artifact, FileEntry, Manifest
from cache.store import Store
from pipeline.keys import keyed
from pipeline.request import ExperimentRequest
from pipeline.table import STAGES, stage
from stages.stage import Runtime
from tests.pipeline.saved_model import describe_model

EXPERIMENTS = (
    ("demo", "report"), ("demo", "look"), ("demo", "predict"), ("teacher", "teacher"), ("backbone", "backbone")
)  # fmt: skip
RUNTIMES = {
    "device": "cpu",
    "num_workers": 7,
    "num_jobs": 3,
    "num_processes": 2,
    "scheduler_address": "tcp://10.0.0.1:8786",
    "checkpoint_seconds": 1.5,
    "num_readers": 5,
    "progress": False,
}
ANY_STAGE_THAT_LEARNS = {"pretrain", "finetune", "teacher", "backbone"}


def write_data_set(folder: Path) -> Path:
    """As little of a data set as fingerprints look at."""
    for name in ("v1.0-synthetic/sample.json", "splits.json", "samples/CAM_FRONT/1.jpg", "maps/expansion/town.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def specs(folder: Path, overrides: Sequence[str] = ()) -> dict[str, KeySpec]:
    """What every step's key is made of, in a cache in `folder`; results are taken for made without making them."""
    data, store = write_data_set(folder / "world"), Store(folder / "cache")
    found: dict[str, KeySpec] = {}
    for config, until in EXPERIMENTS:
        made: dict[str, Artifact] = {}
        own = (f"predict.saved_model={describe_model(folder / 'model')}",) if until == "predict" else ()
        for step in ExperimentRequest(config=config, until=until, overrides=(*overrides, *own)).load()[1]:
            spec = keyed(step, made, store).spec
            files = {"x": FileEntry(1, spec.key)}
            if step.name == "world":
                names = (path for path in data.rglob("*") if path.is_file())
                files = {str(f.relative_to(data)): FileEntry(f.stat().st_size, sha256_of(f)) for f in names}
            path = data if step.name == "world" else folder / step.name
            made[step.name] = Artifact(path, Manifest(spec, {}, files))
            found[f"{config} {step.name}"] = spec
    return found


@cache
def usual(folder: Path) -> dict[str, KeySpec]:
    return specs(folder)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("here")


def names_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)


def test_every_stage_is_looked_at(here: Path) -> None:
    assert {spec.stage for spec in usual(here).values()} == set(STAGES)
    assert set(RUNTIMES) == set(Runtime.model_fields)
    assert all(value != getattr(Runtime(), name) for name, value in RUNTIMES.items())


def test_cache_and_data_set_can_lie_anywhere(here: Path, tmp_path: Path) -> None:
    assert specs(tmp_path / "moved" / "far away") == usual(here)


BATCHES_OF_TWO = ("pretrain.optimiser.batch_size=2", "finetune.from_pretrained.batch_size=4")
"""What two processes can split."""


@pytest.mark.parametrize("name", RUNTIMES)
def test_how_it_runs_is_in_no_key(here: Path, name: str) -> None:
    runtime = f"runtime.{name}={json.dumps(RUNTIMES[name])}"
    assert specs(here, [*BATCHES_OF_TWO, runtime]) == specs(here, BATCHES_OF_TWO)


def test_no_key_names_a_place_or_a_setting_of_how_fast(here: Path) -> None:
    for step, spec in usual(here).items():
        text = json.dumps(spec.document())
        for place in (
            str(here),
            str(Path.cwd()),
            str(Path.home()) + "/",
            socket.gethostname(),
            getpass.getuser() + "@",
        ):
            assert place not in text, (step, place)
        names = set(names_in(spec.settings))
        assert not names & {*Runtime.model_fields, "data_root", "root", "cache", "source"}, step
        assert "pretrained" not in spec.settings.get("model", {}).get("backbone", {}), step
        if spec.stage not in ANY_STAGE_THAT_LEARNS:
            assert not {name for name in names if "batch" in name or "worker" in name}, step


def test_no_settings_model_has_a_field_of_the_runtime() -> None:
    for name in STAGES:
        assert not set(stage(name).settings.model_fields) & set(Runtime.model_fields), name


def test_batch_sizes_of_inference_are_in_no_key_and_that_of_training_is(here: Path) -> None:
    assert specs(here, ["evaluate.batch_size=1"]) == usual(here)
    sam = "teacher_labels.sam={teacher: {source: embedded}, points_per_batch: %d}"
    few, many = (specs(here, [sam % count])["demo teacher_labels"] for count in (8, 64))
    assert few == many != usual(here)["demo teacher_labels"]
    trained = specs(here, ["pretrain.optimiser.batch_size=3"])
    assert trained["demo pretrain:0"] != usual(here)["demo pretrain:0"]

"""Fixtures around the tiny data set."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cache.store import Artifact
from stages.prepare.index import STAGE as INDEX
from tests.stages.prepare.tiny_data_set import INDEX_SETTINGS, VERSION, run_stage, write_data_set


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    write_data_set(root)
    return root


@pytest.fixture
def data_root(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the sound data set, to be broken."""
    return Path(shutil.copytree(pristine, tmp_path / "data"))


@pytest.fixture
def edit(data_root: Path) -> Callable[[str, Callable[[list], object]], None]:
    """edit(table, change) applies `change` to the rows of a table, in place."""

    def edit(table: str, change: Callable[[list], object]) -> None:
        file = data_root / VERSION / f"{table}.json"
        rows = json.loads(file.read_text())
        change(rows)
        file.write_text(json.dumps(rows))

    return edit


@pytest.fixture
def build(data_root: Path, tmp_path: Path) -> Callable[..., Artifact]:
    """build(stage, settings, **inputs) runs a stage on the data set through the cache, as the pipeline does."""

    def build(stage, settings, **inputs: Artifact) -> Artifact:
        return run_stage(stage, settings, tmp_path / "cache", data_root, **inputs)[0]

    return build


@pytest.fixture
def index(build) -> Artifact:
    return build(INDEX, INDEX_SETTINGS)

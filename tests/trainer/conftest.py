import pytest

from tests import flat_world
from tests.flat_world import GRID, IMAGE_HW_PX, SCHEMA
from trainer.labels import Sources
from trainer.reader import FrameReader


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("flat")
    return root, flat_world.write_dataset(root)


@pytest.fixture(scope="session")
def sources(dataset):
    root, artifacts = dataset
    return Sources(data_root=root / "data", **{role: artifact.path for role, artifact in artifacts.items()})


@pytest.fixture
def reader(sources):
    return FrameReader(sources, IMAGE_HW_PX, GRID, SCHEMA, history=1)

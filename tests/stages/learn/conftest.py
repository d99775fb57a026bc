import pytest

from tests import flat_world


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("flat")
    return root, flat_world.write_dataset(root)

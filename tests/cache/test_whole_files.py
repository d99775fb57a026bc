from pathlib import Path

import pytest

from cache.keys import KeySpec
from cache.store import Store
from cache.whole_files import read_checked
from scene.errors import InputError


@pytest.fixture
def artifact(tmp_path):
    def fill(build):
        (build.path / "deep").mkdir()
        (build.path / "deep" / "weights.bin").write_bytes(bytes(range(100)))
        return {}

    return Store(tmp_path / "cache").get_or_build(KeySpec("toy", 1, {}), {}, fill)[0]


def test_a_file_as_it_was_committed_is_read(artifact, monkeypatch):
    assert read_checked(artifact.path / "deep" / "weights.bin") == bytes(range(100))
    monkeypatch.chdir(artifact.path)
    assert read_checked(Path("deep/weights.bin")) == bytes(range(100))


def test_a_flipped_bit_is_told_with_what_to_do(artifact):
    file = artifact.path / "deep" / "weights.bin"
    file.chmod(0o644)
    file.write_bytes(bytes([128, *range(1, 100)]))
    with pytest.raises(InputError, match=f"damaged.*weights.bin.*bevprior repair {artifact.key[:12]}"):
        read_checked(file)


def test_a_file_of_no_artifact_is_read_as_it_is(tmp_path):
    (tmp_path / "any.bin").write_bytes(b"any")
    assert read_checked(tmp_path / "any.bin") == b"any"

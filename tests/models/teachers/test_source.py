import os
import subprocess
import sys

import pytest

from models.teachers.source import digest, fetch
from scene.errors import InputError

COMMIT = "4772b6bf101d91f2534c106dc524d906aeb3c68a"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "mask2former"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_digest_follows_the_content_and_not_the_place(folder, tmp_path):
    before = digest(str(folder), None)
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "README.md").write_text("no part of what the teacher says")
    assert digest(str(moved), None) == before
    (moved / "preprocessor_config.json").write_text("{}")
    with_processor = digest(str(moved), None)
    (moved / "model.safetensors").write_bytes(b"Weights")
    assert len({before, with_processor, digest(str(moved), None)}) == 3


def test_a_hub_model_is_known_by_its_commit_without_a_download():
    assert digest("someone/some-model", COMMIT) == f"hub:someone/some-model@{COMMIT}"


@pytest.mark.parametrize("revision", [None, "main", "4772b6b"])
def test_a_hub_model_must_be_pinned(revision):
    with pytest.raises(InputError, match="not pinned"):
        digest("someone/some-model", revision)


@pytest.mark.parametrize("source", ["./nowhere", "/nowhere/at/all", "no-slash", "~/no/such/folder"])
def test_what_is_neither_folder_nor_hub_name_is_refused(source):
    with pytest.raises(InputError, match="no such teacher"):
        digest(source, COMMIT)


@pytest.mark.parametrize("lacking", ["config.json", "model.safetensors"])
def test_a_folder_without_configuration_or_safetensors_is_refused(folder, lacking):
    (folder / lacking).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(InputError, match="not whole"):
        fetch(str(folder), None)


def test_a_hub_model_that_is_not_here_is_one_clear_line_when_offline(tmp_path):
    code = (
        "from models.teachers.source import fetch\n"
        "from scene.errors import InputError\n"
        f"try: fetch('someone/some-model', '{COMMIT}')\n"
        "except InputError as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "could not be downloaded" in done.stdout
    assert "copy the model's folder here" in done.stdout
    assert done.stdout.count("\n") == 1

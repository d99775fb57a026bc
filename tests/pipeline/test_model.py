"""A model that is taken out of the cache: whole, described, or refused in one line."""

from pathlib import Path

import pytest
import torch

from cache.keys import KeySpec
from cache.manifest import Artifact, Manifest
from pipeline.model import save_artifact
from scene.errors import InputError
from scene.settings import Settings
from stages.prepare.geometry import GeometrySettings
from tests.flat_world import GRID, SCHEMA
from tests.trainer.tiny import MODEL, pretrain_settings
from trainer.checkpoint import save_model
from trainer.network import describe
from trainer.segmenter import load_segmenter, new_segmenter


def artifact_of(folder: Path, stage: str, settings: Settings) -> Artifact:
    """One that was made with these settings; its files are the caller's."""
    folder.mkdir()
    origin = {"origin": {"settings": settings.model_dump(mode="json")}}
    return Artifact(folder, Manifest(KeySpec(stage, 1, {}), {}, {}, {}, {}, origin))


@pytest.fixture
def trained(tmp_path: Path) -> Artifact:
    artifact = artifact_of(tmp_path / "pretrain", "pretrain", pretrain_settings())
    weights = new_segmenter(MODEL, GRID, SCHEMA, seed=5).state_dict()
    named = {name if name.startswith("trunk.") else f"heads.{name}": value for name, value in weights.items()}
    save_model(artifact.path, named, describe(MODEL, GRID, SCHEMA, ["decoder"]))
    return artifact


def test_the_model_and_a_page_that_says_how_to_use_it(trained: Artifact, tmp_path: Path) -> None:
    said = save_artifact(trained, tmp_path / "model")
    assert said["key"] == trained.key
    expected, found = new_segmenter(MODEL, GRID, SCHEMA, seed=5).state_dict(), load_segmenter(tmp_path / "model")
    assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())
    page = (tmp_path / "model" / "README.md").read_text()
    assert "| 2 | crossing |" in page
    assert "48 x 32 cells of 0.5 m" in page
    assert "$" not in page, "something was not filled in"
    code = page.partition("```python\n")[2].partition("```")[0]
    compile(code, "README.md", "exec")


def test_a_folder_is_not_overwritten_and_none_is_left_half_made(
    trained: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no such folder"):
        save_artifact(trained, tmp_path / "a" / "model")
    monkeypatch.setattr("trainer.segmenter.save_model", lambda *_: pytest.fail("the disk is full"))
    with pytest.raises(pytest.fail.Exception):
        save_artifact(trained, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["pretrain"]
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="the folder exists"):
        save_artifact(trained, tmp_path / "model")


def test_what_is_no_trained_model_is_refused(tmp_path: Path) -> None:
    geometry = artifact_of(tmp_path / "geometry", "geometry", GeometrySettings(label_hw_px=(9, 16), grid=GRID))
    with pytest.raises(InputError, match=r"no trained model .*geometry.*pretrain or finetune"):
        save_artifact(geometry, tmp_path / "model")
    lost = Artifact(tmp_path, Manifest(KeySpec("pretrain", 1, {}), {}, {}, {}, {}, {}))
    with pytest.raises(InputError, match="settings are not of this version"):
        save_artifact(lost, tmp_path / "model")

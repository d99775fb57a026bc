"""A model that is taken out of the cache: whole, described, or refused in one line."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cache.build import Build
from cache.keys import KeySpec
from cache.manifest import Artifact, Manifest
from cache.store import Store
from pipeline.model import save_artifact
from scene.errors import InputError
from scene.settings import Settings
from stages.prepare.geometry import GeometrySettings
from stages.prepare.index import IndexSettings
from tests.flat_world import GRID, SCHEMA, make_index
from tests.trainer.tiny import MODEL, pretrain_settings, save_training
from trainer.segmenter import load_segmenter, new_segmenter

Fill = Callable[[Path], object]


def made(store: Store, stage: str, settings: Settings, parents: dict[str, Artifact], write: Fill) -> Artifact:
    spec = KeySpec(stage, 1, settings.canonical(), {role: artifact.output_digest for role, artifact in parents.items()})
    origin = {"settings": settings.model_dump(mode="json")}

    def fill(build: Build) -> dict[str, object]:
        write(build.path)
        return {}

    return store.get_or_build(spec, {role: artifact.key for role, artifact in parents.items()}, fill, origin=origin)[0]


@pytest.fixture
def trained(store: Store, tmp_path: Path) -> Artifact:
    frames = make_index(tmp_path / "data", num_scenes=1, frames_per_scene=1)
    index = made(store, "index", IndexSettings(split="all_train"), {}, lambda path: frames.save(path / "index.npz"))
    geometry = made(store, "geometry", GeometrySettings(label_hw_px=(9, 16), grid=GRID), {}, lambda _: None)
    parents = {"index": index, "geometry": geometry}
    return made(store, "pretrain", pretrain_settings(), parents, save_training)


def test_the_model_and_a_page_that_says_how_to_use_it(store: Store, trained: Artifact, tmp_path: Path) -> None:
    said = save_artifact(store, trained, tmp_path / "model")
    assert said["key"] == trained.key
    expected, found = new_segmenter(MODEL, GRID, SCHEMA, seed=5).state_dict(), load_segmenter(tmp_path / "model")
    assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())
    page = (tmp_path / "model" / "README.md").read_text()
    assert "| 2 | crossing |" in page
    assert "48 x 32 cells of 0.5 m" in page
    assert "6 cameras in this order: CAM_FRONT, CAM_FRONT_RIGHT" in page
    assert "$" not in page, "something was not filled in"
    code = page.partition("```python\n")[2].partition("```")[0]
    compile(code, "README.md", "exec")


def test_a_model_that_began_as_a_saved_one_needs_it_no_more(store: Store, trained: Artifact, tmp_path: Path) -> None:
    parents = {role: store.find(key) for role, key in trained.manifest.parents.items()}
    began = made(store, "pretrain", pretrain_settings(seed=1, initial_model="gone"), parents, save_training)
    assert save_artifact(store, began, tmp_path / "model")["key"] == began.key
    assert load_segmenter(tmp_path / "model").schema == SCHEMA


def test_a_folder_is_not_overwritten_and_none_is_left_half_made(
    store: Store, trained: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no such folder"):
        save_artifact(store, trained, tmp_path / "a" / "model")
    before = set(tmp_path.iterdir())
    monkeypatch.setattr("trainer.segmenter.save_model", full_disk)
    with pytest.raises(InputError, match=r"cannot be written: No space left.*model"):
        save_artifact(store, trained, tmp_path / "model")
    assert set(tmp_path.iterdir()) == before
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match="the folder exists"):
        save_artifact(store, trained, tmp_path / "model")


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_another_backbone_at_the_same_place_is_refused(
    store: Store, trained: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.model.digest", lambda _: "moved on")
    with pytest.raises(InputError, match="the backbone that it began from is another by now"):
        save_artifact(store, trained, tmp_path / "model")


def test_a_model_whose_index_is_gone_is_refused(store: Store, trained: Artifact, tmp_path: Path) -> None:
    shutil.rmtree(store.find(trained.manifest.parents["index"]).path)
    with pytest.raises(InputError, match=r"its input index .* is gone"):
        save_artifact(store, trained, tmp_path / "model")


def test_what_is_no_trained_model_is_refused(store: Store, trained: Artifact, tmp_path: Path) -> None:
    geometry = store.find(trained.manifest.parents["geometry"])
    with pytest.raises(InputError, match=r"no trained model .*geometry.*pretrain or finetune"):
        save_artifact(store, geometry, tmp_path / "model")
    lost = Artifact(tmp_path, Manifest(KeySpec("pretrain", 1, {}), {}, {}, {}, {}, {}))
    with pytest.raises(InputError, match="settings are not of this version"):
        save_artifact(store, lost, tmp_path / "model")

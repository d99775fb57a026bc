import json

import pytest
import torch

from cache.keys import KeySpec
from cache.store import Store
from scene.errors import InputError
from tests.flat_world import GRID, SCHEMA
from tests.trainer.tiny import MODEL
from trainer.checkpoint import load_checkpoint, load_model, save_checkpoint, save_history, save_model
from trainer.files import HISTORY_FILE
from trainer.network import describe, load_network


def test_checkpoint_comes_back_equal(tmp_path):
    file = tmp_path / "checkpoint.pt"
    assert load_checkpoint(file) is None
    state = {"step": 3, "weights": {"a": torch.randn(3)}, "history": [{"step": 1, "total": 0.5}]}
    save_checkpoint(file, state)
    found = load_checkpoint(file)
    assert torch.equal(found.pop("weights")["a"], state.pop("weights")["a"])
    assert found == state
    assert [f.name for f in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_checkpoint_with_code_in_it_is_refused(tmp_path):
    class Surprise:
        def __reduce__(self):
            return print, ("code ran",)

    torch.save({"step": Surprise()}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="damaged checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_cut_checkpoint_is_named(tmp_path):
    file = tmp_path / "checkpoint.pt"
    save_checkpoint(file, {"weights": torch.zeros(1000)})
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(InputError, match="damaged checkpoint"):
        load_checkpoint(file)


def test_equal_weights_give_equal_files(tmp_path):
    weights = {"b": torch.ones(2, 3).T, "a": torch.zeros(1)}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_model(tmp_path / name, weights, {"x": 1})
        save_history(tmp_path / name / HISTORY_FILE, [{"step": 1, "total": 0.25}])
        weights = dict(reversed(weights.items()))
    for file in ("model.safetensors", "model.json", HISTORY_FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    found, description = load_model(tmp_path / "one")
    assert torch.equal(found["b"], weights["b"])
    assert description == {"x": 1}


def test_weights_of_another_grid_are_refused(tmp_path):
    save_model(tmp_path, {"a": torch.zeros(1)}, describe(MODEL, GRID, SCHEMA, ["decoder"]))
    assert set(load_network(tmp_path, MODEL, GRID, SCHEMA)) == {"a"}
    with pytest.raises(InputError, match="trained with another grid"):
        load_network(tmp_path, MODEL, GRID.coarser(2), SCHEMA)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="missing or damaged"):
        load_network(tmp_path, MODEL, GRID, SCHEMA)
    assert json.loads((tmp_path / "model.json").read_text())["heads"] == ["decoder"]


def test_weights_with_a_flipped_bit_are_not_used(tmp_path):
    def fill(build):
        save_model(build.path, {"a": torch.zeros(10)}, {})
        return {}

    artifact, _ = Store(tmp_path).get_or_build(KeySpec("toy", 1, {}), {}, fill)
    file = artifact.path / "model.safetensors"
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(damaged)
    with pytest.raises(InputError, match=r"the file is damaged.*bevprior repair"):
        load_model(artifact.path)

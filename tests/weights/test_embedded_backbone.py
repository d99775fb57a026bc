"""The image backbone that is kept in this repository: whole, small, and what the demo's model starts from."""

import hashlib
import json

import torch
from safetensors.torch import load_file

from models.bev.config import BevFormerConfig
from models.bev.source import EMBEDDED_FOLDER, digest
from models.sources import folder_digest
from pipeline.config import load_experiment
from pipeline.layers import CONFIGS, parse_yaml
from pipeline.steps import plan_experiment
from scene.grid import BevGrid
from stages.stage import resolve
from trainer.network import new_trunk


def demo_model():
    return BevFormerConfig.parse(parse_yaml((CONFIGS / "models/demo.yaml").read_text()))


def test_the_files_are_those_that_were_trained():
    sums = [line.split("  ") for line in (EMBEDDED_FOLDER / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in sums} == {file.name for file in EMBEDDED_FOLDER.iterdir()} - {"SHA256SUMS"}
    for checksum, name in sums:
        assert hashlib.sha256((EMBEDDED_FOLDER / name).read_bytes()).hexdigest() == checksum, name
    assert (EMBEDDED_FOLDER / "model.safetensors").stat().st_size < 1_000_000


def test_the_demos_model_starts_from_them_whatever_its_seed():
    trained = load_file(EMBEDDED_FOLDER / "model.safetensors")
    for seed in (0, 1):
        trunk = new_trunk(demo_model(), BevGrid(resolution_m=0.5), seed)
        loaded = trunk.backbone.model.state_dict()
        assert loaded.keys() == trained.keys()
        assert all(torch.equal(loaded[name], trained[name]) for name in trained)
        neck = load_file(EMBEDDED_FOLDER / "neck.safetensors")
        assert all(torch.equal(value, neck[name]) for name, value in trunk.neck.state_dict().items())


def test_every_learning_step_of_the_demo_has_their_digest_and_not_their_place():
    content = {"backbone": folder_digest(EMBEDDED_FOLDER, "backbone")}
    assert digest(demo_model().backbone) == content["backbone"]
    learning = [s for s in plan_experiment(*load_experiment("demo")) if hasattr(s.settings, "model")]
    assert {step.stage.name for step in learning} == {"pretrain", "finetune", "evaluate"}
    for step in learning:
        assert resolve(step.stage.fingerprint)(step.settings, EMBEDDED_FOLDER) == content
        assert "pretrained" not in json.loads(json.dumps(step.settings.canonical()))["model"]["backbone"]
        assert step.settings.model_dump(mode="json")["model"]["backbone"]["pretrained"] == "embedded"


def test_the_model_card_tells_what_was_measured():
    card = (EMBEDDED_FOLDER / "README.md").read_text()
    for word in ("| divider |", "| crossing |", "**mean**", "Seed", "make backbone"):
        assert word in card


def test_the_recipe_reads_the_teachers_towns():
    worlds = [
        next(s.settings for s in plan_experiment(*load_experiment(name)) if s.name == "world")
        for name in ("backbone", "teacher")
    ]
    assert worlds[0] == worlds[1]

"""The teacher that is kept in this repository: whole, small, and good enough to teach."""

import hashlib

import numpy as np
import pytest

from cache.keys import KeySpec
from cache.store import Store
from models.teachers.source import EMBEDDED_FOLDER
from pipeline.layers import CONFIGS, parse_yaml
from scene.frames import FrameIndex
from stages.prepare.index import STAGE as INDEX
from stages.prepare.index import IndexSettings
from stages.prepare.teacher_labels import STAGE, TeacherLabelsSettings
from stages.prepare.teacher_labels.check import score_labels
from stages.prepare.world import STAGE as WORLD
from stages.stage import Runtime, StageRun
from synthetic.settings import WorldSettings


def sums():
    return [line.split("  ") for line in (EMBEDDED_FOLDER / "SHA256SUMS").read_text().splitlines()]


def test_the_files_are_those_that_were_trained():
    assert {name for _, name in sums()} == {file.name for file in EMBEDDED_FOLDER.iterdir()} - {"SHA256SUMS"}
    for checksum, name in sums():
        assert hashlib.sha256((EMBEDDED_FOLDER / name).read_bytes()).hexdigest() == checksum, name


def test_the_weights_are_below_ten_megabytes():
    assert (EMBEDDED_FOLDER / "model.safetensors").stat().st_size < 10_000_000


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Labels of a town that nobody trained on, by the configuration of the demo."""
    store = Store(tmp_path_factory.mktemp("cache"))
    runtime = Runtime(num_workers=1, device="cpu", progress=False)

    def build(stage, settings, inputs, data):
        spec = KeySpec(
            stage.name, stage.version, settings.canonical(), {r: a.output_digest for r, a in inputs.items()}, {}
        )
        parents = {role: artifact.key for role, artifact in inputs.items()}
        fill = lambda build: stage.run(StageRun(settings, inputs, build, runtime, data))  # noqa: E731
        return store.get_or_build(spec, parents, fill)[0]

    nothing = {"num_towns": 1, "num_scenes": 0}
    drives = {"train": nothing, "teacher": nothing, "val": {"num_towns": 2, "num_scenes": 4}}
    world = build(
        WORLD, WorldSettings.parse({**drives, "seed": 11, "frames_per_scene": 2, "frame_interval_s": 3.0}), {}, None
    )
    index = build(INDEX, IndexSettings(version="v1.0-synthetic", split="dataset"), {}, world.path)
    labels = CONFIGS / "labels"
    teacher = parse_yaml((CONFIGS / "teachers/embedded.yaml").read_text())
    settings = TeacherLabelsSettings.parse(
        {
            "teacher": {**teacher, "map": parse_yaml((labels / "teachers/embedded.yaml").read_text())},
            "label_schema": parse_yaml((labels / "paper.yaml").read_text()),
            "label_hw_px": [96, 192],
        }
    )
    return build(STAGE, settings, {"index": index}, world.path), settings, index, world


def test_it_sees_a_strange_town(labelled):
    artifact, settings, index, world = labelled
    exact_map = settings.teacher.map.lookup(settings.label_schema)
    frames = FrameIndex.load(index.path / "index.npz")
    scores = score_labels(artifact.path, settings, frames, world.path, exact_map)
    print(scores)
    assert np.isnan(scores["boundary"]), "an edge class is never read off the teacher"
    assert scores["mean"] > 0.5
    assert scores["road"] > 0.7
    assert scores["divider"] > 0.25
    assert scores["crossing"] > 0.2


def test_what_the_labels_say_of_themselves(labelled):
    statistics = labelled[0].manifest.statistics
    assert statistics["images"] == 4 * 2 * 6
    assert 0 < statistics["share"]["ignored"] < 0.5
    assert 0.4 < statistics["mean_confidence"] < 1


def test_the_model_card_tells_what_was_measured():
    card = (EMBEDDED_FOLDER / "README.md").read_text()
    for word in ("divider", "crossing", "**mean**", "Seed", "make teacher"):
        assert word in card
    assert not (EMBEDDED_FOLDER / "pytorch_model.bin").exists()

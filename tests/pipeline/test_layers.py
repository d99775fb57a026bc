"""Layers of an experiment file: merging, references, overrides, and who said what."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.layers import find_config, merge, parse_yaml, read_layers
from scene.errors import InputError


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_differences_merge_into_the_base_and_lists_replace(tmp_path: Path) -> None:
    write(tmp_path, "low.yaml", "train: {steps: 100, rate: 1e-3}\nseeds: [0, 1]")
    file = write(tmp_path, "high.yaml", "base: low.yaml\ntrain: {steps: 5}\nseeds: [7]")
    assert read_layers(file).merged() == {"train": {"steps": 5, "rate": 0.001}, "seeds": [7]}


def test_a_referenced_file_replaces_the_bases_mapping(tmp_path: Path) -> None:
    write(tmp_path, "world.yaml", "root: /data")
    write(tmp_path, "low.yaml", "data: {world: {seed: 1}}")
    file = write(tmp_path, "high.yaml", "base: low.yaml\ndata: world.yaml")
    assert read_layers(file).merged() == {"data": {"root": "/data"}}


def test_overrides_lie_on_top_and_change_included_content(tmp_path: Path) -> None:
    write(tmp_path, "model.yaml", "dim: 8\nlayers: {count: 1, kind: a}")
    file = write(tmp_path, "e.yaml", "model: model.yaml")
    merged = read_layers(file, ["model.layers.count=3", "model.dim=[1, 2]", "new.flag=true"]).merged()
    assert merged == {"model": {"dim": [1, 2], "layers": {"count": 3, "kind": "a"}}, "new": {"flag": True}}


def test_every_value_remembers_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "low.yaml", "a: {x: 1, y: 2}")
    write(tmp_path, "part.yaml", "deep: {er: 1}")
    layers = read_layers(write(tmp_path, "high.yaml", "base: low.yaml\na: {y: 3}\nb: part.yaml"), ["a.z=1"])
    sources = {location: layers.source_of(location) for location in [("a", "x"), ("a", "y"), ("a", "z")]}
    assert sources == {("a", "x"): "low.yaml", ("a", "y"): "high.yaml", ("a", "z"): "--set a.z"}
    assert layers.source_of(("b", "deep", "er")) == "part.yaml"
    assert layers.source_of(("a", "x", "not", "there")) == "low.yaml"


def test_what_replaces_a_list_is_the_source_of_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layers = read_layers(write(tmp_path, "e.yaml", "arms: [{name: a, seed: 1}]"), ["arms=[{name: b}]"])
    assert layers.source_of(("arms", 0, "seed")) == "--set arms"


def test_mappings_of_different_names_do_not_mix() -> None:
    below = {"name": "low", "objective": {"name": "reprojection", "dice_weight": 1.0}}
    assert merge(below, {"objective": {"name": "edges", "threshold": 3}})["objective"] == {
        "name": "edges",
        "threshold": 3,
    }
    kept = {"name": "reprojection", "dice_weight": 1.0, "points_per_frame": 5}
    assert merge(below, {"objective": {"points_per_frame": 5}})["objective"] == kept
    assert merge(below, {"objective": {"name": "reprojection", "points_per_frame": 5}})["objective"] == kept
    assert merge(below, {"name": "high"}) == {**below, "name": "high"}


def test_merge_leaves_its_arguments_alone() -> None:
    below, above = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(below, above) == {"a": {"b": 1, "c": 2}}
    assert (below, above) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("-2E+4", -20000.0), ("1.5e3", 1500.0), ("1e", "1e"), ("12", 12), ("no", False)],
)
def test_numbers_in_exponent_notation_are_numbers(text: str, value: Any) -> None:
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    ("files", "overrides", "says"),
    [
        ({"e.yaml": "a: [1"}, [], "not YAML"),
        ({"e.yaml": "a: 1\na: 2"}, [], "'a' is given twice"),
        ({"e.yaml": "- 1"}, [], "no mapping"),
        ({"e.yaml": "base: gone.yaml"}, [], "no file 'gone.yaml' (e.yaml, base)"),
        ({"e.yaml": "base: b.yaml", "b.yaml": "base: c.yaml"}, [], "a base has a base"),
        ({"e.yaml": "x: e.yaml"}, [], "circle (e.yaml -> e.yaml)"),
        ({"e.yaml": "a: 1"}, ["a"], "cannot read 'a' (--set)"),
        ({"e.yaml": "a: 1"}, ["a..b=1"], "(--set)"),
        ({"e.yaml": "a: 1"}, ["a=[1"], "(--set a)"),
    ],
)
def test_faults_name_the_file_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], overrides: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        write(tmp_path, name, text)
    with pytest.raises(InputError) as raised:
        read_layers(Path("e.yaml"), overrides)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unknown_experiment_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="demo"):
        find_config("demmo")

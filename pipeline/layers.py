"""Experiment files: plain YAML in layers, where every value remembers the file that said it.

A file holds differences from at most one `base`. A mapping merges into what lies below it, anything else replaces
it. A string that ends in `.yaml` stands for the content of that file (which replaces as a whole); it is looked for
beside the file that names it, then in `configs/`. The top layers are `--set a.b=c`, with `c` read as YAML.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from pipeline.places import CONFIGS, shown
from scene.errors import InputError

Location = tuple[int | str, ...]


class Included(dict[str, Any]):
    """The content of a referenced file: replaces what it is laid over, and knows where it comes from."""

    def __init__(self, values: dict[str, Any], source: str) -> None:
        super().__init__(values)
        self.source = source


@dataclass(frozen=True)
class Layer:
    """One file's (or one `--set`'s) values, and what to call it in a message."""

    source: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Layers:
    """Layers, lowest first, and the experiment file that they are about."""

    layers: tuple[Layer, ...]
    file: str

    def merged(self) -> dict[str, Any]:
        """The values that hold."""
        result: dict[str, Any] = {}
        for layer in self.layers:
            result = merge(result, layer.values)
        return result

    def source_of(self, location: Location) -> str:
        """The file that decided the value at `location`, or the deepest part of it that any mentions."""
        deepest, result = 0, self.file
        for layer in reversed(self.layers):
            depth, source, replaces = _follow(layer, location)
            if depth > deepest:
                deepest, result = depth, source
            if depth == len(location) or replaces:
                break
        return result

    def place_of(self, location: Location) -> str:
        """That file and the dotted place in it, as a message names them."""
        return ", ".join(filter(None, (self.source_of(location), ".".join(map(str, location)))))


def _follow(layer: Layer, location: Location) -> tuple[int, str, bool]:
    """How far a layer goes along `location`, the file that says so, and whether it replaces what lies below there."""
    node: Any = layer.values
    source, replaces = layer.source, False
    for depth, part in enumerate(location):
        if isinstance(node, Included):
            source = node.source
        # Only a plain mapping mixes with what lies below it.
        replaces = replaces or isinstance(node, Included) or not isinstance(node, dict)
        inside = part in node if isinstance(node, dict) else isinstance(node, list) and part in range(len(node))
        if not inside:
            return depth, source, replaces
        node = node[part]
    return len(location), source, True


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`; neither is changed.

    Mappings mix, but for two of different `name`, as objectives have: the values of one mean nothing to the other.
    """
    result = dict(below)
    for key, value in above.items():
        lower = result.get(key)
        result[key] = merge(lower, value) if _mix(lower, value) else value
    return result


def _mix(lower: Any, value: Any) -> TypeGuard[dict[str, Any]]:
    if not isinstance(lower, dict) or not isinstance(value, dict) or isinstance(value, Included):
        return False
    return "name" not in lower or value.get("name", lower["name"]) == lower["name"]


def find_config(config: str, kind: str = "experiments") -> Path:
    """The file that a path or a bare name in `configs/<kind>/` means."""
    names = sorted(p.stem for p in (CONFIGS / kind).glob("*.yaml"))
    for candidate in (Path(config), CONFIGS / kind / f"{config}.yaml"):
        if candidate.is_file():
            return candidate
    raise InputError(
        f"no {kind.removesuffix('s').replace('studie', 'study')} {config!r}",
        where=shown(CONFIGS / kind),
        fix=f"give a file or one of {', '.join(names)}",
    )


def read_layers(file: Path, overrides: Sequence[str] = ()) -> Layers:
    """The layers of an experiment file: its base, itself, and each `--set`.

    Raises:
        InputError: for a file that cannot be read, a base of a base, or a `--set` that is no `a.b=c`.
    """
    own = _read(file)
    layers = [own]
    if (base := own.values.pop("base", None)) is not None:
        lower = _read(_resolve(str(base), file.parent, f"{own.source}, base"))
        if "base" in lower.values:
            raise InputError(
                "a base has a base of its own", where=lower.source, fix="write the differences in one file"
            )
        layers.insert(0, lower)
    return Layers((*layers, *(_parse_override(o) for o in overrides)), own.source)


def _read(file: Path) -> Layer:
    return Layer(shown(file), _include_references(_load(file), file.parent, (file.resolve(),)))


def _load(file: Path) -> dict[str, Any]:
    try:
        values = parse_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the file: {error}", where=shown(file)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"not YAML: {getattr(error, 'problem', error)}", where=f"{shown(file)}{line}") from error
    if not isinstance(values, dict):
        raise InputError("the file holds no mapping of keys to values", where=shown(file))
    return values


def _include_references(node: Any, folder: Path, chain: tuple[Path, ...]) -> Any:
    if isinstance(node, dict):
        return {k: v if k == "base" else _include_references(v, folder, chain) for k, v in node.items()}
    if not (isinstance(node, str) and node.endswith(".yaml")):
        return node
    file = _resolve(node, folder, shown(chain[-1]) if chain else "--set").resolve()
    if file in chain:
        raise InputError("files refer to each other in a circle", where=" -> ".join(map(shown, (*chain, file))))
    return Included(_include_references(_load(file), file.parent, (*chain, file)), shown(file))


def _resolve(reference: str, folder: Path, where: str) -> Path:
    candidates: Iterable[Path] = (folder / reference, CONFIGS / reference)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(f"no file {reference!r}", where=where, fix="name a file beside this one or below configs/")


def _parse_override(override: str) -> Layer:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"cannot read {override!r}", where="--set", fix="write it as section.key=value")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"cannot read {text!r} as YAML", where=f"--set {path}") from error
    value = _include_references(value, Path.cwd(), ())
    for key in reversed(keys):
        value = {key: value}
    return Layer(f"--set {path}", value)


class _Loader(yaml.SafeLoader):
    """YAML without two traps: `1e-3` is a number here, and a key that is given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str) -> Any:
    """Plain YAML values of a text.

    Raises:
        yaml.YAMLError: for a syntax error or a repeated key.
    """
    return yaml.load(text, _Loader)

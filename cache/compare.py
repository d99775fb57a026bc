"""What tells one artifact from another: in what its key is made of, and in what it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cache.keys import KeySpec
from cache.manifest import Artifact

SHORT = 12
"""Digits of a key or digest that a person is shown."""

ABSENT = "absent"
_BRIEF = 60


@dataclass(frozen=True)
class Difference:
    """A named value that is not the same on both sides; "absent" where a side has none."""

    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """On one line, long values cut."""
        return f"{self.name}: {_brief(self.old)} -> {_brief(self.new)}"


@dataclass(frozen=True)
class Comparison:
    """Two artifacts side by side.

    Attributes:
        key: what their keys are made of: code version, settings, inputs, external digests.
        arrays: shape, dtype, dims and units of each array.
        statistics: what the stages found worth telling.
        files: "added", "removed" and "changed" files, in this sense from the first to the second.
        same_content: whether the output digests are equal.
    """

    key: tuple[Difference, ...]
    arrays: tuple[Difference, ...]
    statistics: tuple[Difference, ...]
    files: Mapping[str, tuple[str, ...]]
    same_content: bool


def compare(old: Artifact, new: Artifact) -> Comparison:
    """What differs between two artifacts, of one stage or of two."""
    before, after = old.manifest.files, new.manifest.files
    both = before.keys() & after.keys()
    files = {
        "added": tuple(sorted(after.keys() - before.keys())),
        "removed": tuple(sorted(before.keys() - after.keys())),
        "changed": tuple(sorted(name for name in both if before[name].sha256 != after[name].sha256)),
    }
    return Comparison(
        tuple(differences(ingredients(old.manifest.spec), ingredients(new.manifest.spec))),
        tuple(differences(flat(old.manifest.schema), flat(new.manifest.schema))),
        tuple(differences(flat(old.manifest.statistics), flat(new.manifest.statistics))),
        files,
        old.output_digest == new.output_digest,
    )


def ingredients(spec: KeySpec) -> dict[str, Any]:
    """What a key is made of, by dotted name; digests shortened."""
    inputs = {f"input {role}": digest[:SHORT] for role, digest in spec.inputs.items()}
    external = {f"external {name}": digest[:SHORT] for name, digest in spec.external.items()}
    return {"stage": spec.stage, "code version": spec.version, **flat(spec.settings), **inputs, **external}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Names whose values differ, in the order in which they come."""
    missing = object()
    names = [name for name in {**old, **new} if old.get(name, missing) != new.get(name, missing)]
    return [Difference(name, old.get(name, ABSENT), new.get(name, ABSENT)) for name in names]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _BRIEF else text[: _BRIEF - 3] + "..."

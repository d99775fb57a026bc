"""Cache keys: one hash for everything that decides a result, and nothing else."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Rational, Real
from typing import Any

from scene.errors import InputError

KEY_SCHEMA = 1
"""Raised when the meaning of the hashed document changes; every key changes with it."""

KEY = re.compile(r"[0-9a-f]{64}")
STAGE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def normalise(value: Any, where: str = "value") -> Any:
    """The plain JSON value that `value` means: what two equal values have in common.

    Numbers are compared by value: 1.0 and 1 are the same, and so are -0.0 and 0 (as in RFC 8785, but exact for large
    numbers), a numpy scalar is its value. True and False are no numbers. Tuples are lists. Strings are kept code
    point by code point.

    Raises:
        InputError: for NaN and infinity, which are no JSON and equal nothing.
        TypeError: for anything else that JSON does not have, naming the place.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, Rational):
        number = float(value)
        if not math.isfinite(number):
            raise InputError(f"{where} is {number}", where="a cached result", fix="use a finite number or none at all")
        return int(number) if number.is_integer() else number
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return [normalise(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        if odd := [name for name in value if not isinstance(name, str)]:
            raise TypeError(f"{where} has the key {odd[0]!r}: JSON keys are strings")
        return {str(name): normalise(value[name], f"{where}.{name}") for name in sorted(value)}
    raise TypeError(f"{where} is a {type(value).__name__}, which is no JSON value")


def canonical_json(value: Any, where: str = "value") -> str:
    """The one JSON text (ASCII, sorted keys, no white space) of everything that equals `value`; see `normalise`."""
    return json.dumps(normalise(value, where), sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class KeySpec:
    """Everything that decides an artifact's content. Paths, hosts, batch sizes and worker counts never belong here.

    Attributes:
        stage: the stage's name, lower case.
        version: the stage's explicit code version.
        settings: the stage's settings as JSON values, defaults included; kept normalised.
        inputs: *output digest* of each input by role, so that an identical output stops a ripple of recomputation.
        external: digest of each thing read from outside the cache (data set tables, teacher weights) by name.

    Raises:
        InputError, TypeError: see `normalise`.
        ValueError: for a stage name that is no lower-case identifier.
    """

    stage: str
    version: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    external: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not STAGE_NAME.fullmatch(self.stage):
            raise ValueError(f"{self.stage!r} is no stage name: lower-case letters, digits and _ only")
        for name in ("settings", "inputs", "external"):  # a copy: a later change of the caller's dict is not ours
            object.__setattr__(self, name, normalise(getattr(self, name), name))

    def __hash__(self) -> int:
        return hash(self.key)

    def document(self) -> dict[str, Any]:
        """What is hashed, as JSON values."""
        return {
            "schema": KEY_SCHEMA,
            "stage": self.stage,
            "version": self.version,
            "settings": self.settings,
            "inputs": self.inputs,
            "external": self.external,
        }

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits: the SHA-256 of the canonical JSON of `document()`."""
        return hashlib.sha256(canonical_json(self.document()).encode("ascii")).hexdigest()

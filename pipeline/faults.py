"""Settings from plain values, with the first fault told in one line: file, dotted place, nearest valid key."""

import difflib
import typing
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pipeline.layers import Layers, Location
from scene.errors import InputError
from scene.settings import Settings, ValidationError

SettingsT = TypeVar("SettingsT", bound=Settings)


def parse_settings(model: type[SettingsT], values: dict[str, Any], layers: Layers, section: Location = ()) -> SettingsT:
    """Settings from plain values found at `section` of the experiment.

    Raises:
        InputError: naming the first fault.
    """
    try:
        return model.parse(values)
    except ValidationError as error:
        faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        raise _told(faults, model, layers, section) from error


def check_keys(model: type[Settings], values: dict[str, Any], layers: Layers, section: Location) -> None:
    """Refuses unknown keys in a section that may lack others, or may not be needed in this run.

    Raises:
        InputError: naming the first unknown key.
    """
    try:
        model.parse(values)
    except ValidationError as error:
        if unknown := [fault for fault in error.errors() if fault["type"] == "extra_forbidden"]:
            raise _told(unknown, model, layers, section) from error


def _told(faults: list[ErrorDetails], model: type[Settings], layers: Layers, section: Location) -> InputError:
    first = faults[0]
    location: Location = (*section, *first["loc"])
    dotted = ".".join(str(part) for part in location)
    fix = ""
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        what, fix = f"unknown key {key!r}", _nearest(key, _valid_keys(model, first["loc"][:-1]))
    elif first["type"] == "missing":
        what, fix = "a value is missing", f"add {dotted}"
    elif first["type"] == "value_error":
        what = first["msg"].removeprefix("Value error, ")
    else:
        what = f"{first['msg']}, not {first['input']!r}"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return InputError(" ".join(what.split()) + more, where=layers.place_of(location), fix=fix)


def _nearest(key: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid keys here are {', '.join(sorted(valid))}"


def _valid_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Keys that the settings model nested in `model` at `location` knows."""
    known: Any = model
    for part in location:
        fields = {f.alias or n: f.annotation for m in _models_in(known) for n, f in m.model_fields.items()}
        known = fields.get(str(part), known)  # a part that is no field is a position in a sequence: stay
    return [f.alias or n for m in _models_in(known) for n, f in m.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    inner = typing.get_args(annotation)
    if inner:
        return [model for part in inner for model in _models_in(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []

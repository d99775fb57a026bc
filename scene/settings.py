"""The base of every settings model: frozen, strict, nothing unknown."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import pydantic
from pydantic import BaseModel, ConfigDict, model_serializer
from pydantic_core import to_json

FOR_KEY = {"for": "key"}
"""Context in which `Settings.canonical` serialises."""

NOT_IN_KEY = "not in key"
"""Marks a field (`Annotated[int, NOT_IN_KEY] = 4`) that decides how fast or from where a result comes, or that another
part of the key says already."""

JOINED_LATER = "joined later"
"""Marks a field that joined its model when results were cached already. At its default it is no part of a key: what was
cached before there was such a field is found by those who do not set it."""


class Settings(BaseModel):
    """Immutable settings. An unknown key or a wrong type is an error, never a guess.

    Settings that decide a result are part of the cache key. What only decides how fast or where it is computed belongs
    to `stages.stage.Runtime`, or is marked `NOT_IN_KEY` (places of weights, batch sizes of an inference).
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Validates plain YAML or JSON values (lists become tuples).

        Raises:
            pydantic.ValidationError: naming every offending field.
        """
        return cls.model_validate_json(to_json(values))

    def canonical(self) -> dict[str, Any]:
        """The settings as plain JSON values, defaults included: what a cache key is made of.

        See `for_key` for what is left out, here and in every model inside.
        """
        return self.model_dump(mode="json", context=FOR_KEY)

    def for_key(self, values: dict[str, Any]) -> dict[str, Any]:
        """What of this model's serialised `values` is part of a cache key: all but the fields that are marked.

        Overridden where that hangs on the values. What a place (of weights) is left out for reaches the key as the
        digest of what lies there (`stages.stage.Stage.fingerprint`).
        """
        return {name: value for name, value in values.items() if not self._is_left_out(name)}

    def _is_left_out(self, name: str) -> bool:
        field = type(self).model_fields[name]
        unset = getattr(self, name) == field.default
        return NOT_IN_KEY in field.metadata or (JOINED_LATER in field.metadata and unset)

    @model_serializer(mode="wrap")
    def _serialise(self, serialise: Callable[[Any], dict[str, Any]], info: Any) -> dict[str, Any]:
        values = serialise(self)
        return self.for_key(values) if info.context == FOR_KEY else values


ValidationError = pydantic.ValidationError

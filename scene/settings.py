"""The base of every settings model: frozen, strict, nothing unknown."""

from typing import Any, ClassVar, Self

import pydantic
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

FOR_KEY = {"for": "key"}
"""Context in which `Settings.canonical` serialises."""


class Settings(BaseModel):
    """Immutable settings. An unknown key or a wrong type is an error, never a guess.

    Settings that decide a result are part of the cache key. What only decides how fast or where it is computed belongs
    to `stages.stage.Runtime`, or is left out by `canonical` (places of weights, batch sizes of an inference).
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

        A model inside that names a place (of weights) leaves it out, by a serializer that looks for `FOR_KEY`; what
        lies there reaches the key as a digest (`stages.stage.Stage.fingerprint`).
        """
        return self.model_dump(mode="json", context=FOR_KEY)


ValidationError = pydantic.ValidationError

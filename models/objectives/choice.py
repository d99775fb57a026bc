"""Settings that choose an objective: `{name: reprojection, ...}`, the rest checked by that objective's own model."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, SerializeAsAny, model_serializer

from scene.settings import FOR_KEY, Settings, ValidationError


class ObjectiveConfig(Settings):
    """Base of every objective's settings.

    Attributes:
        name: the objective's name in `models.objectives.OBJECTIVES`.
        entry: "module:Class" of the objective itself.
        needs: roles of the artifacts it reads, beyond the images and the camera geometry that every model reads.
        version: raise it whenever the same settings would teach something else: it joins the keys of the trainings that
            have this objective, and of no others.
        predicts_bev: whether it trains the head "decoder", so that what it taught can be scored without fine-tuning.
    """

    entry: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    predicts_bev: ClassVar[bool] = True
    name: str

    @model_serializer(mode="wrap")
    def _with_version(self, serialise: Callable[[Any], dict[str, Any]], info: Any) -> dict[str, Any]:
        values = serialise(self)
        if info.context == FOR_KEY and self.version > 1:
            values["version"] = self.version
        return values


def _resolve(value: Any) -> Any:
    """Settings of the named objective's own class from plain values; settings pass through."""
    from models.objectives import config_class

    if not isinstance(value, dict):
        return value
    found = config_class(str(value.get("name", "reprojection")))
    try:
        return found.parse(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        known = f"; valid keys are {', '.join(found.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise ValueError(f"{place}: {first['msg']}{known}") from None


ObjectiveChoice = Annotated[SerializeAsAny[ObjectiveConfig], BeforeValidator(_resolve)]
"""A field of another settings model that holds any objective's settings."""

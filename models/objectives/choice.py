"""Settings that choose an objective: `{name: reprojection, ...}`, the rest checked by that objective's own model."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, SerializeAsAny

from scene.settings import Settings, ValidationError


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

    def for_key(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: D102 - see Settings
        version = {"version": self.version} if self.version > 1 else {}
        return super().for_key(values) | version


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

from typing import Annotated

import pytest
from pydantic import Field, SerializeAsAny

from scene.settings import JOINED_LATER, NOT_IN_KEY, Settings, ValidationError


class Inner(Settings):
    place: Annotated[str, NOT_IN_KEY] = "here"
    size: int = 3
    turn: Annotated[float, Field(ge=0), JOINED_LATER] = 0.0


class Special(Inner):
    extra: int = 1

    def for_key(self, values):
        return super().for_key(values) | {"version": 2}


class Outer(Settings):
    inner: SerializeAsAny[Inner] = Inner()
    many: tuple[Inner, ...] = ()


def test_a_marked_field_is_no_part_of_a_key_wherever_its_model_stands():
    settings = Outer(inner=Inner(place="there"), many=(Inner(place="elsewhere"),))
    assert settings.canonical() == {"inner": {"size": 3}, "many": [{"size": 3}]}


def test_a_field_that_joined_later_is_part_of_a_key_once_it_is_set():
    assert Inner(turn=0.0).canonical() == Inner().canonical() == {"size": 3}
    assert Inner(turn=0.5).canonical() == {"size": 3, "turn": 0.5}


def test_a_model_of_its_own_kind_says_more_where_it_stands_for_its_base():
    assert Outer(inner=Special()).canonical()["inner"] == {"size": 3, "extra": 1, "version": 2}


def test_what_is_written_for_reading_has_every_field():
    settings = Outer(inner=Inner(place="there", turn=0.5))
    assert settings.model_dump(mode="json")["inner"] == {"place": "there", "size": 3, "turn": 0.5}
    assert Outer.parse(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("values", [{"size": "3"}, {"sise": 3}, {"turn": -1.0}])
def test_wrong_values_are_refused(values):
    with pytest.raises(ValidationError):
        Inner.parse(values)

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from cache.keys import KeySpec, canonical_json
from scene.errors import InputError
from scene.settings import Settings

# Few and close values, so that equal and nearly equal pairs are drawn often.
numbers = st.sampled_from([0, 1, -1, 0.0, -0.0, 1.0, 0.5, 1e300, 10**300, int(1e300), 2**53, 2.0**53, 2**53 + 1])
leaves = st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=2)
leaves |= st.sampled_from(["1", "true", "null", "é", "e\u0301"])
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abé"), inner, max_size=3),
    max_leaves=6,
)


def meaning(value):
    """What a value means, comparable by ==: True is not 1, a tuple is a list, the order of names is nothing."""
    if isinstance(value, str):
        return "string", str(value)
    if isinstance(value, bool) or value is None:
        return type(value).__name__, value
    if isinstance(value, dict):
        return "object", {name: meaning(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return "array", [meaning(item) for item in value]
    return "number", value


@given(values, values)
def test_same_text_if_and_only_if_same_meaning(first, second):
    assert (canonical_json(first) == canonical_json(second)) == (meaning(first) == meaning(second))


@given(values)
def test_round_trip_and_order(value):
    text = canonical_json(value)
    assert text.isascii()
    assert canonical_json(json.loads(text)) == text
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == text
    if isinstance(value, list):
        assert canonical_json(tuple(value)) == text


@given(
    st.dictionaries(st.text(max_size=3), values, max_size=3), st.dictionaries(st.text(max_size=3), values, max_size=3)
)
def test_keys_differ_exactly_when_settings_do(first, second):
    keys = [KeySpec("stage", 1, settings).key for settings in (first, second)]
    assert (keys[0] == keys[1]) == (meaning(first) == meaning(second))


def respelled(value, draw):
    """The same meaning in another spelling: order of names, tuple or list, int, float or numpy scalar, -0.0 or 0."""
    if isinstance(value, dict):
        return {name: respelled(value[name], draw) for name in draw(st.permutations(list(value)))}
    if isinstance(value, list | tuple):
        return draw(st.sampled_from([list, tuple]))(respelled(item, draw) for item in value)
    if isinstance(value, str):
        kinds = [str] if value.endswith("\0") else [str, np.str_]  # numpy drops zeros at the end
        return draw(st.sampled_from(kinds))(value)
    if isinstance(value, bool) or value is None:
        return value
    spellings = [value, *(kind(value) for kind in (float, np.float64) if abs(value) < 2**53)]
    if value == 0:
        spellings += [0, -0.0, np.float32(0), np.int8(0)]
    if abs(value) < 2**53 and int(value) == value:
        spellings += [int(value), np.int64(value)]
    return draw(st.sampled_from(spellings))


@given(st.data(), st.dictionaries(st.text(max_size=3), values, max_size=4))
def test_another_spelling_has_the_same_key(data, settings):
    again = respelled(settings, data.draw)
    assert meaning(again) == meaning(settings)
    assert KeySpec("stage", 1, again).key == KeySpec("stage", 1, settings).key


def mutations(value):
    """Everything that is one step away from `value` and means something else."""
    if isinstance(value, dict):
        for name, item in value.items():
            others = {other: kept for other, kept in value.items() if other != name}
            yield others
            yield {**others, name + "\u0301": item}
            yield from ({**value, name: other} for other in mutations(item))
        yield {**value, "a name of its own": None}
    elif isinstance(value, list):
        yield from ([*value[:k], other, *value[k + 1 :]] for k, item in enumerate(value) for other in mutations(item))
        yield from ([*value[:k], *value[k + 1 :]] for k in range(len(value)))
        yield [*value, None]
        yield [value]
        if meaning(value) != meaning(value[::-1]):
            yield value[::-1]
    elif isinstance(value, str):
        yield from (value + " ", value + "\u0301", [value])
        if value:
            yield value[:-1]
    elif value is None:
        yield from (False, 0, "", "null", [], {})
    elif isinstance(value, bool):
        yield from (not value, int(value), str(value), json.dumps(value), None)
    else:
        yield from (
            -value if value else 1,
            math.nextafter(value, math.inf) if abs(value) < 2**53 else 0,
            str(value),
            None,
        )
        yield bool(value)


@given(st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_one_change_anywhere_is_another_key(settings):
    key = KeySpec("stage", 1, settings).key
    for other in mutations(settings):
        assert KeySpec("stage", 1, other).key != key, other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": True}, {"a": 1}),
        ({"a": False}, {"a": 0}),
        ({"a": "1"}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": []}, {"a": {}}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": [[1], 2]}, {"a": [1, [2]]}),
        ({"a.b": 1}, {"a": {"b": 1}}),
        ({"é": 1}, {"e\u0301": 1}),  # not normalised: whoever reads the name finds one and not the other
        ({"a": 0.1 + 0.2}, {"a": 0.3}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
        ({"a": np.float32(0.1)}, {"a": 0.1}),  # the value of the nearest 32-bit number, which is another
    ],
)
def test_close_but_other_meaning_is_another_key(one, other):
    assert KeySpec("stage", 1, one).key != KeySpec("stage", 1, other).key


class Inner(Settings):
    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)


class Outer(Settings):
    inner: Inner = Inner()
    limit: float | None = None
    shares: dict[str, float] = Field(default_factory=dict)
    flag: bool = False


inner = st.fixed_dictionaries({}, optional={"rate": st.sampled_from([0.5, 1, 1.0]), "sizes": st.just([1, 2])})
outer = st.fixed_dictionaries(
    {},
    optional={
        "inner": inner,
        "limit": st.sampled_from([None, 0, -0.0, 1]),
        "shares": st.dictionaries(st.sampled_from("ab"), st.sampled_from([0.25, 1, 1.0])),
        "flag": st.booleans(),
    },
)


@given(outer, outer)
def test_settings_have_the_same_key_exactly_when_they_are_equal(first, second):
    """Defaults spelled out or not, at every depth; what YAML writes as 1 and 1.0."""
    one, other = (Outer.parse(values) for values in (first, second))
    keys = [KeySpec("stage", 1, settings.canonical()).key for settings in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


def test_every_field_is_in_the_key():
    spec = KeySpec("stage", 1, {"a": 1}, {"index": "d1"}, {"weights": "w1"})
    others = [
        replace(spec, stage="other"),
        replace(spec, version=2),
        replace(spec, settings={"a": 2}),
        replace(spec, inputs={"index": "d2"}),
        replace(spec, inputs={"labels": "d1"}),
        replace(spec, external={"weights": "w2"}),
        replace(spec, inputs={}, external={"index": "d1", "weights": "w1"}),  # same names, other places
    ]
    assert len({spec.key, *(other.key for other in others)}) == 1 + len(others)


def test_the_key_of_today_is_the_key_of_tomorrow():
    spec = KeySpec("stage", 1, {"grid": [0.15, 2], "name": "é"}, {"index": "d1"}, {})
    text = (
        '{"external":{},"inputs":{"index":"d1"},"schema":1,"settings":{"grid":[0.15,2],"name":"\\u00e9"},'
        '"stage":"stage","version":1}'
    )
    assert canonical_json(spec.document()) == text
    assert spec.key == "1664c0ff5a3e57938864893635f553d32b182781597c4c9174177e3b0a97e22d"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
def test_what_is_no_number_is_refused_by_name(number):
    with pytest.raises(InputError, match=r"settings\.loss\[1\] is (nan|inf|-inf)"):
        KeySpec("stage", 1, {"loss": [1.0, number]})


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), np.zeros(2), {1: "a"}, 1j])
def test_what_is_no_json_is_refused_by_name(value):
    with pytest.raises(TypeError, match=r"settings\.a"):
        KeySpec("stage", 1, {"a": value})


def test_numpy_scalars_are_their_values():
    scalars = {"a": np.float64(0.5), "b": np.int64(3), "c": np.float32(0.25)}
    assert KeySpec("stage", 1, scalars).key == KeySpec("stage", 1, {"a": 0.5, "b": 3, "c": 0.25}).key


def test_later_changes_of_the_callers_dict_do_not_reach_the_spec():
    settings = {"a": [1]}
    spec = KeySpec("stage", 1, settings)
    settings["a"].append(2)
    assert spec.settings == {"a": [1]}
    assert spec == KeySpec("stage", 1, {"a": (1.0,)})


@pytest.mark.parametrize("name", ["", "../up", "Upper", "a b", "a-b"])
def test_stage_names_are_folder_names(name):
    with pytest.raises(ValueError, match="stage name"):
        KeySpec(name, 1, {})

from cache.compare import compare, flat
from tests.cache import toy


def test_what_differs_is_named_with_both_values(tmp_path):
    old, new = toy.recipe(tmp_path / "cache")[0], toy.recipe(tmp_path / "cache", slope=4)[0]
    found = compare(old, new)
    assert [str(change) for change in found.key] == ["slope: 3 -> 4"]
    assert [str(change) for change in found.statistics] == ["slope: 3 -> 4"]
    assert found.arrays == ()
    assert found.files["added"] == found.files["removed"] == ()
    assert set(found.files["changed"]) == {f"toy.zarr/ramp/c/{i}/0" for i in range(3)}
    assert not found.same_content
    same = compare(old, old)
    assert same.same_content
    assert (same.key, same.statistics, set(same.files.values())) == ((), (), {()})


def test_flat_names():
    assert flat({"a": {"b": {"c": 1}, "d": {}}, "e": [1]}) == {"a.b.c": 1, "a.d": {}, "e": [1]}

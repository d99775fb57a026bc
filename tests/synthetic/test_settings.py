"""What a world is made of: impossible settings are refused, and plans stay put when a world grows."""

from typing import Any

import pytest

from scene.settings import ValidationError
from synthetic.settings import SplitSettings, WorldSettings, canvas_edge_m, plan_scenes, plan_towns


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_wh_px": [0, 96]},
        {"speed_ms": [5.0, 3.0]},
        {"frames_per_scene": 0},
        {"train": {"num_towns": 0, "num_scenes": 1}},
        {"sead": 1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WorldSettings.parse(wrong)


def test_settings_survive_their_canonical_form() -> None:
    settings = WorldSettings(seed=7, image_wh_px=(64, 32))
    assert WorldSettings.parse(settings.canonical()) == settings


def test_more_scenes_and_towns_leave_the_others_where_they_are() -> None:
    small, large = WorldSettings(), WorldSettings(teacher=SplitSettings(num_towns=9, num_scenes=40))
    before = {scene.name: scene for scene in plan_scenes(small)}
    after = {scene.name: scene for scene in plan_scenes(large)}
    assert all(after[name] == scene for name, scene in before.items() if scene.split != "teacher")
    towns = {town.name: town for town in plan_towns(large)}
    assert all(towns[town.name] == town for town in plan_towns(small))


def test_canvases_hold_their_towns() -> None:
    towns = plan_towns(WorldSettings(train=SplitSettings(num_towns=11, num_scenes=0)))
    for location in {town.location for town in towns}:
        own = [town for town in towns if town.location == location]
        width, height = canvas_edge_m(own)
        assert all(200 < t.centre_m[0] < width - 200 and 200 < t.centre_m[1] < height - 200 for t in own)

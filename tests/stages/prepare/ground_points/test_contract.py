from unittest import mock

import cv2
import numpy as np
import pytest

from cache.arrays import open_arrays
from cache.store import Store
from scene.errors import InputError
from scene.settings import ValidationError
from stages.prepare.ground_points import STAGE
from stages.prepare.ground_points import run as points_run
from tests import flat_world
from tests.contracts.stage import check_changed_setting, check_kill_and_resume, check_rerun_does_nothing, check_schema

SETTINGS = flat_world.POINTS.model_copy(update={"points_per_keyframe": 500})
NUM_FRAMES = 4


def recipe(root, **changes):
    """Two shards of two keyframes; those of the second one's scene are for evaluation."""
    made = flat_world.write_dataset(root.with_name(f"{root.name}-data-set"), num_scenes=2, frames_per_scene=2)
    with mock.patch.object(points_run, "FRAMES_PER_SHARD", 2):
        inputs = {role: made[role] for role in STAGE.inputs}
        return flat_world.run_stage(Store(root), STAGE, SETTINGS.model_copy(update=changes), inputs)


def test_contract(tmp_path):
    check_rerun_does_nothing(recipe, tmp_path)
    changes = {
        "points_per_keyframe": 100,
        "max_row_m": 1.0,
        "area_balance": False,
        "confidence_power": 0.0,
        "min_confidence": 0.5,
        "line_thickness_m": 1.0,
        "widen": {"road": 1.0},
        "fill_gaps": {"crossing": 1.0},
        "join_dashes": {"road": 4.0},
        "split": "val",
    }
    check_changed_setting(recipe, tmp_path, **changes)
    points = {"shape": [NUM_FRAMES, 500, 2], "dtype": "int16", "dims": ["frame", "point", "xy"]}
    classes = {"shape": [NUM_FRAMES, 500], "dtype": "uint8", "dims": ["frame", "point"]}
    weight = {"shape": [NUM_FRAMES], "dtype": "float32", "dims": ["frame"]}
    declared = {"points.zarr/points": points, "points.zarr/class_id": classes, "points.zarr/weight": weight}
    check_schema(recipe(tmp_path / "cache")[0], declared)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"widen": {"rood": 0.75}}, "'rood' is no class of the label schema: background, road, crossing"),
        ({"join_dashes": {"road": 3.0}}, "dashes of 'road' are joined only where it is in widen"),
        ({"widen": {"road": 1.0}, "fill_gaps": {"road": 1.0}}, "both in widen and in fill_gaps"),
    ],
)
def test_a_class_that_nothing_would_be_done_for_is_named(changes, says):
    with pytest.raises(ValidationError, match=says):
        SETTINGS.parse({**SETTINGS.model_dump(mode="json"), **changes})
    SETTINGS.parse({"label_schema": SETTINGS.label_schema.model_dump(mode="json")})  # the defaults fit any schema


def test_kill_and_resume(tmp_path):
    check_kill_and_resume(recipe, tmp_path, num_kills=3)


def test_what_is_kept_stands_for_the_ground(tmp_path):
    artifact, _ = recipe(tmp_path / "cache", points_per_keyframe=2000)
    group = open_arrays(artifact.path / "points.zarr")
    assert np.isnan(group["weight"][2:]).all(), "keyframes of another split have no points"
    points_m = group["points"][0] * points_run.metres_per_unit(flat_world.GRID)
    poses = flat_world.make_index(tmp_path / "again", 2, 2).global_from_ego
    expected = flat_world.class_at(flat_world.to_global(points_m, poses[0]))
    assert (group["class_id"][0] == expected).mean() > 0.999
    shares = artifact.manifest.statistics["classes"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert shares["background"] > shares["crossing"] > 0
    assert artifact.manifest.statistics["keyframes"] == 2


def test_the_picture_shows_the_classes_where_they_are(tmp_path):
    colours = {"background": (0, 90, 0), "road": (90, 90, 90), "crossing": (250, 250, 0)}
    classes = [c.model_copy(update={"colour": colours[c.name]}) for c in flat_world.SCHEMA.classes]
    schema = flat_world.SCHEMA.model_copy(update={"classes": tuple(classes)})
    artifact, _ = recipe(tmp_path / "cache", points_per_keyframe=8000, label_schema=schema)
    shown = cv2.imread(str(artifact.path / "points.png"))[..., ::-1]
    num_x, num_y = flat_world.GRID.shape
    scale = shown.shape[0] // num_x
    assert shown.shape == (num_x * scale, 2 * num_y * scale, 3), "two keyframes side by side"
    truth = flat_world.bev_class(flat_world.make_index(tmp_path / "again", 2, 2).global_from_ego[0])
    found = [
        tuple(shown[(num_x - x) * scale - 1, (num_y - y) * scale - 1]) for x in range(30, 40) for y in range(6, 26)
    ]
    expected = [colours[flat_world.SCHEMA.names[truth[x, y]]] for x in range(30, 40) for y in range(6, 26)]
    assert len(set(expected)) >= 2
    assert np.mean([f == e for f, e in zip(found, expected, strict=True)]) > 0.8


def test_labels_without_any_ground_are_refused(tmp_path):
    with pytest.raises(InputError, match="no label pixel of any keyframe says anything of the ground"):
        recipe(tmp_path / "cache", min_confidence=1.0, max_row_m=1e-6)


def test_a_split_without_keyframes_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no keyframe is in the split .*ground_points.split = 'tarin'"):
        recipe(tmp_path / "cache", split="tarin")

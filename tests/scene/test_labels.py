import numpy as np
import pytest
from pydantic import ValidationError

from scene.labels import IGNORE, STRUCTURE, LabelSchema, MapLayer, TeacherMap

SCHEMA = LabelSchema.parse(
    {
        "name": "small",
        "classes": [
            {"name": "background"},
            {"name": "road", "layers": ["drivable_area"]},
            {"name": "divider", "layers": ["road_divider", "lane_divider"], "scored": True},
            {"name": "boundary", "layers": ["boundary"], "scored": True, "edge_of": ["road"]},
        ],
    }
)


def test_the_later_class_wins_where_layers_overlap():
    names = (MapLayer.DRIVABLE_AREA, MapLayer.LANE_DIVIDER, MapLayer.BOUNDARY)
    road, divider, boundary = (1 << layer for layer in names)
    layers = np.array([0, road, road | divider, road | divider | boundary, 1 << MapLayer.STOP_LINE], np.uint16)
    assert SCHEMA.classes_from_layers(layers).tolist() == [0, 1, 2, 3, 0]
    assert SCHEMA.scored_ids == (2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ["tarmac"]}, "unknown map layers"),
        ({"edge_of": ["tarmac"]}, "names no class"),
        ({"name": "background"}, "repeat"),
        ({"colour": [1, 2]}, "colour"),
        ({"score": True}, "score"),
    ],
)
def test_a_bad_schema_is_refused_with_the_reason(change, message):
    with pytest.raises(ValidationError, match=message):
        LabelSchema.parse({"name": "bad", "classes": [{"name": "background"}, {"name": "road", **change}]})


def test_a_teacher_id_that_is_not_listed_is_structure():
    teacher = TeacherMap.parse({"teacher": "t", "num_classes": 5, "ids": {"road": [0, 2], "ignore": [4]}})
    assert teacher.lookup(SCHEMA).tolist() == [1, STRUCTURE, 1, STRUCTURE, IGNORE]


@pytest.mark.parametrize(
    ("ids", "message"), [({"tarmac": [0]}, "no class"), ({"road": [5]}, "out of range"), ({"road": [0, 0]}, "twice")]
)
def test_a_teacher_map_that_does_not_fit_is_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        TeacherMap(teacher="t", num_classes=5, ids={k: tuple(v) for k, v in ids.items()}).lookup(SCHEMA)

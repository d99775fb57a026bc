from pathlib import Path

import pytest
import yaml

from scene.labels import IGNORE, STRUCTURE, LabelSchema, TeacherMap
from synthetic.contents import Semantic

LABELS = Path(__file__).parents[2] / "configs" / "labels"


def schema(name):
    return LabelSchema.parse(yaml.safe_load((LABELS / f"{name}.yaml").read_text()))


def teacher(name):
    return TeacherMap.parse(yaml.safe_load((LABELS / "teachers" / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("name", ["paper", "extended"])
def test_schemas_are_sound(name):
    classes = schema(name)
    assert classes.name == name
    assert classes.names[0] == "background"
    assert len({c.colour for c in classes.classes}) == len(classes.classes)


def test_the_paper_is_scored_on_its_three_classes():
    classes = schema("paper")
    assert sorted(classes.names[i] for i in classes.scored_ids) == ["boundary", "crossing", "divider"]


@pytest.mark.parametrize("schema_name", ["paper", "extended"])
@pytest.mark.parametrize("teacher_name", ["mapillary", "embedded"])
def test_teachers_fit_their_schema_and_never_say_edge_classes(teacher_name, schema_name):
    classes = schema(schema_name)
    name = teacher_name if schema_name == "paper" else f"{teacher_name}-{schema_name}"
    table = teacher(name).lookup(classes)
    edges = {i for i, c in enumerate(classes.classes) if c.edge_of}
    assert not edges & set(table.tolist())
    assert classes.names.index("road") in table


def test_the_embedded_teacher_is_the_worlds_classes():
    classes, table = schema("paper"), teacher("embedded").lookup(schema("paper"))
    assert len(table) == len(Semantic)

    def said(semantic):
        return {IGNORE: "ignore", STRUCTURE: "structure"}.get(table[semantic]) or classes.names[table[semantic]]

    assert {s.name: said(s) for s in Semantic} == {
        "SKY": "structure",
        "BUILDING": "structure",
        "VEGETATION": "structure",
        "POLE": "structure",
        "TERRAIN": "background",
        "SIDEWALK": "background",
        "ROAD": "road",
        "DIVIDER": "divider",
        "CROSSING": "crossing",
        "STOP_LINE": "road",
        "ARROW": "road",
        "VEHICLE": "ignore",
    }

import numpy as np

from scene.labels import IGNORE, STRUCTURE
from scene.transform import inverse
from stages.learn.evaluate.visibility import cell_visibility
from stages.prepare.geometry.seen import seen_cells
from tests import flat_world
from trainer.metrics import OCCLUDED, OUTSIDE, SEEN

GRID = flat_world.GRID
CAMERA_FROM_EGO = inverse(flat_world.ego_from_camera())
IN_VIEW = seen_cells(flat_world.intrinsics(), CAMERA_FROM_EGO, flat_world.IMAGE_HW_PX, GRID, 60.0)


def visibility(class_id):
    return cell_visibility(class_id, flat_world.intrinsics(), CAMERA_FROM_EGO, IN_VIEW, GRID)


def labels():
    return flat_world.image_labels(np.eye(4)).class_id


def test_open_ground_is_seen_and_what_no_camera_has_in_view_is_outside():
    found = visibility(labels())
    assert ((found == OUTSIDE) == ~IN_VIEW.any(axis=0)).all()
    assert (found == OUTSIDE).any()
    assert (found == SEEN)[IN_VIEW.any(axis=0)].mean() > 0.99


def test_cells_behind_structures_or_ignored_things_are_occluded():
    for special in (STRUCTURE, IGNORE):
        everything = labels()
        everything[:] = special
        found = visibility(everything)
        assert set(np.unique(found)) == {OCCLUDED, OUTSIDE}


def test_one_camera_that_sees_the_ground_is_enough():
    blocked = labels()
    blocked[0] = STRUCTURE
    found = visibility(blocked)
    only_front = IN_VIEW[0] & ~IN_VIEW[1:].any(axis=0)
    assert (found[only_front] == OCCLUDED).all()
    shared = IN_VIEW[0] & IN_VIEW[1:].any(axis=0)
    assert shared.any()
    assert (found[shared] == SEEN).mean() > 0.9

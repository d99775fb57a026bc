import pytest
import torch

from models.teachers.sam import SamTeacher, boxes_of, paint, point_grid, stability, suppress
from models.teachers.settings import SamSettings, TeacherSource
from tests.models.teachers.tiny import tiny_sam


def overlap(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(area) - width * height)


@pytest.mark.parametrize("max_iou", [0.1, 0.5, 0.9])
def test_suppression_is_that_of_the_definition(max_iou):
    generator = torch.Generator().manual_seed(0)
    corner = torch.randint(0, 30, (60, 2), generator=generator)
    boxes = torch.cat([corner, corner + torch.randint(4, 20, (60, 2), generator=generator)], dim=1).float()
    ratings = torch.randint(0, 20, (60,), generator=generator) / 20  # with ties
    kept: list[int] = []
    for i in sorted(range(60), key=lambda i: (-float(ratings[i]), i)):
        if all(overlap(boxes[i].tolist(), boxes[k].tolist()) <= max_iou for k in kept):
            kept.append(i)
    assert suppress(boxes, ratings, max_iou).tolist() == kept


def test_suppression_of_nothing_keeps_nothing():
    assert suppress(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_boxes_are_tight():
    masks = torch.zeros(2, 5, 7, dtype=torch.bool)
    masks[0, 1:3, 2:6] = True
    masks[1, 4, 6] = True
    assert boxes_of(masks).tolist() == [[2, 1, 6, 3], [6, 4, 7, 5]]


def test_stability_is_the_iou_of_two_cuts():
    logits = torch.tensor([[[2.0, 0.5, -0.5, -2.0]], [[-9.0, -9.0, -9.0, -9.0]]])
    assert stability(logits, 1.0).tolist() == pytest.approx([1 / 3, 0])


def test_points_are_cell_centres_of_the_image_within_the_padding():
    assert point_grid(2, (32, 64)).tolist() == [[16, 8], [48, 8], [16, 24], [48, 24]]


def test_small_masks_lie_on_large_ones():
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, 0, 0] = True
    masks[1, :2] = True
    assert paint(masks)[:2, :2].tolist() == [[2, 1], [1, 1]]
    assert paint(masks)[3, 3] == 0


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory):
    return tiny_sam(tmp_path_factory.mktemp("sam"))


def settings_for(folder, **changes):
    everything = {"points_per_side": 4, "min_predicted_iou": -99.0, "min_stability": 0.0, "min_area_px": 4}
    return SamSettings(teacher=TeacherSource(source=str(folder)), **{**everything, **changes})


def test_masks_of_a_real_sam_are_instances_at_the_label_size(sam_folder):
    image = torch.randint(0, 256, (3, 48, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    instances = SamTeacher.load(sam_folder, settings_for(sam_folder))(image, (24, 48))
    assert instances.shape == (24, 48)
    assert instances.max() >= 1
    batched = SamTeacher.load(sam_folder, settings_for(sam_folder, points_per_batch=5))(image, (24, 48))
    assert torch.equal(instances > 0, batched > 0)


@pytest.mark.parametrize("filtered", [{"min_predicted_iou": 99.0}, {"min_area_px": 10_000}])
def test_filters_can_leave_nothing(sam_folder, filtered):
    image = torch.randint(0, 256, (3, 48, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    instances = SamTeacher.load(sam_folder, settings_for(sam_folder, **filtered))(image, (24, 48))
    assert instances.max() == 0

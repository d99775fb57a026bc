from dataclasses import replace

import cv2
import numpy as np
import pytest

from scene.camera import ground_from_pixel, project
from scene.transform import apply
from synthetic.contents import Semantic
from synthetic.render import render_camera

WH_PX = (192, 96)
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


def inside_outline(solid, image_from_camera, camera_from_global, wh_px):
    """(h, w) distance in px of every pixel's centre from the solid's projected outline, positive inside."""
    corners = apply(camera_from_global @ solid.global_from_solid, CORNERS * solid.size_m)
    pixels, depth = project(image_from_camera, corners)
    assert np.all(depth > 0)
    hull = cv2.convexHull(pixels.astype(np.float32))
    width, height = wh_px
    return np.array(
        [[cv2.pointPolygonTest(hull, (float(u), float(v)), True) for u in range(width)] for v in range(height)]
    )


@pytest.mark.parametrize("wh_px", [(192, 96), (101, 67)])
@pytest.mark.parametrize("yaw", [0.0, 0.6])
def test_a_box_covers_exactly_the_pixels_that_its_corners_enclose(street, noon, wh_px, yaw):
    box = street.box(Semantic.BUILDING, 5, (50, 31), (6, 4, 3), yaw)
    camera = street.camera((30, 29), 0.05, wh_px)
    truth = render_camera(street.surface, [box], noon, *camera, wh_px, 0)
    distance = inside_outline(box, *camera, wh_px)
    assert np.all(truth.instance[distance > 0.01] == 5)
    assert np.all(truth.semantic[distance > 0.01] == Semantic.BUILDING)
    assert not np.any(truth.instance[distance < -0.01])
    assert np.sum(distance > 0) > 100


def test_a_box_that_reaches_behind_the_camera_is_cut_not_lost(street, noon):
    wall = street.box(Semantic.BUILDING, 9, (40, 33), (40, 2, 8))
    truth = render_camera(street.surface, [wall], noon, *street.camera((30, 30)), WH_PX, 0)
    assert np.all(truth.instance[20:60, 0] == 9)
    assert truth.semantic[-1, -1] != Semantic.BUILDING


def test_ground_classes_are_those_of_the_cells_under_the_centre_rays(street, noon):
    image_from_camera, camera_from_global = street.camera((38, 28), 0.2)
    truth = render_camera(street.surface, [], noon, image_from_camera, camera_from_global, WH_PX, 0)
    homography = ground_from_pixel(image_from_camera, camera_from_global)
    ground = street.surface.ground
    compared = 0
    for v in range(WH_PX[1]):
        for u in range(WH_PX[0]):
            x, y, w = homography @ (u, v, 1)
            if w <= 0:
                assert truth.semantic[v, u] == Semantic.SKY
                continue
            i, j = (int(np.floor((p / w - o) / 0.1)) for p, o in zip((x, y), ground.origin_m, strict=True))
            inside = 0 <= i < ground.semantic.shape[0] and 0 <= j < ground.semantic.shape[1]
            assert truth.semantic[v, u] == (ground.semantic[i, j] if inside else Semantic.TERRAIN)
            compared += inside
    assert compared > 3000
    assert set(np.unique(truth.semantic)) >= {Semantic.DIVIDER, Semantic.CROSSING, Semantic.ROAD, Semantic.SIDEWALK}


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_solid_hides_the_farther_in_any_order(street, noon, order):
    near = street.box(Semantic.VEHICLE, 1, (42, 30), (8, 2.5, 3.2))
    far = street.box(Semantic.BUILDING, 2, (70, 30), (10, 12, 10))
    camera = street.camera((30, 30))
    truth = render_camera(street.surface, [near, far][::order], noon, *camera, WH_PX, 0)
    alone = render_camera(street.surface, [near], noon, *camera, WH_PX, 0)
    assert np.array_equal(truth.instance == 1, alone.instance == 1)
    assert np.sum(alone.instance == 1) > 300
    assert np.sum(truth.instance == 2) > 300
    assert np.array_equal(truth.semantic == Semantic.VEHICLE, truth.instance == 1)
    assert np.array_equal(truth.semantic == Semantic.BUILDING, truth.instance == 2)


@pytest.mark.parametrize("semantic", [Semantic.VEHICLE, Semantic.VEGETATION, Semantic.POLE])
def test_every_kind_of_solid_stays_inside_its_box_and_fills_most_of_it(street, noon, semantic):
    for seed in range(6):
        box = street.box(
            semantic, 3, (44, 30), (4.4, 1.8, 1.5) if semantic == Semantic.VEHICLE else (2, 2, 2.5), 0.4, seed
        )
        camera = street.camera((36, 30))
        truth = render_camera(street.surface, [box], noon, *camera, WH_PX, 0)
        distance = inside_outline(box, *camera, WH_PX)
        assert not np.any(truth.instance[distance < -0.01])
        assert np.sum(truth.instance == 3) > 0.45 * np.sum(distance > 0)


def test_same_arguments_same_bytes_whatever_the_number_of_threads(street, noon):
    solids = [
        street.box(Semantic.BUILDING, 1, (60, 45), (9, 8, 9)),
        street.box(Semantic.VEGETATION, 2, (50, 22), (3, 3, 4)),
    ]
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = render_camera(street.surface, solids, noon, *street.camera((30, 30)), WH_PX, 11)
        cv2.setNumThreads(4)
        four = render_camera(street.surface, solids, noon, *street.camera((30, 30)), WH_PX, 11)
    finally:
        cv2.setNumThreads(threads)
    assert one.rgb.tobytes() == four.rgb.tobytes()
    assert one.semantic.tobytes() == four.semantic.tobytes()
    assert one.instance.tobytes() == four.instance.tobytes()


def test_the_seed_changes_the_noise_and_nothing_else(street, noon):
    views = [render_camera(street.surface, [], noon, *street.camera((30, 30)), WH_PX, seed) for seed in (1, 2)]
    assert np.mean(views[0].rgb != views[1].rgb) > 0.5
    assert np.array_equal(views[0].semantic, views[1].semantic)


def test_a_shadow_darkens_the_ground_but_not_its_class(street, noon):
    # The sun stands to the left (+y); a tall box beside the view throws its shadow over the road ahead.
    light = replace(noon, sun_direction=(0.0, 0.8, 0.6), noise=0.0)
    camera = street.camera((30, 30))
    box = street.box(Semantic.BUILDING, 1, (45, 40), (6, 4, 12))
    lit = render_camera(street.surface, [], light, *camera, WH_PX, 0)
    shaded = render_camera(street.surface, [box], light, *camera, WH_PX, 0)
    x, y, w = np.moveaxis(_ground_points(camera), -1, 0)
    in_shadow = (w > 0) & (np.abs(x - 145) < 2.5) & (y > 222) & (y < 236)
    in_sun = (w > 0) & (x < 140) & (shaded.instance == 0)
    assert in_shadow.sum() > 20
    assert np.array_equal(lit.semantic[in_shadow], shaded.semantic[in_shadow])
    # Exposure differs between the pictures: compare each with its own sunlit ground.
    ratio = [np.mean(v.rgb[in_shadow], dtype=float) / np.mean(v.rgb[in_sun], dtype=float) for v in (lit, shaded)]
    assert ratio[1] < 0.8 * ratio[0]


def _ground_points(camera):
    homography = ground_from_pixel(*camera)
    u, v = np.meshgrid(np.arange(WH_PX[0]), np.arange(WH_PX[1]))
    points = np.stack([u, v, np.ones_like(u)], axis=-1) @ homography.T
    points[..., :2] /= np.where(points[..., 2:] > 0, points[..., 2:], 1)
    return points


def test_haze_takes_contrast_from_what_is_far(street, noon):
    box = street.box(Semantic.BUILDING, 1, (100, 30), (6, 20, 14))
    camera = street.camera((20, 30))
    spread = []
    for haze_m in (2000.0, 40.0):
        view = render_camera(street.surface, [box], replace(noon, haze_m=haze_m, noise=0.0), *camera, WH_PX, 0)
        spread.append(view.rgb[view.instance == 1].astype(float).std())
    assert spread[1] < 0.5 * spread[0]


def test_a_picture_keeps_what_it_shows_when_it_grows(street, noon):
    solids = [
        street.box(Semantic.BUILDING, 1, (60, 45), (9, 8, 9)),
        street.box(Semantic.VEHICLE, 2, (45, 27), (4.5, 1.8, 1.5)),
    ]
    light = replace(noon, noise=0.0)
    small = render_camera(street.surface, solids, light, *street.camera((30, 30)), WH_PX, 0)
    large = render_camera(street.surface, solids, light, *street.camera((30, 30), wh_px=(768, 384)), (768, 384), 0)
    shrunk = cv2.resize(large.rgb, WH_PX, interpolation=cv2.INTER_AREA)
    assert np.mean(np.abs(shrunk.astype(float) - small.rgb)) < 6
    assert large.semantic.shape == (384, 768)


def test_a_camera_in_the_ground_is_refused(street, noon):
    with pytest.raises(ValueError, match="below the ground"):
        render_camera(street.surface, [], noon, *street.camera((30, 30), height_m=-0.5), WH_PX, 0)


def test_a_camera_that_looks_up_sees_only_sky(street, noon):
    image_from_camera, camera_from_global = street.camera((30, 30))
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[0, 1], [-1, 0]]  # what was above (-y) is now ahead (z)
    truth = render_camera(street.surface, [], noon, image_from_camera, tilt @ camera_from_global, WH_PX, 0)
    assert np.all(truth.semantic == Semantic.SKY)
    assert not np.any(truth.instance)


def test_a_wet_street_is_darker_and_its_paint_stands_out_less(street, noon):
    contrast, road = [], []
    for wetness in (0.0, 1.0):
        light = replace(noon, wetness=wetness, noise=0.0)
        view = render_camera(street.surface, [], light, *street.camera((47, 30)), WH_PX, 0)
        sky = view.rgb[view.semantic == Semantic.SKY].mean()
        paint, bare = (view.rgb[75:][view.semantic[75:] == c].mean() for c in (Semantic.CROSSING, Semantic.ROAD))
        contrast.append(paint / bare)
        road.append(bare / sky)
    assert road[1] < 0.95 * road[0]
    assert contrast[1] < 0.97 * contrast[0]

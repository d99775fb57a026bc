from dataclasses import replace

import numpy as np

from synthetic.contents import Light, Semantic
from synthetic.render import render_camera
from synthetic.surface import Surface

WH_PX = (192, 96)
LIGHTS = (
    Light((0.36, 0.48, 0.8), 1.0, 0.5, (1.0, 1.0, 1.0), 400.0, 2.0, 0.0),
    Light((-0.8, 0.3, 0.52), 0.9, 0.4, (1.06, 1.0, 0.94), 250.0, 4.0, 0.1),
    Light((0.3, -0.3, 0.9), 0.2, 0.7, (0.97, 1.0, 1.03), 120.0, 5.0, 0.8),
)


def rendered_pixels(street):
    """Colours and classes of a few views of differently worn streets in different lights."""
    colours, classes = [], []
    solids = [
        street.box(Semantic.BUILDING, 10 + i, (8 + 14 * i, 50 if i % 2 else 10), (12, 8, 9), seed=i) for i in range(8)
    ]
    solids += [street.box(Semantic.VEHICLE, 30 + i, (35 + 11 * i, 27), (4.5, 1.8, 1.5), seed=i) for i in range(6)]
    for seed in range(6):
        surface = Surface.of(replace(street.surface.ground, seed=seed))
        for light in LIGHTS:
            for place in ((5, 32), (37, 31)):
                view = render_camera(surface, solids, light, *street.camera(place), WH_PX, seed)
                colours.append(view.rgb.reshape(-1, 3))
                classes.append(view.semantic.ravel())
    return np.concatenate(colours), np.concatenate(classes)


def test_a_class_is_not_a_lookup_of_colour(street):
    colours, classes = rendered_pixels(street)
    marking = np.isin(classes, [Semantic.DIVIDER, Semantic.CROSSING, Semantic.STOP_LINE, Semantic.ARROW])
    # The best rule that a colour alone can give: per colour cell, the likelier side after balancing the classes.
    cell = np.ravel_multi_index((colours // 12).T, (22, 22, 22))
    half = np.random.default_rng(0).random(len(cell)) < 0.5
    counts = [np.bincount(cell[half & (marking == side)], minlength=22**3) for side in (False, True)]
    rule = counts[1] / counts[1].sum() > counts[0] / counts[0].sum()
    predicted = rule[cell[~half]]
    recall = [np.mean(predicted[marking[~half] == side] == side) for side in (False, True)]
    assert marking.sum() > 5000
    assert 0.5 < np.mean(recall) < 0.9
    # Where both lie on the ground, it is harder still.
    road = ~half & (classes == Semantic.ROAD)
    assert np.mean(rule[cell[road]]) > 0.05


def test_worn_paint_keeps_its_class_and_still_shows(street, noon):
    ground = street.surface.ground
    painted = ground.semantic == Semantic.CROSSING
    coverage, contrast = [], []
    for seed in range(8):
        texture = Surface.of(replace(ground, seed=seed)).levels[0]
        coverage.append(texture[painted][:, 3] / 255)
        near = np.zeros_like(painted)
        near[500:530, 232:368] = True
        contrast.append(texture[painted][:, 1].mean() / texture[near & ~painted][:, 1].mean())
    coverage = np.concatenate(coverage)
    assert np.quantile(coverage, 0.02) < 0.45
    assert np.quantile(coverage, 0.5) > 0.5
    assert min(contrast) > 1.1

from dataclasses import replace

import numpy as np

from synthetic.contents import Semantic
from synthetic.surface import Surface


def test_same_ground_same_bytes_other_seed_other_wear(street):
    again = Surface.of(street.surface.ground)
    other = Surface.of(replace(street.surface.ground, seed=99))
    for level, same, different in zip(street.surface.levels, again.levels, other.levels, strict=True):
        assert level.tobytes() == same.tobytes()
        assert np.mean(level[..., :3] != different[..., :3]) > 0.5
    assert street.surface.grain.tobytes() == again.grain.tobytes()
    assert street.surface.clouds.tobytes() == again.clouds.tobytes()


def test_coarser_levels_are_means_of_the_finer(street):
    fine, coarse = (level.astype(float) for level in street.surface.levels[:2])
    assert coarse.shape == (600, 300, 4)
    means = fine.reshape(600, 2, 300, 2, 4).mean(axis=(1, 3))
    assert np.abs(coarse - means).max() <= 1


def test_lookup_takes_the_cell_of_a_point_and_terrain_outside(street):
    points = np.array([[100.05, 229.95], [100.0, 200.0], [99.99, 230.0], [1e9, -1e9], [219.99, 259.99]])
    found = street.surface.semantic_at(points)
    ground = street.surface.ground.semantic
    assert found.tolist() == [ground[0, 299], ground[0, 0], Semantic.TERRAIN, Semantic.TERRAIN, ground[-1, -1]]
    assert np.array_equal(street.surface.texture_at(points)[0], street.surface.levels[0][0, 299])
    assert np.array_equal(street.surface.texture_at(points)[3], street.surface.outside)


def test_paint_covers_markings_and_leaves_terrain_and_pavement_alone(street):
    coverage, semantic = street.surface.levels[0][..., 3], street.surface.ground.semantic
    assert np.all(coverage[(semantic == Semantic.TERRAIN) | (semantic == Semantic.SIDEWALK)] == 0)
    assert np.all(coverage[semantic > Semantic.ROAD] > 0)


def test_a_ground_of_a_few_cells_has_a_surface(street):
    tiny = replace(street.surface.ground, semantic=np.full((3, 5), Semantic.ROAD, np.uint8))
    assert Surface.of(tiny).levels[0].shape == (3, 5, 4)

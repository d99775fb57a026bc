import itertools

import pytest

from scene.errors import InputError
from tests import flat_world
from trainer.subset import frames_of_fraction, nested_subset

TOKENS = [f"scene-{i}" for i in range(40)]


def test_smaller_fractions_are_inside_larger_ones():
    subsets = [set(nested_subset(TOKENS, fraction, seed=3)) for fraction in (0.01, 0.1, 0.25, 0.5, 1.0)]
    assert [len(s) for s in subsets] == [1, 4, 10, 20, 40]
    for smaller, larger in itertools.pairwise(subsets):
        assert smaller < larger


def test_subset_depends_on_tokens_and_seed_and_not_on_their_order():
    chosen = {TOKENS[i] for i in nested_subset(TOKENS, 0.25, seed=3)}
    backwards = TOKENS[::-1]
    assert {backwards[i] for i in nested_subset(backwards, 0.25, seed=3)} == chosen
    assert {TOKENS[i] for i in nested_subset(TOKENS, 0.25, seed=4)} != chosen


def test_frames_are_those_of_whole_scenes_of_the_split(tmp_path):
    index = flat_world.make_index(tmp_path, num_scenes=4, frames_per_scene=3)
    frames = frames_of_fraction(index, "train", 0.34, seed=0)
    assert len(frames) == 3
    assert len(set(index.frame_scene[frames])) == 1
    assert len(frames_of_fraction(index, "train", 1.0, seed=0)) == 9
    with pytest.raises(InputError, match="no scene is in the split 'test'"):
        frames_of_fraction(index, "test", 1.0, seed=0)

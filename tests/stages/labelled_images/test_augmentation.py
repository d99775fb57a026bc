import numpy as np
import torch

from stages.labelled_images.augmentation import batch_of_step
from stages.labelled_images.pictures import Pictures
from stages.labelled_images.settings import RecipeSettings


def pictures_whose_colour_is_their_class(count=6, hw=(24, 48)):
    """Grey value 20 x class, in large blocks."""
    coarse = np.random.default_rng(0).integers(0, 12, (count, hw[0] // 8, hw[1] // 8)).astype(np.uint8)
    semantic = coarse.repeat(8, axis=1).repeat(8, axis=2)
    images = np.repeat(20 * semantic[:, None], 3, axis=1).astype(np.uint8)
    return Pictures(images, semantic, np.array(["a"] * count))


def batch(step=0, pictures=None, **changes):
    recipe = RecipeSettings(**{"batch_size": 3, "image_hw_px": (48, 96), **changes})
    return batch_of_step(pictures or pictures_whose_colour_is_their_class(), step, recipe, recipe.seed)


def test_a_batch_depends_on_seed_and_step_alone():
    again, other, reseeded = batch(4), batch(5), batch(4, seed=1)
    assert torch.equal(batch(4).images, again.images)
    assert torch.equal(batch(4).semantic, again.semantic)
    assert not torch.equal(again.images, other.images)
    assert not torch.equal(again.images, reseeded.images)


def test_an_epoch_shows_every_picture_once():
    pictures = pictures_whose_colour_is_their_class()
    distinct = Pictures(
        pictures.images, np.arange(6, dtype=np.uint8)[:, None, None].repeat(24, 1).repeat(48, 2), pictures.town
    )
    seen = [int(c) for step in (2, 3) for c in batch(step, distinct).semantic[:, 0, 0]]
    assert sorted(seen) == list(range(6))


def test_classes_stay_on_their_pixels_through_crops_and_mirrors():
    made = batch(batch_size=6)
    grey = torch.nn.functional.avg_pool2d(made.images.mean(dim=1, keepdim=True), 2)[:, 0]
    for image, semantic in zip(grey, made.semantic, strict=True):
        # recolouring is monotonic up to noise, so class and grey value rank alike where they belong together
        correlation = np.corrcoef(image.ravel().numpy(), semantic.ravel().numpy())[0, 1]
        assert correlation > 0.9

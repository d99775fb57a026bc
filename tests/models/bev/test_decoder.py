import pytest
import torch

from models.bev.decoder import SegmentationDecoder


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_logits_lie_on_the_fine_grid(factor: int) -> None:
    decoder = SegmentationDecoder(16, 5, factor, hidden_dim=8)
    assert decoder(torch.randn(2, 16, 6, 3)).shape == (2, 5, 6 * factor, 3 * factor)


def test_x_and_y_keep_their_places() -> None:
    """A bump in one query changes the logits around that place only."""
    torch.manual_seed(0)
    decoder = SegmentationDecoder(16, 3, 2, hidden_dim=8)
    torch.nn.init.normal_(decoder.detail.weight)
    features = torch.zeros(1, 16, 40, 20)
    changed = features.clone()
    changed[..., 30, 4] = 5.0
    # GroupNorm spreads a little of it everywhere: compare where the change is largest.
    difference = (decoder(changed) - decoder(features)).abs().sum(1)[0]
    x, y = divmod(int(difference.argmax()), 40)
    assert abs(x / 2 - 30) <= 2
    assert abs(y / 2 - 4) <= 2


def test_probabilities_start_even() -> None:
    torch.manual_seed(0)
    untold = SegmentationDecoder(16, 3, 2)(torch.randn(1, 16, 4, 4)).softmax(1)
    assert (untold.mean((0, 2, 3)) - 1 / 3).abs().max() < 0.1

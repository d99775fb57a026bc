from typing import Any

import torch
import torch.nn.functional as F

from models.bev.decoder import SegmentationDecoder


def test_one_clip_is_learned_by_heart(make_trunk: Any, make_clip: Any) -> None:
    """The whole chain, from images to logits, learns: a stripe one cell wide in a map that only noise images tell."""
    trunk = make_trunk(num_levels=1).train()
    decoder = SegmentationDecoder(trunk.config.embed_dim, 2, trunk.config.query_factor)
    clip = make_clip(batch=2, history=1)
    target = torch.zeros(2, 24, 12, dtype=torch.long)
    target[0, :, 3] = 1
    target[1, 7, :] = 1
    parameters = [*trunk.parameters(), *decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=5e-3)
    losses = []
    for _ in range(60):
        loss = F.cross_entropy(decoder(trunk(clip)[-1]), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    predicted = decoder(trunk(clip)[-1]).argmax(1)
    assert (predicted == target).float().mean() > 0.97

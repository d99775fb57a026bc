import itertools

import pytest
import torch
from torch import nn

from models.objectives.segmentation import make_decoder
from tests import flat_world
from tests.trainer import tiny
from trainer.learner import Learner
from trainer.network import new_trunk
from trainer.optimiser import Optimiser, learning_rate


def learner(seed=0):
    trunk = new_trunk(tiny.MODEL, flat_world.GRID, seed)
    return Learner(trunk, nn.ModuleDict({"decoder": make_decoder(trunk, 3)}), None, None)


def give_gradients(network, seed):
    torch.manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)


def moved(muon_factor, **changes):
    """How far each parameter goes in one step at the full learning rate."""
    network = learner()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    settings = tiny.optimiser(steps=10, warmup_steps=0, weight_decay=0.0, muon_factor=muon_factor, **changes)
    optimiser = Optimiser(network, settings)
    give_gradients(network, 1)
    optimiser.step(0)
    return {name: p.detach() - before[name] for name, p in network.named_parameters()}


def test_muon_moves_the_weights_of_hidden_layers_outside_the_backbone_and_nothing_else():
    plain, muon = moved(0.0), moved(1.0)
    other = {name for name in plain if not torch.equal(plain[name], muon[name])}
    assert {"trunk.neck.lateral.0.0.weight", "trunk.encoder.layers.0.spatial.value.weight"} <= other
    assert {"heads.decoder.context.0.weight", "heads.decoder.fine.0.weight"} <= other
    assert all(name.endswith("weight") for name in other)
    for part in ("trunk.backbone.", "trunk.encoder.queries", "camera_embedding", "norms", ".sampling.", ".classify."):
        assert [name for name in plain if part in name], part
        assert not [name for name in other if part in name], part


def test_every_direction_of_muons_update_counts_about_alike_and_it_is_as_large_as_adamws():
    plain, muon = moved(0.0, learning_rate=1e-3), moved(1.0, learning_rate=1e-3)
    name = "heads.decoder.context.0.weight"
    values = torch.linalg.svdvals(muon[name].flatten(1))
    assert values.max() < 2.5 * values.min()
    root_mean_square = muon[name].square().mean().sqrt()
    assert root_mean_square == pytest.approx(0.2e-3, rel=0.3), "0.2 is the usual size of AdamW's update"
    assert plain[name].abs().mean() == pytest.approx(1e-3, rel=0.01), "but not of its first"


@pytest.mark.parametrize("muon_factor", [0.0, 1.0])
def test_weights_of_layers_decay_and_nothing_else_does(muon_factor):
    network = learner()
    optimiser = Optimiser(network, tiny.optimiser(learning_rate=0.1, warmup_steps=0, muon_factor=muon_factor))
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    weights = {id(layer.weight) for layer in layers}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    optimiser.step(0)
    decayed = {name for name, p in network.named_parameters() if not torch.equal(p, torch.ones_like(p))}
    assert decayed == {name for name, p in network.named_parameters() if id(p) in weights}
    assert {"trunk.encoder.queries", "trunk.encoder.row", "trunk.level_embedding"}.isdisjoint(decayed)
    assert "trunk.motion_embedding.mlp.0.weight" in decayed


def test_the_factors_scale_the_learning_rate():
    one, four = moved(1.0, learning_rate=1e-3), moved(4.0, learning_rate=1e-3)
    torch.testing.assert_close(4 * one["heads.decoder.context.0.weight"], four["heads.decoder.context.0.weight"])
    torch.testing.assert_close(one["trunk.encoder.queries"], four["trunk.encoder.queries"])
    slow = moved(1.0, learning_rate=1e-3, backbone_factor=0.1)
    for name in one:
        share = 0.1 if name.startswith("trunk.backbone.") else 1.0
        torch.testing.assert_close(share * one[name], slow[name], rtol=2e-3, atol=1e-8)


@pytest.mark.parametrize("muon_factor", [0.0, 4.0])
def test_it_goes_on_from_its_state(muon_factor):
    settings = tiny.optimiser(steps=10, muon_factor=muon_factor)
    whole, first, second = learner(), learner(), learner()
    optimiser, before = Optimiser(whole, settings), Optimiser(first, settings)
    for step in range(4):
        if step == 2:
            second.load_weights(first.weights())
            after = Optimiser(second, settings)
            after.load_state_dict(before.state_dict())
            before, first = after, second
        for network, rule in ((whole, optimiser), (first, before)):
            give_gradients(network, step)
            rule.step(step)
            rule.zero_grad()
            assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


def test_learning_rate_rises_then_falls_to_zero():
    settings = tiny.optimiser(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(settings, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == rates[9] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_a_backbone_with_the_factor_0_stays_as_it_was():
    moves = moved(1.0, backbone_factor=0.0)
    still = {name for name, by in moves.items() if not by.any()}
    assert still == {name for name in moves if name.startswith("trunk.backbone.")}

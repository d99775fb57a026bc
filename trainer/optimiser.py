"""Which parameters are moved by which rule, and how fast at which step."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from trainer.learner import Learner
from trainer.settings import OptimiserSettings

OWN_SCALE = ("sampling", "classify", "motion_embedding")
"""Layers whose inputs are metres, or whose outputs are places, attention or class logits, and so have a scale that
matters: never Muon's, as is common for a network's first and last layers. With the outputs it was a point of mIoU less
in a trial. Our choice."""


class Optimiser:
    """AdamW, and Muon for the weights of hidden layers outside the backbone where the settings ask for it.

    The backbone has a learning rate of its own. Biases, norms, embeddings and queries are never Muon's: they are no
    matrices that map one space into another.

    Args:
        learner: what is trained; on its device already.
        settings: see `OptimiserSettings`.
    """

    def __init__(self, learner: Learner, settings: OptimiserSettings) -> None:
        self._settings = settings
        self._kernels = _kernels(learner) if settings.muon_factor > 0 else []
        # Muon takes matrices. A kernel's is (output channels, the rest): a view, through which the kernel is moved.
        self._matrices = [nn.Parameter(p.detach().view(len(p), -1)) for p in self._kernels]
        self._rules: list[torch.optim.Optimizer] = [_adamw(learner, settings, {id(p) for p in self._kernels})]
        if self._matrices:
            group = {"params": self._matrices, "factor": settings.muon_factor}
            decay = settings.weight_decay / settings.muon_factor  # per step, that of AdamW
            # The scale that gives an update the size of AdamW's: its learning rates are of use then (Liu et al., 2025).
            self._rules.append(torch.optim.Muon([group], weight_decay=decay, adjust_lr_fn="match_rms_adamw"))

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for rule in self._rules:
            rule.zero_grad(set_to_none=True)
        for kernel in self._kernels:
            kernel.grad = None

    def step(self, step: int) -> None:
        """Moves every parameter along its gradient, at the learning rate of a step."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else kernel.grad.reshape(matrix.shape)
        rate = learning_rate(self._settings, step)
        for rule in self._rules:
            for group in rule.param_groups:
                group["lr"] = rate * group["factor"]
            rule.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """For `load_state_dict`."""
        return [rule.state_dict() for rule in self._rules]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Goes on from a `state_dict` of the same settings and model."""
        for rule, own in zip(self._rules, state, strict=True):
            rule.load_state_dict(own)


def learning_rate(settings: OptimiserSettings, step: int) -> float:
    """Of a step: linear warm-up, then half a cosine to 0 after the last step."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _in_backbone(name: str) -> bool:
    return name.startswith("trunk.backbone.")


def _kernels(learner: Learner) -> list[Tensor]:
    """Weights of linear and convolutional layers outside the backbone, but for those in `OWN_SCALE`."""
    return [
        module.weight
        for name, module in learner.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
        and module.weight.requires_grad
        and not _in_backbone(name)
        and not set(OWN_SCALE) & set(name.split("."))
    ]


def _adamw(learner: Learner, settings: OptimiserSettings, left_out: set[int]) -> torch.optim.AdamW:
    layers = (module for module in learner.modules() if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d))
    decayed = {id(layer.weight) for layer in layers}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in learner.named_parameters():
        if parameter.requires_grad and id(parameter) not in left_out:
            factor = settings.backbone_factor if _in_backbone(name) else 1.0
            decay = settings.weight_decay if id(parameter) in decayed else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "factor": factor, "weight_decay": decay} for (factor, decay), p in groups.items()],
        lr=settings.learning_rate,
        fused=True,
    )

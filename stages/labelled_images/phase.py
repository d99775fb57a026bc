"""The loop of a training phase, resumable: it needs the step to go on from and the optimiser's state, nothing else."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import AdamW
from tqdm import tqdm

from stages.labelled_images.settings import PhaseSettings, RecipeSettings

LOG_EVERY_STEPS = 20


@dataclass(frozen=True)
class Watch:
    """What is seen of a phase, and kept of it, while it runs.

    Attributes:
        title: of the progress bar.
        progress: whether to show it, on stderr.
        checkpoint_seconds: at most this much training is lost to a kill.
        log: called with step and loss every `LOG_EVERY_STEPS` steps.
        save: called with the number of finished steps and the optimiser's state: whenever it is time, and at the end.
    """

    title: str
    progress: bool
    checkpoint_seconds: float
    log: Callable[[int, float], None]
    save: Callable[[int, dict[str, Any]], None]


def run_phase(
    trained: nn.Module,
    loss_of_step: Callable[[int], Tensor],
    phase: PhaseSettings,
    recipe: RecipeSettings,
    watch: Watch,
    first_step: int = 0,
    optimiser_state: dict[str, Any] | None = None,
) -> None:
    """Trains a network in place.

    Args:
        trained: whose parameters change.
        loss_of_step: the loss of the step with that number, with its graph.
        phase, recipe: see there.
        watch: see there.
        first_step, optimiser_state: what `watch.save` was given before a kill.
    """
    optimiser = AdamW(_groups(trained, recipe.weight_decay), lr=phase.learning_rate)
    if optimiser_state is not None:
        optimiser.load_state_dict(optimiser_state)
    trained.train()
    saved_at = time.monotonic()
    steps = range(first_step, phase.steps)
    for step in tqdm(steps, watch.title, phase.steps, initial=first_step, disable=not watch.progress, mininterval=1.0):
        for group in optimiser.param_groups:
            group["lr"] = phase.learning_rate * schedule(step, phase)
        loss = loss_of_step(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained.parameters(), recipe.clip_norm)
        optimiser.step()
        if step % LOG_EVERY_STEPS == 0:
            watch.log(step, float(loss.detach()))
        if step + 1 == phase.steps or time.monotonic() - saved_at > watch.checkpoint_seconds:
            watch.save(step + 1, optimiser.state_dict())
            saved_at = time.monotonic()


def schedule(step: int, phase: PhaseSettings) -> float:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine down to zero."""
    rise = min(1.0, (step + 1) / max(1, phase.warmup_steps))
    return rise * 0.5 * (1 + math.cos(math.pi * step / phase.steps))


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]

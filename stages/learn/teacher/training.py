"""The two phases, resumable: a step depends on the settings, its number and the state before it, on nothing else."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from models.teachers.embedded import PixelClassifier, build_embedded_teacher, start_from_classifier
from models.teachers.loading import IMAGENET_MEAN, IMAGENET_STD, Normalise
from stages.learn.teacher import PhaseSettings, TeacherTrainingSettings
from stages.learn.teacher.augmentation import batch_of_step
from stages.learn.teacher.losses import class_weights, per_pixel_loss, universal_loss
from stages.learn.teacher.pictures import Pictures
from synthetic.contents import Semantic

LOG_EVERY_STEPS = 20
Phase = Literal["per_pixel", "universal"]
PHASES: tuple[Phase, ...] = ("per_pixel", "universal")


class Training:
    """A network on its way through both phases.

    Args:
        settings: see `TeacherTrainingSettings`.
        pictures: to train on.
        device: where.
        checkpoint: file of the resume state; training goes on from it where it exists.
    """

    def __init__(
        self, settings: TeacherTrainingSettings, pictures: Pictures, device: torch.device, checkpoint: Path
    ) -> None:
        self.settings, self.pictures, self.device, self.checkpoint = settings, pictures, device, checkpoint
        torch.manual_seed(settings.seed)
        names = tuple(c.name.lower() for c in Semantic)
        self.network: Any = build_embedded_teacher(settings.network, names).to(device)
        # Convolutions with the channels innermost are a sixth faster on a CPU.
        self.network.model.pixel_level_module.encoder.to(memory_format=torch.channels_last)
        self.classifier = PixelClassifier(self.network).to(device)
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD).to(device)
        pixels = np.bincount(pictures.semantic.ravel(), minlength=len(Semantic))
        self.class_weights = class_weights(torch.from_numpy(pixels).float()).to(device)
        self.history: list[dict[str, float | int | str]] = []

    def run(self, checkpoint_seconds: float, progress: bool) -> Any:
        """The trained Mask2FormerForUniversalSegmentation, in evaluation mode."""
        state = self._load()
        if state["phase"] == "per_pixel":
            self._run_phase("per_pixel", state, checkpoint_seconds, progress)
            generator = torch.Generator().manual_seed(self.settings.seed)
            start_from_classifier(self.network, self.classifier.classifier.weight, generator)
            state = {"phase": "universal", "step": 0}
        self._run_phase("universal", state, checkpoint_seconds, progress)
        return self.network.eval()

    def _run_phase(self, phase: Phase, state: dict[str, Any], checkpoint_seconds: float, progress: bool) -> None:
        settings: PhaseSettings = getattr(self.settings, phase)
        trained: nn.Module = self.classifier if phase == "per_pixel" else self.network
        loss_of: Callable[[Tensor, Tensor], Tensor] = getattr(self, f"_{phase}_loss")
        optimiser = torch.optim.AdamW(_groups(trained, self.settings.weight_decay), lr=settings.learning_rate)
        if "optimiser" in state:
            optimiser.load_state_dict(state["optimiser"])
        trained.train()
        saved_at = time.monotonic()
        steps = range(state["step"], settings.steps)
        for step in tqdm(
            steps, f"teacher, {phase}", settings.steps, initial=steps.start, disable=not progress, mininterval=1.0
        ):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * schedule(step, settings)
            loss = self._step(phase, step, trained, loss_of, optimiser)
            if step % LOG_EVERY_STEPS == 0:
                self.history.append({"phase": phase, "step": step, "loss": round(float(loss), 6)})
            if step + 1 == settings.steps or time.monotonic() - saved_at > checkpoint_seconds:
                self._save(phase, step + 1, optimiser)
                saved_at = time.monotonic()

    def _step(
        self,
        phase: Phase,
        step: int,
        trained: nn.Module,
        loss_of: Callable[[Tensor, Tensor], Tensor],
        optimiser: torch.optim.Optimizer,
    ) -> Tensor:
        settings = self.settings
        seed = 2 * settings.seed + PHASES.index(phase)
        torch.manual_seed(int(np.random.default_rng([seed, step]).integers(2**31)))  # Mask2Former samples points
        batch = batch_of_step(
            self.pictures,
            step,
            batch_size=settings.batch_size,
            image_hw_px=settings.image_hw_px,
            max_zoom=settings.max_zoom,
            seed=seed,
        )
        pixels = self.normalise(batch.images.to(self.device) * 255).contiguous(memory_format=torch.channels_last)
        loss = loss_of(pixels, batch.semantic.to(self.device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained.parameters(), settings.clip_norm)
        optimiser.step()
        return loss.detach()

    def _per_pixel_loss(self, pixels: Tensor, semantic: Tensor) -> Tensor:
        logits = self.classifier(pixels).logits
        logits = functional.interpolate(logits, size=semantic.shape[-2:], mode="bilinear", align_corners=False)
        return per_pixel_loss(logits, semantic, self.class_weights)

    def _universal_loss(self, pixels: Tensor, semantic: Tensor) -> Tensor:
        return universal_loss(self.network, pixels, semantic)

    def _save(self, phase: Phase, step: int, optimiser: torch.optim.Optimizer) -> None:
        state = {
            "phase": phase,
            "step": step,
            "network": self.network.state_dict(),
            "classifier": self.classifier.classifier.state_dict(),
            "optimiser": optimiser.state_dict(),
            "history": self.history,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _load(self) -> dict[str, Any]:
        if not self.checkpoint.is_file():
            return {"phase": "per_pixel", "step": 0}
        state: dict[str, Any] = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.classifier.classifier.load_state_dict(state["classifier"])
        self.history = state["history"]
        return state


def schedule(step: int, settings: PhaseSettings) -> float:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine down to zero."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    return rise * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]

"""The two phases, resumable: a step depends on the settings, its number and the state before it, on nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.teachers.embedded import PixelClassifier, build_embedded_teacher, start_from_classifier
from models.teachers.loading import IMAGENET_MEAN, IMAGENET_STD, Normalise
from stages.labelled_images.augmentation import batch_of_step
from stages.labelled_images.balance import weights_of
from stages.labelled_images.phase import Watch, run_phase
from stages.labelled_images.pictures import Pictures
from stages.learn.teacher import TeacherTrainingSettings
from stages.learn.teacher.losses import per_pixel_loss, universal_loss
from synthetic.contents import Semantic
from trainer.checkpoint import load_checkpoint, save_checkpoint

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
        self.class_weights = weights_of(pictures).to(device)
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
        trained: nn.Module = self.classifier if phase == "per_pixel" else self.network
        loss_of: Callable[[Tensor, Tensor], Tensor] = getattr(self, f"_{phase}_loss")
        watch = Watch(
            title=f"teacher, {phase}",
            progress=progress,
            checkpoint_seconds=checkpoint_seconds,
            log=lambda step, loss: self.history.append({"phase": phase, "step": step, "loss": round(loss, 6)}),
            save=lambda step, optimiser: self._save(phase, step, optimiser),
        )
        run_phase(
            trained,
            lambda step: self._loss(phase, step, loss_of),
            getattr(self.settings, phase),
            self.settings,
            watch,
            state["step"],
            state.get("optimiser"),
        )

    def _loss(self, phase: Phase, step: int, loss_of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        seed = 2 * self.settings.seed + PHASES.index(phase)
        torch.manual_seed(int(np.random.default_rng([seed, step]).integers(2**31)))  # Mask2Former samples points
        batch = batch_of_step(self.pictures, step, self.settings, seed)
        pixels = self.normalise(batch.images.to(self.device) * 255).contiguous(memory_format=torch.channels_last)
        return loss_of(pixels, batch.semantic.to(self.device))

    def _per_pixel_loss(self, pixels: Tensor, semantic: Tensor) -> Tensor:
        logits = self.classifier(pixels)
        logits = functional.interpolate(logits, size=semantic.shape[-2:], mode="bilinear", align_corners=False)
        return per_pixel_loss(logits, semantic, self.class_weights)

    def _universal_loss(self, pixels: Tensor, semantic: Tensor) -> Tensor:
        return universal_loss(self.network, pixels, semantic)

    def _save(self, phase: Phase, step: int, optimiser: dict[str, Any]) -> None:
        state = {
            "phase": phase,
            "step": step,
            "network": self.network.state_dict(),
            "classifier": self.classifier.classifier.state_dict(),
            "optimiser": optimiser,
            "history": self.history,
        }
        save_checkpoint(self.checkpoint, state)

    def _load(self) -> dict[str, Any]:
        state = load_checkpoint(self.checkpoint)
        if state is None:
            return {"phase": "per_pixel", "step": 0}
        self.network.load_state_dict(state["network"])
        self.classifier.classifier.load_state_dict(state["classifier"])
        self.history = state["history"]
        return state

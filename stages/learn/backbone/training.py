"""The training, resumable: a step depends on the settings, its number and the state before it, on nothing else."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.bev.config import BackboneConfig
from models.bev.segmenter import ImageSegmenter
from models.teachers.loading import IMAGENET_MEAN, IMAGENET_STD, Normalise
from stages.labelled_images.augmentation import batch_of_step
from stages.labelled_images.balance import weights_of
from stages.labelled_images.phase import Watch, run_phase
from stages.labelled_images.pictures import Pictures
from stages.learn.backbone import BackboneTrainingSettings
from synthetic.contents import Semantic
from trainer.checkpoint import load_checkpoint, save_checkpoint


class Training:
    """A segmenter on its way.

    Args:
        settings: see `BackboneTrainingSettings`.
        pictures: to train on, of the size `settings.image_hw_px`.
        device: where.
        checkpoint: file of the resume state; training goes on from it where it exists.
    """

    def __init__(
        self, settings: BackboneTrainingSettings, pictures: Pictures, device: torch.device, checkpoint: Path
    ) -> None:
        self.settings, self.pictures, self.device, self.checkpoint = settings, pictures, device, checkpoint
        torch.manual_seed(settings.seed)
        # Batch norm while it learns: its statistics are what the BEV model then keeps frozen.
        config = BackboneConfig(kind="resnet", shape=settings.shape, out_stages=settings.out_stages, norm="batch")
        self.network = ImageSegmenter(config, settings.neck_channels, len(Semantic)).to(device)
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD).to(device)
        self.class_weights = weights_of(pictures).to(device)
        self.history: list[dict[str, float | int]] = []

    def run(self, checkpoint_seconds: float, progress: bool) -> ImageSegmenter:
        """The trained network, in evaluation mode."""
        state = load_checkpoint(self.checkpoint) or {"step": 0}
        if "network" in state:
            self.network.load_state_dict(state["network"])
            self.history = state["history"]
        watch = Watch(
            title="backbone",
            progress=progress,
            checkpoint_seconds=checkpoint_seconds,
            log=lambda step, loss: self.history.append({"step": step, "loss": round(loss, 6)}),
            save=lambda step, optimiser: save_checkpoint(
                self.checkpoint,
                {
                    "step": step,
                    "network": self.network.state_dict(),
                    "optimiser": optimiser,
                    "history": self.history,
                },
            ),
        )
        settings = self.settings
        run_phase(self.network, self._loss, settings.per_pixel, settings, watch, state["step"], state.get("optimiser"))
        return self.network.eval()

    def _loss(self, step: int) -> Tensor:
        batch = batch_of_step(self.pictures, step, self.settings, self.settings.seed)
        logits = self.network(self.normalise(batch.images.to(self.device) * 255))
        return functional.cross_entropy(logits, batch.semantic.to(self.device), weight=self.class_weights)

    @torch.inference_mode()
    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Classes (B, h, w) of images (B, 3, h, w), by arg-max."""
        logits = self.network(self.normalise(torch.from_numpy(images).to(self.device)))
        class_id: NDArray[np.uint8] = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        return class_id

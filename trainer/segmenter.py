"""A trained model, to predict with: cameras in, BEV classes out. Saved, it needs no cache and no experiment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from models.bev.config import BevFormerConfig
from models.bev.former import BevFormer
from models.bev.inputs import CameraFrames, Clip
from models.objectives.segmentation import make_decoder
from scene.errors import InputError
from scene.grid import BevGrid
from scene.labels import LabelSchema
from scene.settings import ValidationError
from trainer.checkpoint import MODEL_FILE, load_model, save_model
from trainer.network import load_network, new_trunk, put_in_place

FORMAT = "bevprior-segmenter-1"
"""Of the description beside saved weights."""


class BevSegmenter(nn.Module):
    """Trunk and decoder.

    Args:
        trunk: cameras to BEV features.
        grid: of the logits.
        schema: K classes, in the order of the logits.

    Attributes:
        grid, schema: as given.
    """

    def __init__(self, trunk: BevFormer, grid: BevGrid, schema: LabelSchema) -> None:
        super().__init__()
        self.trunk, self.grid, self.schema = trunk, grid, schema
        self.decoder = make_decoder(trunk, len(schema.classes))

    def forward(self, clip: Clip) -> Float[Tensor, "B K X Y"]:
        """Class logits of the newest keyframe of each clip."""
        logits: Tensor = self.decoder(self.trunk(clip)[-1])
        return logits

    def advance(
        self,
        frames: CameraFrames,
        motion: Float[Tensor, "B 4 4"],
        has_previous: Bool[Tensor, " B"],
        previous: Float[Tensor, "B D x y"] | None,
    ) -> tuple[Float[Tensor, "B K X Y"], Float[Tensor, "B D x y"]]:
        """Class logits of one keyframe of a drive, and the features that the next call takes as `previous`.

        Args: those of `BevFormer.advance`.
        """
        features = self.trunk.advance(frames, motion, has_previous, previous)
        return self.decoder(features), features


def new_segmenter(model: BevFormerConfig, grid: BevGrid, schema: LabelSchema, seed: int) -> BevSegmenter:
    """One with random weights of `seed`."""
    return BevSegmenter(new_trunk(model, grid, seed), grid, schema)


def trained_segmenter(folder: Path, model: BevFormerConfig, grid: BevGrid, schema: LabelSchema) -> BevSegmenter:
    """One with the weights of an artifact that was trained with these settings.

    Raises:
        InputError: if it was trained with others, predicts no BEV classes, or is damaged.
    """
    weights = load_network(folder, model, grid, schema)
    own = {name.removeprefix("heads."): value for name, value in weights.items()}
    if not any(name.startswith("decoder.") for name in own):
        raise InputError("the model predicts no BEV classes", where=str(folder), fix="fine-tune it first")
    segmenter = new_segmenter(model, grid, schema, seed=0)
    put_in_place({name: own[name] for name in own if name.startswith(("trunk.", "decoder."))}, segmenter)
    return segmenter.eval()


def save_segmenter(segmenter: BevSegmenter, folder: Path, made: Mapping[str, Any]) -> None:
    """Writes `model.safetensors` and `model.json`, which holds everything else that `load_segmenter` needs.

    Args:
        segmenter: the model.
        folder: there already.
        made: JSON values that tell where the model comes from.
    """
    model = segmenter.trunk.config.model_dump(mode="json")
    if model["backbone"]["pretrained"] is not None:
        model["backbone"] |= {"pretrained": "saved", "revision": None}  # its weights are here, whatever folder it was
    description = {
        "format": FORMAT,
        "model": model,
        "architecture": segmenter.trunk.backbone.architecture,
        "grid": segmenter.grid.canonical(),
        "schema": segmenter.schema.canonical(),
        "made": dict(made),
    }
    save_model(folder, segmenter.state_dict(), description)


def load_segmenter(folder: Path | str) -> BevSegmenter:
    """What `save_segmenter` wrote, on the CPU and in evaluation mode. Nothing else is read, no code is run.

    Raises:
        InputError: if there is no such model, or it is damaged.
    """
    folder = Path(folder)
    weights, said = load_model(folder)
    fix = "save the model again: bevprior save-model"
    if said.get("format") != FORMAT:
        raise InputError(f"no saved model of the format {FORMAT!r}", where=str(folder), fix=fix)
    try:
        model, grid = BevFormerConfig.parse(said["model"]), BevGrid.parse(said["grid"])
        segmenter = BevSegmenter(BevFormer(model, grid, said["architecture"]), grid, LabelSchema.parse(said["schema"]))
    except (KeyError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the saved model is damaged: {reason}", where=str(folder / MODEL_FILE), fix=fix) from error
    put_in_place(weights, segmenter)
    return segmenter.eval()

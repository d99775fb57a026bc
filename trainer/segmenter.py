"""A trained model, to predict with: cameras in, BEV classes out. Saved, it needs no cache and no experiment."""

from collections.abc import Mapping
from dataclasses import asdict
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
from trainer.checkpoint import load_model, save_model
from trainer.files import MODEL_FILE
from trainer.network import load_network, new_trunk, put_in_place
from trainer.saved import FORMAT, SavedModel, TrainedOn, damaged


class BevSegmenter(nn.Module):
    """Trunk and decoder.

    Args:
        trunk: cameras to BEV features.
        grid: of the logits.
        schema: K classes, in the order of the logits.
        trained_on: None where nobody has said it.

    Attributes:
        grid, schema, trained_on: as given.
    """

    def __init__(
        self, trunk: BevFormer, grid: BevGrid, schema: LabelSchema, trained_on: TrainedOn | None = None
    ) -> None:
        super().__init__()
        self.trunk, self.grid, self.schema, self.trained_on = trunk, grid, schema, trained_on
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

        A model without history (`BevFormerConfig.history` 0) sees each keyframe alone. The arguments are those of
        `BevFormer.advance`.
        """
        has_previous = has_previous & (self.trunk.config.history > 0)
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


def save_segmenter(segmenter: BevSegmenter, folder: Path, trained_on: TrainedOn, made: Mapping[str, Any]) -> None:
    """Writes `model.safetensors` and `model.json`, which holds everything else that `load_segmenter` needs.

    Args:
        segmenter: the model.
        folder: there already.
        trained_on: see there.
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
        "trained_on": asdict(trained_on),
        "made": dict(made),
    }
    save_model(folder, segmenter.state_dict(), description)


def load_segmenter(folder: Path | str) -> BevSegmenter:
    """What `save_segmenter` wrote, on the CPU and in evaluation mode. Nothing else is read, no code is run.

    Raises:
        InputError: if there is no such model, or it is damaged.
    """
    folder = Path(folder).expanduser()
    try:
        weights, said = load_model(folder)
        segmenter = _built(SavedModel.of(said))
        put_in_place(weights, segmenter)
    except InputError as error:
        raise InputError(
            error.what, where=str(folder / MODEL_FILE), fix="save it again: bevprior save-model"
        ) from error
    return segmenter.eval()


def _built(saved: SavedModel) -> BevSegmenter:
    try:
        trunk = BevFormer(saved.model, saved.grid, saved.architecture)
    except Exception as error:  # whatever transformers makes of values that nobody wrote so
        raise damaged(error) from error
    return BevSegmenter(trunk, saved.grid, saved.schema, saved.trained_on)


def initial_weights(place: Path | str, schema: LabelSchema) -> dict[str, Tensor]:
    """Weights of a saved model by the names that a training has for them, to begin another one with.

    Of a model with other classes they are the trunk's alone: which class a logit stands for is the decoder's matter.

    Args:
        place: folder that `save_segmenter` wrote.
        schema: classes of the training.

    Raises:
        InputError: if there is no such model, or it is damaged.
    """
    segmenter = load_segmenter(place)
    heads = ("decoder.",) if segmenter.schema.names == schema.names else ()
    named = segmenter.state_dict().items()
    trunk = {name: value for name, value in named if name.startswith("trunk.")}
    return trunk | {f"heads.{name}": value for name, value in named if name.startswith(heads)}

"""The embedded teacher: a small Mask2Former for the synthetic world, and how it starts from a per-pixel classifier."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig

from models.teachers.settings import EmbeddedTeacherSettings

CLASS_MARGIN = 6.0
"""Logit by which a warm-started query prefers its own class."""


def build_embedded_teacher(
    settings: EmbeddedTeacherSettings, class_names: tuple[str, ...]
) -> Mask2FormerForUniversalSegmentation:
    """A network with random weights (torch's global generator)."""
    backbone = ResNetConfig(
        embedding_size=settings.stem_channels,
        hidden_sizes=list(settings.stage_channels),
        depths=list(settings.stage_depths),
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    names: dict[Any, Any] = dict(enumerate(class_names))
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=settings.feature_channels,
        mask_feature_size=settings.feature_channels,
        hidden_dim=settings.feature_channels,
        encoder_feedforward_dim=settings.feedforward_channels,
        dim_feedforward=settings.feedforward_channels,
        encoder_layers=settings.pixel_layers,
        decoder_layers=settings.query_layers + 1,  # transformers counts the prediction before the first layer
        num_attention_heads=settings.num_heads,
        num_queries=settings.num_queries,
        train_num_points=settings.num_points,
        id2label=names,
        label2id={name: i for i, name in names.items()},
    )
    return Mask2FormerForUniversalSegmentation(config)


class PixelClassifier(nn.Module):
    """The network's backbone and pixel decoder with one linear classifier per class: the first phase of training.

    The classifier has no bias: a Mask2Former mask is the product of a mask embedding and the mask features, and so is
    a row of this classifier, which is why the second phase can start exactly where the first one ended.
    """

    def __init__(self, network: Mask2FormerForUniversalSegmentation) -> None:
        super().__init__()
        self.pixel_level = network.model.pixel_level_module
        self.classifier = nn.Linear(network.config.mask_feature_size, network.config.num_labels, bias=False)

    def forward(self, pixel_values: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K m n"]:
        """Class logits of normalised images, at the masks' stride."""
        features = self.pixel_level(pixel_values).decoder_last_hidden_state
        return torch.einsum("kd,bdmn->bkmn", self.classifier.weight, features)


@torch.no_grad()
def start_from_classifier(
    network: Mask2FormerForUniversalSegmentation, classifier: Float[Tensor, "K D"], generator: torch.Generator
) -> None:
    """Sets the query decoder so that query k predicts class k with the mask of the per-pixel classifier (our choice).

    Every residual branch of the decoder starts at zero, so each layer passes the queries on unchanged; the mask
    embedder's and the class predictor's last layers are solved by least squares so that query k's mask embedding is
    row k of the classifier and its class is k. Queries beyond the K classes start as "no object" with an empty mask.
    Computed on the CPU, wherever the network is: the same numbers everywhere, and a solver that CUDA does not have.

    Raises:
        ValueError: if there are fewer queries than classes.
    """
    device, classifier = classifier.device, classifier.cpu()
    network.cpu()
    num_classes, width = classifier.shape
    transformer = network.model.transformer_module
    num_queries = transformer.queries_features.num_embeddings
    if num_queries < num_classes:
        raise ValueError(f"{num_queries} queries cannot hold {num_classes} classes")
    for layer in transformer.decoder.layers:
        for branch in (layer.cross_attn.out_proj, layer.self_attn.out_proj, layer.fc2):
            nn.init.zeros_(branch.weight)
            nn.init.zeros_(branch.bias)
    queries = torch.randn(num_queries, width, generator=generator)
    transformer.queries_features.weight.copy_(queries)
    normed = functional.layer_norm(queries, (width,))

    embedder = transformer.decoder.mask_predictor.mask_embedder
    *inner, last = embedder.children()
    hidden = normed
    for block in inner:
        hidden = block(hidden)
    masks = torch.zeros(num_queries, width)
    masks[:num_classes] = classifier
    _solve(last, hidden, masks)

    classes = torch.zeros(num_queries, num_classes + 1)
    own = torch.arange(num_queries).clamp(max=num_classes)
    classes[torch.arange(num_queries), own] = CLASS_MARGIN
    _solve(network.class_predictor, normed, classes)
    network.to(device)


def _solve(module: nn.Module, inputs: Tensor, outputs: Tensor) -> None:
    linear = next(part for part in module.modules() if isinstance(part, nn.Linear))
    linear.weight.copy_(torch.linalg.lstsq(inputs.double(), outputs.double(), driver="gelsd").solution.T.float())
    linear.bias.zero_()

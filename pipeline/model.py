"""Takes a trained model out of the cache: a folder that needs neither cache nor experiment."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from cache.durable import PARTIAL
from cache.manifest import Artifact
from pipeline.remake import settings_of
from scene.errors import InputError
from stages.learn.finetune import FinetuneSettings
from stages.learn.pretrain import PretrainSettings

CARD = Path(__file__).with_name("model_card.md")


def save_artifact(artifact: Artifact, folder: Path) -> Mapping[str, Any]:
    """Writes the model of a training, with a page that says how to use it; the folder is there whole or not at all.

    Args:
        artifact: of `pretrain` or `finetune`, with its files on this machine.
        folder: a new one.

    Returns:
        What was written, as JSON values.

    Raises:
        InputError: if it is no trained model of BEV classes, or the folder cannot be made.
    """
    from trainer.segmenter import save_segmenter, trained_segmenter  # torch: only when it is needed

    where = f"{artifact.stage} {artifact.key[:12]}"
    settings = settings_of(artifact)
    if not isinstance(settings, PretrainSettings | FinetuneSettings):
        raise InputError("it is no trained model", where=where, fix="give the key of a pretrain or finetune artifact")
    if folder.exists():
        raise InputError("the folder exists", where=str(folder), fix="name another, or remove it")
    if not folder.absolute().parent.is_dir():
        raise InputError("there is no such folder", where=str(folder.absolute().parent), fix="make it, or name another")
    segmenter = trained_segmenter(artifact.path, settings.model, settings.grid, settings.label_schema)
    made = {"stage": artifact.stage, "key": artifact.key, "output_digest": artifact.output_digest}
    (height_px, width_px), (num_x, num_y) = settings.model.image_hw_px, settings.grid.shape
    partial = folder.with_name(f"{folder.name}{PARTIAL}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        save_segmenter(segmenter, partial, made)
        classes = "\n".join(f"| {i} | {name} |" for i, name in enumerate(settings.label_schema.names))
        values = {
            "stage": artifact.stage, "key": artifact.key[:12], "folder": folder.name, "classes": classes,
            "height_px": height_px, "width_px": width_px, "num_x": num_x, "num_y": num_y,
            "resolution_m": f"{settings.grid.resolution_m:g}", "x_range_m": settings.grid.x_range_m,
            "y_range_m": settings.grid.y_range_m,
            "parameters": f"{sum(p.numel() for p in segmenter.parameters()):,}",
        }  # fmt: skip
        (partial / "README.md").write_text(Template(CARD.read_text()).substitute(values))
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return {"folder": str(folder), **made}

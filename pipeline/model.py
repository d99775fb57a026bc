"""Takes a trained model out of the cache: a folder that needs neither cache nor experiment."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from cache.durable import PARTIAL
from cache.store import Artifact, Store
from models.bev.source import digest
from pipeline.remake import input_of, settings_of
from scene.errors import InputError
from scene.frames import FrameIndex
from stages.learn.finetune import FinetuneSettings
from stages.learn.pretrain import PretrainSettings
from trainer.saved import TrainedOn

CARD = Path(__file__).with_name("model_card.md")


def save_artifact(store: Store, artifact: Artifact, folder: Path) -> Mapping[str, Any]:
    """Writes the model of a training, with a page that says how to use it; the folder is there whole or not at all.

    Args:
        store: the cache that it is in, with the index and the geometry that it was trained on.
        artifact: of `pretrain` or `finetune`.
        folder: a new one.

    Returns:
        What was written, as JSON values.

    Raises:
        InputError: if it is no trained model of BEV classes, what it was trained on is gone, the backbone that it
            began from is another by now, or the folder cannot be made.
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
    if digest(settings.model.backbone) != artifact.manifest.spec.external.get("backbone"):
        fix = "put it back where the settings say it was"
        raise InputError("the backbone that it began from is another by now", where=where, fix=fix)
    parents = artifact.manifest.parents
    index, geometry = (input_of(store, role, parents[role], where) for role in ("index", "geometry"))
    cameras = FrameIndex.load(store.materialise(index).path / "index.npz").camera_names
    trained_on = TrainedOn(tuple(map(str, cameras)), str(geometry.manifest.spec.settings["ground"]))
    path = store.materialise(artifact).path
    segmenter = trained_segmenter(path, settings.model, settings.grid, settings.label_schema)
    made = {"stage": artifact.stage, "key": artifact.key, "output_digest": artifact.output_digest}
    (height_px, width_px), (num_x, num_y) = settings.model.image_hw_px, settings.grid.shape
    values = {
        "stage": artifact.stage, "key": artifact.key[:12], "folder": folder.name,
        "classes": "\n".join(f"| {i} | {name} |" for i, name in enumerate(settings.label_schema.names)),
        "height_px": height_px, "width_px": width_px, "num_x": num_x, "num_y": num_y,
        "resolution_m": f"{settings.grid.resolution_m:g}", "x_range_m": settings.grid.x_range_m,
        "y_range_m": settings.grid.y_range_m, "cameras": ", ".join(trained_on.cameras), "ground": trained_on.ground,
        "num_cameras": len(cameras), "parameters": f"{sum(p.numel() for p in segmenter.parameters()):,}",
    }  # fmt: skip
    try:
        with tempfile.TemporaryDirectory(PARTIAL, f"{folder.name}.", folder.absolute().parent) as scratch:
            partial = Path(scratch) / folder.name
            partial.mkdir()
            save_segmenter(segmenter, partial, trained_on, made)
            (partial / "README.md").write_text(Template(CARD.read_text()).substitute(values))
            partial.rename(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"the model cannot be written: {reason}", where=str(folder), fix="name another") from error
    return {"folder": str(folder), **made}

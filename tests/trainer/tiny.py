"""The smallest model and trainings of it; `python -m tests.trainer.tiny JOB` runs one where it can be killed."""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from models.bev.config import BackboneConfig, BackboneShape, BevFormerConfig
from scene.errors import InputError
from stages.learn.finetune import FinetuneSettings
from stages.learn.pretrain import PretrainSettings
from tests.flat_world import CAMERAS, GRID, IMAGE_HW_PX, SCHEMA
from trainer import loop
from trainer.checkpoint import load_model, save_model
from trainer.distributed import Job, run_job
from trainer.network import describe
from trainer.segmenter import TrainedOn, new_segmenter, save_segmenter
from trainer.settings import OptimiserSettings

MODEL = BevFormerConfig(
    image_hw_px=IMAGE_HW_PX,
    backbone=BackboneConfig(
        shape=BackboneShape(stem_channels=8, hidden_sizes=(8, 16), depths=(1, 1)), out_stages=(1, 2), norm="group"
    ),
    neck_channels=16,
    embed_dim=16,
    ffn_dim=32,
    num_heads=2,
    num_layers=1,
    dropout=0.1,
    query_factor=2,
    history=1,
)


def optimiser(**changes):
    values = {"steps": 6, "batch_size": 2, "learning_rate": 3e-3, "backbone_factor": 1.0, "warmup_steps": 2}
    return OptimiserSettings(**{**values, "log_every": 2, **changes})


def pretrain_settings(**changes):
    values = {"model": MODEL, "grid": GRID, "label_schema": SCHEMA, "optimiser": optimiser()}
    return PretrainSettings(**{**values, **changes})


def finetune_settings(**changes):
    values = {
        "model": MODEL,
        "grid": GRID,
        "label_schema": SCHEMA,
        "from_random": optimiser(),
        "from_pretrained": optimiser(),
    }
    return FinetuneSettings(**{**values, **changes})


def job(dataset, folder, settings, extra=None, **changes):
    root, artifacts = dataset
    kind = "pretrain" if isinstance(settings, PretrainSettings) else "finetune"
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "entry": f"stages.learn.{kind}.run:train",
        "settings": settings.model_dump(mode="json"),
        "inputs": {**{role: str(a.path) for role, a in artifacts.items()}, **(extra or {})},
        "folder": str(folder),
        "data_root": str(root / "data"),
        "device": "cpu",
        "checkpoint_seconds": 0.0,
        "progress": False,
    }
    return Job(**{**values, **changes})


def assert_weights_alike(one, two):
    """Models of two trainings whose sums are in another order."""
    weights, shared = load_model(one)[0], load_model(two)[0]
    # Adam divides by the gradient's size, so where that is rounding alone, weights may differ by a learning rate: a
    # few do. Of a batch that is shared wrongly nearly all would.
    difference = torch.cat([(weights[name] - shared[name]).abs().flatten() for name in weights])
    assert float(difference.median()) < 1e-4  # a step is 3e-3
    assert float((difference > 1e-4).float().mean()) < 0.1


def save_training(folder, heads=("decoder",)):
    """What a training leaves in its artifact, with or without a decoder; the model whose weights they are."""
    segmenter = new_segmenter(MODEL, GRID, SCHEMA, seed=5)
    weights = {
        name if name.startswith("trunk.") else f"heads.{name}": value for name, value in segmenter.state_dict().items()
    }
    kept = {name: value for name, value in weights.items() if heads or name.startswith("trunk.")}
    save_model(folder, kept, describe(MODEL, GRID, SCHEMA, list(heads)))
    return segmenter


def save_small_model(folder, model=MODEL, grid=GRID, schema=SCHEMA, seed=3, cameras=CAMERAS, ground="ego_plane"):
    """A saved model with random weights, where there is none yet; its folder."""
    if not folder.exists():
        folder.mkdir(parents=True)
        save_segmenter(new_segmenter(model, grid, schema, seed), folder, TrainedOn(cameras, ground), {})
    return str(folder)


def second_process_fails(job, process):
    """An entry function: one process fails while the other waits for it."""
    if process.rank == 1:
        raise InputError("its image is gone")
    torch.distributed.barrier()
    return {}


def main(job_file: Path) -> None:
    """Runs a job and kills this very process in the middle of the given step, before its weights change."""
    call = json.loads(job_file.read_text())
    torch.set_num_threads(1)
    step_to_die_in, clip = call["die_in_step"], torch.nn.utils.clip_grad_norm_
    steps = iter(range(call["first_step"], 10**9))

    def clip_or_die(*arguments, **keywords):
        if next(steps) == step_to_die_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return clip(*arguments, **keywords)

    loop.torch.nn.utils.clip_grad_norm_ = clip_or_die
    run_job(Job(**call["job"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

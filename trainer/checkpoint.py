"""What a killed training goes on from, and the weights that it ends with."""

import io
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from cache.durable import write_atomically
from cache.whole_files import read_checked
from scene.errors import InputError
from trainer.files import MODEL_FILE, WEIGHTS_FILE


def save_checkpoint(file: Path, state: Mapping[str, Any]) -> None:
    """Replaces the checkpoint by tensors and plain values, whole or not at all."""
    stream = io.BytesIO()
    torch.save(dict(state), stream)
    write_atomically(file, stream.getbuffer())


def load_checkpoint(file: Path) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, on the CPU; None where there is nothing. No code in the file is run."""
    if not file.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InputError("damaged checkpoint", where=str(file), fix="delete it to start this training anew") from error
    return state


def save_model(folder: Path, weights: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Writes the weights and, last, what they are weights of."""
    tensors = {name: weights[name].detach().cpu().contiguous() for name in sorted(weights)}
    write_atomically(folder / WEIGHTS_FILE, save(tensors))
    write_atomically(folder / MODEL_FILE, (json.dumps(description, indent=1, sort_keys=True) + "\n").encode())


def save_history(file: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Writes one line of JSON for each row."""
    lines = [json.dumps(dict(row)) + "\n" for row in history]
    write_atomically(file, "".join(lines).encode())


def load_model(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and description that `save_model` wrote.

    Raises:
        InputError: if they are missing or damaged; in an artifact, by a single bit.
    """
    try:
        weights = load(read_checked(folder / WEIGHTS_FILE))
        description: dict[str, Any] = json.loads(read_checked(folder / MODEL_FILE))
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError("model weights are missing or damaged", where=str(folder), fix="train again") from error
    return weights, description

"""The readable files beside trained weights."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_results(folder: Path, history: Sequence[Mapping[str, Any]], scores: Mapping[str, float], card: str) -> None:
    """history.jsonl (a line per logged step), scores.json (IoU by class name) and README.md (the model card)."""
    (folder / "history.jsonl").write_text("".join(json.dumps(dict(line)) + "\n" for line in history))
    (folder / "scores.json").write_text(json.dumps(dict(scores), indent=1) + "\n")
    (folder / "README.md").write_text(card)

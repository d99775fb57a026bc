"""What every stage with a BEV model depends on outside the cache. Imports no torch: planning calls it."""

from pathlib import Path
from typing import Any

from models.bev.source import digest
from trainer.saved import digests


def of_model(settings: Any, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (every fingerprint's)
    """Digests of what the model of `settings` starts from: its backbone's weights, and a saved model, if any.

    Raises:
        InputError: see `models.bev.source.digest` and `trainer.saved.digests`.
    """
    backbone = digest(settings.model.backbone)
    initial = {} if settings.initial_model is None else digests(settings.initial_model)
    found = {f"initial {name}": content for name, content in initial.items()}
    return found if backbone is None else {"backbone": backbone, **found}

"""What every stage with a BEV model depends on outside the cache. Imports no torch: planning calls it."""

from pathlib import Path
from typing import Any

from models.bev.source import digest


def of_model(settings: Any, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (every fingerprint's)
    """Digest of the weights that the backbone of `settings.model` starts from, if any.

    Raises:
        InputError: see `models.bev.source.digest`.
    """
    found = digest(settings.model.backbone)
    return {} if found is None else {"backbone": found}

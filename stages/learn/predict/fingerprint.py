"""What a prediction depends on outside the cache: the saved model. Imports no torch: planning calls it."""

from pathlib import Path

from stages.learn.predict import PredictSettings
from trainer.saved import digests


def fingerprint(settings: PredictSettings, data_root: Path) -> dict[str, str]:  # noqa: ARG001 (every fingerprint's)
    """Digests of the model's files. The images are the index's business: it knows their names and sizes.

    Raises:
        InputError: if there is no model.
    """
    return digests(settings.saved_model)

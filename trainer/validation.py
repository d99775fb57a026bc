"""Scores of a model while it trains: to watch, never to choose by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.bev.inputs import Clip
from scene.confusion import confusion
from scene.errors import InputError
from scene.labels import IGNORE, LabelSchema
from trainer.batches import ahead, collate_clip
from trainer.learner import Learner
from trainer.metrics import figures_of
from trainer.process import Process
from trainer.reader import FrameReader
from trainer.settings import ValidationSettings
from trainer.subset import evenly_spaced


@dataclass(frozen=True, eq=False)
class Validation:
    """Scores on keyframes of a split, each at the end of a clip as in training; evaluation goes along whole drives.

    Attributes:
        settings: how often.
        reader: of keyframes and their BEV labels.
        rows: of the dataset index (N,).
        schema: of the prediction.
        process: whose share of the keyframes is predicted here.
    """

    settings: ValidationSettings
    reader: FrameReader
    rows: NDArray[np.int64]
    schema: LabelSchema
    process: Process

    @classmethod
    def of(
        cls, settings: ValidationSettings, reader: FrameReader, schema: LabelSchema, process: Process
    ) -> "Validation":
        """On keyframes evenly spaced over the split.

        Raises:
            InputError: if it has none.
        """
        rows = reader.index.frames_of_split(settings.split)
        if len(rows) == 0:
            raise InputError(f"no frame is in the split {settings.split!r}", where="validation.split")
        return cls(settings, reader, evenly_spaced(rows, settings.frames), schema, process)

    @torch.no_grad()
    def score(self, learner: Learner) -> Mapping[str, Any]:
        """JSON values of all processes together: `miou` and `per_class` as fractions of 1, None where nothing occurs.

        The learner is in training mode afterwards. Nothing random is drawn.
        """
        learner.eval()
        num_classes = len(self.schema.classes)
        counts = np.zeros((num_classes, num_classes), np.int64)
        own = self.rows[self.process.rank :: self.process.world_size].tolist()
        for clip, truth in ahead(self._read, own):
            logits = learner.heads["decoder"](learner.trunk(clip.map(lambda t: t.to(self.process.device)))[-1])
            predicted = logits[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
            counts += confusion(predicted, truth, num_classes, ignored=(IGNORE,))
        learner.train()
        found = figures_of(self.process.sum(counts), self.schema)
        return {name: found[name] for name in ("miou", "per_class")}

    def _read(self, row: int) -> tuple[Clip, NDArray[np.uint8]]:
        return collate_clip([self.reader.clip(row)]), self.reader.labels.bev_class(row)

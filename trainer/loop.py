"""The training loop: the same weights, bit for bit on one machine's CPU, however often it was killed in between.

With three or more processes not quite: torch orders the exchange of gradients anew after a process's first step.
"""

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from models.objectives.base import Batch, Losses
from scene.errors import InputError
from trainer.checkpoint import load_checkpoint, save_checkpoint, save_history
from trainer.files import HISTORY_FILE, SCORES_FILE
from trainer.learner import Learner
from trainer.optimiser import Optimiser, learning_rate
from trainer.process import Process
from trainer.settings import OptimiserSettings
from trainer.validation import Validation


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step: optimisation steps done.
        history: one row of mean losses per `log_every` steps.
        sums: of the losses since the last row.
        scores: one row for each validation.
    """

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    scores: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Training:
    """One training.

    Attributes:
        learner: what is trained; on the process's device.
        batches: gives the batches from a step on.
        settings: see `OptimiserSettings`.
        seed: of everything random inside a step.
        checkpoint: file of the checkpoint.
        process: which process this is, and how it runs.
        title: of the progress bar.
        validation: scores it meanwhile; None for none.
    """

    learner: Learner
    batches: Callable[[int], Generator[Batch, None, None]]
    settings: OptimiserSettings
    seed: int
    checkpoint: Path
    process: Process
    title: str = "train"
    validation: Validation | None = None

    def run(self) -> Progress:
        """Trains to the last step, from the checkpoint where there is one.

        The learner ends with the resulting weights.

        Raises:
            InputError: if the loss is no longer finite.
        """
        optimiser = Optimiser(self.learner, self.settings)
        progress = self._restore(optimiser)
        self.learner.train()
        network = self._distributed()
        saved_at_s = time.monotonic()
        bar = tqdm(
            total=self.settings.steps,
            initial=progress.step,
            desc=self.title,
            unit="step",
            disable=not (self.process.progress and self.process.is_first),
        )
        if progress.step == 0:
            self._validate(progress, bar)
        with closing(self.batches(progress.step)) as batches, bar:
            waited = Waited(batches)
            for batch in waited:
                losses = self._step(network, optimiser, batch, progress.step)
                self._account(progress, losses, bar, waited.share)
                self._validate(progress, bar)
                if time.monotonic() - saved_at_s >= self.process.checkpoint_seconds:
                    self._save(optimiser, progress)
                    saved_at_s = time.monotonic()
        return progress

    def _step(self, network: nn.Module, optimiser: Optimiser, batch: Batch, step: int) -> list[Losses]:
        """One step; the losses of each part of the batch."""
        self.process.check_launcher()
        seed_step(self.seed, step, self.process.rank)
        optimiser.zero_grad()
        count = self.settings.gradient_accumulation
        losses = [self._backward(network, batch.part(number, count), number + 1 == count) for number in range(count)]
        norm = torch.nn.utils.clip_grad_norm_(self.learner.parameters(), self.settings.gradient_clip)
        if not math.isfinite(norm):  # of all processes alike; before anything that could be saved is spoilt
            raise diverged("gradient", step)
        optimiser.step(step)
        return losses

    def _backward(self, network: nn.Module, part: Batch, last: bool) -> Losses:
        """Adds a part's gradient; the processes exchange theirs after the last one."""
        autocast = self.settings.precision == "bfloat16" and self.process.device.type == "cuda"
        waits = isinstance(network, DistributedDataParallel) and not last
        with network.no_sync() if waits else nullcontext():  # type: ignore[operator]
            with torch.autocast(self.process.device.type, dtype=torch.bfloat16, enabled=autocast):
                losses: Losses = network(part.to(self.process.device))
            (losses.total / self.settings.gradient_accumulation).backward()  # type: ignore[no-untyped-call]
        return losses

    def _account(self, progress: Progress, parts: Sequence[Losses], bar: "tqdm[Any]", waited: float) -> None:
        progress.step += 1
        for losses in parts:
            told = {"total": losses.total, **losses.parts, **losses.figures}
            for name, value in self.process.mean(told).items():
                progress.sums[name] = progress.sums.get(name, 0.0) + value / len(parts)
        if not math.isfinite(progress.sums["total"]):
            raise diverged("loss", progress.step - 1)
        since = (progress.step - 1) % self.settings.log_every + 1
        bar.update()
        shown = {name: f"{value / since:.3f}" for name, value in progress.sums.items()}
        bar.set_postfix({**shown, "data wait": f"{waited:.0%}"}, refresh=False)
        if since == self.settings.log_every or progress.step == self.settings.steps:
            means = {name: value / since for name, value in progress.sums.items()}
            progress.history.append(
                {"step": progress.step, "learning_rate": learning_rate(self.settings, progress.step - 1), **means}
            )
            progress.sums.clear()

    def _validate(self, progress: Progress, bar: "tqdm[Any]") -> None:
        if self.validation is None or not self.validation.settings.is_due(progress.step, self.settings.steps):
            return
        row = {"step": progress.step, **self.validation.score(self.learner)}
        progress.scores.append(row)
        if row["miou"] is not None:
            bar.set_description_str(f"{self.title} [mIoU {row['miou']:.1%} at {progress.step}]")

    def _save(self, optimiser: Optimiser, progress: Progress) -> None:
        if self.process.is_first:
            state = {"weights": self.learner.weights(), "optimiser": optimiser.state_dict(), **vars(progress)}
            save_checkpoint(self.checkpoint, state)
            save_progress(self.checkpoint.parent, progress)  # to look at while it trains

    def _restore(self, optimiser: Optimiser) -> Progress:
        state = load_checkpoint(self.checkpoint)
        if state is None:
            return Progress()
        self.learner.load_weights(state.pop("weights"))
        optimiser.load_state_dict(state.pop("optimiser"))
        return Progress(**state)

    def _distributed(self) -> nn.Module:
        if self.process.world_size == 1:
            return self.learner
        # Every loss touches every parameter, if only with weight 0, so none has to be searched for. Of buffers only a
        # batch norm's statistics change in training.
        statistics = any(isinstance(module, nn.BatchNorm2d) and module.training for module in self.learner.modules())
        return DistributedDataParallel(self.learner, forward_sync_buffers=statistics)


def save_progress(folder: Path, progress: Progress) -> None:
    """Writes the history of the losses, and that of the scores where there is one."""
    save_history(folder / HISTORY_FILE, progress.history)
    if progress.scores:
        save_history(folder / SCORES_FILE, progress.scores)


class Waited:
    """Goes through batches, and knows which share of the time since it began they were waited for."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self._waited_s, self._began_s = 0.0, time.monotonic()

    def __iter__(self) -> Iterator[Batch]:
        asked_s = time.monotonic()
        for batch in self._batches:
            self._waited_s += time.monotonic() - asked_s
            yield batch
            asked_s = time.monotonic()

    @property
    def share(self) -> float:
        """Of 1."""
        return self._waited_s / max(time.monotonic() - self._began_s, 1e-9)


def diverged(what: str, step: int) -> InputError:
    """The error for a training whose loss or gradient is no number any more at a step, counted from 0."""
    return InputError(f"the {what} is not finite at step {step + 1}", fix="lower the learning rate")


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seeds torch for one step of one process, so that no random state has to be kept.

    Each process draws its own: with one dropout mask for all of them, eight GPUs would drop an eighth as variously as
    one with the same batch.
    """
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))

"""Writes down which artifacts a run uses, so that garbage collection keeps those of the last runs."""

from contextlib import suppress
from dataclasses import replace

from cache.roots import new_run, record_run
from cache.store import Store
from pipeline.execute import Outcome


class RunLog:
    """The record of one run, which grows with every step. A cache that cannot be written keeps none."""

    def __init__(self, store: Store, experiment: str) -> None:
        self._store, self._run = store, new_run(experiment)

    def add(self, step: str, key: str) -> None:
        """The run uses this artifact."""
        self._run = replace(self._run, steps={**self._run.steps, step: key})
        with suppress(OSError):
            record_run(self._store.objects, self._run)

    def finished(self, outcome: Outcome) -> None:
        """As `add`, of a finished step."""
        self.add(outcome.step.name, outcome.artifact.key)

"""Which trials there are: every stage killed at every kind of instant, and gc and push, on a folder and a bucket."""

import itertools
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from faults.attempts import RANDOM, Command, Kill
from faults.bucket import BucketView
from faults.experiment import STAGES, Undisturbed
from faults.layout import Finished
from faults.trials import FolderView, Trial
from faults.triggers import ALL_KINDS, BUCKET, DISCARD, PUBLISH, REMOVAL, How, Trigger

SEVERAL, GC, PUSH, BUCKET_PUSH, BUCKET_RUN = "several processes", "gc", "push", "push to a bucket", "run in a bucket"
ROWS = (*STAGES, SEVERAL, GC, PUSH, BUCKET_PUSH, BUCKET_RUN)
COLUMNS = (*ALL_KINDS, RANDOM)
KEPT = "teacher_labels"
"""What gc keeps in its trials, with all that it was made from."""
AGAIN = 0.6
"""How likely an attempt that goes on after a kill is killed too."""
SOON_S = 0.02
START_UP_S = 0.3

Make = Callable[[], Trial]


class Schedule:
    """Makes trials, each with caches of its own below `folder`.

    Args:
        whole: the undisturbed run.
        folder: for the trials.
        rng: decides instants; the same seed gives the same trials.
        bucket: gives a new place in a bucket; None leaves buckets out.
    """

    def __init__(self, whole: Undisturbed, folder: Path, rng: random.Random, bucket: Callable[[], str] | None) -> None:
        self._whole, self._folder, self._rng, self._bucket = whole, folder, rng, bucket
        self._numbers = itertools.count()
        self._digests = {name: found.output_digest for name, found in whole.artifacts.items()}

    def round(self, rows: tuple[str, ...], how: How) -> Iterator[Make]:
        """Each row with each kind of instant that it has, once, shuffled; a trial is made when it is called for."""
        made: list[tuple[str, Make]] = []
        for stage in (stage for stage in STAGES if self._whole.of(stage)):
            kinds = [kind for kind in ALL_KINDS if self._whole.counts.get(f"{stage}/{kind}")]
            made += [(stage, partial(self._stage, stage, kind, how)) for kind in (*kinds, RANDOM)]
        made += 6 * [(SEVERAL, self._several)]
        made += [(GC, partial(self._gc, kind, how)) for kind in (DISCARD, REMOVAL, RANDOM)]
        push = ("copied file", "manifest", PUBLISH, RANDOM)
        made += [(PUSH, partial(self._push, kind, how)) for kind in push]
        if self._bucket is not None:
            made += 3 * [(BUCKET_PUSH, partial(self._push_to_bucket, how))]
            made += 3 * [(BUCKET_RUN, partial(self._run_in_bucket, how))]
        wanted = [make for row, make in made if row in rows]
        self._rng.shuffle(wanted)
        yield from wanted

    def _stage(self, stage: str, kind: str, how: How) -> Trial:
        cache, folder = self._place()
        self._whole.copy(cache, self._whole.up_to(stage))
        counts = {k: n for k in ALL_KINDS if (n := self._whole.counts.get(f"{stage}/{k}", 0))}
        kills = self._kills(stage, kind, counts, how, self._whole.stage_wall_s(stage))
        expected = {**self._whole.up_to(stage), **self._whole.of(stage)}
        command = self._whole.command(cache, folder, until=stage)
        return self._trial(stage, command, kills, cache, expected)

    def _several(self) -> Trial:
        """Jobs and workers in processes of their own, and the machine, the main process or a worker dies."""
        cache, folder = self._place()
        start, until = self._rng.choice([("world", "pretrain"), ("teacher_labels", "pretrain"), ("pretrain", "report")])
        self._whole.copy(cache, self._whole.up_to(start))
        kills = []
        for _ in range(2):
            after_s = self._rng.uniform(0.5, 8)
            kind = self._rng.choice(["unit file", "receipt", "claim"])
            worker = Trigger("", kind, self._rng.randint(1, 6), "worker")
            machine, main = Kill(after_s=after_s), Kill(after_s=after_s, victim="main process")
            kills.append(self._rng.choice([machine, main, Kill(worker)]))
        command = self._whole.command(cache, folder, until=until, forks=False)
        expected = {**self._whole.up_to(start), **self._whole.lineage(until)}
        return self._trial(SEVERAL, command, kills, cache, expected)

    def _gc(self, kind: str, how: How) -> Trial:
        cache, folder = self._place()
        self._whole.copy(cache, self._whole.artifacts)
        kept = self._whole.lineage(KEPT)
        self._pin(cache, next(iter(kept.values())))
        counts = {DISCARD: len(self._whole.artifacts) - len(kept), REMOVAL: 40}
        kills = self._kills("", kind, counts, how, 0.2)
        arguments = ("gc", "--yes", "--keep-runs", "0", "--grace-hours", "0")
        return self._trial(GC, Command(arguments, str(cache), folder, [cache]), kills, cache, kept)

    def _push(self, kind: str, how: How) -> Trial:
        target, folder = self._place()
        number = len(self._whole.artifacts)
        counts = {"copied file": 100, "manifest": 4 * number, PUBLISH: number}
        kills = self._kills("", kind, counts, how, 0.5)
        command = Command(("push", str(target)), str(self._whole.cache), folder, [target])
        return self._trial(PUSH, command, kills, target, self._whole.artifacts)

    def _push_to_bucket(self, how: How) -> Trial:
        _, folder = self._place()
        assert self._bucket is not None
        url = self._bucket()
        kills = self._kills("", BUCKET, {BUCKET: 100}, how, 1.0)
        command = Command(("push", url), str(self._whole.cache), folder, [])
        return Trial(BUCKET_PUSH, command, kills, (BucketView(url),), self._digests)

    def _run_in_bucket(self, how: How) -> Trial:
        _, folder = self._place()
        assert self._bucket is not None
        url, until = self._bucket(), "teacher_labels"
        kills = self._kills("", BUCKET, {BUCKET: 120}, how, 5.0)
        command = self._whole.command(url, folder, until=until)
        expected = {**self._whole.up_to(until), **self._whole.of(until)}
        digests = {name: found.output_digest for name, found in expected.items()}
        return Trial(BUCKET_RUN, command, kills, (BucketView(url),), digests)

    def _kills(self, stage: str, kind: str, counts: dict[str, int], how: How, wall_s: float) -> tuple[Kill, ...]:
        """A kill at the wanted instant, and maybe more, anywhere, of the attempts that follow."""
        kills = [self._kill(stage, kind, counts, how, wall_s)]
        while self._rng.random() < AGAIN:
            other = self._rng.choice([*counts, RANDOM])
            early = {k: min(number, 8) for k, number in counts.items()}
            kills.append(self._kill(stage, other, early, self._rng.choice(["before", "after"]), wall_s))
        return tuple(kills)

    def _kill(self, stage: str, kind: str, counts: dict[str, int], how: How, wall_s: float) -> Kill:
        if kind == RANDOM:
            return Kill(after_s=self._rng.uniform(START_UP_S / 3, START_UP_S + wall_s))
        trigger = Trigger(stage, kind, self._rng.randint(1, counts[kind]), how)
        return Kill(trigger, self._rng.uniform(0, SOON_S) if how == "after" else 0.0)

    def _trial(
        self,
        row: str,
        command: Command,
        kills: tuple[Kill, ...] | list[Kill],
        cache: Path,
        expected: dict[str, Finished],
    ) -> Trial:
        digests = {name: found.output_digest for name, found in expected.items()}
        return Trial(row, command, tuple(kills), (FolderView(cache),), digests)

    def _place(self) -> tuple[Path, Path]:
        folder = self._folder / f"trial-{next(self._numbers)}"
        return folder / "cache", folder / "work"

    def _pin(self, cache: Path, artifact: Finished) -> None:
        from cache.objects import LocalObjects
        from cache.roots import pin

        pin(LocalObjects(cache), "kept", artifact.key)

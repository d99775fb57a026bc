"""Runs steps that do not need each other at the same time, each in a worker process. Prefect is never imported.

Steps are data and artifacts are found by key, so a worker needs no more than the step. What is cached never leaves this
process: a plan with nothing to do starts no worker.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from typing import Any

from cache.store import Artifact, Store
from pipeline.execute import Outcome, execute
from pipeline.keys import keyed
from pipeline.places import open_cache
from pipeline.plan import Plan, Step
from pipeline.schedule import ready_steps, startable
from scene.errors import InputError
from stages.interrupts import interrupts_held
from stages.orphans import end_with_parent
from stages.stage import Runtime
from trainer.settings import JOB_SLOT

GRACE_S = 15.0
"""How long a step that is told to end may take to end the processes that it started."""


def run_parallel(
    plan: Plan, store: Store, runtime: Runtime, finished: Callable[[Outcome], None], num_jobs: int
) -> list[Outcome]:
    """The outcome of every step, in the plan's order, with at most `num_jobs` of them under way at once.

    Stops at the first step that fails: steps under way are ended (they go on from there next time), the others never
    start.
    """
    context = multiprocessing.get_context("spawn")
    slots = context.SimpleQueue()
    for slot in range(num_jobs):
        slots.put(slot)
    pool = ProcessPoolExecutor(num_jobs, context, _start_worker, (slots, context.RLock()))
    elsewhere = runtime.scheduler_address is not None
    done: dict[str, Outcome] = {}
    running: dict[Future[tuple[bool, float]], Step] = {}
    missing: set[str] = set()  # from the cache, which is asked once for each step
    try:
        while len(done) < len(plan.steps):
            ready = ready_steps(plan, done, {s.name for s in running.values()})
            artifacts = {step.name: {name: done[name].artifact for name in step.needs} for step in ready}
            new = [step for step in ready if step.name not in missing]
            missing |= {s.name for s in new if store.get(keyed(s, artifacts[s.name], store).spec.key) is None}
            if cached := [step for step in new if step.name not in missing]:
                for step in cached:
                    _finish(execute(step, artifacts[step.name], store, runtime), done, finished)
                continue  # more may be ready now
            for step in startable(ready, running.values(), num_jobs, elsewhere=elsewhere):
                with interrupts_held():  # the new worker starts deaf to them, until it can answer
                    running[pool.submit(_work, step, artifacts[step.name], store.name, runtime)] = step
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                built, wall_s = future.result()  # of a killed worker this raises, and `running` still names its step
                step = running.pop(future)
                found = execute(step, {name: done[name].artifact for name in step.needs}, store, runtime)
                _finish(replace(found, built=built, wall_s=wall_s), done, finished)
    except BrokenProcessPool as error:
        _end_workers(pool)
        raise InputError(
            "a worker process was killed from outside, perhaps for using too much memory",
            where=", ".join(step.name for step in running.values()),
            fix="run again: it goes on from there; runtime.num_jobs=1 needs less memory",
        ) from error
    except BaseException:
        _end_workers(pool)
        raise
    pool.shutdown()
    return [done[step.name] for step in plan]


def _finish(outcome: Outcome, done: dict[str, Outcome], finished: Callable[[Outcome], None]) -> None:
    done[outcome.step.name] = outcome
    finished(outcome)


_at_work = threading.Event()
"""In a worker: set while a step runs. An interrupt unwinds the step, and means nothing to a worker that waits."""
_unwinding = threading.Event()
"""In a worker: set from the interrupt on until the step has ended."""


def _work(step: Step, artifacts: dict[str, Artifact], cache: str, runtime: Runtime) -> tuple[bool, float]:
    """Makes the step's artifact in a worker: whether nobody else had made it meanwhile, and the seconds that took."""
    start = time.monotonic()
    _at_work.set()
    try:
        built = execute(step, artifacts, open_cache(cache), runtime).built
    finally:
        _at_work.clear()
        _unwinding.clear()
    return built, time.monotonic() - start


def _interrupt(*_: object) -> None:
    # The terminal sends one to the whole group and `_end_workers` another: that must not break into the unwinding.
    if _at_work.is_set() and not _unwinding.is_set():
        _unwinding.set()
        raise KeyboardInterrupt


def _start_worker(slots: Any, bars: Any) -> None:
    """Gives the worker a line for its progress bars and a GPU, and ends it with the process that started it."""
    from tqdm import tqdm

    signal.signal(signal.SIGINT, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ["TQDM_POSITION"] = os.environ[JOB_SLOT] = str(slots.get())
    tqdm.set_lock(bars)
    end_with_parent(before=_end_step)


def _end_step() -> None:
    # As Ctrl-C would: the step ends its own processes on the way out. The pool survives that and would wait for ever.
    os.kill(os.getpid(), signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    while _at_work.is_set() and time.monotonic() < deadline:
        time.sleep(0.1)


def _end_workers(pool: ProcessPoolExecutor) -> None:
    workers = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        if worker.is_alive() and worker.pid is not None:
            with suppress(ProcessLookupError):  # it may end at any moment, and the pool may be the one that sees it
                os.kill(worker.pid, signal.SIGINT)
    for worker in workers:
        worker.join(GRACE_S)
        if worker.is_alive():
            worker.kill()
    print(file=sys.stderr)  # a worker's progress bar may have left its line open

"""Writes the world, one unit of work for each scene, in worker processes."""

import math
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Any

import cv2
from tqdm import tqdm

from cache.build import Build
from scene.errors import InputError
from stages.orphans import end_with_parent
from stages.stage import StageRun
from synthetic.settings import ScenePlan, WorldSettings, plan_scenes, plan_towns
from synthetic.writer import finish_world, write_scene

_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes all scenes, then tables and maps. Returns counts.

    Raises:
        InputError: if a worker process is killed.
    """
    settings, build = stage_run.settings, stage_run.build
    assert isinstance(settings, WorldSettings)
    scenes = plan_scenes(settings)
    left = sum(not build.is_done(scene.name) for scene in scenes)
    quiet = not stage_run.runtime.progress
    with tqdm(total=len(scenes), initial=len(scenes) - left, desc="world", unit="scene", disable=quiet) as bar:
        for scene, files in _written(settings, scenes, build, stage_run.runtime.num_workers):
            build.mark_done(scene.name, files)
            bar.update()
    finish_world(settings, build.path)
    frames = len(scenes) * settings.frames_per_scene
    return {"towns": len(plan_towns(settings)), "scenes": len(scenes), "frames": frames, "images": 6 * frames}


def _written(
    settings: WorldSettings, scenes: list[ScenePlan], build: Build, num_workers: int
) -> Iterator[tuple[ScenePlan, list[str]]]:
    """Yields each scene that others do not write, with its files, once it is on disk; ends when all scenes are."""
    named = {scene.name: scene for scene in scenes}
    left = [scene for scene in scenes if not build.is_done(scene.name)]
    workers = min(num_workers or os.cpu_count() or 1, len(left))
    if workers <= 1:
        for name in build.units(named):
            yield named[name], write_scene(settings, named[name], build.path)
        return
    # Each worker begins with its own towns, and then helps the others. Spawned, not forked: OpenCV's threads do not
    # survive a fork. Their number is limited before they are made.
    own = [[scene.name for scene in share] for share in shares(left, workers)]
    queues = [build.units([*first, *(name for name in named if name not in first)]) for first in own]
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pools = []
        for _ in queues:
            pools.append(stack.enter_context(ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker)))
            stack.callback(pools[-1].shutdown, cancel_futures=True)
        running: dict[Future[list[str]], tuple[int, ScenePlan]] = {}
        while not queues[0].finished:
            busy = {worker for worker, _ in running.values()}
            for worker, queue in enumerate(queues):
                for name in queue.take() if worker not in busy else ():
                    running[pools[worker].submit(write_scene, settings, named[name], build.path)] = worker, named[name]
            if not running:
                queues[0].wait()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                _, scene = running.pop(future)
                yield scene, _files_of(scene, future)
        queues[0].end()


def _files_of(scene: ScenePlan, future: "Future[list[str]]") -> list[str]:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed from outside, perhaps for using too much memory",
            where=scene.name,
            fix="run again: it goes on from there; runtime.num_workers=1 needs less memory",
        ) from error


def shares(scenes: list[ScenePlan], num_workers: int) -> list[list[ScenePlan]]:
    """Scenes for each worker: equally many, and those of one town together, for a worker builds a town only once."""
    limit = math.ceil(len(scenes) / num_workers)
    towns: dict[str, list[ScenePlan]] = {}
    for scene in scenes:
        towns.setdefault(scene.town.name, []).append(scene)
    chunks = [own[i : i + limit] for own in towns.values() for i in range(0, len(own), limit)]
    result: list[list[ScenePlan]] = [[] for _ in range(num_workers)]
    for chunk in sorted(chunks, key=len, reverse=True):
        min(result, key=len).extend(chunk)
    return [share for share in result if share]


def _start_worker() -> None:
    end_with_parent()
    for name in _THREAD_LIMITS:
        os.environ[name] = "1"
    cv2.setNumThreads(0)

"""Writes the world, one unit of work for each scene, in worker processes."""

import math
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from stages.stage import StageRun
from synthetic.settings import ScenePlan, WorldSettings, plan_scenes, plan_towns
from synthetic.writer import PARTS, finish_world, write_scene

TABLES_UNIT = "tables"
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes all scenes, then tables and maps. Returns counts."""
    settings, build = stage_run.settings, stage_run.build
    assert isinstance(settings, WorldSettings)
    scenes = plan_scenes(settings)
    build.expect(len(scenes) + 1)
    if not build.is_done(TABLES_UNIT):
        todo = [scene for scene in scenes if not build.is_done(scene.name)]
        bar = tqdm(
            total=len(scenes),
            initial=len(scenes) - len(todo),
            desc="world",
            unit="scene",
            disable=not stage_run.runtime.progress,
        )
        with bar:
            for scene in _written(settings, todo, build.path, stage_run.runtime.num_workers):
                build.mark_done(scene.name)
                bar.update()
        finish_world(settings, build.path)
        build.mark_done(TABLES_UNIT)
    # Only after the marker: a kill in between must find either the parts or the finished tables.
    shutil.rmtree(build.path / PARTS, ignore_errors=True)
    frames = len(scenes) * settings.frames_per_scene
    return {"towns": len(plan_towns(settings)), "scenes": len(scenes), "frames": frames, "images": 6 * frames}


def _written(settings: WorldSettings, scenes: list[ScenePlan], path: Path, num_workers: int) -> Iterator[ScenePlan]:
    """Yields each scene once it is on disk, in the order of completion."""
    workers = min(num_workers or os.cpu_count() or 1, len(scenes))
    if workers <= 1:
        for scene in scenes:
            write_scene(settings, scene, path)
            yield scene
        return
    # Spawned, not forked: OpenCV's threads do not survive a fork. Their number is limited before they are made.
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        running: dict[Future[None], ScenePlan] = {}
        for share in shares(scenes, workers):
            pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=context, initializer=_limit_threads))
            stack.callback(pool.shutdown, cancel_futures=True)
            running |= {pool.submit(write_scene, settings, scene, path): scene for scene in share}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                yield running.pop(future)


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


def _limit_threads() -> None:
    for name in _THREAD_LIMITS:
        os.environ[name] = "1"
    cv2.setNumThreads(0)

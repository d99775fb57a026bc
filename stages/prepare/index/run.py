"""Entry of the stage `index`."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scene.errors import InputError
from scene.frames import FrameIndex
from scene.sweep import LIDAR
from stages.prepare.index import IndexSettings
from stages.prepare.index.assemble import build_index, check_scenes, scenes_in_order
from stages.prepare.index.images import ImageCheck, check_image
from stages.prepare.index.problems import Problems
from stages.prepare.index.read import DataSet, read_data_set, read_scenes
from stages.prepare.index.splits import split_of_scenes
from stages.prepare.index.tables import COLUMNS, Row, locate_tables
from stages.stage import StageRun

INDEX_FILE = "index.npz"
PROBLEMS_FILE = "problems.json"
_NUM_IO_THREADS = 16


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Checks the data set and writes `index.npz` and `problems.json`.

    Raises:
        InputError: naming every problem, unless each can be skipped and `skip_bad_frames` is set.
    """
    assert stage_run.data_root is not None
    path, problems = stage_run.build.path, Problems()
    index = index_data_set(
        stage_run.settings, stage_run.data_root, problems, path / PROBLEMS_FILE, progress=stage_run.runtime.progress
    )
    problems.write(path / PROBLEMS_FILE)
    index.save(path / INDEX_FILE)
    frames_by_split = Counter(index.scene_split[index.frame_scene].tolist())
    return {
        "frames": index.num_frames,
        "scenes": len(index.scene_name),
        "cameras": index.num_cameras,
        **{f"frames_{split}": count for split, count in sorted(frames_by_split.items())},
        "frames_without_lidar": int((index.lidar_file == "").sum()),
        "problems": len(problems.found),
        "skipped_frames": len(problems.bad_frames()),
    }


def index_data_set(
    settings: IndexSettings, data_root: Path, problems: Problems, listing: Path, *, progress: bool = True
) -> FrameIndex:
    """The index of a data set; adds what is wrong with it to `problems`.

    Args:
        listing: file that the whole list of problems is written to before an error is raised.

    Raises:
        InputError: see `run`.
    """
    tables_dir = locate_tables(data_root, settings.version)
    all_scenes = read_scenes(tables_dir, problems)
    names = {row["name"] for row in all_scenes.values()}
    splits = split_of_scenes(settings.split, settings.used_splits, settings.version, data_root, names) if names else {}
    num_bytes = sum(file.stat().st_size for table in COLUMNS if (file := tables_dir / f"{table}.json").is_file())
    with tqdm(total=num_bytes, unit="B", unit_scale=True, desc="index: tables", disable=not progress, delay=2) as bar:
        data = read_data_set(tables_dir, all_scenes, set(splits), settings.cameras, problems, bar.update)
    scenes = scenes_in_order(data)
    check_scenes(data, scenes, problems)
    file_bytes = _check_files(settings, data_root, data, problems, progress=progress)
    if problems.found and (not settings.skip_bad_frames or any(p.fatal for p in problems.found)):
        problems.write(listing)
        raise problems.error(tables_dir, listing)
    skipped = problems.bad_frames()
    if not skipped < data.keyframes.keys():
        problems.write(listing)
        fix = "mend the data set, or choose other scenes"
        raise InputError("the data set has no usable keyframe", where=f"{tables_dir}, problems in {listing}", fix=fix)
    return build_index(data, scenes, splits, settings.cameras, skipped, file_bytes)


def _check_files(
    settings: IndexSettings, data_root: Path, data: DataSet, problems: Problems, *, progress: bool
) -> dict[str, int]:
    """Sizes of the files that are on disk, by name; reports camera images that are not there or not whole.

    A missing LiDAR sweep is no problem: nuScenes is offered without them, and only some objectives need them.
    """
    readings = [(k.token, c, r) for k in data.keyframes.values() for c, r in sorted(k.readings.items())]

    def check(item: tuple[str, str, Row]) -> ImageCheck:
        _, channel, row = item
        size, mode = ((0, 0), "exists") if channel == LIDAR else ((row["width"], row["height"]), settings.check_images)
        return check_image(data_root / row["filename"], size, mode)

    file_bytes: dict[str, int] = {}
    with ThreadPoolExecutor(_NUM_IO_THREADS) as pool:
        checks = tqdm(
            pool.map(check, readings), total=len(readings), desc="index: files", disable=not progress, delay=2
        )
        for (frame, channel, row), found in zip(readings, checks, strict=True):
            if not found.fault:
                file_bytes[row["filename"]] = found.num_bytes
            elif channel != LIDAR:
                problems.report("sample_data", row["token"], f"{row['filename']} {found.fault}", (frame,))
    return file_bytes

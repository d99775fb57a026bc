"""Entry of the stage `teacher_labels`."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import torch
from tqdm import tqdm

from cache.arrays import chunk_files, create_arrays
from scene.frames import FrameIndex
from stages.prepare.teacher_labels import TeacherLabelsSettings
from stages.prepare.teacher_labels.cluster import label_shards, num_workers, pick_device
from stages.prepare.teacher_labels.labelling import Frame, Labeller, Shard, check_cameras, fetch_teachers
from stages.prepare.teacher_labels.store import LABELS_FILE, array_specs, describe
from stages.stage import StageRun


def run(stage_run: StageRun) -> Mapping[str, Any]:
    """Writes `labels.zarr`; a unit of work is a shard of `frames_per_shard` keyframes.

    Raises:
        InputError: if the teacher cannot be loaded or does not fit its map, an image cannot be read, or no Dask
            scheduler answers at the address given.
    """
    settings: TeacherLabelsSettings = stage_run.settings
    build, runtime = stage_run.build, stage_run.runtime
    assert stage_run.data_root is not None, "the stage reads_data"
    index = FrameIndex.load(stage_run.inputs["index"].path / "index.npz")
    cameras = tuple(str(name) for name in index.camera_names)
    check_cameras(settings, cameras)
    create_arrays(build.path / LABELS_FILE, array_specs(index, settings), {"teacher_map": settings.teacher.map.teacher})

    shards = {shard.unit: shard for shard in shards_of(index, settings.frames_per_shard)}
    units = build.units(shards)
    pending = [shard for shard in shards.values() if not build.is_done(shard.unit)]
    if pending:
        fetch_teachers(settings)
        device = pick_device(runtime)
        labeller = Labeller(settings, cameras, stage_run.data_root, build.path, device)
        build.record(device=device, workers="cluster" if runtime.scheduler_address else num_workers(runtime, pending))
        images_left = sum(shard.num_images for shard in pending)
        threads = torch.get_num_threads()
        try:
            with tqdm(total=images_left, desc="teacher labels", unit="image", disable=not runtime.progress) as bar:
                receipts = label_shards(labeller, shards, units, runtime, num_workers(runtime, pending))
                with closing(receipts):  # the cluster ends here also when this loop is interrupted
                    for receipt in receipts:
                        start = shards[receipt.unit].start
                        span = slice(start, start + settings.frames_per_shard)
                        build.mark_done(receipt.unit, chunk_files(build.path / LABELS_FILE, span))
                        bar.update(receipt.num_images)
        finally:
            torch.set_num_threads(threads)
    units.end()
    return describe(build.path / LABELS_FILE, settings.label_schema, settings.frames_per_shard)


def shards_of(index: FrameIndex, frames_per_shard: int) -> list[Shard]:
    """The index cut into units of work."""
    frames = [
        Frame(str(index.frame_token[f]), tuple(str(file) if ok else "" for file, ok in zip(files, valid, strict=True)))
        for f, (files, valid) in enumerate(zip(index.camera_file, index.camera_valid, strict=True))
    ]
    starts = range(0, len(frames), frames_per_shard)
    return [Shard(start, tuple(frames[start : start + frames_per_shard])) for start in starts]

"""What the embedded world's true poses say about the ground found in its sweeps."""

import numpy as np
import pytest

from scene.frames import FrameIndex
from scene.transform import inverse
from stages.prepare.geometry.cameras import camera_geometry
from stages.prepare.ground import STAGE, GroundSettings
from stages.prepare.ground.check import ground_errors_m, main
from stages.prepare.index import STAGE as INDEX
from stages.prepare.index import IndexSettings
from stages.prepare.world import STAGE as WORLD
from stages.prepare.world import SplitSettings, WorldSettings
from tests.stages.prepare.tiny_data_set import run_stage

ONE, NONE = SplitSettings(num_towns=1, num_scenes=1), SplitSettings(num_towns=1, num_scenes=0)
SMALL = WorldSettings(
    train=ONE, val=NONE, teacher=NONE, frames_per_scene=4, image_wh_px=(64, 32), ground_resolution_m=0.2
)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Ground, index and world."""
    cache = tmp_path_factory.mktemp("ground") / "cache"
    world, _ = run_stage(WORLD, SMALL, cache, None)
    index, _ = run_stage(INDEX, IndexSettings(version="v1.0-synthetic", split="dataset"), cache, world.path)
    ground, _ = run_stage(STAGE, GroundSettings(), cache, world.path, index=index)
    return ground, index, world


@pytest.fixture(scope="module")
def found(artifacts):
    ground, index, _ = artifacts
    with np.load(ground.path / "ground.npz") as arrays:
        return FrameIndex.load(index.path / "index.npz"), arrays["ground_from_ego"]


def test_pixels_meet_the_ground_five_times_as_close_to_where_they_do(artifacts, found):
    index, ground_from_ego = found
    flat = ground_errors_m(index, artifacts[2].path, np.broadcast_to(np.eye(4), ground_from_ego.shape))
    upright = ground_errors_m(index, artifacts[2].path, ground_from_ego)
    for band in flat:
        assert np.median(upright[band]) < np.median(flat[band]) / 5
    assert np.median(upright[15.0, 25.0]) < 0.15


def test_the_check_prints_both(artifacts, capsys):
    main(*(artifact.path for artifact in artifacts))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all("median" in line for line in lines)


def test_motion_and_cameras_stay_consistent(found):
    index, ground_from_ego = found
    upright, flat = camera_geometry(index, (48, 96), ground_from_ego), camera_geometry(index, (48, 96))
    step = upright.ego_from_global[1] @ inverse(upright.ego_from_global[0])
    assert upright.ego_from_previous[1] == pytest.approx(step, abs=1e-9)
    assert upright.camera_from_ego @ ground_from_ego[:, None] == pytest.approx(flat.camera_from_ego, abs=1e-9)

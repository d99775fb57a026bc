"""The rig's optics and the ego vehicle's body motion."""

import numpy as np
import pytest

from scene.camera import project
from scene.transform import apply, inverse, yaw_of
from synthetic.contents import CAMERAS
from synthetic.curves import Curve
from synthetic.motion import EgoMotion, Wobble
from synthetic.rig import build_rig
from synthetic.routes import drive


def _half_angles(intrinsics: np.ndarray, width: int) -> np.ndarray:
    """Tangents of the angles to the left and right border of the image."""
    return (np.array([-0.5, width - 0.5]) - intrinsics[0, 2]) / intrinsics[0, 0]


def test_the_field_of_view_does_not_depend_on_the_image_size() -> None:
    for small, native in zip(build_rig((192, 96)), build_rig((1600, 900)), strict=True):
        assert small.channel == native.channel
        np.testing.assert_allclose(
            _half_angles(small.image_from_camera, 192), _half_angles(native.image_from_camera, 1600), atol=1e-9
        )
        bottom = [
            (h - 0.5 - c.image_from_camera[1, 2]) / c.image_from_camera[1, 1] for c, h in ((small, 96), (native, 900))
        ]
        assert bottom[0] == pytest.approx(bottom[1])  # rows are cut from the top


def test_cameras_look_where_their_names_say() -> None:
    rig = {camera.channel: camera for camera in build_rig((192, 96))}
    assert tuple(rig) == CAMERAS
    headings = {"CAM_FRONT": 0, "CAM_FRONT_LEFT": 55, "CAM_BACK_LEFT": 110, "CAM_BACK": 180, "CAM_FRONT_RIGHT": -55}
    for channel, heading_deg in headings.items():
        heading = np.radians(heading_deg)
        point = np.array([[30 * np.cos(heading), 30 * np.sin(heading), 1.5]])
        camera = rig[channel]
        pixel, depth = project(camera.image_from_camera, apply(inverse(camera.ego_from_camera), point))
        assert depth[0] > 25
        assert abs(pixel[0, 0] - 96) < 12
        assert abs(pixel[0, 1] - camera.image_from_camera[1, 2]) < 2


def test_wobble_has_the_asked_strength() -> None:
    wobble = Wobble.draw(np.random.default_rng(0), rms=2.0, periods_s=(0.55, 1.3))
    values = np.array([wobble.at(t) for t in np.arange(0, 400, 0.05)])
    assert np.sqrt(np.mean(values**2)) == pytest.approx(2.0, rel=0.1)


@pytest.fixture
def motion() -> EgoMotion:
    path = Curve(np.stack([np.linspace(0, 200, 400), np.linspace(0, 100, 400)], axis=1))
    return EgoMotion.draw(np.random.default_rng(1), drive(path, 8.0, 20.0, 3.0), 0.15, 0.15, 0.015)


def test_recorded_poses_miss_the_suspension(motion: EgoMotion) -> None:
    times = np.arange(0.5, 18, 0.1)
    recorded = np.array([motion.recorded(t) for t in times])
    true = np.array([motion.true(t) for t in times])
    assert np.all(recorded[:, 2, 3] == 0)
    assert 0.005 < np.std(true[:, 2, 3]) < 0.03
    np.testing.assert_allclose(yaw_of(true), yaw_of(recorded), atol=1e-4)
    tilt_deg = np.degrees(np.arcsin(-recorded[:, 2, 0]))
    assert np.std(tilt_deg) > 0.03  # the recorded pose is not flat
    missed = np.degrees(np.arcsin(-true[:, 2, 0])) - tilt_deg
    assert 0.05 < np.std(missed) < 0.3


def test_without_jitter_the_recorded_pose_is_the_truth() -> None:
    path = Curve(np.stack([np.linspace(0, 200, 400), np.zeros(400)], axis=1))
    motion = EgoMotion.draw(np.random.default_rng(1), drive(path, 8.0, 20.0, 3.0), 0.15, 0.0, 0.0)
    np.testing.assert_array_equal(motion.true(3.3), motion.recorded(3.3))

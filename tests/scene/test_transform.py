import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyquaternion import Quaternion
from scipy.spatial.transform import Rotation

from scene.transform import (
    apply,
    inverse,
    quaternion_from_rotation,
    rigid,
    rotation_from_euler,
    rotation_from_quaternion,
    yaw_of,
)

angles = st.tuples(*[st.floats(-np.pi, np.pi)] * 3)
offsets = st.tuples(*[st.floats(-3000.0, 3000.0)] * 3)


@given(angles)
def test_euler_angles_compose_as_scipy_says(rpy):
    assert rotation_from_euler(*rpy) == pytest.approx(Rotation.from_euler("xyz", rpy).as_matrix(), abs=1e-12)


@given(angles)
def test_quaternion_round_trip_and_the_devkits_convention(rpy):
    rotation = rotation_from_euler(*rpy)
    wxyz = quaternion_from_rotation(rotation)
    assert wxyz[0] >= 0
    assert np.linalg.norm(wxyz) == pytest.approx(1)
    assert rotation_from_quaternion(wxyz) == pytest.approx(rotation, abs=1e-9)
    assert Quaternion(wxyz).rotation_matrix == pytest.approx(rotation, abs=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_turns_survive_the_quaternion(axis):
    wxyz = np.zeros(4)
    wxyz[1 + axis] = 1.0
    rotation = rotation_from_quaternion(wxyz)
    assert rotation_from_quaternion(quaternion_from_rotation(rotation)) == pytest.approx(rotation, abs=1e-12)


@given(angles, offsets, offsets)
def test_inverse_undoes_a_rigid_transform(rpy, translation, point):
    transform = rigid(rotation_from_euler(*rpy), np.array(translation))
    points = np.array([point])
    assert apply(inverse(transform), apply(transform, points)) == pytest.approx(points, abs=1e-8)
    assert inverse(transform) == pytest.approx(np.linalg.inv(transform), abs=1e-8)


def test_transforms_work_on_stacks():
    rng = np.random.default_rng(0)
    stack = np.stack([rigid(rotation_from_euler(*rng.normal(size=3)), rng.normal(size=3)) for _ in range(6)])
    points = rng.normal(size=(6, 5, 3))
    one_by_one = np.stack([apply(t, p) for t, p in zip(stack, points, strict=True)])
    assert apply(stack, points) == pytest.approx(one_by_one)
    assert inverse(stack) @ stack == pytest.approx(np.broadcast_to(np.eye(4), (6, 4, 4)), abs=1e-12)


@given(st.floats(-3.1, 3.1), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_yaw_is_the_heading_seen_from_above(yaw, pitch, roll):
    assert yaw_of(rigid(rotation_from_euler(roll, pitch, yaw), np.zeros(3))) == pytest.approx(yaw, abs=1e-9)


def test_a_left_turn_is_positive_yaw():
    turned = apply(rigid(rotation_from_euler(0, 0, np.pi / 2), np.zeros(3)), np.array([[1.0, 0.0, 0.0]]))
    assert turned == pytest.approx(np.array([[0.0, 1.0, 0.0]]), abs=1e-12)

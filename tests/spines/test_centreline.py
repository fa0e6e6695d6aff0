from __future__ import annotations

import numpy as np
import pytest

from nanospine.core.errors import GeometryError
from nanospine.spines.centreline import look_across, recentred

LINE = np.column_stack([np.zeros(51), np.zeros(51), np.linspace(0, 500, 51)])


def test_points_beside_a_straight_line_keep_position_and_distance():
    rng = np.random.default_rng(0)
    xyz = rng.uniform([-80, -80, -30], [80, 80, 530], (200, 3))
    seen = look_across(xyz, LINE, np.full((200, 3), 7.0))
    np.testing.assert_allclose(seen.position_nm, xyz[:, 2], atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(seen.uv_nm, axis=1), np.linalg.norm(xyz[:, :2], axis=1), atol=1e-6
    )
    np.testing.assert_allclose(seen.covariance_nm2, np.tile([49.0, 0, 49], (200, 1)), atol=1e-6)


def test_error_across_and_along_keeps_its_trace_on_a_tilted_line():
    line = np.array([[0.0, 0, 0], [200.0, 100, 300]])
    precision = np.tile([5.0, 10.0, 25.0], (20, 1))
    seen = look_across(np.random.default_rng(1).normal(size=(20, 3)) * 50, line, precision)
    total = seen.covariance_nm2[:, 0] + seen.covariance_nm2[:, 2] + seen.along_nm2
    np.testing.assert_allclose(total, 750.0)


def test_recentred_line_lies_where_the_centre_was_found():
    moved, position = recentred(LINE, lambda s: np.tile([20.0, 0.0], (len(s), 1)), 100, 400, 60)
    np.testing.assert_allclose(np.linalg.norm(moved[:, :2], axis=1), 20.0, atol=0.1)
    np.testing.assert_allclose(moved[:, 2], position, atol=0.1)
    assert position[0] == pytest.approx(100)


def test_a_line_of_equal_points_is_an_error():
    with pytest.raises(GeometryError, match="all points are equal"):
        look_across(np.zeros((1, 3)), np.zeros((3, 3)), np.ones((1, 3)))

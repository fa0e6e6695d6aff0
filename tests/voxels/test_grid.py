"""Positions go to voxels and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError
from nanospine.voxels.grid import VoxelGrid

NM = st.floats(-1e8, 1e8)
SIZE = st.floats(0.5, 500)


@given(
    voxel=st.tuples(SIZE, SIZE, SIZE),
    origin=st.tuples(NM, NM, NM),
    index=st.tuples(*[st.integers(0, n - 1) for n in (4, 5, 6)]),
)
def test_a_voxel_centre_finds_its_own_voxel(voxel, origin, index):
    data = np.arange(120).reshape(4, 5, 6)
    grid = VoxelGrid(data, voxel, origin)
    xyz = grid.to_xyz_nm([index])
    np.testing.assert_allclose(grid.to_index(xyz), [index], atol=1e-5)
    assert grid.values_at(xyz, outside=-1)[0] == data[index]


def test_outside_is_never_a_silent_zero():
    grid = VoxelGrid(np.ones((2, 2, 2), dtype=np.int64), 10, (0, 0, 0))
    values = grid.values_at([[0, 0, 0], [-6, 0, 0], [0, 0, 15.1]], outside=-1)
    np.testing.assert_array_equal(values, [1, -1, -1])


def test_geometry_that_makes_no_sense_is_refused():
    with pytest.raises(GeometryError, match="3 positive voxel_nm"):
        VoxelGrid(np.zeros((2, 2)), 10, (0, 0, 0))
    with pytest.raises(GeometryError, match="3 positive voxel_nm"):
        VoxelGrid(np.zeros((2, 2, 2)), 0, (0, 0, 0))
    grid = VoxelGrid(np.zeros((2, 2, 2)), 10, (0, 0, 0))
    with pytest.raises(GeometryError, match="data of shape"):
        grid.with_data(np.zeros((3, 2, 2)))

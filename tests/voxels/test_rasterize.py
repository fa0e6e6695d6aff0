"""Meshes become voxels: exact containment is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.core.errors import GeometryError
from nanospine.voxels.rasterize import mesh_to_mask


def _random_rotation(seed):
    return trimesh.transformations.random_rotation_matrix(np.random.default_rng(seed).random(3))


@pytest.mark.parametrize("seed", range(4))
def test_an_ellipsoid_is_filled_exactly(seed):
    """A voxel is inside when its centre is inside all facets of the convex mesh."""
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
    mesh.apply_scale((300, 180, 90))
    mesh.apply_transform(_random_rotation(seed))
    mesh.apply_translation((1e5, -2e5, 40))
    grid = mesh_to_mask(mesh, 17.0)
    centres = grid.to_xyz_nm(np.argwhere(np.ones(grid.shape, dtype=bool)))
    side = centres @ mesh.face_normals.T - (mesh.face_normals * mesh.triangles[:, 0]).sum(axis=1)
    depth = side.max(axis=1)
    clear = np.abs(depth) > 0.02  # columns are shifted by a thousandth of a voxel
    np.testing.assert_array_equal(grid.data.ravel()[clear], (depth < 0)[clear])


def test_overlapping_bodies_count_once_and_an_inner_shell_is_a_cavity():
    a = trimesh.creation.box(extents=(100, 100, 100))
    b = a.copy()
    b.apply_translation((50, 0, 0))
    both = trimesh.util.concatenate([a, b])
    assert mesh_to_mask(both, 5.0).data.sum() * 125 == pytest.approx(1.5e6, rel=0.03)
    hole = trimesh.creation.box(extents=(40, 40, 40))
    hole.invert()
    hollow = trimesh.util.concatenate([a, hole])
    assert mesh_to_mask(hollow, 4.0).data.sum() * 64 == pytest.approx(1e6 - 64e3, rel=0.05)


def test_vertices_on_the_lattice_leave_no_streaks():
    """Faces, edges and corners of this box lie on voxel centres."""
    box = trimesh.creation.box(extents=(100, 100, 100))
    grid = mesh_to_mask(box, 10.0, pad=1)
    filled = grid.data.sum(axis=0)
    assert set(np.unique(filled)) <= {0, 10, 11}
    assert filled[0].sum() == 0


def test_bad_requests():
    ball = trimesh.creation.icosphere(radius=1e5)
    with pytest.raises(GeometryError, match="too many"):
        mesh_to_mask(ball, 1.0)
    with pytest.raises(GeometryError, match="must be positive"):
        mesh_to_mask(ball, 0.0)
    with pytest.raises(GeometryError, match="no faces"):
        mesh_to_mask(trimesh.Trimesh(), 10.0)

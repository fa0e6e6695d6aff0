"""Labels go back to points, vertices and meshes."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.grid import LabelGrid, VoxelGrid


def two_halves():
    """A ball of radius 200 nm: label 1 below x = 0, label 2 above, on unequal voxels."""
    axes = [np.arange(-300, 301, step) for step in (25.0, 10.0, 20.0)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    data = np.where(x**2 + y**2 + z**2 < 200**2, np.where(x < 0, 1, 2), 0)
    return LabelGrid(data, (25, 10, 20), (-300, -300, -300), {1: "shaft", 2: "spine"})


def test_points_beyond_the_grid_are_minus_one_whatever_the_type_of_labels():
    labels = LabelGrid(np.ones((2, 2, 2), np.uint8), 10, (0, 0, 0))
    assert ns.labels_to_points(labels, [[0, 0, 0], [1e300, 0, 0], [-5.01, 0, 0]]).tolist() == [
        1, -1, -1
    ]  # fmt: skip
    assert ns.labels_to_points(labels, np.empty((0, 3))).tolist() == []
    with pytest.raises(GeometryError, match="finite"):
        ns.labels_to_points(labels, [[np.nan, 0, 0]])
    with pytest.raises(GeometryError, match="fractions"):
        ns.labels_to_points(VoxelGrid(np.full((1, 1, 1), 0.5), 10, (0, 0, 0)), [[0, 0, 0]])


def test_vertices_on_the_surface_take_the_label_inside():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=205.0)
    found = ns.labels_to_vertices(two_halves(), ball)
    clear = np.abs(ball.vertices[:, 0] + 10) > 25
    expected = np.where(ball.vertices[:, 0] < -10, 1, 2)
    np.testing.assert_array_equal(found[clear], expected[clear])
    far = ball.copy()
    far.apply_translation((5000, 0, 0))
    assert set(ns.labels_to_vertices(two_halves(), far).tolist()) == {-1}


@pytest.mark.parametrize("smooth", [0, 10])
def test_meshes_of_labels_are_closed_and_hold_their_voxels(smooth):
    labels = two_halves()
    meshes = ns.labels_to_meshes(labels, smooth=smooth)
    assert sorted(meshes) == [1, 2]
    for label, mesh in meshes.items():
        assert mesh.is_watertight
        voxels = (labels.labels == label).sum() * np.prod(labels.voxel_nm)
        assert mesh.volume == pytest.approx(voxels, rel=0.04)
    assert meshes[1].bounds[1][0] == pytest.approx(-10, abs=6)


@pytest.mark.parametrize("seed", range(4))
def test_meshes_of_any_voxels_are_closed_also_at_the_edge_of_the_grid(seed):
    data = (np.random.default_rng(seed).random((7, 8, 9)) < 0.5).astype(np.uint8)
    mesh = ns.labels_to_meshes(LabelGrid(data, 10.0, (0, 0, 0)))[1]
    assert mesh.is_watertight
    assert mesh.volume > 0


def test_a_label_that_is_not_there_is_refused():
    with pytest.raises(GeometryError, match="no voxel has label 9"):
        ns.labels_to_meshes(two_halves(), only=[9])


@pytest.mark.parametrize("reach_nm", [0.0, 20.0, 31.0])
def test_points_beside_a_mask_take_the_nearest_label_within_reach(reach_nm):
    labels = two_halves()
    xyz = np.random.default_rng(0).normal(size=(800, 3))
    xyz *= np.linspace(150, 340, 800)[:, None] / np.linalg.norm(xyz, axis=1, keepdims=True)
    voxels = np.argwhere(labels.labels)
    distance = np.linalg.norm(xyz[:, None] - labels.grid.to_xyz_nm(voxels)[None], axis=2)
    expected = ns.labels_to_points(labels, xyz)
    near = (expected == 0) & (distance.min(axis=1) <= reach_nm)
    values = labels.labels[tuple(voxels.T)]
    expected[near] = values[distance.argmin(axis=1)][near]
    np.testing.assert_array_equal(ns.labels_to_points(labels, xyz, reach_nm=reach_nm), expected)
    assert near.sum() > (10 if reach_nm else -1)


def test_a_reach_below_zero_is_refused():
    with pytest.raises(ConfigError, match="reach_nm"):
        ns.labels_to_points(two_halves(), [[0, 0, 0]], reach_nm=-1)


def test_an_identity_segmenter_gives_every_point_its_label():
    rng = np.random.default_rng(5)
    data = rng.integers(0, 9, (12, 14, 16))
    truth = VoxelGrid(data, (40.0, 21.0, 13.0), (1e8, -3e7, 12.5))
    labels = ns.segment(truth, lambda grid: np.asarray(grid.data))
    index = rng.integers(0, data.shape, (4000, 3))
    xyz = truth.to_xyz_nm(index + rng.uniform(-0.49, 0.49, index.shape))
    np.testing.assert_array_equal(ns.labels_to_points(labels, xyz), data[tuple(index.T)])

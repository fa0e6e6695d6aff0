"""The axis of a shaft."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy import ndimage

import nanospine as ns
from nanospine.simulate import SpineSpec
from nanospine.spines.shaft import find_axes
from nanospine.spines.solid import Solid, make_solid
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.rasterize import fill_mesh


@pytest.mark.parametrize("radius_nm", [300.0, 450.0])
def test_the_axis_of_a_shaft_with_flat_ends_keeps_to_the_middle(radius_nm):
    """The farthest voxels of a core lie in the corners of its ends: no reason to go there."""
    along = np.array([1, 0.3, -0.2]) / np.linalg.norm([1, 0.3, -0.2])
    shaft = trimesh.creation.cylinder(radius=radius_nm, height=5000, sections=64)
    shaft.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], along))
    rough = shaft.subdivide_to_size(120.0)
    rough.vertices += np.random.default_rng(0).normal(0, 4, rough.vertices.shape)
    (axis,) = find_axes(make_solid(rough))
    away = axis.points_nm - np.outer(axis.points_nm @ along, along)
    assert np.linalg.norm(away, axis=1).max() < 0.15 * radius_nm
    assert np.abs(axis.tangent @ along).min() > np.cos(np.radians(8))
    assert axis.length_nm == pytest.approx(5000, rel=0.03)


def _dendrite(specs: list[SpineSpec]) -> trimesh.Trimesh:
    return ns.simulate.dendrite(6000.0, specs=specs, curvature_nm=0.0, voxel_nm=40.0).mesh


def test_a_long_spine_with_a_large_head_is_no_branch():
    """Its head is as thick as the shaft and hangs together with it through a thick neck."""
    spine = SpineSpec("mushroom", 3000.0, 0.0, 420.0, 900.0, 800.0)
    assert len(find_axes(make_solid(_dendrite([spine])))) == 1


def test_a_short_stretch_as_thick_as_the_shaft_is_a_branch():
    stub = SpineSpec("filopodium", 3000.0, 0.0, 800.0, 1800.0, 800.0)
    assert len(find_axes(make_solid(_dendrite([stub])))) == 2


def test_a_dendrite_that_a_thin_bridge_holds_is_another_dendrite():
    bridge = trimesh.creation.box((5000.0, 160.0, 160.0))
    bridge.apply_transform(trimesh.geometry.align_vectors([1, 0, 0], [0, 1, 0]))
    bridge.apply_scale([1.0, 0.4, 1.0])
    tubes = []
    for side in (-1000.0, 1000.0):
        tube = trimesh.creation.capsule(height=5000, radius=350)
        tube.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], [1, 0, 0]))
        tube.apply_translation([-tube.centroid[0], side - tube.centroid[1], -tube.centroid[2]])
        tubes.append(tube)
    axes = find_axes(_solid_of([*tubes, bridge]))
    assert len(axes) == 2
    assert sorted(np.sign(axis.points_nm[:, 1].mean()) for axis in axes) == [-1, 1]
    assert min(axis.length_nm for axis in axes) > 5000


def _solid_of(bodies: list[trimesh.Trimesh]) -> Solid:
    """Distance to the surface of the union of closed bodies, on a grid of 40 nm."""
    low, high = trimesh.util.concatenate(bodies).bounds
    shape = np.ceil((high - low) / 40.0).astype(int)[::-1] + 6
    inside = np.zeros(tuple(shape), dtype=bool)
    for body in bodies:
        part = np.zeros(tuple(shape), dtype=bool)
        fill_mesh(body, np.full(3, 40.0), low[::-1] - 120.0, np.zeros(3, dtype=np.int64), part)
        inside |= part
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    grid = VoxelGrid((40.0 * depth).astype(np.float32), np.full(3, 40.0), low[::-1] - 120.0)
    return Solid(grid)

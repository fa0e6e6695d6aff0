"""The axis of a shaft."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.spines.shaft import find_axes
from nanospine.spines.solid import make_solid


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

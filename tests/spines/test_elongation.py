"""Dendrites that a microscope draws out in depth are taken apart as the round ones they are."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.simulate import SpineSpec
from nanospine.spines.elongation import squeeze_of
from nanospine.spines.shaft import find_axes
from nanospine.spines.solid import make_solid

SPECS = [
    SpineSpec("mushroom", 900.0, 0.0, 200.0, 500.0, 700.0),
    SpineSpec("mushroom", 2500.0, np.pi, 200.0, 500.0, 700.0),
    SpineSpec("thin", 3800.0, 0.3, 150.0, 600.0, 450.0),
]


@pytest.fixture(scope="module")
def shape():
    return ns.simulate.dendrite(5000.0, specs=SPECS, curvature_nm=400.0, voxel_nm=40.0, seed=2)


def _drawn_out(mesh: trimesh.Trimesh, direction: np.ndarray, times: float) -> trimesh.Trimesh:
    linear = np.eye(3) + (times - 1) * np.outer(direction, direction)
    return trimesh.Trimesh(mesh.vertices @ linear.T, mesh.faces, process=False)


@pytest.mark.parametrize(("times", "axis"), [(3.0, 2), (5.0, 2)])
def test_what_was_drawn_out_is_made_round_again(shape, times, axis):
    direction = np.eye(3)[axis]
    squeeze = squeeze_of(_drawn_out(shape.mesh, direction, times))
    back = squeeze @ (np.eye(3) + (times - 1) * np.outer(direction, direction))
    assert np.abs(np.linalg.svd(back)[1] - 1).max() < 0.15


def test_what_is_round_or_a_little_flat_stays(shape):
    assert squeeze_of(shape.mesh) is None
    assert squeeze_of(_drawn_out(shape.mesh, np.array([0.0, 0.0, 1.0]), 1.5)) is None


def test_spines_of_a_ribbon_are_those_of_the_dendrite(shape):
    plain = ns.find_spines(shape.mesh)
    ribbon = ns.find_spines(_drawn_out(shape.mesh, np.array([0.0, 0.0, 1.0]), 4.0))
    assert len(plain) == len(ribbon) == len(SPECS)
    one, other = plain.vertex_spine >= 0, ribbon.vertex_spine >= 0
    assert (one & other).sum() / (one | other).sum() > 0.85
    assert any("drawn out" in note for note in ribbon.notes)
    assert not any("drawn out" in note for note in plain.notes)
    (axis,) = ribbon.shaft.sections
    assert axis.length_nm == pytest.approx(plain.shaft.sections[0].length_nm, rel=0.05)


def test_a_mapped_axis_has_its_shaft_where_the_map_puts_it():
    tube = trimesh.creation.capsule(height=5000, radius=400).subdivide_to_size(150)
    tube.apply_transform(trimesh.geometry.align_vectors([0, 0, 1], [1, 0.2, 0]))
    (axis,) = find_axes(make_solid(tube))
    linear = np.diag([1.0, 1.0, 4.0])
    on_surface = tube.vertices[np.abs(axis.locate(tube.vertices)[2] + 1500) < 1000]
    before = axis.locate(on_surface)
    distance, radius, _ = axis.mapped(linear).locate(on_surface @ linear.T)
    assert np.abs(before[0] / before[1] - 1).max() < 0.1
    assert np.abs(distance / radius - 1).max() < 0.15
    assert distance.max() > 3 * distance.min()

"""Even triangles: closed, of the same genus and volume, where the surface was."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import GeometryError
from nanospine.core.triangles import TriangleTree
from nanospine.surface.intersections import self_intersections
from nanospine.surface.remesh import remesh

SHAPES = {
    "ball": trimesh.creation.icosphere(2, radius=150),
    "torus": trimesh.creation.torus(200, 60),
    "capsule": trimesh.creation.capsule(height=600, radius=60, count=(12, 12)),
}


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("edge", [12.0, 25.0])
def test_what_must_hold(name, edge):
    before = SHAPES[name]
    after = remesh(before, edge)
    assert after.is_volume
    assert after.euler_number == before.euler_number
    assert after.volume == pytest.approx(before.volume, rel=2e-3)
    assert len(self_intersections(after)) == 0
    length = after.edges_unique_length
    assert np.median(length) == pytest.approx(edge, rel=0.1)
    assert np.quantile(length, 0.99) < 1.5 * edge
    assert np.quantile(length, 0.01) > 0.5 * edge
    off = TriangleTree(before.vertices, before.faces).distance(np.asarray(after.vertices))
    assert off.max() < 0.1 * edge
    degree = np.bincount(after.faces.ravel())
    assert (np.abs(degree - 6) <= 1).mean() > 0.9


def test_an_envelope_of_two_bodies_stays_two():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5000, 3))
    points *= 250 / np.linalg.norm(points, axis=1, keepdims=True)
    points[::2, 0] += 900
    wrapped = ns.envelope(points + rng.normal(0, 8, points.shape), precision_nm=8)
    even = ns.remesh(wrapped, 30.0)
    assert even.is_volume
    assert even.body_count == wrapped.n_components == 2
    assert even.volume == pytest.approx(wrapped.volume_nm3, rel=2e-3)
    assert len(self_intersections(even)) == 0


def test_edges_longer_than_the_body_leave_it_closed():
    even = remesh(SHAPES["ball"], 400.0)
    assert even.is_volume
    assert even.euler_number == 2


@pytest.mark.parametrize("edge", [0.0, -5.0, np.nan, np.inf])
def test_a_length_must_be_positive(edge):
    with pytest.raises(GeometryError, match="positive length"):
        remesh(SHAPES["ball"], edge)


def test_what_cannot_be_says_why():
    with pytest.raises(GeometryError, match="faces; give a longer"):
        remesh(SHAPES["ball"], 1e-3)
    half = trimesh.Trimesh(SHAPES["ball"].vertices, SHAPES["ball"].faces[:50], process=False)
    with pytest.raises(GeometryError, match="closed surface"):
        remesh(half, 10.0)

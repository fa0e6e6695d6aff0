"""The boundary of any set of tetrahedra is a closed manifold, also after a file and back."""

from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.surface.alpha import carving_depth
from nanospine.surface.delaunay import delaunay
from nanospine.surface.mesh import boundary_surface, inside_components


def assert_manifold(vertices, faces):
    """Every edge has two faces, every vertex one fan, all faces agree on outward."""
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, uses = np.unique(directed, axis=0, return_counts=True)
    assert (uses == 1).all()
    _, uses = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    assert (uses == 2).all()
    following = {}
    for a, b, c in faces.tolist():
        for vertex, start, end in ((a, b, c), (b, c, a), (c, a, b)):
            following.setdefault(vertex, {})[start] = end
    for ring in following.values():
        first = next(iter(ring))
        at, steps = ring[first], 1
        while at != first:
            at, steps = ring[at], steps + 1
        assert steps == len(ring)
    assert set(following) == set(range(len(vertices)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    n=st.integers(5, 50),
    share=st.floats(0.05, 1.0),
    grid=st.booleans(),
    carved=st.booleans(),
)
def test_any_set_of_tetrahedra_has_a_manifold_boundary(seed, n, share, grid, carved):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3)) * 100
    if grid:
        points = np.round(points / 80)
        if np.linalg.matrix_rank(points - points.mean(axis=0)) < 3:
            return
    triangulation = delaunay(points)
    if carved:
        depth = carving_depth(triangulation).depth_nm
        inside = depth <= np.quantile(depth, share, method="lower")
    else:  # far worse than any carving: pinched edges and vertices everywhere
        inside = rng.random(len(triangulation.tetrahedra)) < share
    volume = triangulation.volumes[inside].sum()
    if volume < 1e-6:
        return
    vertices, faces, origin = boundary_surface(
        triangulation.points_nm, triangulation.tetrahedra, triangulation.neighbors, inside
    )
    assert_manifold(vertices, faces)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(volume, rel=0.02)
    stands = origin >= 0
    moved = np.linalg.norm(vertices[stands] - points[origin[stands]], axis=1)
    assert moved.max() < 0.01 * np.ptp(points)


@pytest.mark.parametrize("kind", ["ply", "stl"])
@pytest.mark.parametrize("offset", [0.0, 30_000.0])
def test_pinched_surfaces_stay_closed_in_single_precision_files(kind, offset):
    rng = np.random.default_rng(8)
    triangulation = delaunay(rng.normal(size=(60, 3)) * 100 + offset)
    inside = rng.random(len(triangulation.tetrahedra)) < 0.4
    vertices, faces, _ = boundary_surface(
        triangulation.points_nm, triangulation.tetrahedra, triangulation.neighbors, inside
    )
    data = trimesh.Trimesh(vertices, faces, process=False).export(file_type=kind)
    again = trimesh.load_mesh(io.BytesIO(data), file_type=kind)
    assert again.is_watertight
    assert again.is_winding_consistent


def test_two_tetrahedra_that_share_an_edge_are_two_bodies():
    points = np.array([[0, 0, 0], [0, 0, 9], [9, 1, 4], [9, -1, 4], [-9, 1, 4], [-9, -1, 4.0]])
    tetrahedra = np.array([[0, 1, 2, 3], [0, 1, 5, 4]])
    for row in tetrahedra:
        if np.linalg.det(points[row[1:]] - points[row[0]]) < 0:
            row[:2] = row[1::-1]
    vertices, faces, origin = boundary_surface(
        points, tetrahedra, np.full((2, 4), -1), np.ones(2, bool)
    )
    assert trimesh.Trimesh(vertices, faces, process=False).body_count == 2
    assert sorted(origin) == [0, 0, 1, 1, 2, 3, 4, 5]


def test_components_are_ordered_by_volume():
    neighbors = np.array([[-1, -1, -1, 1], [0, -1, -1, -1], [-1] * 4, [-1] * 4])
    label, volume = inside_components(
        neighbors, np.array([True, True, True, False]), np.array([1.0, 1.0, 5.0, 9.0])
    )
    assert label.tolist() == [1, 1, 0, -1]
    assert volume.tolist() == [5.0, 2.0]

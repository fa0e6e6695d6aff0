"""Distance and containment against brute force and known shapes."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError
from nanospine.core.triangles import TriangleTree


def brute_distance(points, triangles):
    """Distance to each triangle: over its plane where the foot is inside, else over its edges."""
    best = np.full(len(points), np.inf)
    for a, b, c in triangles:
        for p, q in ((a, b), (b, c), (c, a)):
            t = np.clip((points - p) @ (q - p) / max((q - p) @ (q - p), 1e-300), 0, 1)
            best = np.minimum(best, np.linalg.norm(points - p - t[:, None] * (q - p), axis=1))
        normal = np.cross(b - a, c - a)
        if normal @ normal < 1e-12:
            continue
        normal = normal / np.sqrt(normal @ normal)
        height = (points - a) @ normal
        foot = points - height[:, None] * normal
        inside = np.ones(len(points), bool)
        for p, q in ((a, b), (b, c), (c, a)):
            inside &= np.cross(q - p, foot - p) @ normal >= 0
        best = np.where(inside, np.minimum(best, np.abs(height)), best)
    return best


def brute_winding(points, triangles):
    """Solid angles of all triangles over 4 pi (van Oosterom and Strackee 1983)."""
    total = np.zeros(len(points))
    for triangle in triangles:
        a, b, c = (vertex - points for vertex in triangle)
        la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
        above = np.einsum("ij,ij->i", a, np.cross(b, c))
        ab, bc, ca = ((u * v).sum(1) for u, v in ((a, b), (b, c), (c, a)))
        total += 2 * np.arctan2(above, la * lb * lc + ab * lc + bc * la + ca * lb)
    return total / (4 * np.pi)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), grid=st.booleans())
def test_distance_equals_brute_force(seed, n, grid):
    rng = np.random.default_rng(seed)
    triangles = rng.normal(size=(n, 3, 3)) * 5
    points = rng.normal(size=(30, 3)) * 8
    if grid:  # flat triangles, points on vertices, edges and planes
        triangles, points = np.round(triangles), np.round(points)
    tree = TriangleTree(triangles.reshape(-1, 3), np.arange(3 * n).reshape(n, 3))
    distance, nearest, face = tree.closest(points)
    np.testing.assert_allclose(distance, brute_distance(points, triangles), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(points - nearest, axis=1), distance, atol=1e-12)
    for i in range(len(points)):
        np.testing.assert_allclose(
            brute_distance(nearest[i : i + 1], triangles[face[i : i + 1]]), 0, atol=1e-9
        )


@pytest.mark.parametrize("shape", ["sphere", "torus", "box", "nested", "overlapping"])
def test_contains_equals_solid_angle(shape):
    mesh = {
        "sphere": lambda: trimesh.creation.icosphere(2, radius=3),
        "torus": lambda: trimesh.creation.torus(3, 1, major_sections=12, minor_sections=8),
        "box": lambda: trimesh.creation.box((6, 6, 6)),
        "nested": lambda: trimesh.util.concatenate(
            [trimesh.creation.icosphere(2, radius=4), inverted(trimesh.creation.box((3, 3, 3)))]
        ),
        "overlapping": lambda: trimesh.util.concatenate(
            [trimesh.creation.box((4, 4, 4)), trimesh.creation.icosphere(1, radius=3)]
        ),
    }[shape]()
    points = np.random.default_rng(1).uniform(-5, 5, (400, 3))
    winding = brute_winding(points, mesh.triangles)
    inside = TriangleTree(mesh.vertices, mesh.faces).contains(points)
    np.testing.assert_array_equal(inside, winding > 0.5)


def inverted(mesh):
    mesh.invert()
    return mesh


def test_rays_through_edges_and_vertices_count_right():
    """Every ray goes through vertices, along edges and along upright faces of an integer box."""
    mesh = trimesh.creation.box((4, 4, 4)).subdivide().subdivide()
    axis = np.arange(-3, 4) + 0.0
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    points = points[np.abs(points).max(axis=1) != 2]  # the surface itself may fall on either side
    inside = TriangleTree(mesh.vertices, mesh.faces).contains(points)
    np.testing.assert_array_equal(inside, np.abs(points).max(axis=1) < 2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), offset=st.sampled_from([0.0, 1e6, 1e9]))
def test_signed_distance_of_a_turned_box(seed, offset):
    rng = np.random.default_rng(seed)
    turn = trimesh.transformations.random_rotation_matrix(rng.uniform(size=3))[:3, :3]
    box = trimesh.creation.box((2, 4, 6))
    points = rng.uniform(-5, 5, (100, 3))
    out = np.abs(points) - [1, 2, 3]
    expected = np.linalg.norm(np.maximum(out, 0), axis=1) + np.minimum(out.max(axis=1), 0)
    tree = TriangleTree(box.vertices @ turn.T + offset, box.faces)
    found = tree.signed_distance(points @ turn.T + offset)
    # 1e9 nm leaves 1e-7 nm of a double
    np.testing.assert_allclose(found, expected, atol=1e-9 + 1e-15 * offset)


@pytest.mark.parametrize(
    "triangle",
    [
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [2, 0, 0], [2, 0, 0]],
        [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
        [[0, 0, 0], [2, 0, 0], [1, 1e-12, 0]],
    ],
)
def test_triangles_without_area_are_edges_or_points(triangle):
    points = np.array([[-1.0, 0, 0], [0, 0, 0], [1, 1, 0], [2, 0, 3], [1, 0, 0], [1, -1, 0]])
    tree = TriangleTree(triangle, [[0, 1, 2]])
    end = max(corner[0] for corner in triangle)
    out = points[:, 0] - np.clip(points[:, 0], 0, end)
    expected = np.linalg.norm(np.column_stack([out, points[:, 1:]]), axis=1)
    np.testing.assert_allclose(tree.distance(points), expected, atol=1e-9)


def test_an_open_surface_has_no_inside_but_has_distances():
    box = trimesh.creation.box((2, 2, 2))
    tree = TriangleTree(box.vertices, box.faces[1:])
    assert tree.open_edges == 3
    assert np.isfinite(tree.distance([[0, 0, 0]])).all()
    with pytest.raises(GeometryError, match="3 open edges"):
        tree.contains([[0, 0, 0]])


def test_no_points_give_empty_answers():
    box = trimesh.creation.box((2, 2, 2))
    tree = TriangleTree(box.vertices, box.faces)
    assert tree.contains(np.zeros((0, 3))).shape == (0,)
    assert [part.shape for part in tree.closest([])] == [(0,), (0, 3), (0,)]


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (np.zeros((3, 2)), [[0, 1, 2]], "vertices of shape"),
        (np.zeros((3, 3)), np.zeros((0, 3)), "m > 0"),
        (np.zeros((3, 3)), [[0, 1, 3]], "does not exist"),
        (np.full((3, 3), np.nan), [[0, 1, 2]], "not finite"),
    ],
)
def test_what_is_no_surface_is_refused(vertices, faces, message):
    with pytest.raises(GeometryError, match=message):
        TriangleTree(vertices, faces)


@pytest.mark.parametrize("points", [np.zeros((2, 2)), [[np.nan, 0, 0]]])
def test_points_are_checked(points):
    tree = TriangleTree(np.eye(3), [[0, 1, 2]])
    with pytest.raises(GeometryError):
        tree.closest(points)

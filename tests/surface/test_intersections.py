"""Faces that cut each other, against rational arithmetic over all pairs."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError
from nanospine.surface.intersections import self_intersections


def cross(u, v):
    return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]


def dot(u, v):
    return sum(a * b for a, b in zip(u, v, strict=True))


def minus(u, v):
    return [a - b for a, b in zip(u, v, strict=True)]


def on_segment(x, s, t):
    if any(cross(minus(x, s), minus(t, s))):
        return False
    return 0 <= dot(minus(x, s), minus(t, s)) <= dot(minus(t, s), minus(t, s))


def in_triangle(x, triangle, normal):
    turns = [
        dot(normal, cross(minus(triangle[(i + 1) % 3], triangle[i]), minus(x, triangle[i])))
        for i in range(3)
    ]
    return min(turns) >= 0


def common_points(one, other):
    """Corners of what two triangles have in common, from the edges of the one."""
    normal = cross(minus(other[1], other[0]), minus(other[2], other[0]))
    for i in range(3):
        s, t = one[i], one[(i + 1) % 3]
        hs, ht = dot(normal, minus(s, other[0])), dot(normal, minus(t, other[0]))
        if hs * ht > 0:
            continue
        if hs != ht:
            x = [a + (b - a) * hs / (hs - ht) for a, b in zip(s, t, strict=True)]
            if in_triangle(x, other, normal):
                yield x
            continue
        yield from (x for x in (s, t) if in_triangle(x, other, normal))
        for j in range(3):
            p, q = other[j], other[(j + 1) % 3]
            across = cross(normal, minus(q, p))
            a, b = dot(across, minus(s, p)), dot(across, minus(t, p))
            if a * b < 0:
                x = [c + (d - c) * a / (a - b) for c, d in zip(s, t, strict=True)]
                if on_segment(x, p, q):
                    yield x


def brute_force(vertices, faces):
    points = [[Fraction(float(value)) for value in row] for row in vertices]
    found = []
    for f, g in combinations(range(len(faces)), 2):
        one, other = ([points[i] for i in faces[k]] for k in (f, g))
        shared = [points[i] for i in set(faces[f]) & set(faces[g])]
        common = [*common_points(one, other), *common_points(other, one)]
        if len(shared) == 2:
            beyond = any(not on_segment(x, *shared) for x in common)
        else:
            beyond = any(x not in shared for x in common)
        if beyond:
            found.append((f, g))
    return found


def has_area(vertices, faces):
    a, b, c = (np.asarray(vertices)[faces[:, k]] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-9


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 100_000), n=st.integers(4, 14), grid=st.booleans(), flat=st.booleans())
def test_any_faces_give_what_rational_arithmetic_gives(seed, n, grid, flat):
    """On a small grid nearly everything touches, is in one plane or on one line."""
    rng = np.random.default_rng(seed)
    vertices = rng.integers(0, 4, (n, 3)).astype(float) if grid else rng.normal(size=(n, 3))
    if flat:
        vertices[:, rng.integers(3)] = 1.0
    vertices = np.unique(vertices, axis=0)
    faces = np.array(list(combinations(range(len(vertices)), 3)))
    if len(faces) == 0:
        return
    faces = faces[rng.permutation(len(faces))[:20]]
    faces = faces[has_area(vertices, faces)]
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    found = [tuple(row) for row in self_intersections(mesh).tolist()]
    assert found == brute_force(vertices, faces.tolist())


def test_two_balls_through_each_other():
    ball = trimesh.creation.icosphere(2, radius=10.0)
    other = ball.copy().apply_translation([6.0, 1.0, 0.5])
    both = trimesh.util.concatenate([ball, other])
    pairs = self_intersections(both)
    assert len(pairs) > 30
    assert (pairs[:, 0] < len(ball.faces)).all()
    assert (pairs[:, 1] >= len(ball.faces)).all()
    curve = both.triangles_center[pairs.ravel()] - [3.0, 0.5, 0.25]
    assert np.abs(curve @ [6.0, 1.0, 0.5]).max() < 3 * 6.1  # beside the plane between both


def test_many_faces_give_what_all_pairs_give():
    """The walk through the tree leaves no pair out."""
    rng = np.random.default_rng(3)
    n = 400
    vertices = (rng.uniform(0, 10, (n, 1, 3)) + rng.normal(0, 0.5, (n, 3, 3))).reshape(-1, 3)
    faces = np.arange(3 * n).reshape(n, 3)
    corners = vertices[faces]
    low, high = corners.min(axis=1), corners.max(axis=1)
    pairs = self_intersections(trimesh.Trimesh(vertices, faces, process=False)).tolist()
    near = [
        (f, g)
        for f, g in combinations(range(n), 2)
        if (low[f] <= high[g]).all() and (low[g] <= high[f]).all()
    ]
    expected = [
        [f, g] for f, g in near if brute_force(vertices, [faces[f].tolist(), faces[g].tolist()])
    ]
    assert pairs == expected


@pytest.mark.parametrize("offset", [0.0, 3e5])
def test_a_fold_is_found_and_an_even_surface_is_not(offset):
    ball = trimesh.creation.icosphere(4, radius=300.0)
    ball.apply_translation([offset] * 3)
    assert len(self_intersections(ball)) == 0
    vertices = np.array(ball.vertices)
    middle = vertices.mean(axis=0)
    vertices[100] = middle - 1.1 * (vertices[100] - middle)
    pairs = self_intersections(trimesh.Trimesh(vertices, ball.faces, process=False))
    spike = np.flatnonzero((ball.faces == 100).any(axis=1))
    assert len(pairs) > 0
    assert np.isin(pairs, spike).any(axis=1).all()


def test_a_face_folded_onto_its_neighbour():
    vertices = np.array([[0, 0, 0], [4, 0, 0], [1, 3, 0], [2, 2, 0], [2, -2, 0.0]])
    folded = trimesh.Trimesh(vertices, [[0, 1, 2], [1, 0, 3]], process=False)
    even = trimesh.Trimesh(vertices, [[0, 1, 2], [1, 0, 4]], process=False)
    assert self_intersections(folded).tolist() == [[0, 1]]
    assert self_intersections(even).tolist() == []


def test_what_is_not_finite_is_refused():
    mesh = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, np.nan, 1]], [[0, 1, 2]], process=False)
    with pytest.raises(GeometryError, match="not finite"):
        self_intersections(mesh)
    assert self_intersections(trimesh.Trimesh(np.eye(3), [[0, 1, 2]], process=False)).size == 0

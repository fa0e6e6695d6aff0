"""Delaunay: the empty-sphere property, consistent neighbours, and clear refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.surface.delaunay import delaunay


def cloud(kind, n, dimension, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, dimension)) * 100
    if kind == "sphere":
        return points / np.linalg.norm(points, axis=1, keepdims=True) * 100
    if kind == "grid":
        return np.round(points / 60)
    if kind == "repeated":
        return np.repeat(points[: n // 3 + dimension + 2], 3, axis=0)
    if kind == "far":
        return points + 1e9
    return points


def spans(points):
    return np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-6) == points.shape[1]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["normal", "sphere", "grid", "repeated", "far"]),
    n=st.integers(6, 40),
    dimension=st.sampled_from([2, 3]),
    seed=st.integers(0, 10_000),
)
def test_it_is_a_delaunay_triangulation(kind, n, dimension, seed):
    points = cloud(kind, n, dimension, seed)
    if not spans(points):
        return
    result = delaunay(points)
    used = points[result.first_of] - points.mean(axis=0)
    simplices = result.simplices
    # it covers the hull, without overlap
    hull = ConvexHull(np.unique(used, axis=0)).volume
    np.testing.assert_allclose(result.volumes.sum(), hull, rtol=1e-6)
    # every distinct point is a vertex; the index map leads to equal coordinates
    assert set(np.unique(simplices)) == set(np.unique(result.first_of))
    np.testing.assert_array_equal(points[result.first_of], points)
    # no point is inside a circumsphere
    for simplex in simplices[result.volumes > 1e-6 * hull]:
        corner = used[simplex]
        edges = 2 * (corner[1:] - corner[0])
        right = (corner[1:] ** 2).sum(1) - (corner[0] ** 2).sum()
        centre = np.linalg.solve(edges, right)
        radius = np.linalg.norm(corner[0] - centre)
        assert (np.linalg.norm(used - centre, axis=1) > radius * (1 - 1e-5) - 1e-6).all()


@settings(max_examples=30, deadline=None)
@given(kind=st.sampled_from(["normal", "grid", "sphere"]), seed=st.integers(0, 10_000))
def test_neighbours_share_the_facet_opposite_their_vertex(kind, seed):
    points = cloud(kind, 30, 3, seed)
    result = delaunay(points)
    for t, (corners, beside) in enumerate(zip(result.tetrahedra, result.neighbors, strict=True)):
        for j, other in enumerate(beside):
            if other >= 0:
                assert set(np.delete(corners, j)) <= set(result.tetrahedra[other])
                assert t in result.neighbors[other]


def test_cospherical_grids_give_positive_consistent_tetrahedra():
    axis = np.arange(5.0)
    grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    result = delaunay(grid)
    assert result.volumes.sum() == pytest.approx(64.0)
    # symmetric: a facet's two sides name each other
    for j in range(4):
        other = result.neighbors[:, j]
        inner = np.flatnonzero(other >= 0)
        assert (result.neighbors[other[inner]] == inner[:, None]).any(axis=1).all()


def test_duplicates_are_mapped_to_their_first():
    points = np.random.default_rng(0).normal(size=(20, 3))
    result = delaunay(np.concatenate([points, points[::-1]]))
    assert result.n_duplicates == 20
    np.testing.assert_array_equal(result.first_of[20:], np.arange(20)[::-1])
    assert result.simplices.max() < 20


def test_order_does_not_matter():
    points = np.random.default_rng(0).normal(size=(60, 3))
    order = np.random.default_rng(1).permutation(60)
    one = {tuple(sorted(row)) for row in delaunay(points).tetrahedra}
    two = {tuple(sorted(order[row])) for row in delaunay(points[order]).tetrahedra}
    assert one == two


LINE = np.arange(12.0)[:, None]


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (np.zeros((0, 3)), TooFewPointsError, "0 points given"),
        (np.eye(3), TooFewPointsError, "3 points given"),
        (np.zeros((2, 2)), TooFewPointsError, "at least 3"),
        (np.full((812, 3), 7.0), TooFewPointsError, r"all 812 points are equal, at \(7, 7, 7\) nm"),
        (np.eye(3)[[0, 1, 2, 0, 1]], TooFewPointsError, "only 3 of the 5 points are different"),
        (LINE * [1, 2, 3] + 5, GeometryError, "on one line"),
        (LINE * [1, 2], GeometryError, "on one line"),
        (np.c_[LINE, LINE**2, 0 * LINE], GeometryError, "z = 0 nm: these data are 2-D"),
        (np.c_[LINE, LINE % 5, LINE - LINE % 5 + 1], GeometryError, "on one plane"),
        ([[0, 0, np.nan]] * 5, GeometryError, "5 of 5 points are not finite"),
        (np.zeros((4, 4)), GeometryError, r"shape \(n, 3\)"),
        (np.zeros(4), GeometryError, r"shape \(n, 3\)"),
    ],
)
def test_what_cannot_be_triangulated_says_why(points, error, message):
    with pytest.raises(error, match=message):
        delaunay(points)


def test_an_unknown_engine_is_refused():
    with pytest.raises(GeometryError, match="'scipy'"):
        delaunay(np.random.default_rng(0).normal(size=(9, 3)), engine="magic")  # type: ignore[arg-type]


def test_dimension_decides_the_name_of_the_simplices():
    flat = delaunay(np.random.default_rng(0).normal(size=(9, 2)))
    with pytest.raises(GeometryError, match="triangles"):
        _ = flat.tetrahedra
    solid = delaunay(np.random.default_rng(0).normal(size=(9, 3)))
    with pytest.raises(GeometryError, match="tetrahedra"):
        _ = solid.triangles

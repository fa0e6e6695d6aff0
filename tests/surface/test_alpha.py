"""Carving depth against a slow flood, and the alpha that is chosen for planted shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError
from nanospine.surface.alpha import carving_depth
from nanospine.surface.choice import choose_alpha
from nanospine.surface.delaunay import delaunay
from nanospine.surface.gates import facet_gates, radii_and_volumes


def slow_inside(neighbors, facets, alpha):
    """Flood from outside through every gate wider than alpha, one step at a time."""
    outside = np.zeros(len(neighbors), bool)
    while True:
        entered = (facets > alpha) & ((neighbors < 0) | outside[neighbors])
        new = outside | entered.any(axis=1)
        if (new == outside).all():
            return ~outside
        outside = new


def smallest_empty_sphere(points, triangle):
    """Radius of the smallest sphere through three points with no point inside, by search."""
    a, b, c = points[triangle]
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal)
    edges = np.array([2 * (b - a), 2 * (c - a), normal])
    centre = np.linalg.solve(edges, [b @ b - a @ a, c @ c - a @ a, normal @ a])
    others = np.delete(points, triangle, axis=0) - centre
    flat = ((a - centre) ** 2).sum()
    # point p is outside the sphere of centre + t n when |p|^2 - 2 t (p.n) >= flat
    height = others @ normal
    limit = ((others**2).sum(1) - flat) / (2 * height)
    low = max(limit[height < 0], default=-np.inf)
    high = min(limit[height > 0], default=np.inf)
    t = min(max(0.0, low), high)
    return np.sqrt(flat + t * t)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(6, 30))
def test_gates_are_smallest_empty_spheres(seed, n):
    triangulation = delaunay(np.random.default_rng(seed).normal(size=(n, 3)))
    facets = facet_gates(triangulation, radii_and_volumes(triangulation)[0])
    for t, corners in enumerate(triangulation.tetrahedra[:20]):
        for j in range(4):
            expected = smallest_empty_sphere(triangulation.points_nm, np.delete(corners, j))
            assert facets[t, j] == pytest.approx(expected, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(6, 60), grid=st.booleans())
def test_depth_gives_every_alpha_at_once(seed, n, grid):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    if grid:
        points = np.round(points * 2)
        if np.linalg.matrix_rank(points - points.mean(axis=0)) < 3:
            return
    triangulation = delaunay(points)
    depth = carving_depth(triangulation)
    facets = facet_gates(triangulation, depth.circumradius_nm)
    finite = depth.depth_nm[np.isfinite(depth.depth_nm)]
    for alpha in np.quantile(finite, [0.0, 0.2, 0.5, 0.9, 1.0]):
        slow = slow_inside(triangulation.neighbors, facets, alpha)
        np.testing.assert_array_equal(depth.inside(alpha), slow)


@pytest.fixture(scope="module")
def shell():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(3000, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True) * rng.normal(300, 15, (3000, 1))


def test_the_curve_rises_to_the_hull(shell):
    triangulation = delaunay(shell)
    depth = carving_depth(triangulation)
    alpha, volume = depth.curve()
    assert (np.diff(alpha) > 0).all()
    assert (np.diff(volume) >= 0).all()
    assert volume[-1] == pytest.approx(triangulation.volumes.sum())


def test_alpha_seals_a_shell_and_follows_its_scale(shell):
    depth = carving_depth(delaunay(shell))
    alpha, note = choose_alpha(depth, label="membrane")
    assert note is None
    # 3000 points on 1.1 um2: spacing 20 nm, largest gaps two to three times that
    assert 25 < alpha < 80
    larger, _ = choose_alpha(carving_depth(delaunay(shell * 7.0)), label="membrane")
    assert larger == pytest.approx(7 * alpha, rel=1e-6)


def test_repeated_localizations_hardly_change_alpha(shell):
    """Spacings fall by more than five; the gaps stay what they are."""
    one, _ = choose_alpha(carving_depth(delaunay(shell)), label="membrane")
    repeated = np.repeat(shell, 6, axis=0) + np.random.default_rng(0).normal(0, 2, (18000, 3))
    many, _ = choose_alpha(carving_depth(delaunay(repeated)), label="membrane")
    assert many == pytest.approx(one, rel=0.15)


def test_known_noise_is_a_lower_bound(shell):
    alpha, _ = choose_alpha(carving_depth(delaunay(shell)), label="membrane", noise_nm=80.0)
    assert alpha == 160.0


@pytest.mark.parametrize("background", [0.0, 0.05])
def test_alpha_of_filled_points_follows_their_density(background):
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 1000, (8000, 3))
    outside = rng.uniform(-2000, 3000, (int(8000 * background), 3))
    depth = carving_depth(delaunay(np.concatenate([points, outside])))
    alpha, note = choose_alpha(depth, label="filled")
    assert note is None
    # 1.8 times the void percolation radius 0.94 n^(-1/3) of 8 points per (100 nm)^3
    assert alpha == pytest.approx(1.8 * 0.94 * 50.0, rel=0.15)


def test_a_membrane_without_hollows_is_told():
    points = np.random.default_rng(1).uniform(0, 1000, (3000, 3))
    _, note = choose_alpha(carving_depth(delaunay(points)), label="membrane")
    assert note is not None
    assert "filled" in note


def test_triangles_have_no_carving_depth():
    with pytest.raises(GeometryError, match="3-D"):
        carving_depth(delaunay(np.random.default_rng(0).normal(size=(9, 2))))

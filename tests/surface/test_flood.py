"""The widest ways against a queue, with gates of every kind, also many equal ones."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.surface.alpha import carving_depth
from nanospine.surface.delaunay import delaunay
from nanospine.surface.flood import widest_ways
from nanospine.surface.gates import facet_gates


def by_queue(gates, neighbors):
    """Take tetrahedra out of a queue in the order of falling width."""
    depth = np.full(len(gates), -1.0)
    queue = [(-gates[t, j], int(t)) for t, j in np.argwhere(neighbors < 0)]
    heapq.heapify(queue)
    while queue:
        width, t = heapq.heappop(queue)
        if depth[t] >= 0:
            continue
        depth[t] = -width
        for j, other in enumerate(neighbors[t].tolist()):
            if other >= 0 and depth[other] < 0:
                heapq.heappush(queue, (max(width, -gates[t, j]), other))
    return depth


def same_from_both_sides(gates, neighbors):
    for t, j in np.argwhere(neighbors >= 0):
        other = neighbors[t, j]
        gates[other, np.flatnonzero(neighbors[other] == t)[0]] = gates[t, j]
    return gates


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000), n=st.integers(4, 150), kinds=st.sampled_from([1, 2, 5, 10**6]))
def test_any_gates_give_what_a_queue_gives(seed, n, kinds):
    rng = np.random.default_rng(seed)
    neighbors = delaunay(rng.normal(size=(n, 3))).neighbors
    gates = rng.integers(0, kinds, neighbors.shape).astype(float)
    gates[rng.random(gates.shape) < 0.02] = np.inf
    gates = same_from_both_sides(gates, neighbors)
    np.testing.assert_array_equal(widest_ways(gates, neighbors), by_queue(gates, neighbors))


@pytest.mark.parametrize("grid", [False, True])
def test_many_points_give_what_a_queue_gives(grid):
    points = np.random.default_rng(0).normal(size=(4000, 3)) * 10
    if grid:
        points = np.round(points)
    triangulation = delaunay(points)
    depth = carving_depth(triangulation)
    expected = by_queue(facet_gates(triangulation, depth.circumradius_nm), triangulation.neighbors)
    np.testing.assert_array_equal(depth.depth_nm, expected)
    np.testing.assert_array_equal(depth.depth_nm[depth.order], np.sort(expected))

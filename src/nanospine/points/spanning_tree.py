"""Minimum spanning tree of mutual reachability distances: Boruvka's rounds on a k-d tree.

The mutual reachability distance of two points is the largest of their distance and of the distances
of each to its k-th neighbour (itself counted). In each round every component finds its shortest
edge to another one. Parts of the tree that lie in one component, or too far away, are skipped;
what a point has found stays a lower bound for all later rounds, since other components only merge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.spatial import cKDTree

from nanospine.core.progress import Progress, report

__all__ = ["core_distances2", "spanning_tree"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LEAF = 16
_CHUNK = 100_000


def spanning_tree(
    points: FloatArray, k: int, *, progress: Progress | None = None
) -> tuple[IntArray, IntArray, FloatArray]:
    """Give the edges of a minimum spanning tree of mutual reachability distances.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        At least k of them.
    k : int
        Neighbours, itself counted, within the core distance of a point.
    progress : callable, optional
        Called with the stage and the fraction that is done.

    Returns
    -------
    a, b : ndarray of int64, shape (n - 1,)
        Points that each edge joins.
    length : ndarray, shape (n - 1,)
        Mutual reachability distance; the edges are sorted by it.

    Examples
    --------
    >>> a, b, length = spanning_tree(np.array([[0.0, 0], [1, 0], [3, 0], [9, 0]]), 1)
    >>> length.tolist()
    [1.0, 2.0, 6.0]
    """
    n = len(points)
    core2 = core_distances2(points, k, progress)
    order, starts = _tree(np.ascontiguousarray(points), _LEAF)
    xyz, core2 = points[order], core2[order]
    low, high, least = _bounds(xyz, core2, starts)
    component, bound = np.arange(n), np.zeros(n)
    edges = np.empty((n - 1, 2), dtype=np.int64)
    length2 = np.empty(n - 1)
    found = 0
    while found < n - 1:
        found = _round(
            xyz, core2, starts, low, high, least, component, bound, edges, length2, found
        )
        report(progress, "spanning tree", 0.3 + 0.7 * found / (n - 1))
    by_length = np.argsort(length2, kind="stable")
    a, b = order[edges[by_length].T]
    return a, b, np.sqrt(length2[by_length])


def core_distances2(points: FloatArray, k: int, progress: Progress | None = None) -> FloatArray:
    """Squared distance of each point to its k-th neighbour, itself counted."""
    tree = cKDTree(points)
    result = np.empty(len(points))
    for start in range(0, len(points), _CHUNK):
        part = points[start : start + _CHUNK]
        _, other = tree.query(part, k=[k])
        # Summed as everywhere below, so that equal distances are equal to the last digit.
        gap = part - points[other[:, 0]]
        total = gap[:, 0] * gap[:, 0]
        for axis in range(1, points.shape[1]):
            total = total + gap[:, axis] * gap[:, axis]
        result[start : start + _CHUNK] = total
        report(progress, "neighbours", 0.3 * min(start + _CHUNK, len(points)) / len(points))
    return result


@njit(cache=True)
def _select(order: IntArray, values: FloatArray, begin: int, end: int, middle: int) -> None:
    """Move the smallest values of a stretch before `middle` (quickselect)."""
    end -= 1
    while begin < end:
        pivot = values[order[(begin + end) // 2]]
        i, j = begin, end
        while i <= j:
            while values[order[i]] < pivot:
                i += 1
            while values[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            end = j
        elif middle >= i:
            begin = i
        else:
            return


@njit(cache=True)
def _tree(points: FloatArray, leaf: int) -> tuple[IntArray, IntArray]:
    """Order points by halves along the widest axis; nodes 2 i + 1, 2 i + 2 are the halves of i."""
    n, d = points.shape
    levels = 0
    while (n >> levels) > leaf:
        levels += 1
    nodes = (1 << (levels + 1)) - 1
    # Node i holds the points starts[i, 0] to starts[i, 1] of the order.
    starts = np.zeros((nodes, 2), dtype=np.int64)
    starts[0, 1] = n
    order = np.arange(n)
    columns = points.T.copy()
    for node in range((1 << levels) - 1):
        begin, end = starts[node]
        widest, axis = -1.0, 0
        for candidate in range(d):
            low, high = np.inf, -np.inf
            for i in range(begin, end):
                value = columns[candidate, order[i]]
                low, high = min(low, value), max(high, value)
            if high - low > widest:
                widest, axis = high - low, candidate
        middle = (begin + end) // 2
        _select(order, columns[axis], begin, end, middle)
        starts[2 * node + 1] = (begin, middle)
        starts[2 * node + 2] = (middle, end)
    return order, starts


@njit(cache=True)
def _bounds(
    xyz: FloatArray, core2: FloatArray, starts: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Box and smallest core distance of each node."""
    nodes, d = len(starts), xyz.shape[1]
    low, high = np.full((nodes, d), np.inf), np.full((nodes, d), -np.inf)
    least = np.full(nodes, np.inf)
    for node in range(nodes - 1, -1, -1):
        if 2 * node + 1 < nodes:
            for child in (2 * node + 1, 2 * node + 2):
                least[node] = min(least[node], least[child])
                for axis in range(d):
                    low[node, axis] = min(low[node, axis], low[child, axis])
                    high[node, axis] = max(high[node, axis], high[child, axis])
        else:
            for i in range(starts[node, 0], starts[node, 1]):
                least[node] = min(least[node], core2[i])
                for axis in range(d):
                    low[node, axis] = min(low[node, axis], xyz[i, axis])
                    high[node, axis] = max(high[node, axis], xyz[i, axis])
    return low, high, least


@njit(cache=True)
def _gap2(xyz: FloatArray, i: int, low: FloatArray, high: FloatArray, node: int) -> float:
    total = 0.0
    for axis in range(xyz.shape[1]):
        outside = max(low[node, axis] - xyz[i, axis], xyz[i, axis] - high[node, axis], 0.0)
        total += outside * outside
    return total


@njit(cache=True)
def _nearest(
    i: int,
    limit: float,
    xyz: FloatArray,
    core2: FloatArray,
    starts: IntArray,
    low: FloatArray,
    high: FloatArray,
    least: FloatArray,
    component: IntArray,
    owner: IntArray,
    stack: IntArray,
) -> tuple[float, int]:
    """Nearest point of another component, nearer than `limit`; -1 when there is none."""
    best, other = limit, -1
    mine, own = component[i], core2[i]
    stack[0] = 0
    size = 1
    while size > 0:
        size -= 1
        node = stack[size]
        if owner[node] == mine:
            continue
        if max(own, least[node], _gap2(xyz, i, low, high, node)) >= best:
            continue
        left = 2 * node + 1
        if left < len(starts):
            # the nearer half last, so that it comes first
            near_left = _gap2(xyz, i, low, high, left) <= _gap2(xyz, i, low, high, left + 1)
            stack[size] = left + 1 if near_left else left
            stack[size + 1] = left if near_left else left + 1
            size += 2
            continue
        for j in range(starts[node, 0], starts[node, 1]):
            if component[j] == mine or core2[j] >= best:
                continue
            d2 = 0.0
            for axis in range(xyz.shape[1]):
                gap = xyz[i, axis] - xyz[j, axis]
                d2 += gap * gap
            d2 = max(d2, own, core2[j])
            if d2 < best:
                best, other = d2, j
                if best <= own:
                    return best, other
    return best, other


@njit(cache=True)
def _root(parent: IntArray, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True)
def _round(
    xyz: FloatArray,
    core2: FloatArray,
    starts: IntArray,
    low: FloatArray,
    high: FloatArray,
    least: FloatArray,
    component: IntArray,
    bound: FloatArray,
    edges: IntArray,
    length2: FloatArray,
    found: int,
) -> int:
    """Add the shortest edge out of each component; component numbers are first rows."""
    n, nodes = len(xyz), len(starts)
    owner = np.full(nodes, -1, dtype=np.int64)
    for node in range(nodes - 1, -1, -1):
        if 2 * node + 1 < nodes:
            left, right = owner[2 * node + 1], owner[2 * node + 2]
            owner[node] = left if left == right else -1
        else:
            owner[node] = component[starts[node, 0]]
            for i in range(starts[node, 0], starts[node, 1]):
                if component[i] != owner[node]:
                    owner[node] = -1
    shortest = np.full(n, np.inf)
    ends = np.full((n, 2), -1, dtype=np.int64)
    stack = np.empty(256, dtype=np.int64)
    for i in range(n):
        mine = component[i]
        if max(bound[i], core2[i]) >= shortest[mine]:
            continue
        best, other = _nearest(
            i, shortest[mine], xyz, core2, starts, low, high, least, component, owner, stack
        )
        bound[i] = best
        if other >= 0:
            shortest[mine] = best
            ends[mine, 0], ends[mine, 1] = i, other
    parent = np.arange(n)
    for mine in range(n):
        if ends[mine, 0] < 0:
            continue
        a = _root(parent, component[ends[mine, 0]])
        b = _root(parent, component[ends[mine, 1]])
        if a != b:
            parent[max(a, b)] = min(a, b)
            edges[found] = ends[mine]
            length2[found] = shortest[mine]
            found += 1
    for i in range(n):
        component[i] = _root(parent, component[i])
    return found

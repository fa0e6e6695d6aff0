"""The widest way from outside to every tetrahedron, without a queue and without sorting.

Strategy: every tetrahedron points through its widest gate. Those that hang together by these
pointers form a part, and nothing leaves a part through a gate wider than the one that its starting
tetrahedron points through: the widest way out of a tetrahedron is the smaller one of its own widest
gate and of the widest way out of its part. Parts point through the widest of their gates in turn,
until all hang together with the outside. A round costs a pass over what is left, which falls fast
(Borůvka's rounds for spanning trees; all numbers are gates, so that nothing is rounded).
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["widest_ways"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def widest_ways(gates: FloatArray, neighbors: IntArray) -> FloatArray:
    """Give the width of the widest way from outside to each tetrahedron, shape (m,).

    Parameters
    ----------
    gates : ndarray, shape (m, 4)
        Width of the facet opposite each vertex, the same seen from both sides.
    neighbors : ndarray of int64, shape (m, 4)
        Column j is opposite vertex j; -1 outside.

    Examples
    --------
    >>> gates = np.array([[1.0, 5.0, 2.0, 3.0], [5.0, 1.0, 1.0, 4.0]])
    >>> neighbors = np.array([[-1, 1, -1, -1], [0, -1, -1, -1]])
    >>> widest_ways(gates, neighbors).tolist()
    [4.0, 4.0]
    """
    depth, part, count = _first_round(gates, neighbors)
    a, b, width = _gates_between(gates, neighbors, part)
    rounds = []
    while len(width):
        widest, label, count = _round(a, b, width, count)
        kept = _contract(a, b, width, label)
        a, b, width = a[:kept], b[:kept], width[:kept]
        rounds.append((widest, label))
    way = np.full(1, np.inf)
    for widest, label in reversed(rounds):
        way = np.minimum(widest, way[label])
    _fill(depth, part, way)
    return depth


@njit(cache=True)
def _follow(to, label):
    """Number the parts that hang together by pointers; 0 is what leads to node 0, the outside."""
    n = to.shape[0]
    stack = np.empty(n, dtype=np.int32)
    label[:] = -1
    label[0] = 0
    count = 1
    for start in range(1, n):
        if label[start] >= 0:
            continue
        size = 0
        node = np.int64(start)
        while label[node] == -1:
            label[node] = -2
            stack[size] = node
            size += 1
            node = to[node]
        found = label[node]
        if found == -2:  # the pointers came round to where they began
            found = count
            count += 1
        for i in range(size):
            label[stack[i]] = found
    return count


@njit(cache=True)
def _first_round(gates, neighbors):
    """Widest gate of each tetrahedron, and the parts; node t + 1 is tetrahedron t."""
    m = gates.shape[0]
    widest = np.empty(m)
    to = np.zeros(m + 1, dtype=np.int32)
    for t in range(m):
        best = 0
        for j in range(1, 4):
            if gates[t, j] > gates[t, best]:
                best = j
        widest[t] = gates[t, best]
        to[t + 1] = neighbors[t, best] + 1
    part = np.empty(m + 1, dtype=np.int32)
    count = _follow(to, part)
    return widest, part, count


@njit(cache=True)
def _gates_between(gates, neighbors, part):
    """List the gates between different parts: both parts and the width."""
    m = gates.shape[0]
    count = 0
    for t in range(m):
        for j in range(4):
            other = neighbors[t, j]
            if other < t and part[other + 1] != part[t + 1]:
                count += 1
    a = np.empty(count, dtype=np.int32)
    b = np.empty(count, dtype=np.int32)
    width = np.empty(count)
    count = 0
    for t in range(m):
        for j in range(4):
            other = neighbors[t, j]
            if other < t and part[other + 1] != part[t + 1]:
                a[count] = part[t + 1]
                b[count] = part[other + 1]
                width[count] = gates[t, j]
                count += 1
    return a, b, width


@njit(cache=True)
def _round(a, b, width, count):
    """Widest gate of each part, and the parts of parts."""
    widest = np.full(count, -1.0)
    to = np.zeros(count, dtype=np.int32)
    for i in range(width.shape[0]):
        value = width[i]
        if value > widest[a[i]]:
            widest[a[i]] = value
            to[a[i]] = b[i]
        if value > widest[b[i]]:
            widest[b[i]] = value
            to[b[i]] = a[i]
    widest[0] = np.inf
    label = np.empty(count, dtype=np.int32)
    return widest, label, _follow(to, label)


@njit(cache=True)
def _contract(a, b, width, label):
    """Keep the gates that are still between different parts, in place."""
    kept = 0
    for i in range(width.shape[0]):
        p, q = label[a[i]], label[b[i]]
        if p != q:
            a[kept], b[kept], width[kept] = p, q, width[i]
            kept += 1
    return kept


@njit(cache=True)
def _fill(depth, part, way):
    for t in range(depth.shape[0]):
        depth[t] = min(depth[t], way[part[t + 1]])

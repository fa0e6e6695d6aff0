"""The boundary of a set of tetrahedra that come without neighbours, as a closed surface.

Strategy: facets are put into buckets by their lowest point, and partners are found within a bucket
by the two others, which takes time in proportion to the tetrahedra and no sorting. The surface then
needs only those tetrahedra that have an edge on the boundary: a turn around an edge of the boundary
passes no others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.lean import lean
from nanospine.surface.mesh import boundary_surface

__all__ = ["closed_boundary", "closed_surface", "facet_partners"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def facet_partners(tetrahedra: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.int32]:
    """Find the tetrahedron across each facet, -1 for none.

    Parameters
    ----------
    tetrahedra : ndarray of int, shape (m, 4)
        Rows of points, below `n`; no facet belongs to more than two.
    n : int

    Returns
    -------
    ndarray of int32, shape (m, 4)
        Column j: across the facet opposite corner j.

    Examples
    --------
    >>> facet_partners(np.array([[0, 1, 2, 3], [1, 2, 3, 4]]), 5).tolist()
    [[1, -1, -1, -1], [-1, -1, -1, 0]]
    """
    # half the memory where the numbers are small enough
    kind = np.int32 if 4 * len(tetrahedra) < 2**31 else np.int64
    found = _partners(tetrahedra, n, np.empty(4 * len(tetrahedra), dtype=kind))
    return np.asarray(found)


@njit(cache=True)
def _partners(tetrahedra, n, facets):  # type: ignore[no-untyped-def]
    """Find partners; `facets` is room for the facets by their lowest points."""
    m = tetrahedra.shape[0]
    begin = np.zeros(n + 1, dtype=np.int64)
    for t in range(m):
        for j in range(4):
            begin[_facet(tetrahedra, t, j)[0] + 1] += 1
    for i in range(n):
        begin[i + 1] += begin[i]
    place = begin[:-1].copy()
    for t in range(m):
        for j in range(4):
            low = _facet(tetrahedra, t, j)[0]
            facets[place[low]] = 4 * t + j
            place[low] += 1
    partner = np.full((m, 4), -1, dtype=np.int32)
    # Within a bucket by the two other points: many tetrahedra may share a point, even an edge.
    head = np.full(n, -1, dtype=np.int64)
    follows = np.empty((begin[1:] - begin[:-1]).max() if m else 0, dtype=np.int64)
    for i in range(n):
        for p in range(begin[i], begin[i + 1]):
            t, j = facets[p] // 4, facets[p] % 4
            _, middle, high = _facet(tetrahedra, t, j)
            slot = (middle * 31 + high) % n
            q = head[slot]
            while q >= 0:
                u, k = facets[q] // 4, facets[q] % 4
                _, other, last = _facet(tetrahedra, u, k)
                if other == middle and last == high:
                    partner[t, j], partner[u, k] = u, t
                    break
                q = follows[q - begin[i]]
            if q < 0:
                follows[p - begin[i]] = head[slot]
                head[slot] = p
        for p in range(begin[i], begin[i + 1]):
            _, middle, high = _facet(tetrahedra, facets[p] // 4, facets[p] % 4)
            head[(middle * 31 + high) % n] = -1
    return partner


@lean
def _facet(tetrahedra, t, j):  # type: ignore[no-untyped-def]
    """Points of the facet opposite corner j, rising."""
    a = np.int64(tetrahedra[t, (j + 1) % 4])
    b = np.int64(tetrahedra[t, (j + 2) % 4])
    c = np.int64(tetrahedra[t, (j + 3) % 4])
    low, high = min(a, b, c), max(a, b, c)
    return low, a + b + c - low - high, high


def closed_boundary(
    tetrahedra: npt.NDArray[np.integer], boundary: npt.NDArray[np.integer], n_points: int
) -> tuple[npt.NDArray[np.integer], IntArray, IntArray]:
    """Choose what the surface of a set of tetrahedra is made from.

    Parameters
    ----------
    tetrahedra : ndarray of int, shape (m, 4)
        Rows of points.
    boundary : ndarray of int, shape (k, 3)
        All facets that belong to one of them only.
    n_points : int

    Returns
    -------
    rows : ndarray of int, shape (k,)
        Points of the chosen tetrahedra, rising.
    corners : ndarray of int64, shape (c + 1, 4)
        The chosen tetrahedra, as places in `rows`, in an order that does not depend on that of
        `tetrahedra`. The last row stands for all others.
    neighbors : ndarray of int64, shape (c + 1, 4)
        -1 across the boundary.
    """
    on_boundary = np.zeros(n_points, dtype=np.bool_)
    on_boundary[boundary] = True
    chosen = tetrahedra[on_boundary[tetrahedra].sum(axis=1) > 1]
    chosen = chosen[np.lexsort(chosen.T[::-1])]
    c = len(chosen)
    used = np.zeros(n_points, dtype=np.bool_)
    used[chosen] = True
    rows = np.flatnonzero(used)
    corners = np.zeros((c + 1, 4), dtype=np.int64)
    corners[:-1] = (np.cumsum(used) - 1)[chosen]
    neighbors = np.full((c + 1, 4), c, dtype=np.int64)
    neighbors[:-1] = facet_partners(corners[:-1], len(rows))
    # What lies across three points of the boundary has them, too, and was chosen if it is there.
    outer = on_boundary[rows][corners[:-1]]
    for j in range(4):
        alone = neighbors[:-1, j] < 0
        open_side = np.delete(outer, j, axis=1).all(axis=1)
        neighbors[:-1, j][alone & ~open_side] = c
    return rows, corners, neighbors


def closed_surface(
    points: FloatArray, corners: IntArray, neighbors: IntArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Give vertices, faces and the point of each vertex of what :func:`closed_boundary` chose."""
    inside = np.ones(len(corners), dtype=np.bool_)
    return boundary_surface(points, corners, neighbors, inside)

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
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from nanospine.core.lean import lean
from nanospine.core.triangles import TriangleTree
from nanospine.surface.mesh import boundary_surface

__all__ = ["closed_boundary", "closed_surface", "facet_partners", "kept_parts"]

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
    tetrahedra: npt.NDArray[np.integer], n_points: int
) -> tuple[npt.NDArray[np.integer], IntArray, IntArray]:
    """Choose what the surface of a set of tetrahedra is made from.

    Parameters
    ----------
    tetrahedra : ndarray of int, shape (m, 4)
        Rows of points.
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
    partner = facet_partners(tetrahedra, n_points)
    on_boundary = np.zeros(n_points, dtype=np.bool_)
    for j in range(4):
        others = [i for i in range(4) if i != j]
        on_boundary[tetrahedra[partner[:, j] < 0][:, others]] = True
    chosen = np.flatnonzero(on_boundary[tetrahedra].sum(axis=1) > 1)
    chosen = chosen[np.lexsort(tetrahedra[chosen].T[::-1])]
    c = len(chosen)
    place = np.full(len(tetrahedra) + 1, c, dtype=np.int64)
    place[chosen] = np.arange(c)
    place[-1] = -1  # what -1 takes
    neighbors = np.full((c + 1, 4), c, dtype=np.int64)
    neighbors[:-1] = place[partner[chosen]]
    rows, where = np.unique(tetrahedra[chosen], return_inverse=True)
    corners = np.zeros((c + 1, 4), dtype=np.int64)
    corners[:-1] = np.asarray(where).reshape(-1, 4)
    return rows, corners, neighbors


def closed_surface(
    points: FloatArray, corners: IntArray, neighbors: IntArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Give vertices, faces and the point of each vertex of what :func:`closed_boundary` chose."""
    inside = np.ones(len(corners), dtype=np.bool_)
    return boundary_surface(points, corners, neighbors, inside)


def kept_parts(
    vertices: FloatArray, faces: IntArray, fill: bool, fraction: float
) -> npt.NDArray[np.bool_]:
    """Tell which faces stay when small parts are left out and voids filled; shape (f,).

    Parts of the surface with a negative volume bound voids; with `fill` these go, and what lies in
    one goes with it. Parts below the fraction of the largest part's volume go.

    Examples
    --------
    >>> import trimesh
    >>> ball, hole = trimesh.creation.icosphere(1, 9.0), trimesh.creation.icosphere(1, 4.0)
    >>> faces = np.concatenate([ball.faces, hole.faces[:, ::-1] + len(ball.vertices)])
    >>> keep = kept_parts(np.concatenate([ball.vertices, hole.vertices]), faces, True, 0.0)
    >>> bool(keep[:80].all()), bool(keep[80:].any())
    (True, False)
    """
    if not fill and fraction == 0.0:
        return np.ones(len(faces), dtype=np.bool_)
    n = len(vertices)
    start, end = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    graph = sparse.coo_matrix((np.ones(len(start), dtype=np.bool_), (start, end)), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    part = np.unique(part[faces[:, 0]], return_inverse=True)[1]
    count = int(part.max()) + 1
    centred = vertices - vertices.mean(axis=0)
    a, b, c = (centred[faces[:, k]] for k in range(3))
    volume = np.bincount(part, np.einsum("ij,ij->i", a, np.cross(b, c)), count) / 6.0
    keep = np.abs(volume) >= fraction * volume.max()
    if not fill:
        return np.asarray(keep[part])
    keep &= volume > 0
    sample = vertices[faces[np.unique(part, return_index=True)[1]]].mean(axis=1)
    by_part = np.argsort(part, kind="stable")
    ends = np.cumsum(np.bincount(part, minlength=count))
    for void in np.flatnonzero(volume < 0):
        wall = faces[by_part[ends[void - 1] if void else 0 : ends[void]]][:, ::-1]
        low, high = vertices[wall].min(axis=(0, 1)), vertices[wall].max(axis=(0, 1))
        within = np.flatnonzero(keep & ((sample >= low) & (sample <= high)).all(axis=1))
        if len(within):
            used, local = np.unique(wall, return_inverse=True)
            tree = TriangleTree(vertices[used], np.asarray(local).reshape(-1, 3))
            keep[within[tree.signed_distance(sample[within]) < 0]] = False
    return np.asarray(keep[part])

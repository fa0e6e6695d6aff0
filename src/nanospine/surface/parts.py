"""The parts of a closed surface: their volumes, which of them stay, which lie in voids.

Strategy: every figure is a sum over faces in their order, or of whole numbers, so that a surface
that is met piece by piece gives the same bits as one that is there at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = ["BodiesInVoids", "add_in_order", "cone_volumes", "kept_parts", "large_parts", "part_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Cells of the grid of bodies along an axis, at most: a field of them is then 32 MB.
_MOST_CELLS = 2048


def part_of(faces: npt.NDArray[np.integer], n_vertices: int) -> npt.NDArray[np.int32]:
    """Number the parts that hang together by vertices; the part of each vertex.

    Examples
    --------
    >>> part_of(np.array([[0, 1, 2], [3, 4, 5], [2, 1, 6]]), 7).tolist()
    [0, 0, 0, 1, 1, 1, 0]
    """
    if n_vertices == 0:
        return np.empty(0, dtype=np.int32)
    start, end = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    ones = np.ones(len(start), dtype=np.bool_)
    graph = sparse.coo_matrix((ones, (start, end)), shape=(n_vertices, n_vertices))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)


@njit(cache=True)
def cone_volumes(vertices, faces, part, apex):  # type: ignore[no-untyped-def]
    """Signed volume of the tetrahedron of each face and the apex of its part."""
    volume = np.empty(faces.shape[0])
    for f in range(faces.shape[0]):
        o = apex[part[f]]
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        ax, ay, az = a[0] - o[0], a[1] - o[1], a[2] - o[2]
        bx, by, bz = b[0] - o[0], b[1] - o[1], b[2] - o[2]
        cx, cy, cz = c[0] - o[0], c[1] - o[1], c[2] - o[2]
        product = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
        volume[f] = product / 6.0
    return volume


@njit(cache=True)
def add_in_order(total, part, values):  # type: ignore[no-untyped-def]
    """Add values to the totals of their parts, one after the other."""
    for i in range(part.shape[0]):
        total[part[i]] += values[i]


def large_parts(volume: FloatArray, fill: bool, fraction: float) -> BoolArray:
    """Tell which parts are large enough; with `fill` voids (a negative volume) never are."""
    keep = np.abs(volume) >= fraction * volume.max()
    return keep & (volume > 0) if fill else keep


class BodiesInVoids:
    """Bodies, each by one point of its surface, and how often walls of voids wind around them.

    Strategy: a ray upwards from each point counts the walls that it passes, from inside or from
    outside. Whether it passes left or right of an edge is asked of the edge alone, so two faces
    never both claim it, nor neither.

    Parameters
    ----------
    samples : ndarray, shape (n, 3)
        Points that lie on no wall.

    Examples
    --------
    >>> import trimesh
    >>> hole = trimesh.creation.icosphere(2, 50.0)
    >>> bodies = BodiesInVoids(np.array([[1.0, 2.0, 3.0], [60.0, 0.0, 0.0], [0.0, 0.0, -70.0]]))
    >>> bodies.add(hole.vertices, hole.faces[:, ::-1])
    >>> bodies.inside().tolist()
    [True, False, False]
    """

    def __init__(self, samples: FloatArray) -> None:
        self._windings = np.zeros(len(samples), dtype=np.int64)
        low, high = samples[:, :2].min(axis=0), samples[:, :2].max(axis=0)
        side = int(np.clip(np.sqrt(len(samples)), 1, _MOST_CELLS))
        self._low, self._cell = low, np.maximum((high - low) / side, 1e-300)
        self._shape = np.array([side, side])
        cell = np.clip((samples[:, :2] - low) / self._cell, 0, side - 1).astype(np.int64)
        key = cell[:, 0] * side + cell[:, 1]
        self._order = np.argsort(key, kind="stable")
        self._begin = np.searchsorted(key[self._order], np.arange(side * side + 1))
        self._samples = np.ascontiguousarray(samples[self._order])

    def add(self, vertices: FloatArray, faces: npt.NDArray[np.integer]) -> None:
        """Take walls of voids, in any order, each once."""
        _wind(
            np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64),
            self._samples, self._begin, self._low, self._cell, self._shape, self._windings,
        )  # fmt: skip

    def inside(self) -> BoolArray:
        """Tell which bodies lie in a void, after all walls were given."""
        result = np.empty(len(self._windings), dtype=np.bool_)
        result[self._order] = self._windings != 0
        return result


@njit(cache=True)
def _wind(vertices, faces, samples, begin, low, cell, shape, windings):  # type: ignore[no-untyped-def]
    first = np.empty(2, dtype=np.int64)
    last = np.empty(2, dtype=np.int64)
    for f in range(faces.shape[0]):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        top = max(a[2], b[2], c[2])
        beside = False
        for i in range(2):
            first[i] = _cell_of(min(a[i], b[i], c[i]), low[i], cell[i], shape[i])
            last[i] = _cell_of(max(a[i], b[i], c[i]), low[i], cell[i], shape[i])
            beside |= last[i] < 0 or first[i] > shape[i]
            first[i], last[i] = max(first[i], 0), min(last[i], shape[i] - 1)
            first[i] = min(first[i], last[i])  # the last cell has its end, too
        if beside:
            continue
        for x in range(first[0], last[0] + 1):
            row = x * shape[1]
            for s in range(begin[row + first[1]], begin[row + last[1] + 1]):
                q = samples[s]
                if q[2] > top:
                    continue
                turn = _turn(a, b, q) + _turn(b, c, q) + _turn(c, a, q)
                if turn != 0 and turn * _side(a, b, c, q) < 0:
                    windings[s] += turn


@njit(cache=True)
def _cell_of(value, low, cell, count):  # type: ignore[no-untyped-def]
    """Cell along an axis, -1 below the grid and more than `count` above."""
    place = np.floor((value - low) / cell)
    return np.int64(min(max(place, -1.0), count + 1.0))


@njit(cache=True)
def _turn(a, b, q):  # type: ignore[no-untyped-def]
    """1 or -1 when the edge, seen from above, passes right of the point upwards or downwards."""
    if (a[1] > q[1]) == (b[1] > q[1]):
        return 0
    up = b[1] > a[1]
    # from the lower end, whichever face asks
    p, r = (a, b) if up else (b, a)
    right = (r[0] - p[0]) * (q[1] - p[1]) - (q[0] - p[0]) * (r[1] - p[1]) > 0.0
    return (1 if up else -1) if right else 0


@njit(cache=True)
def _side(a, b, c, q):  # type: ignore[no-untyped-def]
    """Above zero on the side that the face is seen counterclockwise from."""
    bx, by, bz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    cx, cy, cz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    qx, qy, qz = q[0] - a[0], q[1] - a[1], q[2] - a[2]
    return qx * (by * cz - bz * cy) + qy * (bz * cx - bx * cz) + qz * (bx * cy - by * cx)


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
    _, first, part = np.unique(
        part_of(faces, len(vertices))[faces[:, 0]], return_index=True, return_inverse=True
    )
    volume = np.zeros(len(first))
    add_in_order(volume, part, cone_volumes(vertices, faces, part, vertices[faces[first, 0]]))
    keep = large_parts(volume, fill, fraction)
    bodies = np.flatnonzero(keep)
    if fill and (volume < 0).any():
        within = BodiesInVoids(vertices[faces[first[bodies]]].mean(axis=1))
        within.add(vertices, faces[volume[part] < 0])
        keep[bodies[within.inside()]] = False
    return np.asarray(keep[part])

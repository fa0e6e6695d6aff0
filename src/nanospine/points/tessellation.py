"""Voronoi cells of points in a box: size of each cell, and which cells touch.

A cell is what the half spaces towards the Delaunay neighbours leave of the box. Cells of points at
the rim therefore end at the box instead of reaching to infinity, and no circumcentre is needed,
which for flat tetrahedra lie anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, QhullError

__all__ = ["VoronoiCells", "voronoi_cells"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# A direction in which points spread by less than this fraction of their extent is flat.
_FLAT = 1e-10
# A cut adds at most one corner to a convex polygon: neighbours, box and some for rounding.
_SPARE = 16


@dataclass(frozen=True, eq=False)
class VoronoiCells:
    """Cells of the distinct positions among points.

    Attributes
    ----------
    site : ndarray of int64, shape (n,)
        Cell of each point; points on each other share one.
    multiplicity : ndarray of int64, shape (m,)
        Points in each cell.
    size : ndarray, shape (m,)
        Area (2-D) or volume (3-D) of each cell within the box.
    clipped : ndarray of bool, shape (m,)
        Cells that the box cuts.
    starts, neighbours : ndarray of int64
        Cells next to cell i: `neighbours[starts[i]:starts[i + 1]]`.
    """

    site: IntArray
    multiplicity: IntArray
    size: FloatArray
    clipped: BoolArray
    starts: IntArray
    neighbours: IntArray

    def density(self, *, rank: int = 0) -> FloatArray:
        """Density of each cell: points per area (volume), of the cell or with its neighbours."""
        count, size = self.multiplicity.astype(np.float64), self.size
        if rank == 1:
            owner = np.repeat(np.arange(len(size)), np.diff(self.starts))
            count = count + np.bincount(owner, count[self.neighbours], minlength=len(size))
            size = size + np.bincount(owner, size[self.neighbours], minlength=len(size))
        # A cell has room: only points nearer than rounding have none, which is a density too.
        return count / np.maximum(size, np.finfo(np.float64).tiny)


def voronoi_cells(
    points: FloatArray, low: FloatArray, high: FloatArray, *, simplices: IntArray | None = None
) -> VoronoiCells:
    """Measure the Voronoi cells of points within a box.

    Parameters
    ----------
    points : ndarray, shape (n, 2) or (n, 3)
        In the box; also on one line or plane, and on each other.
    low, high : ndarray, shape (d,)
        Corners of the box.
    simplices : ndarray of int, shape (m, d + 1), optional
        Delaunay triangles or tetrahedra of the points, where there are some already.

    Returns
    -------
    VoronoiCells

    Examples
    --------
    >>> cells = voronoi_cells(np.array([[1.0, 1], [3, 1]]), np.zeros(2), np.array([6.0, 2]))
    >>> cells.size.tolist(), cells.neighbours.tolist()
    ([4.0, 8.0], [1, 0])
    """
    shift = (low + high) / 2
    distinct, site, multiplicity = _distinct(points - shift)
    if simplices is None:
        starts, neighbours, merged = delaunay_neighbours(distinct)
    else:
        starts, neighbours = _adjacency(site[np.asarray(simplices)], len(distinct))
        merged = np.arange(len(distinct))
    if (merged != np.arange(len(merged))).any():
        # Nearer to another point than Qhull resolves: they share a cell.
        kept = np.flatnonzero(merged == np.arange(len(merged)))
        place = np.zeros(len(merged), dtype=np.int64)
        place[kept] = np.arange(len(kept))
        site = place[merged[site]]
        multiplicity = np.bincount(site, minlength=len(kept))
        degree = np.diff(starts)[kept]
        starts = np.concatenate([[0], np.cumsum(degree)])
        neighbours, distinct = place[neighbours], distinct[kept]
    size, clipped = measure_cells(distinct, starts, neighbours, low - shift, high - shift)
    return VoronoiCells(site, multiplicity, size, clipped, starts, neighbours)


def measure_cells(
    points: FloatArray, starts: IntArray, neighbours: IntArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Give size of each cell and whether the box cuts it, for known neighbours."""
    most = int(np.diff(starts).max(initial=0))
    function = _cell_areas if points.shape[1] == 2 else _cell_volumes
    size, clipped = function(np.ascontiguousarray(points), starts, neighbours, low, high, most)
    return size, clipped


def _distinct(points: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Give distinct points, the place of each row among them, and how many rows share each."""
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    new = np.ones(len(points), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    site = np.empty(len(points), dtype=np.int64)
    site[order] = np.cumsum(new) - 1
    multiplicity = np.diff(np.append(np.flatnonzero(new), len(points)))
    return ordered[new], site, multiplicity.astype(np.int64)


def delaunay_neighbours(points: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Give Delaunay neighbours of distinct points as starts and places, and what Qhull merged.

    Points on one plane or line are triangulated in it: their neighbours are the same.
    """
    n = len(points)
    alone = np.arange(n)
    if n < 2:
        return np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int64), alone
    centred = points - points.mean(axis=0)
    value, axes = np.linalg.eigh(centred.T @ centred)
    rank = int((np.sqrt(np.maximum(value, 0)) > _FLAT * np.sqrt(value[-1])).sum())
    if rank == 1 or n == 2:
        order = np.argsort(centred @ axes[:, -1])
        pairs = np.column_stack([order[:-1], order[1:]])
        return *_adjacency(pairs, n), alone
    flat = centred if rank == points.shape[1] else centred @ axes[:, -rank:]
    if n <= rank + 1:
        return *_adjacency(np.arange(n)[None], n), alone
    options = "Qbb Qc Qz Q12"
    try:
        found = Delaunay(flat, qhull_options=options)
    except QhullError:
        found = Delaunay(flat, qhull_options="QJ Qbb Q12")  # almost flat: moved by a little
    merged = alone.copy()
    merged[found.coplanar[:, 0]] = found.coplanar[:, 2]
    return *_adjacency(found.simplices, n), merged


def _adjacency(simplices: npt.NDArray[np.integer], n: int) -> tuple[IntArray, IntArray]:
    """Neighbours of each of n points in simplices, in compressed rows."""
    corners = simplices.shape[1]
    keys = [
        simplices[:, a].astype(np.int64) * n + simplices[:, b]
        for a in range(corners)
        for b in range(corners)
        if a != b
    ]
    key = np.unique(np.concatenate(keys))
    owner, other = key // n, key % n
    owner, other = owner[owner != other], other[owner != other]
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))]).astype(np.int64)
    return starts, other


@njit(cache=True)
def _cut(
    polygon: FloatArray, size: int, spare: FloatArray, a: float, b: float, limit: float
) -> int:
    """Keep the part of a convex polygon where a x + b y <= limit; give its number of corners."""
    kept = 0
    cut = False
    for i in range(size):
        x, y = polygon[i, 0], polygon[i, 1]
        j = i + 1 if i + 1 < size else 0
        here = a * x + b * y - limit
        there = a * polygon[j, 0] + b * polygon[j, 1] - limit
        if here <= 0:
            spare[kept, 0], spare[kept, 1] = x, y
            kept += 1
        else:
            cut = True
        if (here < 0 and there > 0) or (here > 0 and there < 0):
            t = here / (here - there)
            spare[kept, 0] = x + t * (polygon[j, 0] - x)
            spare[kept, 1] = y + t * (polygon[j, 1] - y)
            kept += 1
    if not cut:
        return size
    polygon[:kept] = spare[:kept]
    return kept


@njit(cache=True)
def _area(polygon: FloatArray, size: int) -> float:
    twice = 0.0
    for i in range(1, size - 1):
        ax, ay = polygon[i, 0] - polygon[0, 0], polygon[i, 1] - polygon[0, 1]
        bx, by = polygon[i + 1, 0] - polygon[0, 0], polygon[i + 1, 1] - polygon[0, 1]
        twice += ax * by - ay * bx
    return abs(twice) / 2


@njit(cache=True)
def _cell_areas(
    points: FloatArray,
    starts: IntArray,
    neighbours: IntArray,
    low: FloatArray,
    high: FloatArray,
    most: int,
) -> tuple[FloatArray, BoolArray]:
    n = len(points)
    sizes = np.zeros(n)
    clipped = np.zeros(n, dtype=np.bool_)
    polygon = np.empty((most + _SPARE, 2))
    spare = np.empty((most + _SPARE, 2))
    for i in range(n):
        x0, y0 = low[0] - points[i, 0], low[1] - points[i, 1]
        x1, y1 = high[0] - points[i, 0], high[1] - points[i, 1]
        polygon[0], polygon[1] = (x0, y0), (x1, y0)
        polygon[2], polygon[3] = (x1, y1), (x0, y1)
        size = 4
        for k in range(starts[i], starts[i + 1]):
            a = points[neighbours[k], 0] - points[i, 0]
            b = points[neighbours[k], 1] - points[i, 1]
            size = _cut(polygon, size, spare, a, b, (a * a + b * b) / 2)
        sizes[i] = _area(polygon, size)
        for k in range(size):
            x, y = polygon[k, 0], polygon[k, 1]
            if x <= x0 or x >= x1 or y <= y0 or y >= y1:
                clipped[i] = True
    return sizes, clipped


@njit(cache=True)
def _face_area(
    planes: FloatArray,
    n_planes: int,
    face: int,
    reach: float,
    polygon: FloatArray,
    spare: FloatArray,
) -> float:
    """Area of one face of the cell given by unit normals and distances (nx, ny, nz, h)."""
    nx, ny, nz, h = planes[face]
    # Two directions in the plane, from the axis that the normal is least along.
    if abs(nx) <= abs(ny) and abs(nx) <= abs(nz):
        ux, uy, uz = 0.0, nz, -ny
    elif abs(ny) <= abs(nz):
        ux, uy, uz = -nz, 0.0, nx
    else:
        ux, uy, uz = ny, -nx, 0.0
    length = np.sqrt(ux * ux + uy * uy + uz * uz)
    ux, uy, uz = ux / length, uy / length, uz / length
    vx, vy, vz = ny * uz - nz * uy, nz * ux - nx * uz, nx * uy - ny * ux
    polygon[0], polygon[1] = (-reach, -reach), (reach, -reach)
    polygon[2], polygon[3] = (reach, reach), (-reach, reach)
    size = 4
    for g in range(n_planes):
        if g == face:
            continue
        ax, ay, az, limit = planes[g]
        # Planes are sorted by distance: behind the farthest corner none cuts any more.
        if g % 8 == 7:
            far = 0.0
            for k in range(size):
                far = max(far, polygon[k, 0] ** 2 + polygon[k, 1] ** 2)
            if limit * limit > far + h * h:
                break
        dot = ax * nx + ay * ny + az * nz
        a = ax * ux + ay * uy + az * uz
        b = ax * vx + ay * vy + az * vz
        size = _cut(polygon, size, spare, a, b, limit - dot * h)
        if size < 3:
            return 0.0
    return _area(polygon, size)


@njit(cache=True)
def _cell_volumes(
    points: FloatArray,
    starts: IntArray,
    neighbours: IntArray,
    low: FloatArray,
    high: FloatArray,
    most: int,
) -> tuple[FloatArray, BoolArray]:
    n = len(points)
    sizes = np.zeros(n)
    clipped = np.zeros(n, dtype=np.bool_)
    polygon = np.empty((most + _SPARE, 2))
    spare = np.empty((most + _SPARE, 2))
    planes = np.empty((most + 6, 4))
    reach = np.sqrt(((high - low) ** 2).sum()) + 1.0
    for i in range(n):
        planes[:6] = 0.0
        for axis in range(3):
            planes[2 * axis, axis] = -1.0
            planes[2 * axis, 3] = points[i, axis] - low[axis]
            planes[2 * axis + 1, axis] = 1.0
            planes[2 * axis + 1, 3] = high[axis] - points[i, axis]
        size = 6
        for k in range(starts[i], starts[i + 1]):
            gap = points[neighbours[k]] - points[i]
            length = np.sqrt((gap * gap).sum())
            planes[size, :3] = gap / length
            planes[size, 3] = length / 2
            size += 1
        order = np.argsort(planes[:size, 3])
        arranged = planes[:size][order]
        for face in range(size):
            area = _face_area(arranged, size, face, reach, polygon, spare)
            sizes[i] += area * arranged[face, 3] / 3
            if area > 0 and order[face] < 6:
                clipped[i] = True
    return sizes, clipped


def dense_objects(
    cells: VoronoiCells,
    points: FloatArray,
    dense: BoolArray,
    longest: float | None,
    min_points: int,
) -> IntArray:
    """Label connected dense cells of at least `min_points` points; -1 is none.

    Parameters
    ----------
    cells : VoronoiCells
        Of the points.
    points : ndarray, shape (n, d)
    dense : ndarray of bool, shape (m,)
        Which cells belong to objects.
    longest : float, optional
        Sites farther apart are not connected.
    min_points : int

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    m = len(cells.size)
    owner = np.repeat(np.arange(m), np.diff(cells.starts))
    joined = dense[owner] & dense[cells.neighbours]
    a, b = owner[joined], cells.neighbours[joined]
    if longest is not None:
        place = np.zeros((m, points.shape[1]))
        place[cells.site] = points
        near = ((place[a] - place[b]) ** 2).sum(axis=1) <= longest**2
        a, b = a[near], b[near]
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(m, m))
    _, part = connected_components(graph, directed=False)
    weight = np.bincount(part, cells.multiplicity * dense)
    kept = dense & (weight[part] >= min_points)
    return np.where(kept, part, -1)[cells.site].astype(np.int64)

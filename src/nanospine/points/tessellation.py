"""Voronoi cells of points in a box: size of each cell, and which cells touch.

A cell is what the half spaces towards the Delaunay neighbours leave of the box. Cells of points at
the rim therefore end at the box instead of reaching to infinity, and no circumcentre is needed,
which for flat tetrahedra lie anywhere.

Many points are triangulated in tiles with a margin, because Qhull takes some kilobytes for each
point. A cell is final when the circles (spheres) around its corners through its point stay within
the tile and margin: no point beyond can cut it. What is not final is triangulated again, together
with the final cells that touch it, which are all the neighbours that it can have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import Delaunay, QhullError

from nanospine.core.progress import Progress, report
from nanospine.points.cells import cell_sizes, gather, join_dense, scatter, sum_around, touching
from nanospine.points.grid_dbscan import dbscan_labels

__all__ = ["VoronoiCells", "dense_objects", "voronoi_cells"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SmallIntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]

# A direction in which points spread by less than this fraction of their extent is flat.
_FLAT = 1e-10
# Points nearer than this fraction of the extent are one: 1e-5 nm in 10 um.
_SAME = 1e-9
# Points of a tile: Qhull takes some 2 kB for each in 3-D.
_TILE = 100_000
# Margin on each side, as a fraction of the extent of a tile.
_MARGIN = {2: 0.03, 3: 0.08}


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
    starts, neighbours : ndarray of int64, ndarray of int32
        Cells that share an edge (face) with cell i in the box:
        `neighbours[starts[i]:starts[i + 1]]`. Those that share a corner only do not count.
    """

    site: IntArray
    multiplicity: IntArray
    size: FloatArray
    clipped: BoolArray
    starts: IntArray
    neighbours: SmallIntArray

    def density(self, *, rank: int = 0) -> FloatArray:
        """Density of each cell: points per area (volume), of the cell or with its neighbours."""
        count, size = self.multiplicity.astype(np.float64), self.size
        if rank == 1:
            count = sum_around(self.starts, self.neighbours, count)
            size = sum_around(self.starts, self.neighbours, size)
        # A cell has room: only points nearer than rounding have none, which is a density too.
        return count / np.maximum(size, np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells of distinct points; `merged` tells with which point Qhull took a point for one."""

    size: FloatArray
    clipped: BoolArray
    starts: IntArray
    neighbours: SmallIntArray
    merged: IntArray


def voronoi_cells(
    points: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    simplices: IntArray | None = None,
    progress: Progress | None = None,
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
    progress : callable, optional
        Called with the stage and the fraction that is done.

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
    distinct, site = _distinct(points - shift)
    box = np.array([low - shift, high - shift])
    if simplices is None:
        cells = _tiled(distinct, box, progress)
    else:
        starts, neighbours = _adjacency(site[np.asarray(simplices)], len(distinct))
        rows = np.arange(len(distinct))
        everywhere = np.array([[-np.inf], [np.inf]]) * np.ones(points.shape[1])
        cells, _ = _measured(distinct, box, starts, neighbours, rows, rows, everywhere)
    # Nearer to another point than Qhull resolves: they share its cell.
    site = cells.merged[site]
    multiplicity = np.bincount(site, minlength=len(distinct))
    return VoronoiCells(
        site, multiplicity, cells.size, cells.clipped, cells.starts, cells.neighbours
    )


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
    place = np.zeros((len(cells.size), points.shape[1]))
    place[cells.site] = points
    limit = np.inf if longest is None else longest**2
    part = join_dense(cells.starts, cells.neighbours, dense, place, limit)
    weight = np.bincount(part, cells.multiplicity * dense, minlength=len(part))
    kept = dense & (weight[part] >= min_points)
    return np.where(kept, part, -1)[cells.site].astype(np.int64)


def _distinct(points: FloatArray) -> tuple[FloatArray, IntArray]:
    """Give distinct points and the place of each row among them."""
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    if len(points) == 0:
        return ordered, order
    # Triangulations are wrong, not only inexact, where points differ by their rounding.
    near = _SAME * float(np.abs(ordered).max())
    label = dbscan_labels(ordered, max(near, np.finfo(np.float64).tiny ** 0.25), 1)
    site = np.empty(len(points), dtype=np.int64)
    site[order] = label
    # numbered by their first rows: these are in the order of the labels
    first = np.flatnonzero(np.diff(np.maximum.accumulate(label), prepend=-1))
    return ordered[first], site


class _Pieces:
    """Cells of many points as they become final."""

    def __init__(self, n: int) -> None:
        self.size, self.clipped = np.zeros(n), np.zeros(n, dtype=bool)
        self.final, self.merged = np.zeros(n, dtype=bool), np.arange(n)
        self.degree = np.zeros(n, dtype=np.int64)
        self.parts: list[tuple[IntArray, SmallIntArray]] = []

    def add(self, near: IntArray, mine: IntArray, cells: _Cells) -> None:
        """Take the cells `mine` among those of the points `near`."""
        rows = near[mine]
        self.size[rows], self.clipped[rows] = cells.size[mine], cells.clipped[mine]
        self.merged[rows] = near[cells.merged[mine]]
        self.degree[rows] = np.diff(cells.starts)[mine]
        self.final[rows] = True
        flat = gather(cells.starts, cells.neighbours, mine)
        self.parts.append((rows, near[flat].astype(np.int32)))

    def open(self) -> BoolArray:
        """Cells that are not final and the final ones that touch them."""
        result = ~self.final
        for rows, flat in self.parts:
            result[rows[touching(self.degree[rows], flat, self.final)]] = True
        return result

    def cells(self) -> _Cells:
        """Put the parts together, freeing them on the way."""
        starts = np.concatenate([[0], np.cumsum(self.degree)]).astype(np.int64)
        neighbours = np.empty(starts[-1], dtype=np.int32)
        while self.parts:
            scatter(starts, neighbours, *self.parts.pop())
        return _Cells(self.size, self.clipped, starts, neighbours, self.merged)


def _tiled(points: FloatArray, box: FloatArray, progress: Progress | None) -> _Cells:
    n, d = points.shape
    if n <= _TILE + _TILE // 2:
        return _whole(points, box)
    pieces = _Pieces(n)
    done = 0
    for rows, low, high in _tiles(points):
        margin = _MARGIN[d] * (points[rows].max(axis=0) - points[rows].min(axis=0))
        known = np.array([low - margin, high + margin])
        near = np.flatnonzero(((points >= known[0]) & (points <= known[1])).all(axis=1))
        mine = np.searchsorted(near, rows)
        cells, final = _measured(
            points[near], box, *_delaunay_neighbours(points[near]), mine, known
        )
        pieces.add(near, mine[final[mine]], cells)
        done += len(rows)
        report(progress, "voronoi", 0.8 * done / n)
    if not pieces.final.all():
        near = np.flatnonzero(pieces.open())
        mine = np.flatnonzero(~pieces.final[near])
        # Most of the time they are few; where they are not, tiles do not help.
        few = len(near) < 0.7 * n
        cells = _tiled(points[near], box, None) if few else _whole(points[near], box)
        pieces.add(near, mine, cells)
    report(progress, "voronoi", 1.0)
    return pieces.cells()


def _tiles(points: FloatArray) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Cut the longest axis in halves until a tile has few points: rows (sorted) and its box."""
    d = points.shape[1]
    waiting = [(np.arange(len(points)), np.full(d, -np.inf), np.full(d, np.inf))]
    while waiting:
        rows, low, high = waiting.pop()
        if len(rows) <= _TILE:
            yield rows, low, high
            continue
        inside = points[rows]
        axis = int((inside.max(axis=0) - inside.min(axis=0)).argmax())
        values = inside[:, axis]
        middle = float(np.partition(values, len(values) // 2)[len(values) // 2])
        below = values < middle
        if not below.any():  # many share the coordinate that is the lowest too
            yield rows, low, high
            continue
        low_above, high_below = low.copy(), high.copy()
        low_above[axis] = high_below[axis] = middle
        waiting += [(rows[below], low, high_below), (rows[~below], low_above, high)]


def _whole(points: FloatArray, box: FloatArray) -> _Cells:
    everywhere = np.array([[-np.inf], [np.inf]]) * np.ones(points.shape[1])
    rows = np.arange(len(points))
    return _measured(points, box, *_delaunay_neighbours(points), rows, everywhere)[0]


def _measured(
    points: FloatArray,
    box: FloatArray,
    starts: IntArray,
    neighbours: SmallIntArray,
    merged: IntArray,
    rows: IntArray,
    known: FloatArray,
) -> tuple[_Cells, BoolArray]:
    """Measure the cells of some rows (sorted); the others stay 0. Also: which are final."""
    n = len(points)
    # What Qhull took for another point has no cell and cannot get one.
    own = rows[merged[rows] == rows]
    found = cell_sizes(points, starts, neighbours, box, own, known)
    size, clipped, final = np.zeros(n), np.zeros(n, dtype=bool), merged != np.arange(n)
    degree = np.zeros(n, dtype=np.int64)
    size[own], clipped[own], final[own] = found.size, found.clipped, found.final
    degree[own] = found.degree
    starts = np.concatenate([[0], np.cumsum(degree)]).astype(np.int64)
    return _Cells(size, clipped, starts, found.neighbours, merged), final


def _delaunay_neighbours(points: FloatArray) -> tuple[IntArray, SmallIntArray, IntArray]:
    """Give Delaunay neighbours of distinct points as starts and places, and what Qhull merged.

    Points on one plane or line are triangulated in it: their neighbours are the same.
    """
    n = len(points)
    alone = np.arange(n)
    if n < 2:
        return np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), alone
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
    try:
        found = Delaunay(flat, qhull_options="Qbb Qc Qz Q12")
    except QhullError:
        found = Delaunay(flat, qhull_options="QJ Qbb Q12")  # almost flat: moved by a little
    merged = alone.copy()
    merged[found.coplanar[:, 0]] = found.coplanar[:, 2]
    starts, neighbours = found.vertex_neighbor_vertices
    return starts.astype(np.int64), neighbours.astype(np.int32), merged


def _adjacency(simplices: npt.NDArray[np.integer], n: int) -> tuple[IntArray, SmallIntArray]:
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
    return starts, other.astype(np.int32)

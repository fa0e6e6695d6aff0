"""Rings around points: how many points of a pattern lie in each, by a cell list, in parallel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

__all__ = ["Cells"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Cells per point at most: empty cells cost memory and, in a thin cloud, time.
_CELLS_PER_POINT = 8


class Cells:
    """Points sorted into cells at least as wide as the largest radius.

    2-D points get z = 0: one code for both, with one layer of cells.

    Parameters
    ----------
    points_nm : ndarray, shape (n, 2) or (n, 3)
        Nanometres.
    radius_nm : float
        Largest distance that will be asked for.

    Examples
    --------
    >>> cells = Cells(np.array([[0.0, 0.0], [3.0, 0.0]]), 5.0)
    >>> cells.ring_counts(np.array([[0.5, 0.0]]), np.array([0.0, 1.0, 5.0])).tolist()
    [[1, 1]]
    """

    def __init__(self, points_nm: FloatArray, radius_nm: float) -> None:
        points = _in_space(points_nm)
        self.radius_nm = radius_nm
        self.low = points.min(axis=0)
        extent = points.max(axis=0) - self.low
        side = radius_nm
        limit = _CELLS_PER_POINT * len(points) + 64
        while np.prod(np.floor(extent / side) + 1.0) > limit:
            side *= 1.3
        self.side = side
        self.shape = np.floor(extent / side).astype(np.int64) + 1
        index = np.minimum(((points - self.low) / side).astype(np.int64), self.shape - 1)
        key = (index[:, 0] * self.shape[1] + index[:, 1]) * self.shape[2] + index[:, 2]
        self.order: IntArray = np.argsort(key, kind="stable").astype(np.int64)
        counts = np.bincount(key, minlength=int(np.prod(self.shape)))
        self.start: IntArray = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.points = np.ascontiguousarray(points[self.order])

    def ring_counts(self, queries_nm: FloatArray, edges_nm: FloatArray) -> npt.NDArray[np.int32]:
        """Count the points in each ring `edges[k] <= d < edges[k + 1]` of each query, (q, k)."""
        queries = _in_space(queries_nm)
        counts = np.zeros((len(queries), len(edges_nm) - 1), dtype=np.int32)
        _count(queries, *self._arrays, edges_nm**2, counts)
        return counts

    def ring_sums(
        self, queries_nm: FloatArray, edges_nm: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Count the points in each ring and sum their distances and squared distances, (q, k)."""
        queries = _in_space(queries_nm)
        sums = np.zeros((3, len(queries), len(edges_nm) - 1))
        _sum(queries, *self._arrays, edges_nm**2, sums)
        return sums[0], sums[1], sums[2]

    def pairs(self, queries_nm: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Give all pairs nearer than the radius: row of the point, row of the query, distance."""
        queries = _in_space(queries_nm)
        edges = np.array([0.0, self.radius_nm])
        per_query = self.ring_counts(queries_nm, edges)[:, 0].astype(np.int64)
        start = np.concatenate([[0], np.cumsum(per_query)])
        first = np.empty(start[-1], dtype=np.int64)
        distance = np.empty(start[-1])
        _fill(queries, *self._arrays, self.radius_nm**2, self.order, start, first, distance)
        return first, np.repeat(np.arange(len(queries)), per_query), distance

    @property
    def _arrays(self) -> tuple[FloatArray, IntArray, FloatArray, float, IntArray]:
        return self.points, self.start, self.low, float(self.side), self.shape


def _in_space(points_nm: FloatArray) -> FloatArray:
    if points_nm.shape[1] == 3:
        return np.ascontiguousarray(points_nm, dtype=np.float64)
    result = np.zeros((len(points_nm), 3))
    result[:, :2] = points_nm
    return result


@njit(cache=True, nogil=True)
def _runs(x, y, z, low, side, shape, start, runs):  # type: ignore[no-untyped-def]
    """Write the runs of sorted points that cover the 27 cells around a place; give how many."""
    n_runs = 0
    ix = np.int64(np.floor((x - low[0]) / side))
    iy = np.int64(np.floor((y - low[1]) / side))
    iz = np.int64(np.floor((z - low[2]) / side))
    z_first = max(iz - 1, 0)
    z_last = min(iz + 1, shape[2] - 1)
    if z_first > z_last:
        return 0
    for jx in range(ix - 1, ix + 2):
        for jy in range(iy - 1, iy + 2):
            if jx < 0 or jy < 0 or jx >= shape[0] or jy >= shape[1]:
                continue
            row = (jx * shape[1] + jy) * shape[2]
            first = start[row + z_first]
            last = start[row + z_last + 1]
            if first < last:
                runs[n_runs, 0] = first
                runs[n_runs, 1] = last
                n_runs += 1
    return n_runs


@njit(cache=True, nogil=True, parallel=True)
def _count(queries, points, start, low, side, shape, edges2, counts):  # type: ignore[no-untyped-def]
    n_rings = edges2.shape[0] - 1
    for q in prange(queries.shape[0]):
        x, y, z = queries[q, 0], queries[q, 1], queries[q, 2]
        runs = np.empty((9, 2), dtype=np.int64)
        for run in range(_runs(x, y, z, low, side, shape, start, runs)):
            for i in range(runs[run, 0], runs[run, 1]):
                dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
                d2 = dx * dx + dy * dy + dz * dz
                if d2 < edges2[n_rings] and d2 >= edges2[0]:
                    k = n_rings - 1
                    while d2 < edges2[k]:
                        k -= 1
                    counts[q, k] += 1


@njit(cache=True, nogil=True, parallel=True)
def _sum(queries, points, start, low, side, shape, edges2, sums):  # type: ignore[no-untyped-def]
    n_rings = edges2.shape[0] - 1
    for q in prange(queries.shape[0]):
        x, y, z = queries[q, 0], queries[q, 1], queries[q, 2]
        runs = np.empty((9, 2), dtype=np.int64)
        for run in range(_runs(x, y, z, low, side, shape, start, runs)):
            for i in range(runs[run, 0], runs[run, 1]):
                dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
                d2 = dx * dx + dy * dy + dz * dz
                if d2 < edges2[n_rings] and d2 >= edges2[0]:
                    k = n_rings - 1
                    while d2 < edges2[k]:
                        k -= 1
                    sums[0, q, k] += 1.0
                    sums[1, q, k] += np.sqrt(d2)
                    sums[2, q, k] += d2


@njit(cache=True, nogil=True, parallel=True)
def _fill(queries, points, start, low, side, shape, r2, order, offset, first, distance):  # type: ignore[no-untyped-def]
    for q in prange(queries.shape[0]):
        x, y, z = queries[q, 0], queries[q, 1], queries[q, 2]
        runs = np.empty((9, 2), dtype=np.int64)
        slot = offset[q]
        for run in range(_runs(x, y, z, low, side, shape, start, runs)):
            for i in range(runs[run, 0], runs[run, 1]):
                dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
                d2 = dx * dx + dy * dy + dz * dz
                if d2 < r2:
                    first[slot] = order[i]
                    distance[slot] = np.sqrt(d2)
                    slot += 1

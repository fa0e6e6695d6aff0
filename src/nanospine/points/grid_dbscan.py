"""DBSCAN on a grid: counts and unions of cells instead of lists of neighbours.

Cells are a little smaller than radius / sqrt(dimension), so that all points of one cell are
neighbours of each other: a full cell is core without a single distance, and the clusters are
connected cells, not connected points. Cells are sorted row by row; the neighbouring rows of a cell
are found by pointers that only move forward, so that no table of cells and no list of neighbours
is ever held. Memory is some 350 bytes for each point, whatever the radius.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.errors import GeometryError
from nanospine.core.progress import Progress, report

__all__ = ["dbscan_labels"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# The diagonal of a cell stays below the radius by more than rounding can add.
_SHRINK = 1 - 1e-9
# A radius is at most sqrt(3) cells long: neighbours lie at most two cells away.
_REACH = 2
_MOST_CELLS = 1e15


def dbscan_labels(
    points: FloatArray, radius: float, min_points: int, *, progress: Progress | None = None
) -> IntArray:
    """Label points by DBSCAN; -1 is noise.

    A point with at least `min_points` points (itself included) at most `radius` away is core. Core
    points at most `radius` apart belong together. Another point within `radius` of a core point
    joins the nearest of these (of equally near ones the one with the smallest x, then y, then z):
    unlike the first cluster found, this does not depend on the order of the rows.

    Parameters
    ----------
    points : ndarray, shape (n, 2) or (n, 3)
        Positions, in the unit of `radius`; finite.
    radius : float
        Positive.
    min_points : int
        At least 1.
    progress : callable, optional
        Called with the stage and the fraction that is done.

    Returns
    -------
    ndarray of int64, shape (n,)
        Clusters are numbered by their first row.

    Raises
    ------
    GeometryError
        For a radius so small that float64 cannot count its cells across the points.

    Examples
    --------
    >>> dbscan_labels(np.array([[0.0, 0], [1, 0], [50, 0], [2, 0]]), 1.5, 2).tolist()
    [0, 0, -1, 0]
    """
    n = len(points)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    report(progress, "dbscan", 0.0)
    order, starts, rows, last, deltas = _sorted_cells(points, radius)
    xyz = np.zeros((n, 3))
    xyz[:, : points.shape[1]] = points[order]
    report(progress, "dbscan", 0.2)
    core = _find_core(xyz, starts, rows, last, deltas, radius * radius, min_points)
    report(progress, "dbscan", 0.6)
    core_starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(core)])[starts]
    core_xyz = xyz[core]
    roots = _join_cells(core_xyz, core_starts, rows, last, deltas, radius * radius)
    report(progress, "dbscan", 0.9)
    found = _assign(
        xyz, core, core_xyz, starts, core_starts, rows, last, deltas, radius * radius, roots
    )
    labels = np.empty(n, dtype=np.int64)
    labels[order] = found
    report(progress, "dbscan", 1.0)
    return number_by_first_row(labels)


def number_by_first_row(labels: IntArray) -> IntArray:
    """Number clusters 0, 1, 2, ... in the order in which they first occur; negative is -1."""
    result = np.full(len(labels), -1, dtype=np.int64)
    inside = labels >= 0
    if inside.any():
        _, first, inverse = np.unique(labels[inside], return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        result[inside] = rank[inverse]
    return result


def _sorted_cells(
    points: FloatArray, radius: float
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Sort points by cell: order, first point of each cell, its row, its place, row offsets."""
    dimension = points.shape[1]
    side = radius / np.sqrt(dimension) * _SHRINK
    low = points.min(axis=0)
    extent = float((points.max(axis=0) - low).max())
    if extent / side > _MOST_CELLS:
        raise GeometryError(
            f"dbscan: a radius above {extent * 2 / _MOST_CELLS:.3g} nm was expected for points "
            f"that span {extent:.6g} nm, found {radius:.3g} nm."
        )
    place = [np.floor((points[:, i] - low[i]) / side).astype(np.int64) for i in range(dimension)]
    last = place.pop()
    row = _joined(place)
    deltas = row[1]
    # One key sorts faster than two, where it fits.
    if (float(row[0].max()) + 1) * (float(last.max()) + 1) < 2**62:
        order = np.argsort(row[0] * (last.max() + 1) + last, kind="stable")
    else:
        order = np.lexsort((last, row[0]))
    rows, last = row[0][order], last[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (rows[1:] != rows[:-1]) | (last[1:] != last[:-1])
    first = np.flatnonzero(new)
    starts = np.append(first, len(rows)).astype(np.int64)
    return order.astype(np.int64), starts, rows[first], last[first], deltas


def _joined(place: list[IntArray]) -> tuple[IntArray, IntArray]:
    """Make one number of the cell along all axes but the last, and the offsets to neighbours."""
    steps = range(-_REACH, _REACH + 1)
    if len(place) == 1:
        return place[0], np.array(steps, dtype=np.int64)
    x, y = place
    if (float(x.max()) + 1) * (float(y.max()) + 1 + 2 * _REACH) >= 2**62:
        x, y = _without_gaps(x), _without_gaps(y)
    width = int(y.max()) + 1 + 2 * _REACH
    offsets = [a * width + b for a, b in itertools.product(steps, steps)]
    return x * width + y, np.array(offsets, dtype=np.int64)


def _without_gaps(place: IntArray) -> IntArray:
    """Shorten stretches of empty cells to one that neighbours still do not reach across."""
    used, inverse = np.unique(place, return_inverse=True)
    steps = np.minimum(np.diff(used, prepend=used[:1]), _REACH + 1)
    return np.cumsum(steps)[inverse]


@njit(cache=True)
def _near_cells(
    cell: int,
    rows: IntArray,
    last: IntArray,
    deltas: IntArray,
    pointers: IntArray,
    near: IntArray,
) -> int:
    """Write the occupied cells within reach of a cell; `pointers` remember the way."""
    found = 0
    for k in range(len(deltas)):
        row = rows[cell] + deltas[k]
        place = last[cell] - 2
        p = pointers[k]
        while p < len(rows) and (rows[p] < row or (rows[p] == row and last[p] < place)):
            p += 1
        pointers[k] = p
        while p < len(rows) and rows[p] == row and last[p] <= place + 4:
            near[found] = p
            found += 1
            p += 1
    return found


@njit(cache=True)
def _find_core(
    xyz: FloatArray,
    starts: IntArray,
    rows: IntArray,
    last: IntArray,
    deltas: IntArray,
    radius2: float,
    least: int,
) -> BoolArray:
    core = np.zeros(len(xyz), dtype=np.bool_)
    pointers = np.zeros(len(deltas), dtype=np.int64)
    near = np.empty(125, dtype=np.int64)
    for cell in range(len(rows)):
        begin, end = starts[cell], starts[cell + 1]
        if end - begin >= least:
            core[begin:end] = True
            continue
        n_near = _near_cells(cell, rows, last, deltas, pointers, near)
        most = 0
        for k in range(n_near):
            most += starts[near[k] + 1] - starts[near[k]]
        if most < least:
            continue
        for i in range(begin, end):
            count = end - begin
            for k in range(n_near):
                other = near[k]
                if other == cell:
                    continue
                for j in range(starts[other], starts[other + 1]):
                    x = xyz[i, 0] - xyz[j, 0]
                    y = xyz[i, 1] - xyz[j, 1]
                    z = xyz[i, 2] - xyz[j, 2]
                    if x * x + y * y + z * z <= radius2:
                        count += 1
                if count >= least:
                    core[i] = True
                    break
    return core


@njit(cache=True)
def _root(parent: IntArray, cell: int) -> int:
    while parent[cell] != cell:
        parent[cell] = parent[parent[cell]]
        cell = parent[cell]
    return cell


@njit(cache=True)
def _touch(xyz: FloatArray, a0: int, a1: int, b0: int, b1: int, radius2: float) -> bool:
    """Tell whether a point of one stretch is within the radius of one of another."""
    low, high = xyz[b0].copy(), xyz[b0].copy()
    for j in range(b0 + 1, b1):
        for axis in range(3):
            low[axis] = min(low[axis], xyz[j, axis])
            high[axis] = max(high[axis], xyz[j, axis])
    for i in range(a0, a1):
        gap = 0.0
        for axis in range(3):
            outside = max(low[axis] - xyz[i, axis], xyz[i, axis] - high[axis], 0.0)
            gap += outside * outside
        if gap > radius2:
            continue
        for j in range(b0, b1):
            x = xyz[i, 0] - xyz[j, 0]
            y = xyz[i, 1] - xyz[j, 1]
            z = xyz[i, 2] - xyz[j, 2]
            if x * x + y * y + z * z <= radius2:
                return True
    return False


@njit(cache=True)
def _join_cells(
    core_xyz: FloatArray,
    core_starts: IntArray,
    rows: IntArray,
    last: IntArray,
    deltas: IntArray,
    radius2: float,
) -> IntArray:
    parent = np.arange(len(rows))
    pointers = np.zeros(len(deltas), dtype=np.int64)
    near = np.empty(125, dtype=np.int64)
    for cell in range(len(rows)):
        begin, end = core_starts[cell], core_starts[cell + 1]
        if begin == end:
            continue
        n_near = _near_cells(cell, rows, last, deltas, pointers, near)
        for k in range(n_near):
            other = near[k]
            if other <= cell or core_starts[other] == core_starts[other + 1]:
                continue
            a, b = _root(parent, cell), _root(parent, other)
            if a != b and _touch(
                core_xyz, begin, end, core_starts[other], core_starts[other + 1], radius2
            ):
                parent[max(a, b)] = min(a, b)
    for cell in range(len(rows)):
        parent[cell] = _root(parent, cell)
    return parent


@njit(cache=True)
def _before(xyz: FloatArray, i: int, j: int) -> bool:
    for axis in range(3):
        if xyz[i, axis] != xyz[j, axis]:
            return bool(xyz[i, axis] < xyz[j, axis])
    return False


@njit(cache=True)
def _assign(
    xyz: FloatArray,
    core: BoolArray,
    core_xyz: FloatArray,
    starts: IntArray,
    core_starts: IntArray,
    rows: IntArray,
    last: IntArray,
    deltas: IntArray,
    radius2: float,
    roots: IntArray,
) -> IntArray:
    labels = np.full(len(xyz), -1, dtype=np.int64)
    pointers = np.zeros(len(deltas), dtype=np.int64)
    near = np.empty(125, dtype=np.int64)
    for cell in range(len(rows)):
        begin, end = starts[cell], starts[cell + 1]
        n_core = core_starts[cell + 1] - core_starts[cell]
        if n_core > 0:
            for i in range(begin, end):
                if core[i]:
                    labels[i] = roots[cell]
            if n_core == end - begin:
                continue
        n_near = _near_cells(cell, rows, last, deltas, pointers, near)
        for i in range(begin, end):
            if core[i]:
                continue
            best, nearest = radius2, -1
            for k in range(n_near):
                other = near[k]
                for j in range(core_starts[other], core_starts[other + 1]):
                    x = xyz[i, 0] - core_xyz[j, 0]
                    y = xyz[i, 1] - core_xyz[j, 1]
                    z = xyz[i, 2] - core_xyz[j, 2]
                    d2 = x * x + y * y + z * z
                    tie = d2 == best and (nearest < 0 or _before(core_xyz, j, nearest))
                    if d2 < best or tie:
                        best, nearest = d2, j
                        labels[i] = roots[other]
    return labels

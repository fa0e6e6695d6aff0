"""Points sorted into cells: the neighbourhood of a cell is a few contiguous runs of memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import get_num_threads, njit

__all__ = [
    "CellPair", "Grid", "fill", "in_threads", "segments", "sorted_into_cells", "thread_count",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LEAST_EXTENT = 1e-200
# Cells per largest radius. Finer cells follow the ball more closely but make shorter runs.
_DIVISIONS = {2: 3, 3: 2}
# Radius of a ball over its bounding cells is compared with this slack: a point may be sorted into
# the cell next to its own by a rounding.
_SLACK = 1e-9
# Fewer points are sorted before a thread has started.
_PARALLEL = 50_000


class Grid(NamedTuple):
    """What a kernel sees of two patterns (or one twice) that lie sorted in one grid of cells.

    Attributes
    ----------
    ax, ay, az, bx, by, bz : ndarray
        Positions sorted by cell; z is 0 in 2-D.
    start, other_start : ndarray of int64, shape (cells + 1,)
        First sorted point of each cell.
    shape : ndarray of int64, shape (3,)
        Cells along x, y, z; x runs fastest.
    runs : ndarray of int64, shape (m, 4)
        Rows of the neighbourhood: step in z, step in y, first and last step in x.
    half : bool
        Each pair of one pattern is met once: run 0 begins at the cell itself and the others lie
        ahead of it.
    one : bool
        Both patterns are the same one.
    period : ndarray, shape (3,)
        Edge lengths of a periodic box, 0 where it does not wrap.
    """

    ax: FloatArray
    ay: FloatArray
    az: FloatArray
    bx: FloatArray
    by: FloatArray
    bz: FloatArray
    start: IntArray
    other_start: IntArray
    shape: IntArray
    runs: IntArray
    half: bool
    one: bool
    period: FloatArray


@dataclass(frozen=True, eq=False)
class CellPair:
    """Two patterns (or one twice) in one grid, and where their points were before.

    Attributes
    ----------
    grid : Grid
        Arrays for the kernels.
    rows, other_rows : ndarray of int64
        Place of each sorted point in the input.
    """

    grid: Grid = field(repr=False)
    rows: IntArray = field(repr=False)
    other_rows: IntArray = field(repr=False)

    def chunks(self, count: int) -> list[tuple[int, int]]:
        """Cut the cells into ranges with about the same number of points."""
        start = self.grid.start
        inner = np.searchsorted(start, np.linspace(0, start[-1], count + 1)[1:-1])
        edges = np.unique(np.concatenate([[0], inner, [len(start) - 1]]))
        return [(int(low), int(high)) for low, high in itertools.pairwise(edges)]


def sorted_into_cells(
    points: FloatArray,
    radius: float,
    *,
    other: FloatArray | None = None,
    half: bool = True,
    box: FloatArray | None = None,
    threads: int | None = 1,
) -> CellPair:
    """Sort one or two patterns into cells for pairs up to `radius`.

    Parameters
    ----------
    points : ndarray, shape (n, 2) or (n, 3)
        Positions.
    radius : float
        Largest distance that will be asked for.
    other : ndarray, optional
        The second pattern; the neighbourhoods hold its points.
    half : bool
        For one pattern: meet each pair once. Ignored with `other`.
    box : ndarray, shape (2, d), optional
        Corners of a periodic box that holds all points.
    threads : int, optional
        None: NUMBA_NUM_THREADS.
    """
    dimension, workers = points.shape[1], thread_count(threads)
    patterns = [np.ascontiguousarray(points)]
    if other is not None:
        patterns.append(np.ascontiguousarray(other))
    if box is None:
        corners = np.concatenate([_all_corners(pattern, workers) for pattern in patterns])
        low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    else:
        low, high = box
    extent = np.maximum(high - low, 0.0)
    # One over a side that is all but zero is no number; one cell does there.
    extent[extent < _LEAST_EXTENT] = 0.0
    shape = _grid(extent, radius, sum(map(len, patterns)), dimension)
    side = np.where(extent > 0, extent / shape, 1.0)
    half = half and other is None
    runs = _runs(side, shape, radius, half, box is not None)
    first = _sort(patterns[0], low, side, shape, workers)
    second = first if other is None else _sort(patterns[1], low, side, shape, workers)
    period = np.zeros(3)
    if box is not None:
        period[:dimension] = extent
    cells = np.concatenate([shape, np.ones(3 - dimension, dtype=np.int64)])
    grid = Grid(
        *first[0], *second[0], first[2], second[2], cells, runs, half, other is None, period
    )
    return CellPair(grid, first[1], second[1])


def _grid(extent: FloatArray, radius: float, n: int, dimension: int) -> IntArray:
    """Cells per axis: as many as the radius wants, but no more than a few per point."""
    wanted = (
        extent / max(radius, 1e-9 * extent.max(), 1e-300) * _DIVISIONS[dimension] * (1 - _SLACK)
    )
    most = 4.0 * n + 64
    limit = 2.0**20
    shape = np.clip(np.floor(np.minimum(wanted, limit)), 1, None)
    while shape.prod() > most:
        shape = np.maximum(np.floor(shape * min((most / shape.prod()) ** (1 / 3), 0.9)), 1)
    return shape.astype(np.int64)


def _runs(side: FloatArray, shape: IntArray, radius: float, half: bool, periodic: bool) -> IntArray:
    sides = np.concatenate([side, np.ones(3 - len(side))])
    counts = np.concatenate([shape, np.ones(3 - len(side), dtype=np.int64)])
    # Beyond the grid there is nothing, unless it wraps around.
    most = np.full(3, 2**30) if periodic else counts - 1
    most[len(side) :] = 0
    with np.errstate(over="ignore"):
        steps = np.floor(radius / sides * (1 + _SLACK)) + 1
    reach = np.minimum(steps, most).astype(np.int64)
    limit = radius**2 * (1 + _SLACK)

    def gap(steps: IntArray, axis: int) -> FloatArray:
        return np.maximum(np.abs(steps) - 1, 0) * sides[axis]

    along = np.arange(reach[0] + 1)
    rows = []
    for dz in range(0 if half else -reach[2], reach[2] + 1):
        for dy in range(0 if half and dz == 0 else -reach[1], reach[1] + 1):
            gap2 = gap(np.array(dz), 2) ** 2 + gap(np.array(dy), 1) ** 2
            inside = along[gap(along, 0) ** 2 + gap2 <= limit]
            if len(inside):
                begin = 0 if half and dz == 0 and dy == 0 else -inside[-1]
                rows.append((dz, dy, begin, inside[-1]))
    return np.array(rows, dtype=np.int64)


def thread_count(threads: int | None) -> int:
    """Give the number of threads: what was asked for, else what NUMBA_NUM_THREADS says."""
    return max(1, int(get_num_threads() if threads is None else threads))


def in_threads(work: Callable[[int], Any], count: int, threads: int) -> list[Any]:
    """Do `work(0)` to `work(count - 1)`, and give the results in this order."""
    workers = min(threads, count)
    if workers <= 1:
        return [work(k) for k in range(count)]
    results: list[Any] = [None] * count
    todo = iter(range(count))

    def take() -> None:
        # The caller's thread takes its share too: one thread less to start.
        for k in todo:
            results[k] = work(k)

    with ThreadPoolExecutor(workers - 1) as pool:
        others = [pool.submit(take) for _ in range(workers - 1)]
        take()
    for other in others:
        other.result()
    return results


def _cuts(n: int, threads: int) -> IntArray:
    """Where each thread's part of the points begins, and the end."""
    return np.linspace(0, n, (threads if n >= _PARALLEL else 1) + 1).astype(np.int64)


def _all_corners(points: FloatArray, threads: int) -> FloatArray:
    """Lowest and highest coordinates in each part of the points, shape (parts, 2, d)."""
    cuts = _cuts(len(points), threads)
    parts = len(cuts) - 1
    return np.array(in_threads(lambda k: _corners(points, cuts[k], cuts[k + 1]), parts, parts))


def _sort(
    points: FloatArray, low: FloatArray, side: FloatArray, shape: IntArray, threads: int
) -> tuple[tuple[FloatArray, FloatArray, FloatArray], IntArray, IntArray]:
    """Counting sort, each thread on its part of the points; the order is that of one thread."""
    n = len(points)
    cuts = _cuts(n, threads)
    parts = len(cuts) - 1
    scale = 1.0 / side
    place, rows = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    cursors = np.zeros((parts, int(shape.prod())), dtype=np.int64)
    start = np.zeros(int(shape.prod()) + 1, dtype=np.int64)
    columns = np.zeros((3, n))
    begin = np.ascontiguousarray(low, dtype=np.float64)

    def count(k: int) -> None:
        _places(points, cuts[k], cuts[k + 1], begin, scale, shape, place, cursors[k])

    def move(k: int) -> None:
        _move(points, cuts[k], cuts[k + 1], place, cursors[k], rows, columns)

    in_threads(count, parts, parts)
    _begin(cursors, start)
    in_threads(move, parts, parts)
    return (columns[0], columns[1], columns[2]), rows, start


@njit(cache=True, nogil=True)
def _corners(points: FloatArray, first: int, last: int) -> FloatArray:
    corners = np.empty((2, points.shape[1]))
    corners[0] = np.inf
    corners[1] = -np.inf
    for row in range(first, last):
        for axis in range(points.shape[1]):
            corners[0, axis] = min(corners[0, axis], points[row, axis])
            corners[1, axis] = max(corners[1, axis], points[row, axis])
    return corners


@njit(cache=True, nogil=True, error_model="numpy")
def _places(
    points: FloatArray,
    first: int,
    last: int,
    low: FloatArray,
    scale: FloatArray,
    shape: IntArray,
    place: IntArray,
    counts: IntArray,
) -> None:
    dimension = points.shape[1]
    for row in range(first, last):
        cell = 0
        for axis in range(dimension - 1, -1, -1):
            step = int((points[row, axis] - low[axis]) * scale[axis])
            cell = cell * shape[axis] + min(max(step, 0), shape[axis] - 1)
        place[row] = cell
        counts[cell] += 1


@njit(cache=True, nogil=True)
def _begin(cursors: IntArray, start: IntArray) -> None:
    total = 0
    for cell in range(cursors.shape[1]):
        for part in range(cursors.shape[0]):
            held = cursors[part, cell]
            cursors[part, cell] = total
            total += held
        start[cell + 1] = total


@njit(cache=True, nogil=True)
def _move(
    points: FloatArray,
    first: int,
    last: int,
    place: IntArray,
    cursor: IntArray,
    rows: IntArray,
    columns: FloatArray,
) -> None:
    for row in range(first, last):
        cell = place[row]
        target = cursor[cell]
        cursor[cell] += 1
        rows[target] = row
        for axis in range(points.shape[1]):
            columns[axis, target] = points[row, axis]


@njit(cache=True, nogil=True)
def segments(grid: Grid, cell: int, bounds: IntArray, shifts: FloatArray) -> int:
    """Write the runs of a cell's neighbourhood; give their number.

    `bounds` (k, 2) and `shifts` (k, 3) receive first and last + 1 of each run and how far it is
    moved by the period. With `half` the first one begins with the points of the cell itself.
    """
    shape, runs, period, start = grid.shape, grid.runs, grid.period, grid.other_start
    nx, ny, nz = shape[0], shape[1], shape[2]
    cx = cell % nx
    cy = (cell // nx) % ny
    cz = cell // (nx * ny)
    count = 0
    for run in range(runs.shape[0]):
        z = cz + runs[run, 0]
        y = cy + runs[run, 1]
        turn_z = z // nz
        turn_y = y // ny
        if (turn_z != 0 and period[2] == 0.0) or (turn_y != 0 and period[1] == 0.0):
            continue
        row = ((z - turn_z * nz) * ny + (y - turn_y * ny)) * nx
        first = cx + runs[run, 2]
        last = cx + runs[run, 3]
        if period[0] == 0.0:
            first = max(first, 0)
            last = min(last, nx - 1)
        for turn in range(first // nx, last // nx + 1):
            left = max(first, turn * nx) - turn * nx
            right = min(last, turn * nx + nx - 1) - turn * nx
            low = start[row + left]
            high = start[row + right + 1]
            if high > low:
                bounds[count, 0] = low
                bounds[count, 1] = high
                shifts[count, 0] = turn * period[0]
                shifts[count, 1] = turn_y * period[1]
                shifts[count, 2] = turn_z * period[2]
                count += 1
    return count


@njit(cache=True, nogil=True)
def fill(
    grid: Grid,
    bounds: IntArray,
    shifts: FloatArray,
    count: int,
    segment: int,
    offset: int,
    buffer: FloatArray,
    index: IntArray,
) -> tuple[int, int, int]:
    """Copy runs, from `offset` in `segment` on, until the buffer (3, size) is full.

    Gives how many points it holds, and where to go on. `index` receives their sorted places.
    """
    x, y, z = grid.bx, grid.by, grid.bz
    size = index.size
    filled = 0
    while segment < count:
        low = bounds[segment, 0] + offset
        take = min(bounds[segment, 1] - low, size - filled)
        sx, sy, sz = shifts[segment, 0], shifts[segment, 1], shifts[segment, 2]
        for j in range(take):
            buffer[0, filled + j] = x[low + j] + sx
            buffer[1, filled + j] = y[low + j] + sy
            buffer[2, filled + j] = z[low + j] + sz
            index[filled + j] = low + j
        filled += take
        if low + take < bounds[segment, 1]:
            return filled, segment, offset + take
        segment += 1
        offset = 0
    return filled, segment, 0

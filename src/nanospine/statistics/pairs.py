"""Counting pairs by distance: exact, without a list of pairs, on as many threads as one likes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.statistics.cells import (
    CellPair,
    Grid,
    fill,
    in_threads,
    segments,
    sorted_into_cells,
    thread_count,
)  # fmt: skip

__all__ = [
    "BLOCK",
    "RadiusBins",
    "box_translation_sums",
    "over_chunks",
    "pair_counts",
    "radius_bin",
    "radius_bins",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
UInt32Array = npt.NDArray[np.uint32]

# Points of a neighbourhood that are handled at once: what belongs to them stays in the first cache.
BLOCK = 1024
# Cells of the table that turns a squared distance into a radius bin.
_TABLE = 4096
# Points of a part of the work, and fewest and most parts. Their number hangs on that of the points
# alone, so that sums do not depend on the number of threads; the last part of a thread should be
# short, as the others wait for it.
_CHUNK_POINTS, _CHUNKS = 4_000, (4, 128)
# Points that the vector loop takes at a time (eight doubles, four times unrolled).
LANE = 32


class RadiusBins(NamedTuple):
    """Ascending radii as bins of the squared distance.

    Bin b holds the pairs with `radii[b - 1] < d <= radii[b]`, the last one those beyond. The
    comparison is d² <= r² in float64, whatever the radii are: a table over d² says where to begin.
    """

    squares: FloatArray
    scale: float
    table: UInt32Array


def radius_bins(radii_nm: FloatArray) -> RadiusBins:
    """Prepare ascending radii for the kernels."""
    squares = np.concatenate([radii_nm**2, [np.inf]])
    largest = float(squares[-2])
    scale = (_TABLE - 2) / largest if largest > 0 else 0.0
    if not np.isfinite(scale):
        scale = 0.0
    places = np.minimum(squares[:-1] * scale, _TABLE - 1).astype(np.int64)
    table = np.searchsorted(places, np.arange(_TABLE), side="left").astype(np.uint32)
    return RadiusBins(squares, scale, table)


@njit(cache=True, nogil=True, error_model="numpy")
def radius_bin(bins: RadiusBins, square: float) -> int:
    """Give the bin of a squared distance."""
    found = bins.table[np.uint32(min(square * bins.scale, float(_TABLE - 1)))]
    while square > bins.squares[found]:
        found += np.uint32(1)
    return found


def over_chunks(
    cells: CellPair, work: Callable[[int, int], npt.NDArray[Any]], threads: int | None
) -> npt.NDArray[Any]:
    """Add up `work(first cell, last cell + 1)` over all cells, in the same order every time."""
    wanted = int(np.clip(len(cells.rows) // _CHUNK_POINTS, *_CHUNKS))
    chunks = cells.chunks(wanted)
    parts = in_threads(lambda k: work(*chunks[k]), len(chunks), thread_count(threads))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def pair_counts(
    points_nm: FloatArray,
    radii_nm: FloatArray,
    *,
    other_nm: FloatArray | None = None,
    period_nm: FloatArray | None = None,
    threads: int | None = None,
) -> IntArray:
    """Count ordered pairs at most each radius apart.

    Parameters
    ----------
    points_nm : ndarray, shape (n, 2) or (n, 3)
        Positions, nanometres.
    radii_nm : ndarray, shape (m,)
        Ascending radii, nanometres; any spacing.
    other_nm : ndarray, optional
        Second pattern: pairs (a, b) with a of the first and b of the second, also at distance 0.
        Without it the pairs i != j of one pattern, each twice.
    period_nm : ndarray, shape (2, d), optional
        Corners of a periodic box; the radii must be below half its shortest side.
    threads : int, optional
        Default: NUMBA_NUM_THREADS.

    Returns
    -------
    ndarray of int64, shape (m,)
        `sum_ij 1{|x_i - x_j| <= r}`, exact.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    >>> pair_counts(points, np.array([3.0, 4.0, 5.0])).tolist()
    [2, 4, 6]
    """
    if len(points_nm) == 0 or (other_nm is not None and len(other_nm) == 0):
        return np.zeros(len(radii_nm), dtype=np.int64)
    cells = sorted_into_cells(
        points_nm, float(radii_nm[-1]), other=other_nm, box=period_nm, threads=threads
    )
    bins = radius_bins(radii_nm)

    def work(low: int, high: int) -> IntArray:
        out = np.zeros(len(bins.squares), dtype=np.int64)
        _count(cells.grid, low, high, bins, out)
        return out

    total = over_chunks(cells, work, threads)
    counts: IntArray = np.cumsum(total[:-1]).astype(np.int64)
    return counts * 2 if cells.grid.half else counts


def box_translation_sums(
    points_nm: FloatArray,
    radii_nm: FloatArray,
    sides_nm: FloatArray,
    *,
    other_nm: FloatArray | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Sum `1 / prod(L_k - |h_k|)` over ordered pairs at most each radius apart, in a box.

    `sides_nm` are the edge lengths L; the product is the set covariance of the box at the
    displacement h of the pair. Radii must be below the shortest side.
    """
    if len(points_nm) == 0 or (other_nm is not None and len(other_nm) == 0):
        return np.zeros(len(radii_nm))
    cells = sorted_into_cells(points_nm, float(radii_nm[-1]), other=other_nm, threads=threads)
    bins = radius_bins(radii_nm)
    sides = np.ones(3)
    sides[: len(sides_nm)] = sides_nm

    def work(low: int, high: int) -> FloatArray:
        out = np.zeros(len(bins.squares))
        _translate(cells.grid, low, high, bins, sides, out)
        return out

    total = over_chunks(cells, work, threads)
    sums: FloatArray = np.cumsum(total[:-1])
    return sums * 2 if cells.grid.half else sums


@njit(cache=True, nogil=True, error_model="numpy")
def _squares(
    x: FloatArray,
    y: FloatArray,
    z: FloatArray,
    px: float,
    py: float,
    pz: float,
    scale: float,
    squares: FloatArray,
    places: UInt32Array,
) -> None:
    # Whole slices and nothing else in the loop: only so does it become vector instructions.
    top = float(_TABLE - 1)
    for j in range(x.size):
        dx = x[j] - px
        dy = y[j] - py
        dz = z[j] - pz
        square = dx * dx + dy * dy + dz * dz
        squares[j] = square
        places[j] = np.int32(min(square * scale, top))


@njit(cache=True, nogil=True, error_model="numpy")
def _count(grid: Grid, low: int, high: int, bins: RadiusBins, out: IntArray) -> None:
    bounds = np.empty((3 * grid.runs.shape[0], 2), dtype=np.int64)
    shifts = np.empty((3 * grid.runs.shape[0], 3))
    buffer = np.zeros((3, BLOCK + LANE))
    index = np.empty(BLOCK, dtype=np.int64)
    squares = np.empty(BLOCK + LANE)
    places = np.empty(BLOCK + LANE, dtype=np.uint32)
    # Eight histograms side by side: a pair does not wait for the increment of the one before.
    lanes = np.zeros(8 * bins.squares.size, dtype=np.int64)
    for cell in range(low, high):
        first, last = grid.start[cell], grid.start[cell + 1]
        if first == last:
            continue
        count = segments(grid, cell, bounds, shifts)
        segment, offset, done = 0, 0, 0
        while segment < count:
            n, segment, offset = fill(grid, bounds, shifts, count, segment, offset, buffer, index)
            for i in range(first, last):
                # The own run comes first: a point pairs with those behind it.
                skip = max(i + 1 - first - done, 0) if grid.half else 0
                if skip >= n:
                    continue
                # Up to a whole vector, with what happens to lie there: no tail one by one.
                part = slice(skip, skip + (n - skip + LANE - 1) // LANE * LANE)
                _squares(
                    buffer[0, part], buffer[1, part], buffer[2, part], grid.ax[i], grid.ay[i],
                    grid.az[i], bins.scale, squares[part], places[part],
                )  # fmt: skip
                for j in range(skip, n):
                    # Unsigned: a signed index is looked at for being negative.
                    found = bins.table[places[j]]
                    square = squares[j]
                    while square > bins.squares[found]:
                        found += np.uint32(1)
                    lanes[np.uint64(8) * found + np.uint64(j & 7)] += 1
            done += n
    for found in range(bins.squares.size):
        for lane in range(8):
            out[found] += lanes[8 * found + lane]


@njit(cache=True, nogil=True, error_model="numpy")
def _box_weights(
    x: FloatArray,
    y: FloatArray,
    z: FloatArray,
    px: float,
    py: float,
    pz: float,
    ix: float,
    iy: float,
    iz: float,
    weights: FloatArray,
) -> None:
    for j in range(x.size):
        weights[j] = 1.0 / (
            (1.0 - abs(x[j] - px) * ix) * (1.0 - abs(y[j] - py) * iy) * (1.0 - abs(z[j] - pz) * iz)
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _translate(
    grid: Grid, low: int, high: int, bins: RadiusBins, sides: FloatArray, out: FloatArray
) -> None:
    bounds = np.empty((3 * grid.runs.shape[0], 2), dtype=np.int64)
    shifts = np.empty((3 * grid.runs.shape[0], 3))
    buffer = np.zeros((3, BLOCK + LANE))
    index = np.empty(BLOCK, dtype=np.int64)
    squares, weights = np.empty(BLOCK + LANE), np.empty(BLOCK + LANE)
    places = np.empty(BLOCK + LANE, dtype=np.uint32)
    lanes = np.zeros(8 * bins.squares.size)
    ix, iy, iz = 1.0 / sides[0], 1.0 / sides[1], 1.0 / sides[2]
    for cell in range(low, high):
        first, last = grid.start[cell], grid.start[cell + 1]
        if first == last:
            continue
        count = segments(grid, cell, bounds, shifts)
        segment, offset, done = 0, 0, 0
        while segment < count:
            n, segment, offset = fill(grid, bounds, shifts, count, segment, offset, buffer, index)
            for i in range(first, last):
                skip = max(i + 1 - first - done, 0) if grid.half else 0
                if skip >= n:
                    continue
                part = slice(skip, skip + (n - skip + LANE - 1) // LANE * LANE)
                x, y, z = buffer[0, part], buffer[1, part], buffer[2, part]
                px, py, pz = grid.ax[i], grid.ay[i], grid.az[i]
                _squares(x, y, z, px, py, pz, bins.scale, squares[part], places[part])
                _box_weights(x, y, z, px, py, pz, ix, iy, iz, weights[part])
                for j in range(skip, n):
                    found = bins.table[places[j]]
                    square = squares[j]
                    while square > bins.squares[found]:
                        found += np.uint32(1)
                    lanes[np.uint64(8) * found + np.uint64(j & 7)] += weights[j]
            done += n
    for found in range(bins.squares.size):
        for lane in range(8):
            out[found] += lanes[8 * found + lane] * ix * iy * iz

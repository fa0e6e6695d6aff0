"""Weighted sums over pairs by distance: one kernel for border, and for every set covariance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.statistics.cells import Grid, fill, segments, sorted_into_cells
from nanospine.statistics.covariance_tables import covariance
from nanospine.statistics.pairs import BLOCK, RadiusBins, over_chunks, radius_bin, radius_bins

__all__ = ["BORDER", "PairWeights", "pair_sums"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Numbers of the weights, beside those of `covariance_tables`.
PLAIN = 0
BORDER = -1


@dataclass(frozen=True, eq=False)
class PairWeights:
    """What a pair counts for, beside the product of what its two points count for.

    Attributes
    ----------
    mode : int
        0 for 1; -1 for border (see `limits`); else a table of the set covariance, by which the
        pair is divided.
    params, table : ndarray
        What the table needs.
    limits, other_limits : ndarray of int64
        Border: last radius (its index) at which the point is still as far from the boundary.
    """

    mode: int = PLAIN
    params: FloatArray = field(default_factory=lambda: np.zeros(8), repr=False)
    table: FloatArray = field(default_factory=lambda: np.zeros((1, 1, 1)), repr=False)
    limits: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)
    other_limits: IntArray | None = field(default=None, repr=False)


def pair_sums(
    points_nm: FloatArray,
    radii_nm: FloatArray,
    weights: PairWeights,
    *,
    marks: FloatArray | None = None,
    other_nm: FloatArray | None = None,
    other_marks: FloatArray | None = None,
    period_nm: FloatArray | None = None,
    local: bool = False,
    powers: tuple[int, ...] = (0,),
    threads: int | None = None,
) -> FloatArray:
    """Sum `u_i v_j d^p / gamma(h_ij)` over ordered pairs at most each radius apart.

    Parameters
    ----------
    points_nm, other_nm : ndarray, shape (n, d)
        As for :func:`~nanospine.statistics.pairs.pair_counts`.
    radii_nm : ndarray, shape (m,)
        Ascending radii.
    weights : PairWeights
        gamma, or border.
    marks, other_marks : ndarray, shape (n,)
        u and v, default 1.
    local : bool
        A sum for each point instead of one.
    powers : tuple of int
        Powers p of the distance, one after the other. With a negative one pairs at distance 0
        are left out.

    Returns
    -------
    ndarray, shape (n or 1, len(powers), m)
    """
    rows = len(points_nm) if local else 1
    if len(points_nm) == 0 or (other_nm is not None and len(other_nm) == 0):
        return np.zeros((rows, len(powers), len(radii_nm)))
    cells = sorted_into_cells(
        points_nm,
        float(radii_nm[-1]),
        other=other_nm,
        half=not local,
        box=period_nm,
        threads=threads,
    )
    bins = radius_bins(radii_nm)
    u = _sorted(marks, cells.rows)
    v = u if other_nm is None else _sorted(other_marks, cells.other_rows)
    none = np.zeros(0, dtype=np.int64)
    limits = weights.limits[cells.rows] if weights.mode == BORDER else none

    def work(low: int, high: int) -> FloatArray:
        first = int(cells.grid.start[low]) if local else 0
        held = int(cells.grid.start[high]) - first if local else 1
        out = np.zeros((held, len(powers), len(bins.squares) + 1))
        _sum(
            cells.grid, low, high, bins, weights.mode, weights.params, weights.table, u, v,
            limits, local, first, int(powers[0]), out,
        )  # fmt: skip
        if not local:
            return out
        whole = np.zeros((rows, len(powers), len(bins.squares) + 1))
        whole[cells.rows[first : first + held]] = out
        return whole

    total = over_chunks(cells, work, threads)
    sums: FloatArray = np.cumsum(total[:, :, : len(radii_nm)], axis=2)
    return sums * 2 if cells.grid.half and weights.mode != BORDER else sums


def _sorted(marks: FloatArray | None, rows: IntArray) -> FloatArray:
    return np.ones(len(rows)) if marks is None else np.ascontiguousarray(marks[rows])


@njit(cache=True, nogil=True, error_model="numpy")
def _sum(
    grid: Grid,
    low: int,
    high: int,
    bins: RadiusBins,
    mode: int,
    params: FloatArray,
    gamma: FloatArray,
    u: FloatArray,
    v: FloatArray,
    limits: IntArray,
    local: bool,
    row_shift: int,
    power: int,
    out: FloatArray,
) -> None:
    half = grid.half
    bounds = np.empty((3 * grid.runs.shape[0], 2), dtype=np.int64)
    shifts = np.empty((3 * grid.runs.shape[0], 3))
    buffer = np.empty((3, BLOCK))
    index = np.empty(BLOCK, dtype=np.int64)
    for cell in range(low, high):
        first, last = grid.start[cell], grid.start[cell + 1]
        if first == last:
            continue
        count = segments(grid, cell, bounds, shifts)
        segment, offset = 0, 0
        while segment < count:
            n, segment, offset = fill(grid, bounds, shifts, count, segment, offset, buffer, index)
            for i in range(first, last):
                row = i - row_shift if local else 0
                for k in range(n):
                    dx = buffer[0, k] - grid.ax[i]
                    dy = buffer[1, k] - grid.ay[i]
                    dz = buffer[2, k] - grid.az[i]
                    square = dx * dx + dy * dy + dz * dz
                    found = radius_bin(bins, square)
                    if found == bins.squares.size - 1:
                        continue
                    j = index[k]
                    if half:
                        if j <= i and j >= first:
                            continue
                    elif grid.one and j == i:
                        continue
                    weight = u[i] * v[j]
                    if mode == BORDER:
                        _border(out, row, found, limits[i], weight)
                        if half:
                            _border(out, row, found, limits[j], weight)
                        continue
                    distance = np.sqrt(square)
                    if mode != PLAIN:
                        weight /= covariance(mode, dx, dy, dz, distance, params, gamma)
                    if power != 0:
                        if power < 0 and distance == 0.0:
                            continue
                        weight *= distance**power
                    for moment in range(out.shape[1]):
                        out[row, moment, found] += weight
                        weight *= distance


@njit(cache=True, nogil=True)
def _border(out: FloatArray, row: int, found: int, limit: int, weight: float) -> None:
    # From the first radius that holds the pair to the last at which its point is deep enough.
    if found <= limit:
        out[row, 0, found] += weight
        out[row, 0, limit + 1] -= weight

"""How dense points are around each point: kernel estimate with edge correction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Box, Region
from nanospine.statistics.cells import Grid, fill, segments, sorted_into_cells
from nanospine.statistics.pairs import BLOCK, over_chunks
from nanospine.statistics.patterns import Points, pattern, shared_region

__all__ = ["kernel_intensity"]

FloatArray = npt.NDArray[np.float64]

# Where the Gaussian is cut, in bandwidths (4e-4 of its mass is beyond in 2-D), and displacements
# that stand for it where its mass inside a region has no closed form.
_CUT = 4.0
_SAMPLES = 512


def kernel_intensity(
    points: Points,
    bandwidth_nm: float,
    *,
    region: Region | None = None,
    other: Points | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Estimate the intensity at each point from the points around it, itself left out.

    `lambda(x_i) = sum_{j != i} k(x_i - x_j) / e(x_i)` with a Gaussian k of standard deviation
    `bandwidth_nm` and its mass e inside the region. To be given as `intensity` to
    :func:`nanospine.ripley_k`; the bandwidth must be well above the distances of interest, or
    the clustering itself becomes the intensity.

    Parameters
    ----------
    points : Localizations or array_like
        Points whose intensity is asked for, nanometres.
    bandwidth_nm : float
        Standard deviation of the kernel, nanometres.
    region : Region, optional
        As for :func:`nanospine.ripley_k`.
    other : Localizations or array_like, optional
        Estimate the intensity of these at the positions of `points`, none left out.
    threads : int, optional
        Default: NUMBA_NUM_THREADS.

    Returns
    -------
    ndarray, shape (n,)
        Points per nm² or nm³; NaN for points outside the region. A point that is alone within
        four bandwidths gets the smallest intensity a single neighbour at that distance gives.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine import Box
    >>> points = np.random.default_rng(1).uniform(0, 1000, (5000, 2))
    >>> estimate = kernel_intensity(points, 100, region=Box((0, 0), (1000, 1000)))
    >>> bool(abs(estimate.mean() / 0.005 - 1) < 0.03)
    True
    """
    if not (np.isfinite(bandwidth_nm) and bandwidth_nm > 0):
        raise ConfigError(f"bandwidth_nm: a width above 0 nm was expected, found {bandwidth_nm}.")
    if other is None:
        a = pattern(points, region, least=2)
        there = None
    else:
        region = shared_region(points, other, region)
        a = pattern(points, region)
        there = pattern(other, region, name="other").points_nm
    if a.region.size <= 0:
        raise GeometryError(
            "region: the points lie on one line, plane or place, and their bounding box has no "
            "size; say where they could have been seen: region=..."
        )
    dimension = a.region.dimension
    cells = sorted_into_cells(
        a.points_nm, _CUT * bandwidth_nm, other=there, half=False, threads=threads
    )
    rows = len(a)

    def work(low: int, high: int) -> FloatArray:
        first, last = int(cells.grid.start[low]), int(cells.grid.start[high])
        out = np.zeros(last - first)
        _smooth(cells.grid, low, high, 0.5 / bandwidth_nm**2, (_CUT * bandwidth_nm) ** 2, out)
        whole = np.zeros(rows)
        whole[cells.rows[first:last]] = out
        return whole

    lowest = float(np.exp(-0.5 * _CUT**2))
    sums = np.maximum(over_chunks(cells, work, threads), lowest)
    peak = (2 * np.pi * bandwidth_nm**2) ** (-dimension / 2)
    values = np.full(len(points), np.nan)  # type: ignore[arg-type]
    values[a.rows] = sums * peak / _mass_inside(a.region, a.points_nm, bandwidth_nm)
    return values


def _mass_inside(region: Region, points: FloatArray, bandwidth: float) -> FloatArray:
    from scipy.special import ndtr, ndtri

    if isinstance(region, Box):
        upper = ndtr((region.high_nm - points) / bandwidth)
        mass: FloatArray = (upper - ndtr((region.low_nm - points) / bandwidth)).prod(axis=1)
        return mass
    # Low-discrepancy normal displacements, the same for every point.
    share = np.arange(1, _SAMPLES + 1)[:, None] * np.array([0.7548776662, 0.5698402910, 0.4140559])
    moves = bandwidth * ndtri((share + 0.5) % 1.0)[:, : points.shape[1]]
    values = np.ones(len(points))
    near = np.flatnonzero(region.distance_to_boundary_nm(points) < _CUT * bandwidth)
    for begin in range(0, len(near), 2000):
        rows = near[begin : begin + 2000]
        there = (points[rows, None] + moves).reshape(-1, points.shape[1])
        values[rows] = region.contains(there).reshape(len(rows), -1).mean(axis=1)
    return np.maximum(values, 1.0 / _SAMPLES)


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth(grid: Grid, low: int, high: int, scale: float, limit: float, out: FloatArray) -> None:
    bounds = np.empty((3 * grid.runs.shape[0], 2), dtype=np.int64)
    shifts = np.empty((3 * grid.runs.shape[0], 3))
    buffer = np.empty((3, BLOCK))
    index = np.empty(BLOCK, dtype=np.int64)
    begin = grid.start[low]
    for cell in range(low, high):
        if grid.start[cell] == grid.start[cell + 1]:
            continue
        count = segments(grid, cell, bounds, shifts)
        segment, offset = 0, 0
        while segment < count:
            n, segment, offset = fill(grid, bounds, shifts, count, segment, offset, buffer, index)
            for i in range(grid.start[cell], grid.start[cell + 1]):
                for k in range(n):
                    dx = buffer[0, k] - grid.ax[i]
                    dy = buffer[1, k] - grid.ay[i]
                    dz = buffer[2, k] - grid.az[i]
                    square = dx * dx + dy * dy + dz * dz
                    if square <= limit and not (grid.one and index[k] == i):
                        out[i - begin] += np.exp(-square * scale)

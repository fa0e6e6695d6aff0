"""Set covariance of windows: `gamma(h) = |W ∩ (W + h)|`, exact in the plane and for voxels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.region import Mask

__all__ = ["mask_table", "polar_table", "polygon_covariance"]

FloatArray = npt.NDArray[np.float64]

# Directions and steps of the table of a polygon to begin with, how often they are doubled at most,
# the error of the table as a share of the area that ends it, and edges times places that end it.
_DIRECTIONS, _STEPS, _DOUBLINGS, _TOLERANCE, _WORK = 129, 65, 3, 2e-5, 1e7


def polygon_covariance(edges: FloatArray, shifts_nm: FloatArray) -> FloatArray:
    """Give the area that a polygon shares with itself moved, exact, shape (n,).

    The polygon is the signed sum of what lies below its edges, so the area is the sum over pairs
    of edges of `int min(y_e(x), y_f(x - h_x) + h_y) dx` where both are above the same x.

    Parameters
    ----------
    edges : ndarray, shape (e, 2, 2)
        Directed, the inside to the left; holes included.
    shifts_nm : ndarray, shape (n, 2)
        Displacements h.
    """
    middle = (edges.min(axis=(0, 1)) + edges.max(axis=(0, 1))) / 2
    steep = edges[:, 0, 0] == edges[:, 1, 0]
    ends = edges[~steep] - middle
    sign = np.where(ends[:, 0, 0] > ends[:, 1, 0], 1.0, -1.0)
    ends = np.where((sign > 0)[:, None, None], ends[:, ::-1], ends)
    order = np.argsort(ends[:, 0, 0], kind="stable")
    ends, sign = np.ascontiguousarray(ends[order]), sign[order]
    out = np.empty(len(shifts_nm))
    widest = float((ends[:, 1, 0] - ends[:, 0, 0]).max())
    _polygon_covariance(ends, sign, widest, np.ascontiguousarray(shifts_nm), out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _polygon_covariance(
    ends: FloatArray, sign: FloatArray, widest: float, shifts: FloatArray, out: FloatArray
) -> None:
    left = ends[:, 0, 0].copy()
    for k in range(shifts.shape[0]):
        hx, hy = shifts[k, 0], shifts[k, 1]
        total = 0.0
        for e in range(sign.size):
            x0, y0, x1, y1 = ends[e, 0, 0], ends[e, 0, 1], ends[e, 1, 0], ends[e, 1, 1]
            slope = (y1 - y0) / (x1 - x0)
            f = np.searchsorted(left, x0 - hx - widest)
            while f < sign.size and left[f] + hx < x1:
                low = max(x0, left[f] + hx)
                high = min(x1, ends[f, 1, 0] + hx)
                if high > low:
                    other = (ends[f, 1, 1] - ends[f, 0, 1]) / (ends[f, 1, 0] - ends[f, 0, 0])
                    a = (
                        y0
                        + slope * (low - x0)
                        - (ends[f, 0, 1] + hy + other * (low - left[f] - hx))
                    )
                    b = a + (slope - other) * (high - low)
                    # The integral of what one edge is above the other; the rest cancels, as
                    # above every x there are as many edges of one sign as of the other.
                    if a > 0.0 and b > 0.0:
                        above = 0.5 * (a + b)
                    elif a > 0.0 or b > 0.0:
                        over = max(a, b)
                        above = 0.5 * over * over / abs(a - b)
                    else:
                        above = 0.0
                    total -= sign[e] * sign[f] * above * (high - low)
                f += 1
        out[k] = max(total, 0.0)


def polar_table(edges: FloatArray, area: float, radius_nm: float) -> FloatArray:
    """Tabulate the set covariance of a polygon by direction and distance, shape (1, k, m).

    Directions have `dx / (|dx| + |dy|)` in equal steps from 1 to -1. Refined until the table is
    right to 2e-5 of the area at places between its own, or about a second has gone by.
    """
    generator = np.random.default_rng(0)
    place = generator.random(512)
    step = generator.random(512)
    directions, steps = _DIRECTIONS, _STEPS
    exact = polygon_covariance(edges, _direction(1 - 2 * place) * (step * radius_nm)[:, None])
    for attempt in range(_DOUBLINGS + 1):
        along = _direction(np.linspace(1, -1, directions))
        far = np.linspace(0, radius_nm, steps)
        shifts = along[:, None, :] * far[:, None]
        table = polygon_covariance(edges, shifts.reshape(-1, 2)).reshape(directions, steps)
        if attempt == _DOUBLINGS or 4 * table.size * len(edges) > _WORK:
            break
        error = np.abs(_bilinear(table, place, step) - exact).max()
        if error <= _TOLERANCE * area:
            break
        directions, steps = 2 * directions - 1, 2 * steps - 1
    return np.ascontiguousarray(table[None])


def _direction(x: FloatArray) -> FloatArray:
    vector = np.stack([x, 1 - np.abs(x)], axis=1)
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def _bilinear(table: FloatArray, place: FloatArray, step: FloatArray) -> FloatArray:
    u, v = place * (table.shape[0] - 1), step * (table.shape[1] - 1)
    i, j = u.astype(int), v.astype(int)
    fu, fv = u - i, v - j
    near = table[i, j] * (1 - fv) + table[i, j + 1] * fv
    far = table[i + 1, j] * (1 - fv) + table[i + 1, j + 1] * fv
    return np.asarray(near * (1 - fu) + far * fu)


def mask_table(region: Mask, radius_nm: float) -> tuple[FloatArray, FloatArray]:
    """Correlate a voxel mask with itself; give the table (z >= 0) and its parameters.

    Between whole voxels the set covariance of a union of voxels is linear along each axis, so
    linear interpolation of the table is exact.
    """
    from scipy.fft import irfftn, next_fast_len, rfftn

    data = region.data
    held = np.argwhere(data)
    low, high = held.min(axis=0), held.max(axis=0) + 1
    data = data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float64)
    lags = [
        min(int(np.ceil(radius_nm / size)) + 1, count)
        for size, count in zip(region.voxel_nm, data.shape, strict=True)
    ]
    shape = [next_fast_len(n + lag, real=True) for n, lag in zip(data.shape, lags, strict=True)]
    spectrum = rfftn(data, shape)
    counts = np.rint(irfftn(spectrum * np.conj(spectrum), shape))
    for axis, lag in enumerate(lags):
        places = np.arange(0 if axis == 0 and data.ndim == 3 else -lag, lag + 1)
        counts = np.take(counts, places, axis=axis, mode="wrap")
    if data.ndim == 2:
        counts = counts[None]
    sizes = region.voxel_nm[::-1]
    params = np.ones(8)
    params[: len(sizes)] = sizes
    params[3:5] = lags[-1], lags[-2]
    return np.ascontiguousarray(counts * np.prod(region.voxel_nm)), params

"""The set covariance of a window, `gamma(h) = |W ∩ (W + h)|`, read from a table inside a kernel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["BOX", "GRID", "OCTAHEDRON", "POLAR", "RADIAL", "covariance", "sampled"]

FloatArray = npt.NDArray[np.float64]

# How a table is laid out.
BOX = 1
POLAR = 2
GRID = 3
OCTAHEDRON = 4
RADIAL = 5


@njit(cache=True, nogil=True, error_model="numpy")
def covariance(
    mode: int, dx: float, dy: float, dz: float, distance: float, params: FloatArray,
    table: FloatArray,
) -> float:  # fmt: skip
    """Give the set covariance at a displacement.

    BOX: `params` are the edge lengths. POLAR: `table[0, direction, step]` in the plane, times the
    height `params[1] - |dz|`; `params[0]` is steps per nm. GRID: `table[z, y, x]` of the half
    space, exact for voxels; `params` hold nm per cell and the place of the zero. OCTAHEDRON:
    `table[u, v, step]` over half the sphere. RADIAL: `table[0, 0, step]`.
    """
    if mode == BOX:
        shared = max(params[0] - abs(dx), 0.0) * max(params[1] - abs(dy), 0.0)
        return shared * max(params[2] - abs(dz), 0.0)
    if mode == POLAR:
        return _polar(dx, dy, params, table) * max(params[1] - abs(dz), 0.0)
    if mode == GRID:
        return _grid(dx, dy, dz, params, table)
    if mode == OCTAHEDRON:
        return _octahedron(dx, dy, dz, distance, params, table)
    return _between(table[0, 0], distance * params[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _between(values: FloatArray, place: float) -> float:
    low = min(int(place), values.size - 2)
    share = min(place - low, 1.0)
    return values[low] * (1.0 - share) + values[low + 1] * share


@njit(cache=True, nogil=True, error_model="numpy")
def _polar(dx: float, dy: float, params: FloatArray, table: FloatArray) -> float:
    if dy < 0.0:
        dx, dy = -dx, -dy
    total = abs(dx) + dy
    if total == 0.0:
        return table[0, 0, 0]
    # dx / (|dx| + dy) runs from 1 to -1 over the half circle without a single angle.
    place = (1.0 - dx / total) * 0.5 * (table.shape[1] - 1)
    low = min(int(place), table.shape[1] - 2)
    share = place - low
    step = np.sqrt(dx * dx + dy * dy) * params[0]
    return _between(table[0, low], step) * (1.0 - share) + _between(table[0, low + 1], step) * share


@njit(cache=True, nogil=True, error_model="numpy")
def _grid(dx: float, dy: float, dz: float, params: FloatArray, table: FloatArray) -> float:
    # gamma(-h) = gamma(h): the table holds z >= 0 (in 2-D one layer, and all of y).
    if dz < 0.0:
        dx, dy, dz = -dx, -dy, -dz
    px = min(max(dx / params[0] + params[3], 0.0), table.shape[2] - 1.0)
    py = min(max(dy / params[1] + params[4], 0.0), table.shape[1] - 1.0)
    pz = min(dz / params[2], table.shape[0] - 1.0)
    ix = min(int(px), table.shape[2] - 2)
    iy = min(int(py), table.shape[1] - 2)
    iz = min(int(pz), max(table.shape[0] - 2, 0))
    fx, fy, fz = px - ix, py - iy, pz - iz
    total = 0.0
    for kz in range(min(2, table.shape[0])):
        wz = fz if kz == 1 else 1.0 - fz
        for ky in range(2):
            wy = fy if ky == 1 else 1.0 - fy
            row = table[iz + kz, iy + ky]
            total += wz * wy * (row[ix] * (1.0 - fx) + row[ix + 1] * fx)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _octahedron(
    dx: float, dy: float, dz: float, distance: float, params: FloatArray, table: FloatArray
) -> float:
    if dz < 0.0:
        dx, dy, dz = -dx, -dy, -dz
    total = abs(dx) + abs(dy) + dz
    if total == 0.0:
        return table[0, 0, 0]
    # The upper half of the octahedron, turned by 45 degrees, fills a square.
    u = ((dx + dy) / total + 1.0) * 0.5 * (table.shape[0] - 1)
    v = ((dx - dy) / total + 1.0) * 0.5 * (table.shape[1] - 1)
    iu = min(int(u), table.shape[0] - 2)
    iv = min(int(v), table.shape[1] - 2)
    fu, fv = u - iu, v - iv
    step = distance * params[0]
    near = _between(table[iu, iv], step) * (1 - fv) + _between(table[iu, iv + 1], step) * fv
    far = _between(table[iu + 1, iv], step) * (1 - fv) + _between(table[iu + 1, iv + 1], step) * fv
    return near * (1 - fu) + far * fu


def sampled(
    mode: int, params: FloatArray, table: FloatArray, dimension: int, radius_nm: float,
    directions: int, steps: int,
) -> FloatArray:  # fmt: skip
    """Read a table along evenly spread directions up to a radius, shape (directions, steps)."""
    place = np.arange(directions) + 0.5
    if dimension == 2:
        angle = np.pi * place / directions
        units = np.stack([np.cos(angle), np.sin(angle), np.zeros(directions)], axis=1)
    else:
        z = place / directions
        angle = place * np.pi * (3 - np.sqrt(5))
        ring = np.sqrt(1 - z**2)
        units = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    out = np.empty((directions, steps))
    _sampled(mode, params, table, units, np.linspace(0, radius_nm, steps), out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _sampled(
    mode: int, params: FloatArray, table: FloatArray, units: FloatArray, far: FloatArray,
    out: FloatArray,
) -> None:  # fmt: skip
    for k in range(units.shape[0]):
        for m in range(far.size):
            x, y, z = units[k, 0] * far[m], units[k, 1] * far[m], units[k, 2] * far[m]
            out[k, m] = covariance(mode, x, y, z, far[m], params, table)

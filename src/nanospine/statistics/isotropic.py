"""Sums over pairs with Ripley's isotropic weights, exact along flat boundaries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.region import Mask, MeshRegion, Region
from nanospine.statistics.boundaries import Pieces
from nanospine.statistics.cells import Grid, fill, segments, sorted_into_cells
from nanospine.statistics.fractions import circle_share, near_pieces, sphere_share
from nanospine.statistics.pairs import BLOCK, RadiusBins, over_chunks, radius_bin, radius_bins

__all__ = ["isotropic_sums"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A pair in a sharp corner must not rule the sum: no weight is above this (R's spatstat does so).
_LARGEST = 100.0
# Distances at which the share is worked out for each point near a boundary of many pieces.
_NODES = 32


def isotropic_sums(
    region: Region,
    pieces: Pieces,
    points_nm: FloatArray,
    radii_nm: FloatArray,
    *,
    marks: FloatArray | None = None,
    other_nm: FloatArray | None = None,
    other_marks: FloatArray | None = None,
    local: bool = False,
    powers: tuple[int, ...] = (0,),
    threads: int | None = None,
) -> FloatArray:
    """Sum `u_i v_j d^p / share(x_i, d_ij)` over ordered pairs at most each radius apart.

    The share of the circle or sphere about x_i of radius d that lies in the region is exact for
    every pair in the plane, in boxes and prisms. In meshes and voxel masks it is exact at 32
    distances for each point nearer to the boundary than the largest radius; `d * share` is drawn
    straight between them (which is exact near a flat boundary). Parameters and result are those
    of :func:`~nanospine.statistics.pair_sums.pair_sums`.
    """
    rows = len(points_nm) if local else 1
    if len(points_nm) == 0 or (other_nm is not None and len(other_nm) == 0):
        return np.zeros((rows, len(powers), len(radii_nm)))
    largest = float(radii_nm[-1])
    cells = sorted_into_cells(points_nm, largest, other=other_nm, half=False, threads=threads)
    bins = radius_bins(radii_nm)
    depth = region.distance_to_boundary_nm(points_nm)[cells.rows]
    u = np.ones(len(points_nm)) if marks is None else np.ascontiguousarray(marks[cells.rows])
    if other_nm is None:
        v = u
    elif other_marks is None:
        v = np.ones(len(other_nm))
    else:
        v = np.ascontiguousarray(other_marks[cells.other_rows])
    nodes = _NODES if isinstance(region, Mask | MeshRegion) and region.dimension == 3 else 0

    def work(low: int, high: int) -> FloatArray:
        first, last = int(cells.grid.start[low]), int(cells.grid.start[high])
        among = _among(pieces, cells.grid, first, last, largest)
        out = np.zeros((last - first if local else 1, len(powers), len(bins.squares)))
        _sum_isotropic(
            cells.grid, low, high, bins, region.dimension, pieces, among, depth, largest, nodes,
            u, v, local, first, int(powers[0]), out,
        )  # fmt: skip
        if not local:
            return out
        whole = np.zeros((rows, len(powers), len(bins.squares)))
        whole[cells.rows[first:last]] = out
        return whole

    total = over_chunks(cells, work, threads)
    sums: FloatArray = np.cumsum(total[:, :, :-1], axis=2)
    return sums


def _among(pieces: Pieces, grid: Grid, first: int, last: int, radius: float) -> IntArray:
    """Pieces that any of these points may reach."""
    if last == first:
        return np.zeros(0, dtype=np.int64)
    axes = (grid.ax[first:last], grid.ay[first:last], grid.az[first:last])
    low = np.array([axis.min() for axis in axes]) - radius
    high = np.array([axis.max() for axis in axes]) + radius
    reach = pieces.reach[:, None]
    close = ((pieces.centre + reach >= low) & (pieces.centre - reach <= high)).all(axis=1)
    return np.flatnonzero(close).astype(np.int64)


@njit(cache=True, nogil=True, error_model="numpy")
def _share(
    dimension: int, pieces: Pieces, near: IntArray, count: int, x: float, y: float, z: float,
    radius: float,
) -> float:  # fmt: skip
    if dimension == 2:
        return circle_share(pieces, near, count, x, y, radius)
    return sphere_share(pieces, near, count, x, y, z, radius)


@njit(cache=True, nogil=True, error_model="numpy")
def _tabulate(
    pieces: Pieces, near: IntArray, count: int, x: float, y: float, z: float, depth: float,
    largest: float, values: FloatArray,
) -> None:  # fmt: skip
    step = (largest - depth) / (values.size - 1)
    values[0] = depth
    for k in range(1, values.size):
        distance = depth + k * step
        values[k] = distance * sphere_share(pieces, near, count, x, y, z, distance)


@njit(cache=True, nogil=True, error_model="numpy")
def _looked_up(values: FloatArray, depth: float, largest: float, distance: float) -> float:
    place = (distance - depth) / (largest - depth) * (values.size - 1)
    low = min(int(place), values.size - 2)
    part = place - low
    return (values[low] * (1.0 - part) + values[low + 1] * part) / distance


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_isotropic(
    grid: Grid,
    low: int,
    high: int,
    bins: RadiusBins,
    dimension: int,
    pieces: Pieces,
    among: IntArray,
    depth: FloatArray,
    largest: float,
    nodes: int,
    u: FloatArray,
    v: FloatArray,
    local: bool,
    row_shift: int,
    power: int,
    out: FloatArray,
) -> None:
    bounds = np.empty((3 * grid.runs.shape[0], 2), dtype=np.int64)
    shifts = np.empty((3 * grid.runs.shape[0], 3))
    buffer = np.empty((3, BLOCK))
    index = np.empty(BLOCK, dtype=np.int64)
    near = np.empty(among.size, dtype=np.int64)
    values = np.empty(max(nodes, 2))
    beyond = bins.squares.size - 1
    for cell in range(low, high):
        if grid.start[cell] == grid.start[cell + 1]:
            continue
        total = segments(grid, cell, bounds, shifts)
        for i in range(grid.start[cell], grid.start[cell + 1]):
            x, y, z = grid.ax[i], grid.ay[i], grid.az[i]
            row = i - row_shift if local else 0
            count = 0
            if depth[i] < largest:
                count = near_pieces(pieces, x, y, z, largest, among, among.size, near)
                if nodes > 0:
                    _tabulate(pieces, near, count, x, y, z, depth[i], largest, values)
            segment, offset = 0, 0
            while segment < total:
                n, segment, offset = fill(
                    grid, bounds, shifts, total, segment, offset, buffer, index
                )
                for k in range(n):
                    dx, dy, dz = buffer[0, k] - x, buffer[1, k] - y, buffer[2, k] - z
                    square = dx * dx + dy * dy + dz * dz
                    found = radius_bin(bins, square)
                    if found == beyond or (grid.one and index[k] == i):
                        continue
                    weight = u[i] * v[index[k]]
                    distance = np.sqrt(square)
                    if distance > depth[i] and nodes > 0:
                        share = _looked_up(values, depth[i], largest, distance)
                        weight *= min(1.0 / share, _LARGEST)
                    elif distance > depth[i]:
                        share = _share(dimension, pieces, near, count, x, y, z, distance)
                        weight *= min(1.0 / share, _LARGEST)
                    if power != 0:
                        if power < 0 and distance == 0.0:
                            continue
                        weight *= distance**power
                    for moment in range(out.shape[1]):
                        out[row, moment, found] += weight
                        weight *= distance

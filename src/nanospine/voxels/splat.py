"""Localizations to voxels, compiled: counts, and Gaussians integrated over each voxel."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import erf
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import get_num_threads, njit, types
from numba.extending import intrinsic

__all__ = ["REACH", "count_points", "splat_gaussians"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Standard deviations at which a Gaussian is cut; what lies beyond (4e-6) is given to the rest.
REACH = 5.0
_BLOCK = 16  # voxels; points of a block are drawn together, so that their voxels stay in the cache
_GROUP = 8  # floats
_PER_SIGMA = 64.0  # entries of the table of the normal distribution
_TABLE_END = 6.0


def count_points(
    columns: tuple[FloatArray, FloatArray, FloatArray],
    voxel_nm: FloatArray,
    face_nm: FloatArray,
    start: IntArray,
    data: npt.NDArray[np.int32],
) -> int:
    """Add each point to its voxel; give how many lie in the grid.

    Parameters
    ----------
    columns : three ndarray, shape (n,)
        z, y and x in nanometres.
    voxel_nm, face_nm : ndarray, shape (3,)
        Edge lengths, and outer corner of voxel (0, 0, 0) of the whole frame; z, y, x.
    start : ndarray of int64, shape (3,)
        Index in the frame of the first voxel of `data`.
    data : ndarray of int32, shape (nz, ny, nx)
        Added to.
    """
    edges = np.linspace(0, data.shape[0], _threads(len(columns[0])) + 1).astype(np.int64)
    # Every thread reads all points and counts those of its own planes: no two write to one voxel.
    tasks = [
        (*columns, voxel_nm, face_nm + voxel_nm / 2, start, low, high, data)
        for low, high in itertools.pairwise(edges)
    ]
    return int(sum(_in_threads(_count, tasks)))


def splat_gaussians(
    columns: tuple[FloatArray, FloatArray, FloatArray],
    sigma_nm: FloatArray,
    voxel_nm: FloatArray,
    face_nm: FloatArray,
    frame: tuple[int, int, int],
    start: IntArray,
    data: npt.NDArray[np.float32],
) -> float:
    """Add a Gaussian of mass 1 for each point; give the mass that lies in the grid.

    Parameters
    ----------
    columns, voxel_nm, face_nm, start
        See :func:`count_points`.
    sigma_nm : ndarray, shape (n, 3) or (3,)
        Standard deviations z, y, x; the one row is that of all points. 0 puts all mass into one
        voxel.
    frame : tuple of int
        Shape of the whole frame: tiles of one frame add points in the same order and are equal to
        the last bit, wherever they are cut.
    data : ndarray of float32, shape (nz, ny, nx)
        Added to.
    """
    n = len(columns[0])
    if n == 0:
        return 0.0
    sigma = np.ascontiguousarray(np.atleast_2d(sigma_nm), dtype=np.float64)
    blocks = tuple(size // _BLOCK + 3 for size in frame)
    order, planes = _ordered(*columns, voxel_nm, face_nm, *blocks, start[0], data.shape[0])
    edges = _fair_edges(planes, _threads(n))
    tasks = [
        (*columns, sigma, voxel_nm, face_nm, order, _table(), start, low, high, data)
        for low, high in itertools.pairwise(edges)
    ]
    return float(sum(_in_threads(_splat, tasks)))


def _threads(n: int) -> int:
    return int(get_num_threads()) if n > 20_000 else 1


def _in_threads(function: Callable[..., float], tasks: list[tuple[Any, ...]]) -> list[float]:
    if len(tasks) == 1:
        return [function(*tasks[0])]
    with ThreadPoolExecutor(len(tasks)) as pool:
        return [job.result() for job in [pool.submit(function, *task) for task in tasks]]


def _fair_edges(planes: IntArray, parts: int) -> IntArray:
    """Cut planes into slabs with about the same number of points."""
    total = np.cumsum(planes + 1)
    inner = np.searchsorted(total, total[-1] * np.arange(1, parts) / parts)
    return np.concatenate([[0], inner, [len(planes)]]).astype(np.int64)


@cache
def _table() -> FloatArray:
    """Cubics through the normal distribution and its density, shape (k, 4); 1e-10 off at most."""
    at = np.arange(-_TABLE_END, _TABLE_END + 2 / _PER_SIGMA, 1 / _PER_SIGMA)
    value = np.array([0.5 * (1.0 + erf(t / np.sqrt(2.0))) for t in at])
    slope = np.exp(-0.5 * at * at) / np.sqrt(2.0 * np.pi) / _PER_SIGMA
    rise, a, b = np.diff(value), slope[:-1], slope[1:]
    return np.ascontiguousarray(
        np.stack([value[:-1], a, 3.0 * rise - 2.0 * a - b, a + b - 2.0 * rise], axis=1)
    )


@njit(cache=True, nogil=True)
def _count(z, y, x, voxel, origin, start, low, high, data):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count points of the planes low to high of `data`."""
    ny, nx = data.shape[1], data.shape[2]
    inside = 0
    # A voxel more on either side: who lies beyond needs no division.
    least = origin[0] + (start[0] + low - 1.5) * voxel[0]
    most = origin[0] + (start[0] + high + 0.5) * voxel[0]
    for i in range(len(z)):
        if z[i] < least or z[i] > most:
            continue
        # As VoxelGrid.values_at does it, to the last bit; shifts are by integers, so tiles agree.
        k = int(np.floor((z[i] - origin[0]) / voxel[0] + 0.5)) - start[0]
        if k < low or k >= high:
            continue
        j = int(np.floor((y[i] - origin[1]) / voxel[1] + 0.5)) - start[1]
        m = int(np.floor((x[i] - origin[2]) / voxel[2] + 0.5)) - start[2]
        if 0 <= j < ny and 0 <= m < nx:
            data[k, j, m] += 1
            inside += 1
    return float(inside)


@njit(cache=True, nogil=True)
def _ordered(z, y, x, voxel, face, bz, by, bx, first, nz):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sort points by block (a counting sort, stable), and count them for each plane."""
    n = len(z)
    block = np.empty(n, np.int64)
    count = np.zeros(bz * by * bx + 1, np.int64)
    planes = np.zeros(nz, np.int64)
    for i in range(n):
        k = int(np.floor((z[i] - face[0]) / voxel[0]))
        planes[min(max(k - first, 0), nz - 1)] += 1
        k = min(max(k // _BLOCK + 1, 0), bz - 1)
        j = min(max(int(np.floor((y[i] - face[1]) / voxel[1])) // _BLOCK + 1, 0), by - 1)
        m = min(max(int(np.floor((x[i] - face[2]) / voxel[2])) // _BLOCK + 1, 0), bx - 1)
        block[i] = (k * by + j) * bx + m
        count[block[i] + 1] += 1
    for b in range(1, len(count)):
        count[b] += count[b - 1]
    order = np.empty(n, np.int64)
    for i in range(n):
        order[count[block[i]]] = i
        count[block[i]] += 1
    return order, planes


@njit(cache=True, nogil=True)
def _normal(t, table):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Distribution function of the normal law within the table."""
    s = (t + _TABLE_END) * _PER_SIGMA
    i = int(s)
    f = s - i
    return table[i, 0] + f * (table[i, 1] + f * (table[i, 2] + f * table[i, 3]))


@njit(cache=True, nogil=True)
def _weights(position, sigma, weights, table):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mass of a Gaussian (all in voxels) in each voxel within REACH; first voxel and how many."""
    first = int(np.floor(position - REACH * sigma))
    last = int(np.floor(position + REACH * sigma))
    n = last - first + 1
    if n == 1:
        weights[0] = 1.0
        return first, 1
    before = _normal(-REACH, table)
    share = 1.0 / (1.0 - 2.0 * before)
    scale = 1.0 / sigma
    for i in range(n):
        if i == n - 1:
            after = 1.0 - _normal(-REACH, table)
        else:
            after = _normal((first + i + 1 - position) * scale, table)
        weights[i] = (after - before) * share
        before = after
    return first, n


@intrinsic
def _add_vector(_typing, flat, at, row, m, weight):  # type: ignore[no-untyped-def]
    """flat[at : at + 8] += weight * row[m : m + 8], in one go.

    The compiler cannot know that the arrays do not overlap and, for rows this short, loses more
    time in asking than in adding.
    """
    signature = types.void(flat, at, row, m, weight)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.FloatType(), _GROUP)
        places = []
        for k in (0, 2):
            array = context.make_array(signature.args[k])(context, builder, args[k])
            first = builder.gep(array.data, [args[k + 1]])
            places.append(builder.bitcast(first, vector.as_pointer()))
        held, add = (builder.load(place, align=4) for place in places)
        factor = ir.Constant(vector, ir.Undefined)
        for k in range(_GROUP):
            lane = ir.Constant(ir.IntType(32), k)
            factor = builder.insert_element(factor, args[4], lane)
        product = builder.fmul(add, factor)
        builder.store(builder.fadd(held, product), places[0], align=4)
        return context.get_dummy_value()

    return signature, generate


@njit(cache=True, nogil=True)
def _splat(z, y, x, sigma, voxel, face, order, table, start, low, high, data):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw the points into the planes low to high of `data`."""
    widest = 0
    for i in range(len(sigma)):
        for a in range(3):
            widest = max(widest, int(2 * REACH * sigma[i, a] / voxel[a]) + 3)
    wz, wy, wx = np.empty(widest), np.empty(widest), np.empty(widest)
    upto = np.zeros(widest + 1)
    flat = data.reshape(-1)
    row = np.empty(widest + _GROUP, np.float32)
    first, last = np.empty(widest, np.int64), np.empty(widest, np.int64)
    ny, nx = data.shape[1], data.shape[2]
    mass = 0.0
    for i in order:
        s = sigma[i] if len(sigma) > 1 else sigma[0]
        pz, sz = (z[i] - face[0]) / voxel[0], s[0] / voxel[0]
        reach = REACH * sz + 1.0
        if pz + reach < start[0] + low or pz - reach > start[0] + high:
            continue
        z0, cz = _weights(pz, sz, wz, table)
        py, sy = (y[i] - face[1]) / voxel[1], s[1] / voxel[1]
        y0, cy = _weights(py, sy, wy, table)
        x0, cx = _weights((x[i] - face[2]) / voxel[2], s[2] / voxel[2], wx, table)
        z0, y0, x0 = z0 - start[0], y0 - start[1], x0 - start[2]
        a, b = max(0, -x0), min(cx, nx - x0)
        if b <= a or y0 >= ny or y0 + cy <= 0:
            continue
        # Rows are padded to whole groups of vectors with weights of 0, where the grid has room.
        wide = (b - a + _GROUP - 1) // _GROUP * _GROUP
        left = min(x0 + a, nx - wide)
        if left < 0:
            wide, left = b - a, x0 + a
        row[:wide] = np.float32(0.0)
        in_row = 0.0
        for m in range(a, b):
            row[x0 + m - left] = np.float32(wx[m])
            in_row += wx[m]
        # Rows that lie beyond REACH are left out, and what they held (at most 6e-6) is given to
        # the others: the mass stays 1.
        for j in range(cy):
            upto[j + 1] = upto[j] + wy[j]
        kept = 0.0
        for k in range(cz):
            half = _half_width(z0 + start[0] + k - pz, sz, sy)
            first[k] = max(0, int(np.floor(py - half)) - y0 - start[1])
            last[k] = min(cy, int(np.floor(py + half)) + 1 - y0 - start[1])
            kept += wz[k] * max(upto[last[k]] - upto[first[k]], 0.0)
        share = 1.0 / kept
        for k in range(max(0, low - z0), min(cz, high - z0)):
            here = np.float32(wz[k] * share)
            j0, j1 = max(first[k], -y0), min(last[k], ny - y0)
            if j1 <= j0:
                continue
            mass += wz[k] * share * (upto[j1] - upto[j0]) * in_row
            at = ((z0 + k) * ny + y0 + j0) * nx + left
            for j in range(j0, j1):
                weight = here * np.float32(wy[j])
                if wide % _GROUP == 0:
                    for m in range(0, wide, _GROUP):
                        _add_vector(flat, at + m, row, m, weight)
                else:
                    for m in range(wide):
                        flat[at + m] += weight * row[m]
                at += nx
    return mass


@njit(cache=True, nogil=True)
def _half_width(gap, sz, sy):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Half the width in y of the ellipse of REACH, in a plane of voxels that begins at `gap`."""
    away = max(gap, -1.0 - gap, 0.0)
    if away == 0.0:
        return REACH * sy
    return REACH * sy * np.sqrt(max(1.0 - (away / (REACH * sz)) ** 2, 0.0))

"""Localizations to voxels, compiled: counts, and Gaussians integrated over each voxel."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import get_num_threads, njit

from nanospine.voxels.splat_kernel import block_counts, order_by_block, splat_blocks

__all__ = ["Order", "count_points", "order_points", "splat_gaussians"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
    # Every thread reads all points and counts those of its own planes: no two write to one voxel.
    # Reading is most of the work, so that two threads would gain next to nothing.
    parts = _threads(len(columns[0]))
    edges = np.linspace(0, data.shape[0], (parts if parts > 2 else 1) + 1).astype(np.int64)
    tasks = [
        (*columns, voxel_nm, face_nm + voxel_nm / 2, start, low, high, data)
        for low, high in itertools.pairwise(edges)
    ]
    return int(sum(_in_threads(_count, tasks)))


@dataclass(frozen=True, eq=False)
class Order:
    """Points in the order in which they are drawn; that of a frame serves all its parts.

    Attributes
    ----------
    rows, starts : ndarray of int64
        Points by block of the frame, and where each block begins.
    blocks : tuple of int
        Blocks along z, y, x.
    axis : int
        The longest of the frame: threads share the work along it.
    planes : ndarray of int64
        Points in each plane across that axis.
    """

    rows: IntArray
    starts: IntArray
    blocks: tuple[int, int, int]
    axis: int
    planes: IntArray


def order_points(
    columns: tuple[FloatArray, FloatArray, FloatArray],
    voxel_nm: FloatArray,
    face_nm: FloatArray,
    frame: tuple[int, int, int],
) -> Order:
    """Sort points for :func:`splat_gaussians`; `frame` is the shape of the whole field."""
    blocks = block_counts(frame)
    rows, starts, planes, axis = order_by_block(*columns, voxel_nm, face_nm, *blocks, frame)
    return Order(rows, starts, blocks, axis, planes)


def splat_gaussians(
    columns: tuple[FloatArray, FloatArray, FloatArray],
    sigma_nm: FloatArray,
    voxel_nm: FloatArray,
    face_nm: FloatArray,
    order: Order,
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
    order : Order
        Of all points of the frame: tiles of one frame add them in the same order and are equal to
        the last bit, wherever they are cut.
    data : ndarray of float32, shape (nz, ny, nx)
        Added to.
    """
    sigma = np.ascontiguousarray(np.atleast_2d(sigma_nm), dtype=np.float64)
    axis = order.axis
    here = order.planes[start[axis] : start[axis] + data.shape[axis]]
    tasks = []
    for low, high in itertools.pairwise(_fair_edges(here, _threads(len(columns[0])))):
        window = np.array([(0, size) for size in data.shape], dtype=np.int64)
        window[axis] = low, high
        tasks.append(
            (*columns, sigma, voxel_nm, face_nm, order.rows, order.starts, order.blocks, start,
             window.ravel(), data)
        )  # fmt: skip
    return float(sum(_in_threads(splat_blocks, tasks)))


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

"""Resampling grids to the voxels of a model and back, by position and not by size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.voxels.grid import VoxelGrid

__all__ = ["resampled", "restored"]

_SAME = 1e-3


def resampled(
    grid: VoxelGrid, voxel_nm: Sequence[float | None] | None, *, counts: bool = False
) -> VoxelGrid:
    """Give a grid with voxels of another size that covers the same box.

    Parameters
    ----------
    grid : VoxelGrid
    voxel_nm : sequence of float, optional
        z, y, x; None keeps an axis. Sizes that differ by less than a thousandth give the grid
        itself.
    counts : bool
        Values are counts: each new voxel gets what lies in it, and the sum is kept. Otherwise
        values are intensities, averaged where voxels become larger and interpolated linearly
        where they become smaller.

    Examples
    --------
    >>> grid = VoxelGrid(np.ones((4, 4, 4)), 50.0, (0, 0, 0))
    >>> half = resampled(grid, (100.0, 100.0, 100.0), counts=True)
    >>> half.data.shape, half.origin_nm.tolist(), float(half.data.sum())
    ((2, 2, 2), [25.0, 25.0, 25.0], 64.0)
    """
    if voxel_nm is None:
        return grid
    pairs = zip(voxel_nm, grid.voxel_nm, strict=True)
    voxel = np.array([float(own) if new is None else new for new, own in pairs])
    if np.abs(voxel / grid.voxel_nm - 1).max() < _SAME:
        return grid
    extent = np.array(grid.shape) * grid.voxel_nm
    shape = np.maximum(np.ceil(extent / voxel - _SAME).astype(int), 1)
    data = np.asarray(grid.data, dtype=np.float64)
    for axis in range(3):
        data = _along(data, axis, grid.voxel_nm[axis], voxel[axis], int(shape[axis]), counts)
    origin = grid.origin_nm - grid.voxel_nm / 2 + voxel / 2
    return VoxelGrid(data.astype(np.float32), voxel, origin)


def _along(
    data: npt.NDArray[np.float64], axis: int, old: float, new: float, count: int, counts: bool
) -> npt.NDArray[np.float64]:
    """Integrate along an axis: exact for counts that are even within their voxel."""
    line = np.moveaxis(data, axis, 0)
    n = len(line)
    if counts or new > old:
        edges = np.minimum(np.arange(count + 1) * new, n * old) / old
        edges[-1] = n  # a sliver below the rounding of the number of voxels is not lost
        total = np.concatenate([np.zeros((1, *line.shape[1:])), np.cumsum(line, axis=0)])
        low = np.minimum(np.floor(edges).astype(int), n - 1)
        part = (edges - low).reshape(-1, *[1] * (line.ndim - 1))
        at = total[low] * (1 - part) + total[low + 1] * part
        result = np.diff(at, axis=0)
        if not counts:
            width = np.maximum(np.diff(edges), 1e-12).reshape(-1, *[1] * (line.ndim - 1))
            result = result / width
    else:
        at = np.clip((np.arange(count) + 0.5) * new / old - 0.5, 0, n - 1)
        low = np.minimum(np.floor(at).astype(int), max(n - 2, 0))
        part = (at - low).reshape(-1, *[1] * (line.ndim - 1))
        result = line[low] * (1 - part) + line[np.minimum(low + 1, n - 1)] * part
    return np.moveaxis(result, 0, axis)


def restored(
    inner: VoxelGrid, grid: VoxelGrid, *, nearest: bool = False
) -> npt.NDArray[np.float32]:
    """Give values of a resampled grid at the voxel centres of the original one.

    Linear, with the edge value kept beyond the outermost centres; `nearest` for class numbers.
    """
    if inner.shape == grid.shape and np.allclose(inner.voxel_nm, grid.voxel_nm, rtol=_SAME):
        return np.asarray(inner.data, dtype=np.float32)
    scale = grid.voxel_nm / inner.voxel_nm
    offset = (grid.origin_nm - inner.origin_nm) / inner.voxel_nm
    return np.asarray(
        ndimage.affine_transform(
            np.asarray(inner.data, dtype=np.float32),
            np.diag(scale),  # of the diagonal alone scipy before 1.16 warns
            offset=offset,
            output_shape=grid.shape,
            order=0 if nearest else 1,
            mode="nearest",
        )
    )

"""A regular grid of voxels with its place in the sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError

__all__ = ["VoxelGrid"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """An array of voxels in the order z, y, x, with voxel size and origin in nanometres.

    Parameters
    ----------
    data : ndarray, shape (nz, ny, nx)
        Values of the voxels.
    voxel_nm : array_like, shape (3,)
        Edge lengths z, y, x.
    origin_nm : array_like, shape (3,)
        Position z, y, x of the *centre* of voxel (0, 0, 0), as NGFF, ITK and napari have it.

    Examples
    --------
    >>> grid = VoxelGrid(np.zeros((2, 3, 4)), (50, 20, 20), (0, 0, 0))
    >>> grid.to_index([[20, 0, 50]]).tolist()  # x, y, z in nm -> z, y, x in voxels
    [[1.0, 0.0, 1.0]]
    >>> grid.to_xyz_nm([[1, 0, 1]]).tolist()
    [[20.0, 0.0, 50.0]]
    """

    data: npt.NDArray[Any]
    voxel_nm: FloatArray
    origin_nm: FloatArray

    def __post_init__(self) -> None:
        voxel = np.broadcast_to(np.asarray(self.voxel_nm, dtype=np.float64), (3,)).copy()
        origin = np.asarray(self.origin_nm, dtype=np.float64)
        if np.ndim(self.data) != 3 or origin.shape != (3,) or not (voxel > 0).all():
            raise GeometryError(
                "VoxelGrid: a (z, y, x) array, 3 positive voxel_nm and 3 origin_nm were expected, "
                f"found shape {np.shape(self.data)}, {voxel.tolist()} and shape {origin.shape}."
            )
        object.__setattr__(self, "voxel_nm", voxel)
        object.__setattr__(self, "origin_nm", origin)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along z, y, x."""
        nz, ny, nx = self.data.shape
        return nz, ny, nx

    def to_index(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Give fractional voxel indices (z, y, x), shape (n, 3), of positions (x, y, z) in nm."""
        points = np.asarray(xyz_nm, dtype=np.float64)[:, ::-1]
        return np.asarray((points - self.origin_nm) / self.voxel_nm)

    def to_xyz_nm(self, index_zyx: npt.ArrayLike) -> FloatArray:
        """Give positions (x, y, z) in nm, shape (n, 3), of voxel indices (z, y, x)."""
        index = np.asarray(index_zyx, dtype=np.float64)
        return np.asarray(index * self.voxel_nm + self.origin_nm)[:, ::-1]

    def values_at(self, xyz_nm: npt.ArrayLike, outside: float = 0.0) -> npt.NDArray[Any]:
        """Give the value of the voxel that each position lies in; `outside` beyond the grid."""
        index = np.floor(self.to_index(xyz_nm) + 0.5).astype(np.int64)
        inside = ((index >= 0) & (index < self.data.shape)).all(axis=1)
        result = np.full(len(index), outside, dtype=self.data.dtype)
        result[inside] = self.data[tuple(index[inside].T)]
        return result

    def with_data(self, data: npt.NDArray[Any]) -> VoxelGrid:
        """Give a grid of the same geometry with other values."""
        if data.shape != self.data.shape:
            raise GeometryError(
                f"VoxelGrid: data of shape {self.data.shape} was expected, found {data.shape}."
            )
        return VoxelGrid(data, self.voxel_nm, self.origin_nm)

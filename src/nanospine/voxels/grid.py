"""A regular grid of voxels with its place in the sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import GeometryError

__all__ = ["LabelGrid", "VoxelGrid"]

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
    notes : tuple of str
        What the data do not say of themselves, such as how many localizations lie outside.

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
    notes: tuple[str, ...] = ()

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

    @property
    def bounds_nm(self) -> FloatArray:
        """Outer corners x, y, z of the grid, shape (2, 3)."""
        low = self.origin_nm - self.voxel_nm / 2
        return np.stack([low, low + self.voxel_nm * self.shape])[:, ::-1]

    @property
    def affine(self) -> FloatArray:
        """Matrix, shape (4, 4), from voxel indices (x, y, z, 1) to positions (x, y, z, 1) in nm."""
        matrix = np.diag([*self.voxel_nm[::-1], 1.0])
        matrix[:3, 3] = self.origin_nm[::-1]
        return matrix

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
        place = np.floor(self.to_index(xyz_nm) + 0.5)
        inside = np.asarray(((place >= 0) & (place < self.data.shape)).all(axis=1))
        index = np.where(inside[:, None], place, 0).astype(np.int64)
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


@dataclass(frozen=True, eq=False)
class LabelGrid:
    """Labels of voxels with their place in the sample, and what each label is.

    Parameters
    ----------
    labels : ndarray of int, shape (nz, ny, nx)
        0 is background.
    voxel_nm : array_like, shape (3,)
        Edge lengths z, y, x.
    origin_nm : array_like, shape (3,)
        Position z, y, x of the centre of voxel (0, 0, 0).
    roles : dict
        From label to role, such as background, shaft, spine, dendrite or object.
    table : pandas.DataFrame
        One row for each label but the background.

    Raises
    ------
    GeometryError
        When labels are not whole numbers of 0 or more on three axes.

    Examples
    --------
    >>> labels = LabelGrid(np.eye(2, dtype=int)[None], (50, 20, 20), (0, 0, 0), {1: "shaft"})
    >>> labels.values_at([[20, 20, 0], [20, 0, 0], [500, 0, 0]]).tolist()
    [1, 0, -1]
    """

    labels: npt.NDArray[Any]
    voxel_nm: FloatArray
    origin_nm: FloatArray
    roles: dict[int, str] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        if labels.dtype.kind not in "iub" or labels.min(initial=0) < 0:
            raise GeometryError(
                "LabelGrid: whole numbers of 0 or more were expected as labels, "
                f"found {labels.dtype} with the least value {labels.min(initial=0)}."
            )
        grid = VoxelGrid(labels, self.voxel_nm, self.origin_nm)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "voxel_nm", grid.voxel_nm)
        object.__setattr__(self, "origin_nm", grid.origin_nm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along z, y, x."""
        return self.grid.shape

    @property
    def grid(self) -> VoxelGrid:
        """The labels as the data of a voxel grid."""
        return VoxelGrid(self.labels, self.voxel_nm, self.origin_nm)

    def values_at(self, xyz_nm: npt.ArrayLike, outside: int = -1) -> npt.NDArray[np.int64]:
        """Give the label of the voxel that each position lies in; -1 beyond the grid."""
        wide = self.grid.with_data(self.labels.astype(np.int64))
        return np.asarray(wide.values_at(xyz_nm, outside=outside), dtype=np.int64)

    def of_role(self, role: str) -> npt.NDArray[np.int64]:
        """Give the labels that have a role, ascending."""
        return np.array(sorted(n for n, r in self.roles.items() if r == role), dtype=np.int64)

    def to_frame(self) -> pd.DataFrame:
        """Give a copy of the table."""
        return self.table.copy()

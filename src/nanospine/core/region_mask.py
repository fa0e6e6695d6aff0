"""A region made of voxels or pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.core.region_base import Region

__all__ = ["Mask"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Mask(Region):
    """Voxels (z, y, x) or pixels (y, x) of a regular grid.

    Parameters
    ----------
    data : array_like of bool, shape (nz, ny, nx) or (ny, nx)
        True where the sample was observed.
    voxel_nm, origin_nm : array_like, shape (3,) or (2,)
        Edge lengths, and position of the *centre* of voxel 0, in the order of the array's axes.

    Examples
    --------
    >>> mask = Mask([[True, False], [True, True]], (10, 10), (5, 5))
    >>> mask.size, mask.contains([[5, 5], [15, 5]]).tolist()
    (300.0, [True, False])
    """

    data: BoolArray
    voxel_nm: FloatArray
    origin_nm: FloatArray
    assumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        data = np.asarray(self.data, dtype=bool)
        voxel = np.broadcast_to(np.asarray(self.voxel_nm, dtype=np.float64), (data.ndim,))
        origin = np.asarray(self.origin_nm, dtype=np.float64)
        if data.ndim not in (2, 3) or origin.shape != (data.ndim,) or not (voxel > 0).all():
            raise GeometryError(
                f"Mask: a (z, y, x) or (y, x) array with positive voxel_nm and as many origin_nm "
                f"was expected, found shape {data.shape}, voxel_nm {voxel.tolist()}, "
                f"origin_nm of shape {origin.shape}."
            )
        if not data.any():
            raise GeometryError("Mask: no voxel is True; the observed region is empty.")
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "voxel_nm", voxel)
        object.__setattr__(self, "origin_nm", origin)

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return self.data.ndim

    @property
    def size(self) -> float:
        """Number of voxels times their volume (or pixels times area)."""
        return float(self.data.sum() * np.prod(self.voxel_nm))

    @property
    def bounds_nm(self) -> FloatArray:
        """Outer faces of the True voxels, shape (2, dimension), in the order x, y, z."""
        index = np.argwhere(self.data)
        low = self.origin_nm + (index.min(axis=0) - 0.5) * self.voxel_nm
        high = self.origin_nm + (index.max(axis=0) + 0.5) * self.voxel_nm
        return np.stack([low[::-1], high[::-1]])

    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether its voxel is True."""
        points = self._points(xyz_nm)[:, ::-1]
        # floor(x + 0.5) and not round: halves must go to one side, or faces belong to no voxel
        index = np.floor((points - self.origin_nm) / self.voxel_nm + 0.5)
        ok = ((index >= 0) & (index < self.data.shape)).all(axis=1)
        result = np.zeros(len(points), dtype=bool)
        result[ok] = self.data[tuple(index[ok].astype(np.int64).T)]
        return result

    @cached_property
    def _boundary(self) -> tuple[Any, FloatArray]:
        """Tree over the centres of voxel faces between True and False, and the face normals."""
        from scipy.spatial import cKDTree

        padded = np.pad(self.data, 1)
        centres, axes = [], []
        for axis in range(self.dimension):
            step = np.diff(padded.astype(np.int8), axis=axis) != 0
            index = np.argwhere(step).astype(np.float64) - 1.0
            index[:, axis] += 0.5
            centres.append(index * self.voxel_nm + self.origin_nm)
            axes.append(np.full(len(index), axis))
        return cKDTree(np.concatenate(centres)), np.concatenate(axes)

    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Exact distance to the nearest face between a True and a False voxel."""
        points = self._points(xyz_nm)[:, ::-1]
        tree, axes = self._boundary
        # The nearest face is among those whose centre is within half a face diagonal of the
        # nearest centre; a handful of neighbours holds them on a regular grid.
        count = min(4 ** (self.dimension - 1) + 8, len(axes))
        _, near = tree.query(points, k=count)
        near = near.reshape(len(points), count)
        gap = np.abs(points[:, None] - tree.data[near])
        half = np.broadcast_to(self.voxel_nm / 2, gap.shape).copy()
        np.put_along_axis(half, axes[near][..., None], 0.0, axis=2)
        return np.linalg.norm(np.maximum(gap - half, 0.0), axis=2).min(axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Give the mask as plain data, its voxels packed into base64 bits."""
        import base64
        import zlib

        packed = zlib.compress(np.packbits(self.data).tobytes())
        return {
            "kind": "mask",
            "shape": list(self.data.shape),
            "bits": base64.b64encode(packed).decode(),
            "voxel_nm": self.voxel_nm.tolist(),
            "origin_nm": self.origin_nm.tolist(),
        }

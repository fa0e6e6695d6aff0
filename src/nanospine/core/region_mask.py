"""A region made of voxels or pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.core.region_base import Region

if TYPE_CHECKING:
    from nanospine.core.triangles import TriangleTree

__all__ = ["Mask", "pixel_edges", "voxel_faces"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
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
    def _tree(self) -> TriangleTree:
        """Search tree over the outside of the voxels, two triangles for each run of faces."""
        from nanospine.core.triangles import TriangleTree

        corners = voxel_faces(self).reshape(-1, 3)
        first = 4 * np.arange(len(corners) // 4)[:, None, None]
        halves = np.array([(0, 1, 2), (0, 2, 3)])
        return TriangleTree(corners, (first + halves).reshape(-1, 3))

    @cached_property
    def _outline(self) -> Any:
        """Edges of the pixels as one shape, prepared for many queries."""
        import shapely

        lines = shapely.multilinestrings(shapely.linestrings(pixel_edges(self)))
        shapely.prepare(lines)
        return lines

    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Exact distance to the nearest face (edge) between a True and a False voxel."""
        points = self._points(xyz_nm)
        if self.dimension == 3:
            return self._tree.distance(points)
        import shapely

        return np.asarray(shapely.distance(self._outline, shapely.points(points)))

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


def _runs(step: npt.NDArray[np.int8]) -> tuple[IntArray, ...]:
    """Find runs of equal nonzero values along the last axis: place, start, stop, value."""
    line = np.pad(step, [(0, 0)] * (step.ndim - 1) + [(1, 1)])
    begin = np.argwhere((line[..., 1:] != line[..., :-1]) & (line[..., 1:] != 0))
    stop = np.argwhere((line[..., 1:] != line[..., :-1]) & (line[..., :-1] != 0))
    value = step[tuple(begin.T)].astype(np.int64)
    return (*begin.T[:-1], begin[:, -1], stop[:, -1], value)


def pixel_edges(region: Mask) -> FloatArray:
    """Give runs of pixel edges in x, y, the inside to their left, shape (e, 2, 2)."""
    padded = np.pad(region.data, 1).astype(np.int8)
    size = region.voxel_nm
    corner = region.origin_nm - 0.5 * size
    # Rows: +1 where the sample begins above the line, so the inside is left of a step in +x.
    row, start, stop, value = _runs(np.diff(padded, axis=0)[:, 1:-1])
    swap = value < 0
    x0 = corner[1] + np.where(swap, stop, start) * size[1]
    x1 = corner[1] + np.where(swap, start, stop) * size[1]
    y = corner[0] + row * size[0]
    along_x = np.stack([np.stack([x0, y], 1), np.stack([x1, y], 1)], axis=1)
    column, start, stop, value = _runs(np.diff(padded, axis=1)[1:-1].T)
    swap = value > 0
    y0 = corner[0] + np.where(swap, stop, start) * size[0]
    y1 = corner[0] + np.where(swap, start, stop) * size[0]
    x = corner[1] + column * size[1]
    along_y = np.stack([np.stack([x, y0], 1), np.stack([x, y1], 1)], axis=1)
    return np.concatenate([along_x, along_y])


def voxel_faces(region: Mask) -> FloatArray:
    """Give rectangles, a run of voxel faces each, shape (f, 4, 3) in x, y, z.

    Corners go counter-clockwise as seen from outside.
    """
    # In x, y, z order, where (axis, axis + 1, axis + 2) is right-handed.
    data = np.pad(region.data.transpose(2, 1, 0), 1).astype(np.int8)
    size = region.voxel_nm[::-1]
    corner = region.origin_nm[::-1] - 0.5 * size
    found = []
    for axis in range(3):
        b, c = (axis + 1) % 3, (axis + 2) % 3
        step = np.diff(data, axis=axis)
        cut = [slice(1, -1)] * 3
        cut[axis] = slice(None)
        place, row, start, stop, value = _runs(step[tuple(cut)].transpose(axis, b, c))
        quad = np.zeros((len(place), 4, 3))
        quad[:, :, axis] = place[:, None]
        quad[:, :, b] = row[:, None] + np.array([0, 1, 1, 0])
        quad[:, :, c] = np.stack([start, start, stop, stop], axis=1)
        # +1: the sample begins here, its outside looks down the axis.
        quad[value > 0] = quad[value > 0][:, ::-1]
        found.append(corner + quad * size)
    return np.concatenate(found)

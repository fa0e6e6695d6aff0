"""Where a sample was observed: boxes, polygons, prisms, voxel masks and closed meshes.

Every density and every spatial statistic needs the region in which points *could* have been seen.
Localizations carry it; when nobody said what it is, the bounding box stands in and is marked
`assumed`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.core.region_base import Region
from nanospine.core.region_mask import Mask
from nanospine.core.region_mesh import MeshRegion
from nanospine.core.region_polygon import Polygon, Prism

__all__ = [
    "Box",
    "Mask",
    "MeshRegion",
    "Polygon",
    "Prism",
    "Region",
    "bounding_box",
    "region_from_dict",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Box(Region):
    """An axis-parallel rectangle (two coordinates) or box (three), nanometres.

    Examples
    --------
    >>> box = Box((0, 0, 0), (1000, 500, 200))
    >>> box.size, box.contains([[10, 10, 10], [10, 10, 300]]).tolist()
    (100000000.0, [True, False])
    >>> box.distance_to_boundary_nm([[100, 250, 100]])
    array([100.])
    """

    low_nm: FloatArray
    high_nm: FloatArray
    assumed: bool = False

    def __post_init__(self) -> None:
        low = np.asarray(self.low_nm, dtype=np.float64)
        high = np.asarray(self.high_nm, dtype=np.float64)
        if low.shape not in ((2,), (3,)) or high.shape != low.shape:
            raise GeometryError(
                f"Box: two corners of 2 or 3 numbers were expected, found {low.shape} "
                f"and {high.shape}."
            )
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (high >= low).all()):
            raise GeometryError(f"Box: low_nm {low.tolist()} is not below high_nm {high.tolist()}.")
        object.__setattr__(self, "low_nm", low)
        object.__setattr__(self, "high_nm", high)

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.low_nm)

    @property
    def size(self) -> float:
        """Area in nm² or volume in nm³."""
        return float(np.prod(self.high_nm - self.low_nm))

    @property
    def bounds_nm(self) -> FloatArray:
        """The two corners, shape (2, dimension)."""
        return np.stack([self.low_nm, self.high_nm])

    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies in the box."""
        points = self._points(xyz_nm)
        inside = np.ones(len(points), dtype=bool)
        # Column by column: a reduction over an axis of 2 or 3 takes ten times as long.
        for column, low, high in zip(points.T, self.low_nm, self.high_nm, strict=True):
            inside &= (column >= low) & (column <= high)
        return inside

    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance to the nearest face, from inside or outside."""
        points = self._points(xyz_nm)
        depth = np.minimum(points - self.low_nm, self.high_nm - points)
        outside = np.linalg.norm(np.minimum(depth, 0.0), axis=1)
        inner = depth.min(axis=1, initial=np.inf)
        return np.where(inner >= 0, inner, outside)

    def sample_nm(self, n: int, seed: int | np.random.Generator | None = None) -> FloatArray:
        """Draw points uniformly in the box."""
        return np.random.default_rng(seed).uniform(self.low_nm, self.high_nm, (n, self.dimension))

    def to_dict(self) -> dict[str, Any]:
        """Give the box as plain data."""
        return {
            "kind": "box",
            "low_nm": self.low_nm.tolist(),
            "high_nm": self.high_nm.tolist(),
            "assumed": self.assumed,
        }


def bounding_box(xyz_nm: npt.ArrayLike) -> Box:
    """Give the bounding box of points, marked as assumed; of no points, an empty box at 0.

    Examples
    --------
    >>> bounding_box([[0, 0], [10, 5]]).size
    50.0
    """
    points = np.asarray(xyz_nm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise GeometryError(f"bounding_box: points (n, 2 or 3) expected, found {points.shape}.")
    if len(points) == 0:
        zero = np.zeros(points.shape[1])
        return Box(zero, zero, assumed=True)
    return Box(points.min(axis=0), points.max(axis=0), assumed=True)


def region_from_dict(data: Mapping[str, Any]) -> Region:
    """Read a region that `to_dict` wrote.

    Raises
    ------
    GeometryError
        When the kind is unknown or the numbers do not make a region.

    Examples
    --------
    >>> region_from_dict(Box((0, 0), (3, 2)).to_dict()).size
    6.0
    """
    if not isinstance(data, Mapping):
        raise GeometryError(f"region: a description was expected, found {type(data).__name__}.")
    kind = data.get("kind")
    try:
        if kind == "box":
            return Box(data["low_nm"], data["high_nm"], bool(data.get("assumed", False)))
        if kind == "polygon":
            further = (region_from_dict(part) for part in data.get("further", ()))
            parts = tuple(part for part in further if isinstance(part, Polygon))
            return Polygon(data["exterior_nm"], tuple(data.get("holes_nm", ())), parts)
        if kind == "prism":
            polygon = region_from_dict(data["polygon"])
            if isinstance(polygon, Polygon):
                return Prism(polygon, data["z_low_nm"], data["z_high_nm"])
        if kind == "mask":
            return _mask_from_dict(data)
        if kind == "mesh":
            import trimesh

            mesh = trimesh.Trimesh(data["vertices_nm"], data["faces"], process=False)
            return MeshRegion(mesh)
    except (
        KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError, MemoryError,
        zlib.error, RecursionError,
    ) as error:  # fmt: skip
        raise GeometryError(f"region: a {kind} cannot be made of this description: {error}.") from (
            error
        )
    raise GeometryError(f"region: box, polygon, prism, mask or mesh was expected, found {kind!r}.")


def _mask_from_dict(data: Mapping[str, Any]) -> Mask:
    import base64

    shape = tuple(int(n) for n in data["shape"])
    count = int(np.prod(shape))
    unpacker = zlib.decompressobj()
    # Never more bytes than the shape says: a region may come from somebody else's file.
    raw = unpacker.decompress(base64.b64decode(data["bits"]), max((count + 7) // 8, 1))
    if min(shape, default=0) < 0 or count > 8 * len(raw):
        raise ValueError(f"bits of {len(raw)} bytes for a mask of shape {shape}")
    bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=count)
    return Mask(bits.reshape(shape).astype(bool), data["voxel_nm"], data["origin_nm"])

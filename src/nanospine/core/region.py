"""Where a sample was observed: boxes, polygons, prisms, voxel masks and closed meshes.

Every density and every spatial statistic needs the region in which points *could* have been seen.
Localizations carry it; when nobody said what it is, the bounding box stands in and is marked
`assumed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.core.region_base import Region
from nanospine.core.region_mask import Mask
from nanospine.core.region_mesh import MeshRegion

if TYPE_CHECKING:
    import shapely

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


@dataclass(frozen=True, eq=False)
class Polygon(Region):
    """A polygon of the plane with holes, nanometres.

    Parameters
    ----------
    exterior_nm : array_like, shape (k, 2)
        Corners in order; the last one need not repeat the first.
    holes_nm : sequence of array_like, shape (m, 2)
        Corners of the holes.

    Examples
    --------
    >>> square = Polygon([(0, 0), (100, 0), (100, 100), (0, 100)],
    ...                  [[(40, 40), (60, 40), (60, 60), (40, 60)]])
    >>> square.size, square.contains([[50, 50], [10, 50]]).tolist()
    (9600.0, [False, True])
    """

    exterior_nm: FloatArray
    holes_nm: tuple[FloatArray, ...] = ()
    assumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        exterior = _ring(self.exterior_nm, "exterior_nm")
        holes = tuple(_ring(hole, "holes_nm") for hole in self.holes_nm)
        object.__setattr__(self, "exterior_nm", exterior)
        object.__setattr__(self, "holes_nm", holes)
        if not self.shape.is_valid or self.shape.area <= 0:
            from shapely.validation import explain_validity

            raise GeometryError(
                f"Polygon: a simple outline with area was expected, found "
                f"{explain_validity(self.shape)} (nm). Draw it without crossings."
            )

    @cached_property
    def shape(self) -> shapely.Polygon:
        """The polygon as a shapely geometry, prepared for many queries."""
        import shapely

        polygon = shapely.Polygon(self.exterior_nm, self.holes_nm)
        shapely.prepare(polygon)
        return polygon

    @property
    def dimension(self) -> int:
        """Always 2."""
        return 2

    @property
    def size(self) -> float:
        """Area in nm²."""
        return float(self.shape.area)

    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner, shape (2, 2)."""
        return np.asarray(self.shape.bounds, dtype=np.float64).reshape(2, 2)

    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies in the polygon; a z is ignored."""
        import shapely

        return np.asarray(shapely.intersects_xy(self.shape, *self._points(xyz_nm).T), dtype=bool)

    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance to the nearest edge, those of holes included."""
        import shapely

        points = shapely.points(self._points(xyz_nm))
        return np.asarray(shapely.distance(self.shape.boundary, points), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Give the polygon as plain data."""
        return {
            "kind": "polygon",
            "exterior_nm": self.exterior_nm.tolist(),
            "holes_nm": [hole.tolist() for hole in self.holes_nm],
        }


@dataclass(frozen=True, eq=False)
class Prism(Region):
    """A polygon between two heights: what a camera sees of a polygon-shaped field in 3-D.

    Examples
    --------
    >>> prism = Prism(Polygon([(0, 0), (100, 0), (0, 100)]), -50, 50)
    >>> prism.size, prism.contains([[10, 10, 0], [10, 10, 60]]).tolist()
    (500000.0, [True, False])
    """

    polygon: Polygon
    z_low_nm: float
    z_high_nm: float
    assumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.z_low_nm < self.z_high_nm:
            raise GeometryError(
                f"Prism: z_low_nm {self.z_low_nm} is not below z_high_nm {self.z_high_nm}."
            )

    @property
    def dimension(self) -> int:
        """Always 3."""
        return 3

    @property
    def size(self) -> float:
        """Volume in nm³."""
        return self.polygon.size * (self.z_high_nm - self.z_low_nm)

    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner, shape (2, 3)."""
        return np.column_stack([self.polygon.bounds_nm, [self.z_low_nm, self.z_high_nm]])

    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies in the prism."""
        points = self._points(xyz_nm)
        z = points[:, 2]
        return self.polygon.contains(points[:, :2]) & (z >= self.z_low_nm) & (z <= self.z_high_nm)

    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance to the nearest wall, floor or ceiling, from inside or outside."""
        points = self._points(xyz_nm)
        side = self.polygon.distance_to_boundary_nm(points[:, :2])
        side = np.where(self.polygon.contains(points[:, :2]), side, -side)
        height = np.minimum(points[:, 2] - self.z_low_nm, self.z_high_nm - points[:, 2])
        outside = np.hypot(np.minimum(side, 0.0), np.minimum(height, 0.0))
        inner = np.minimum(side, height)
        return np.where(inner >= 0, inner, outside)

    def to_dict(self) -> dict[str, Any]:
        """Give the prism as plain data."""
        return {
            "kind": "prism",
            "polygon": self.polygon.to_dict(),
            "z_low_nm": float(self.z_low_nm),
            "z_high_nm": float(self.z_high_nm),
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
    kind = data.get("kind")
    try:
        if kind == "box":
            return Box(data["low_nm"], data["high_nm"], bool(data.get("assumed", False)))
        if kind == "polygon":
            return Polygon(data["exterior_nm"], tuple(data.get("holes_nm", ())))
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
    except (KeyError, TypeError, ValueError) as error:
        raise GeometryError(f"region: a {kind} cannot be made of this description: {error}.") from (
            error
        )
    raise GeometryError(f"region: box, polygon, prism, mask or mesh was expected, found {kind!r}.")


def _mask_from_dict(data: Mapping[str, Any]) -> Mask:
    import base64
    import zlib

    shape = tuple(int(n) for n in data["shape"])
    count = int(np.prod(shape))
    unpacker = zlib.decompressobj()
    # Never more bytes than the shape says: a region may come from somebody else's file.
    raw = unpacker.decompress(base64.b64decode(data["bits"]), (count + 7) // 8)
    bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=count)
    return Mask(bits.reshape(shape).astype(bool), data["voxel_nm"], data["origin_nm"])


def _ring(corners: npt.ArrayLike, name: str) -> FloatArray:
    ring = np.asarray(corners, dtype=np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2:
        raise GeometryError(f"Polygon: {name} of shape (k, 2) was expected, found {ring.shape}.")
    if len(ring) < 3:
        raise TooFewPointsError(f"Polygon: {name} needs at least 3 corners, found {len(ring)}.")
    if not np.isfinite(ring).all():
        raise GeometryError(f"Polygon: {name} holds numbers that are not finite.")
    return ring

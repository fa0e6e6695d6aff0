"""Regions with a polygon as outline: of the plane, and between two heights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.core.region_base import Region

if TYPE_CHECKING:
    import shapely

__all__ = ["Polygon", "Prism"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Polygon(Region):
    """A polygon of the plane with holes, in one part or several, nanometres.

    Parameters
    ----------
    exterior_nm : array_like, shape (k, 2)
        Corners in order; the last one need not repeat the first.
    holes_nm : sequence of array_like, shape (m, 2)
        Corners of the holes.
    further : sequence of Polygon
        Parts apart from this one: two cells of one field, a dendrite that leaves it and comes back.
        Parts may touch, but not overlap.

    Examples
    --------
    >>> square = Polygon([(0, 0), (100, 0), (100, 100), (0, 100)],
    ...                  [[(40, 40), (60, 40), (60, 60), (40, 60)]])
    >>> square.size, square.contains([[50, 50], [10, 50]]).tolist()
    (9600.0, [False, True])
    >>> both = Polygon([(200, 0), (300, 0), (300, 50)], further=(square,))
    >>> both.size, both.contains([[10, 50], [290, 10], [150, 50]]).tolist()
    (12100.0, [True, True, False])
    """

    exterior_nm: FloatArray
    holes_nm: tuple[FloatArray, ...] = ()
    further: tuple[Polygon, ...] = ()
    assumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        exterior = _ring(self.exterior_nm, "exterior_nm")
        holes = tuple(_ring(hole, "holes_nm") for hole in self.holes_nm)
        object.__setattr__(self, "exterior_nm", exterior)
        object.__setattr__(self, "holes_nm", holes)
        object.__setattr__(self, "further", tuple(self.further))
        if not self.shape.is_valid or self.shape.area <= 0:
            from shapely.validation import explain_validity

            raise GeometryError(
                f"Polygon: a simple outline with area was expected, found "
                f"{explain_validity(self.shape)} (nm). Draw it without crossings."
            )

    @classmethod
    def from_shape(cls, shape: shapely.Polygon | shapely.MultiPolygon) -> Polygon:
        """Make one of a shapely polygon, or of all the polygons of a collection."""
        parts = [item for item in getattr(shape, "geoms", [shape]) if item.geom_type == "Polygon"]
        if not parts:
            raise GeometryError(
                f"Polygon: a shape with area was expected, found {shape.geom_type}."
            )
        found: list[Polygon] = []
        for part in reversed(parts):
            holes = tuple(np.asarray(hole.coords)[:-1, :2] for hole in part.interiors)
            rest = tuple(found) if part is parts[0] else ()
            found.insert(0, cls(np.asarray(part.exterior.coords)[:-1, :2], holes, rest))
        return found[0]

    @property
    def parts(self) -> tuple[Polygon, ...]:
        """The parts, each a polygon of its own."""
        if not self.further:
            return (self,)
        first = Polygon(self.exterior_nm, self.holes_nm)
        return (first, *(part for item in self.further for part in item.parts))

    def moved(self, move: Callable[[FloatArray], npt.ArrayLike]) -> Polygon:
        """Give the polygon with its corners (k, 2) where a function puts them."""
        return Polygon(
            np.asarray(move(self.exterior_nm)),
            tuple(np.asarray(move(hole)) for hole in self.holes_nm),
            tuple(part.moved(move) for part in self.further),
        )

    @cached_property
    def shape(self) -> shapely.Polygon | shapely.MultiPolygon:
        """The polygon as a shapely geometry, prepared for many queries."""
        import shapely

        polygon: shapely.Polygon | shapely.MultiPolygon
        polygon = shapely.Polygon(self.exterior_nm, self.holes_nm)
        if self.further:
            others = (part.shape for item in self.further for part in item.parts)
            polygon = shapely.MultiPolygon([polygon, *others])
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
        found = {
            "kind": "polygon",
            "exterior_nm": self.exterior_nm.tolist(),
            "holes_nm": [hole.tolist() for hole in self.holes_nm],
        }
        if self.further:
            found["further"] = [part.to_dict() for part in self.further]
        return found


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


def _ring(corners: npt.ArrayLike, name: str) -> FloatArray:
    ring = np.asarray(corners, dtype=np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2:
        raise GeometryError(f"Polygon: {name} of shape (k, 2) was expected, found {ring.shape}.")
    if len(ring) < 3:
        raise TooFewPointsError(f"Polygon: {name} needs at least 3 corners, found {len(ring)}.")
    if not np.isfinite(ring).all():
        raise GeometryError(f"Polygon: {name} holds numbers that are not finite.")
    return ring

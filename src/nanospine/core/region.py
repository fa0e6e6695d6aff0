"""Where a sample was observed: boxes, polygons, prisms, voxel masks and closed meshes.

Every density and every spatial statistic needs the region in which points *could* have been seen.
Localizations carry it; when nobody said what it is, the bounding box stands in and is marked
`assumed`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, TooFewPointsError

if TYPE_CHECKING:
    import shapely
    import trimesh

    from nanospine.core.triangles import TriangleTree

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

# Points drawn per missing point of a rejection sampler, and how often it may come back empty.
_REJECTION_ROUNDS = 10_000


class Region(ABC):
    """A region of the plane (nm, area in nm²) or of space (nm, volume in nm³)."""

    assumed: bool = False

    @property
    @abstractmethod
    def dimension(self) -> int:
        """2 for a region of the plane, 3 for one of space."""

    @property
    @abstractmethod
    def size(self) -> float:
        """Area in nm² (2-D) or volume in nm³ (3-D)."""

    @property
    @abstractmethod
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner, shape (2, dimension), nanometres."""

    @abstractmethod
    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies in the region (its boundary included), shape (n,)."""

    @abstractmethod
    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance of each point to the nearest boundary, shape (n,), nm, never negative."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Give the region as plain data that :func:`region_from_dict` reads."""

    def sample_nm(self, n: int, seed: int | np.random.Generator | None = None) -> FloatArray:
        """Draw `n` points uniformly in the region, shape (n, dimension), nanometres."""
        generator = np.random.default_rng(seed)
        low, high = self.bounds_nm
        fraction = max(self.size / float(np.prod(high - low)), 1e-4)
        found: list[FloatArray] = []
        missing = n
        for _ in range(_REJECTION_ROUNDS):
            if missing <= 0:
                break
            count = int(missing / fraction * 1.1) + 16
            points = generator.uniform(low, high, (min(count, 2_000_000), self.dimension))
            points = points[self.contains(points)][:missing]
            missing -= len(points)
            found.append(points)
        else:
            raise GeometryError(f"{type(self).__name__}: no point could be drawn inside it.")
        return np.concatenate(found) if found else np.zeros((0, self.dimension))

    def _points(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Check points of shape (n, >= dimension) and give their first `dimension` columns."""
        points = np.asarray(xyz_nm, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] < self.dimension or points.shape[1] > 3:
            raise GeometryError(
                f"{type(self).__name__}: points of shape (n, {self.dimension}) were expected, "
                f"found {points.shape}."
            )
        return points[:, : self.dimension]


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
        return np.asarray(((points >= self.low_nm) & (points <= self.high_nm)).all(axis=1))

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


@dataclass(frozen=True, eq=False)
class MeshRegion(Region):
    """The inside of a closed triangle mesh in nanometres: a dendrite, an envelope, a spine.

    Examples
    --------
    >>> import trimesh
    >>> region = MeshRegion(trimesh.creation.box(extents=(100, 100, 100)))
    >>> round(region.size), region.contains([[0, 0, 0], [60, 0, 0]]).tolist()
    (1000000, [True, False])
    """

    mesh: trimesh.Trimesh
    assumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.mesh.is_watertight:
            raise GeometryError(
                "MeshRegion: a closed mesh was expected; this one has open or shared edges. "
                "Make one with nanospine.envelope, or fill its holes first."
            )
        if self.mesh.volume <= 0:
            raise GeometryError(
                "MeshRegion: the mesh is inside out (negative volume); call mesh.invert() first."
            )

    @cached_property
    def tree(self) -> TriangleTree:
        """Search tree over the triangles."""
        from nanospine.core.triangles import TriangleTree

        return TriangleTree(self.mesh.vertices, self.mesh.faces)

    @property
    def dimension(self) -> int:
        """Always 3."""
        return 3

    @property
    def size(self) -> float:
        """Volume in nm³."""
        return float(self.mesh.volume)

    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner, shape (2, 3)."""
        return np.asarray(self.mesh.bounds, dtype=np.float64)

    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies inside the mesh."""
        return self.tree.contains(self._points(xyz_nm))

    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Exact distance to the nearest triangle."""
        return self.tree.closest(self._points(xyz_nm))[0]

    def to_dict(self) -> dict[str, Any]:
        """Give the mesh as plain data: vertices and faces."""
        return {
            "kind": "mesh",
            "vertices_nm": np.asarray(self.mesh.vertices).tolist(),
            "faces": np.asarray(self.mesh.faces).tolist(),
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

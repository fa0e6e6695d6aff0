"""Delaunay triangulation of localizations, with the checks that Qhull leaves to its caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.surface.engine import tetrahedralize
from nanospine.surface.order import along_curve, first_of_equal
from nanospine.surface.qhull import simplex_volumes, triangulate

__all__ = ["Delaunay", "delaunay"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A direction in which the points spread by less than this fraction of their extent is flat for
# Qhull: below it, rounding decides its triangulation.
_FLAT = 1e-10
# Our engine does not round; but rounded coordinates of a tilted plane are no volume either.
_ROUNDING = 2.0**-51


@dataclass(frozen=True, eq=False)
class Delaunay:
    """A Delaunay triangulation: tetrahedra of 3-D points, triangles of 2-D points.

    Attributes
    ----------
    points_nm : ndarray, shape (n, dimension)
        The points as they were given.
    simplices : ndarray of int64, shape (m, dimension + 1)
        Vertices of each tetrahedron (triangle), as indices into `points_nm`, oriented so that its
        volume (area) is positive.
    neighbors : ndarray of int64, shape (m, dimension + 1)
        Column j is the neighbour opposite vertex j; -1 outside the convex hull.
    first_of : ndarray of int64, shape (n,)
        For each point the first point with the same coordinates. Only first ones are vertices.
    engine : str
        What made it.
    """

    points_nm: FloatArray
    simplices: IntArray
    neighbors: IntArray
    first_of: IntArray = field(repr=False)
    engine: str = "nanospine"

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return int(self.points_nm.shape[1])

    @property
    def tetrahedra(self) -> IntArray:
        """The tetrahedra (m, 4) of 3-D points."""
        if self.dimension != 3:
            raise GeometryError("Delaunay: 2-D points make triangles; use .triangles.")
        return self.simplices

    @property
    def triangles(self) -> IntArray:
        """The triangles (m, 3) of 2-D points."""
        if self.dimension != 2:
            raise GeometryError("Delaunay: 3-D points make tetrahedra; use .tetrahedra.")
        return self.simplices

    @property
    def n_duplicates(self) -> int:
        """Number of points that repeat the coordinates of an earlier one."""
        return int((self.first_of != np.arange(len(self.first_of))).sum())

    @property
    def volumes(self) -> FloatArray:
        """Volume of each tetrahedron in nm³ (area of each triangle in nm²), shape (m,)."""
        # 0 and not a rounding error below it for the flat simplices of cospherical points
        return np.maximum(simplex_volumes(self.points_nm, self.simplices), 0.0)


def delaunay(
    xyz_nm: npt.ArrayLike,
    *,
    engine: Literal["nanospine", "scipy"] = "nanospine",
    threads: int | None = None,
) -> Delaunay:
    """Triangulate points so that no point is inside the circumsphere of a tetrahedron.

    Which side of a plane or sphere a point is on is decided exactly, so that the answer is right
    for grids, spheres, far offsets and wide spans, and does not depend on the order of the points:
    cospherical ones are told apart by their coordinates. Exact duplicates are set aside.

    Parameters
    ----------
    xyz_nm : array_like, shape (n, 3) or (n, 2)
        Positions in nanometres.
    engine : {"nanospine", "scipy"}
        Ours (incremental insertion along a Hilbert curve with exact predicates; see
        :mod:`nanospine.surface.engine`), or Qhull (Barber, Dobkin and Huhdanpaa 1996) through
        scipy, which is slower and moves points by 1e-8 of their extent where it fails. 2-D points
        are always triangulated by Qhull.
    threads : int, optional
        For ours; as many as there are processors where not given. The answer is the same.

    Returns
    -------
    Delaunay
        `.tetrahedra` (m, 4) and `.neighbors` (m, 4), -1 outside, as indices into the input.

    Raises
    ------
    TooFewPointsError
        When fewer than 4 (2-D: 3) different points are given.
    GeometryError
        When the points are not finite, or all on one plane (2-D: one line).

    Examples
    --------
    >>> import numpy as np
    >>> cube = np.array([[x, y, z] for x in (0, 9) for y in (0, 9) for z in (0, 9)], float)
    >>> result = delaunay(cube)
    >>> float(round(result.volumes.sum(), 6)), bool((result.volumes >= 0).all())
    (729.0, True)
    >>> delaunay(cube[:, :2]).triangles.shape
    (2, 3)
    >>> delaunay(cube * [1, 1, 0])
    Traceback (most recent call last):
    ...
    nanospine.core.errors.GeometryError: delaunay: all 8 points have z = 0 nm: these data are 2-D; \
give (n, 2) coordinates for triangles.
    """
    points = np.ascontiguousarray(np.asarray(xyz_nm, dtype=np.float64))
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise GeometryError(
            f"delaunay: points of shape (n, 3) or (n, 2) were expected, found {points.shape}."
        )
    if engine not in ("nanospine", "scipy"):
        raise GeometryError(
            f"delaunay: engine {engine!r} is not known; engines: 'nanospine', 'scipy'."
        )
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        raise GeometryError(
            f"delaunay: {int((~finite).sum())} of {len(points)} points are not finite "
            f"(first: row {int(np.argmin(finite))}); remove them first."
        )
    order, repeated = along_curve(points)
    first_of = first_of_equal(order, repeated)
    kept = np.flatnonzero(first_of == np.arange(len(points)))
    ours = engine == "nanospine" and points.shape[1] == 3
    centred = _check_spread(points, kept, exact=ours)
    if ours:
        along = first_of[order[np.concatenate([[True], ~repeated[:-1]])]]
        simplices, neighbors = tetrahedralize(points, along, threads=threads)
        return Delaunay(points, simplices, neighbors, first_of)
    simplices, neighbors = triangulate(centred)
    return Delaunay(points, kept[simplices], neighbors, first_of, "scipy")


def _check_spread(points: FloatArray, kept: IntArray, *, exact: bool) -> FloatArray:
    """Refuse points that span no volume, with the reason; give the distinct ones, centred.

    As they are where the engine is exact and a few of them span one beyond doubt.
    """
    n, dimension = points.shape
    if n < dimension + 1:
        raise TooFewPointsError(
            f"delaunay: {n} point{'s' * (n != 1)} given; a triangulation in {dimension}-D needs at "
            f"least {dimension + 1}."
        )
    if len(kept) == 1:
        where = ", ".join(f"{value:g}" for value in points[0])
        raise TooFewPointsError(
            f"delaunay: all {n} points are equal, at ({where}) nm; at least {dimension + 1} "
            "different ones are needed."
        )
    if len(kept) < dimension + 1:
        raise TooFewPointsError(
            f"delaunay: only {len(kept)} of the {n} points are different; at least "
            f"{dimension + 1} are needed."
        )
    low, high = points.min(axis=0), points.max(axis=0)
    for axis, name in enumerate("xyz"[:dimension]):
        if dimension == 3 and low[axis] == high[axis]:
            _refuse_flat_axis(n, name, float(low[axis]))
    middle = low + (high - low) / 2
    if exact and _is_spread(points[kept[:: max(1, len(kept) // 1000)]], middle, high - low):
        return points
    centred = points[kept] - middle
    spread = np.linalg.svd(_sample(centred) / np.abs(centred).max(), compute_uv=False)
    least = _FLAT * spread[0]
    if exact:
        largest = float(np.abs(points).max() / np.abs(centred).max())
        least = _ROUNDING * largest * np.sqrt(len(centred))
    flat = int((spread <= least).sum())
    if flat >= dimension - 1:
        raise GeometryError(
            f"delaunay: all {n} points lie on one line; a triangulation needs points that span "
            f"{'a volume' if dimension == 3 else 'an area'}."
        )
    if flat:
        raise GeometryError(
            f"delaunay: all {n} points lie on one plane; project them onto it and give (n, 2) "
            "coordinates for triangles."
        )
    return centred


def _is_spread(some: FloatArray, middle: FloatArray, extent: FloatArray) -> bool:
    """Tell whether some of the points span a volume; all of them span no less."""
    scaled = (some - middle) / extent.max()
    # Coordinates far from the origin are rounded to a part of their own size.
    rounding = _ROUNDING * (1.0 + float(np.abs(middle).max() / extent.max()))
    return bool(np.linalg.svd(_sample(scaled), compute_uv=False)[-1] > 1e6 * rounding * len(some))


def _refuse_flat_axis(n: int, name: str, value: float) -> None:
    raise GeometryError(
        f"delaunay: all {n} points have {name} = {value:g} nm: these data are 2-D; give (n, 2) "
        "coordinates for triangles."
    )


def _sample(centred: FloatArray) -> FloatArray:
    """Triangular factor of the points: same singular values, (dimension, dimension)."""
    middle = centred - centred.mean(axis=0)
    return np.asarray(np.linalg.qr(middle, mode="r"))

"""How deep a probe sphere of a given radius gets into a Delaunay triangulation from outside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.surface.delaunay import Delaunay
from nanospine.surface.flood import widest_ways
from nanospine.surface.gates import facet_gates, radii_and_volumes, scaled
from nanospine.surface.holes import close_holes, widest_gap

__all__ = ["CarvingDepth", "carving_depth"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CarvingDepth:
    """For each tetrahedron the largest probe sphere that reaches it from outside.

    Attributes
    ----------
    depth_nm : ndarray, shape (m,)
        Radius of the largest empty sphere that can roll from outside into the tetrahedron: the
        widest path, over all paths from outside, of the narrowest facet on the path.
    circumradius_nm : ndarray, shape (m,)
        Radius of the circumsphere of the tetrahedron (infinite for a flat one).
    volume_nm3 : ndarray, shape (m,)
        Volume of the tetrahedron.
    triangulation : Delaunay
        What it was computed from.
    hole_nm : float
        Radius of the widest hole in the label that was closed; 0 without any.
    gates_nm : ndarray, shape (m, 4), or None
        Of all facets, where holes were looked for.

    Where a scale was given, depth and circumradius are over it.
    """

    depth_nm: FloatArray
    circumradius_nm: FloatArray
    volume_nm3: FloatArray
    triangulation: Delaunay = field(repr=False)
    hole_nm: float = 0.0
    gates_nm: FloatArray | None = field(default=None, repr=False)

    def sealed(self, alpha_nm: float) -> CarvingDepth:
        """Close the holes that are wider than alpha too, and forget the gates."""
        if self.gates_nm is None:
            return self
        depth, hole_nm = close_holes(
            self.triangulation, self.gates_nm, self.circumradius_nm, self.volume_nm3,
            self.depth_nm, alpha_nm,
        )  # fmt: skip
        hole_nm = max(hole_nm, self.hole_nm)
        return replace(self, depth_nm=depth, hole_nm=hole_nm, gates_nm=None)

    @cached_property
    def order(self) -> IntArray:
        """Tetrahedra in the order of rising depth, shape (m,)."""
        return np.argsort(self.depth_nm)

    def inside(self, alpha_nm: float) -> BoolArray:
        """Tell which tetrahedra a sphere of radius alpha cannot reach from outside, shape (m,)."""
        return self.depth_nm <= alpha_nm

    def curve(self, samples: int = 200) -> tuple[FloatArray, FloatArray]:
        """Give alpha (nm) and the enclosed volume (nm³) at it, over the whole range.

        The alphas are evenly spread over the logarithm of the depths; the last one encloses the
        convex hull.
        """
        depth, volume = self.depth_nm[self.order], np.cumsum(self.volume_nm3[self.order])
        first, last = np.searchsorted(depth, 0.0, side="right"), np.searchsorted(depth, np.inf)
        if first >= last:
            return np.full(1, np.inf), volume[-1:]
        low, high = depth[first], depth[last - 1]
        alpha = np.geomspace(max(low, high * 1e-9), high * (1 + 1e-9), samples)
        at = np.searchsorted(depth, alpha, side="right")
        enclosed = np.where(at > 0, volume[np.maximum(at, 1) - 1], 0.0)
        enclosed[-1] = volume[-1]  # what is left are flat tetrahedra on the hull
        return alpha, enclosed


def carving_depth(
    triangulation: Delaunay, *, scale: FloatArray | None = None, close: bool = False
) -> CarvingDepth:
    """Compute the carving depth of all tetrahedra at once.

    A sphere of radius alpha passes a facet when the smallest empty sphere through the facet's
    three points is larger than alpha. Flooding from outside in the order of decreasing gates gives
    the carved set for every alpha: inside(alpha) = {depth <= alpha}. Unlike an alpha shape, a
    hollow shell of points comes out filled; what is not reached is connected to nothing outside,
    so that there are never inner voids.

    Parameters
    ----------
    triangulation : Delaunay
        Of 3-D points.
    scale : ndarray, shape (n,), optional
        How large the sphere is near each point, over alpha
        (:func:`nanospine.surface.unevenness.label_scale`): gates and circumradii are divided
        by it (:func:`nanospine.surface.gates.scaled`).
    close : bool
        First close holes in the label (:func:`nanospine.surface.holes.close_holes`) that are
        wider than an even label leaves (:func:`nanospine.surface.holes.widest_gap`).

    Examples
    --------
    >>> import numpy as np, trimesh
    >>> from nanospine.surface.delaunay import delaunay
    >>> ball = trimesh.creation.icosphere(3, radius=100).vertices
    >>> depth = carving_depth(delaunay(np.asarray(ball)))
    >>> inside = depth.inside(20.0)       # the holes between the points are smaller than that
    >>> bool(depth.circumradius_nm.max() > 90), bool(inside.all())
    (True, True)
    >>> rng = np.random.default_rng(0)
    >>> label = rng.normal(size=(6000, 3))
    >>> label *= 100 / np.linalg.norm(label, axis=1, keepdims=True)
    >>> label = (label + rng.normal(0, 3, label.shape))[label[:, 2] < 96]     # a hole of 28 nm
    >>> carving_depth(delaunay(label), close=True).hole_nm > 20
    True
    """
    if triangulation.dimension != 3:
        raise GeometryError(
            "carving_depth: a triangulation of 3-D points was expected, found 2-D points."
        )
    radii, volumes = radii_and_volumes(triangulation)
    gates = facet_gates(triangulation, radii)
    if scale is not None:
        gates, radii = scaled(triangulation, gates, radii, scale)
    depth = widest_ways(gates, triangulation.neighbors)
    if not close:
        return CarvingDepth(depth, radii, volumes, triangulation)
    limit = widest_gap(gates, triangulation.neighbors, radii)
    depth, hole_nm = close_holes(triangulation, gates, radii, volumes, depth, limit)
    return CarvingDepth(depth, radii, volumes, triangulation, hole_nm, gates)

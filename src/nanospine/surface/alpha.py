"""How deep a probe sphere of a given radius gets into a Delaunay triangulation from outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.errors import GeometryError
from nanospine.surface.delaunay import Delaunay

__all__ = ["CarvingDepth", "carving_depth"]

FloatArray = npt.NDArray[np.float64]
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
    facet_nm : ndarray, shape (m, 4)
        Radius of the smallest empty sphere through the facet opposite each vertex.
    volume_nm3 : ndarray, shape (m,)
        Volume of the tetrahedron.
    """

    depth_nm: FloatArray
    circumradius_nm: FloatArray
    facet_nm: FloatArray
    volume_nm3: FloatArray

    def inside(self, alpha_nm: float) -> BoolArray:
        """Tell which tetrahedra a sphere of radius alpha cannot reach from outside, shape (m,)."""
        return self.depth_nm <= alpha_nm

    def curve(self, samples: int = 200) -> tuple[FloatArray, FloatArray]:
        """Give alpha (nm) and the enclosed volume (nm³) at it, over the whole range.

        The alphas are evenly spread over the logarithm of the depths; the last one encloses the
        convex hull.
        """
        order = np.argsort(self.depth_nm)
        depth, volume = self.depth_nm[order], np.cumsum(self.volume_nm3[order])
        finite = depth[np.isfinite(depth) & (depth > 0)]
        if len(finite) == 0:
            return np.full(1, np.inf), volume[-1:]
        alpha = np.geomspace(max(finite[0], finite[-1] * 1e-9), finite[-1] * (1 + 1e-9), samples)
        at = np.searchsorted(depth, alpha, side="right")
        enclosed = np.concatenate([[0.0], volume])[at]
        enclosed[-1] = volume[-1]  # what is left are flat tetrahedra on the hull
        return alpha, enclosed


def carving_depth(triangulation: Delaunay) -> CarvingDepth:
    """Compute the carving depth of all tetrahedra at once.

    A sphere of radius alpha passes a facet when the smallest empty sphere through the facet's
    three points is larger than alpha. Flooding from outside in the order of decreasing gates gives
    the carved set for every alpha: inside(alpha) = {depth <= alpha}. Unlike an alpha shape, a
    hollow shell of points comes out filled; what is not reached is connected to nothing outside,
    so that there are never inner voids.

    Examples
    --------
    >>> import numpy as np, trimesh
    >>> from nanospine.surface.delaunay import delaunay
    >>> ball = trimesh.creation.icosphere(3, radius=100).vertices
    >>> depth = carving_depth(delaunay(np.asarray(ball)))
    >>> inside = depth.inside(20.0)       # the holes between the points are smaller than that
    >>> bool(depth.circumradius_nm.max() > 90), bool(inside.all())
    (True, True)
    """
    if triangulation.dimension != 3:
        raise GeometryError(
            "carving_depth: a triangulation of 3-D points was expected, found 2-D points."
        )
    points = triangulation.points_nm
    centred = np.ascontiguousarray(points - (points.min(axis=0) + points.max(axis=0)) / 2)
    facets, radii = _gates(centred, triangulation.tetrahedra, triangulation.neighbors)
    depth = _flood(facets, triangulation.neighbors)
    return CarvingDepth(depth, radii, facets, np.abs(triangulation.volumes))


@njit(cache=True)
def _gates(points, tetrahedra, neighbors):  # type: ignore[no-untyped-def]
    """Give the smallest empty sphere through each facet (m, 4), and the circumradii (m,)."""
    m = tetrahedra.shape[0]
    radii = np.empty(m)
    for t in range(m):
        radii[t] = circumradius(points, tetrahedra[t])
    facets = np.empty((m, 4))
    for t in range(m):
        for j in range(4):
            other = neighbors[t, j]
            if 0 <= other < t:  # both sides must give the same number: computed once
                for k in range(4):
                    if neighbors[other, k] == t:
                        facets[t, j] = facets[other, k]
                continue
            corners = tetrahedra[t]
            a = points[corners[(j + 1) % 4]]
            b = points[corners[(j + 2) % 4]]
            c = points[corners[(j + 3) % 4]]
            square, v, w = _circumcircle(a, b, c)
            gabriel = not _in_ball(a, b, c, v, w, square, points[corners[j]])
            value = radii[t]
            if other >= 0:
                value = min(value, radii[other])
                for k in range(4):
                    if neighbors[other, k] == t:
                        apex = points[tetrahedra[other, k]]
                        gabriel = gabriel and not _in_ball(a, b, c, v, w, square, apex)
            facets[t, j] = np.sqrt(square) if gabriel else value
    return facets, radii


@njit(cache=True)
def _circumcircle(a, b, c):  # type: ignore[no-untyped-def]
    """Squared radius of the circle through a, b, c, and its centre as a + v (b-a) + w (c-a)."""
    bb = cc = bc = 0.0
    for k in range(3):
        p, q = b[k] - a[k], c[k] - a[k]
        bb += p * p
        cc += q * q
        bc += p * q
    area = bb * cc - bc * bc
    if area <= 1e-28 * bb * cc:
        return np.inf, 0.0, 0.0
    v = cc * (bb - bc) / (2 * area)
    w = bb * (cc - bc) / (2 * area)
    return v * v * bb + w * w * cc + 2 * v * w * bc, v, w


@njit(cache=True)
def _in_ball(a, b, c, v, w, square, point):  # type: ignore[no-untyped-def]
    """Tell whether a point is strictly inside the ball on the circle (its largest cut)."""
    distance = 0.0
    for k in range(3):
        centre = a[k] + v * (b[k] - a[k]) + w * (c[k] - a[k])
        distance += (point[k] - centre) ** 2
    return distance < square * (1 - 1e-12)


@njit(cache=True)
def circumradius(points, corners):  # type: ignore[no-untyped-def]
    a = points[corners[0]]
    u = points[corners[1]] - a
    v = points[corners[2]] - a
    w = points[corners[3]] - a
    uu = u[0] * u[0] + u[1] * u[1] + u[2] * u[2]
    vv = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
    ww = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    total = 0.0
    six_volumes = 0.0
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        vw = v[i] * w[j] - v[j] * w[i]
        wu = w[i] * u[j] - w[j] * u[i]
        uv = u[i] * v[j] - u[j] * v[i]
        total += (uu * vw + vv * wu + ww * uv) ** 2
        six_volumes += u[k] * vw
    if six_volumes * six_volumes <= 1e-28 * uu * vv * ww:
        return np.inf
    return np.sqrt(total) / (2 * abs(six_volumes))


@njit(cache=True)
def _flood(facets, neighbors):  # type: ignore[no-untyped-def]
    """Widest path from outside to each tetrahedron, by a flood in the order of falling width.

    A binary heap of (width, tetrahedron); a tetrahedron has its depth when it is first taken out.
    """
    m = facets.shape[0]
    depth = np.full(m, -1.0)
    width = np.empty(4 * m + 1)
    which = np.empty(4 * m + 1, dtype=np.int64)
    size = 0
    for t in range(m):
        for j in range(4):
            if neighbors[t, j] < 0:
                size = _push(width, which, size, facets[t, j], t)
    while size > 0:
        level, t = width[1], which[1]
        size = _pop(width, which, size)
        if depth[t] >= 0:
            continue
        depth[t] = level
        for j in range(4):
            other = neighbors[t, j]
            if other >= 0 and depth[other] < 0:
                size = _push(width, which, size, min(level, facets[t, j]), other)
    return depth


@njit(cache=True)
def _push(width, which, size, value, item):  # type: ignore[no-untyped-def]
    size += 1
    slot = size
    while slot > 1 and width[slot // 2] < value:
        width[slot], which[slot] = width[slot // 2], which[slot // 2]
        slot //= 2
    width[slot], which[slot] = value, item
    return size


@njit(cache=True)
def _pop(width, which, size):  # type: ignore[no-untyped-def]
    value, item = width[size], which[size]
    size -= 1
    slot = 1
    while 2 * slot <= size:
        child = 2 * slot
        if child < size and width[child + 1] > width[child]:
            child += 1
        if width[child] <= value:
            break
        width[slot], which[slot] = width[child], which[child]
        slot = child
    width[slot], which[slot] = value, item
    return size

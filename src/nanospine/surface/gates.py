"""The gates of a triangulation: how wide a sphere passes each facet; radii and volumes."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.lean import lean
from nanospine.surface.delaunay import Delaunay

__all__ = ["circumradius", "facet_gates", "radii_and_volumes", "scaled"]

FloatArray = npt.NDArray[np.float64]


def radii_and_volumes(triangulation: Delaunay) -> tuple[FloatArray, FloatArray]:
    """Circumradii (infinite for flat ones) and volumes of the tetrahedra, each of shape (m,)."""
    points, tetrahedra = triangulation.points_nm, triangulation.tetrahedra
    return _radii_and_volumes(points, _middle(points), tetrahedra)


def facet_gates(triangulation: Delaunay, radii: FloatArray) -> FloatArray:
    """Radius of the smallest empty sphere through the facet opposite each vertex, (m, 4).

    That of the facet's own circle where neither of the two vertices beside the facet is in its
    ball, else the smaller one of the two circumradii.
    """
    points = triangulation.points_nm
    return _facet_gates(
        points, _middle(points), triangulation.tetrahedra, triangulation.neighbors, radii
    )


def scaled(
    triangulation: Delaunay, gates: FloatArray, radii: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give gates and circumradii over the scale of the points that make them.

    Of a facet the least of three, so that background beside the label does not widen it; of a
    tetrahedron the mean of the middle two of four.
    """
    return _scaled(triangulation.tetrahedra, gates, radii, scale)


def _middle(points: FloatArray) -> FloatArray:
    """Where coordinates are counted from: a far origin must not cost digits."""
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)


@njit(cache=True)
def _radii_and_volumes(points, middle, tetrahedra):
    m = tetrahedra.shape[0]
    radii = np.empty(m)
    volumes = np.empty(m)
    u, v, w = np.empty(3), np.empty(3), np.empty(3)
    for t in range(m):
        a, b, c, d = tetrahedra[t, 0], tetrahedra[t, 1], tetrahedra[t, 2], tetrahedra[t, 3]
        for k in range(3):
            origin = points[a, k]
            u[k] = points[b, k] - origin
            v[k] = points[c, k] - origin
            w[k] = points[d, k] - origin
        volume = (
            u[0] * (v[1] * w[2] - v[2] * w[1])
            + u[1] * (v[2] * w[0] - v[0] * w[2])
            + u[2] * (v[0] * w[1] - v[1] * w[0])
        ) / 6.0
        # 0 and not a rounding error below it for the flat ones of cospherical points
        volumes[t] = max(volume, 0.0)
        for k in range(3):
            origin = points[a, k] - middle[k]
            u[k] = (points[b, k] - middle[k]) - origin
            v[k] = (points[c, k] - middle[k]) - origin
            w[k] = (points[d, k] - middle[k]) - origin
        radii[t] = _radius(u[0], u[1], u[2], v[0], v[1], v[2], w[0], w[1], w[2])
    return radii, volumes


@lean
def circumradius(points, a, b, c, d):
    """Radius of the sphere through four points by their rows, infinite where they are flat."""
    x, y, z = points[a, 0], points[a, 1], points[a, 2]
    return _radius(
        points[b, 0] - x, points[b, 1] - y, points[b, 2] - z,
        points[c, 0] - x, points[c, 1] - y, points[c, 2] - z,
        points[d, 0] - x, points[d, 1] - y, points[d, 2] - z,
    )  # fmt: skip


@lean
def _radius(ux, uy, uz, vx, vy, vz, wx, wy, wz):
    """Radius of the sphere through the origin and three points."""
    uu = ux * ux + uy * uy + uz * uz
    vv = vx * vx + vy * vy + vz * vz
    ww = wx * wx + wy * wy + wz * wz
    nx, ny, nz = vy * wz - vz * wy, vz * wx - vx * wz, vx * wy - vy * wx
    six_volumes = ux * nx + uy * ny + uz * nz
    if six_volumes * six_volumes <= 1e-28 * uu * vv * ww:
        return np.inf
    total = (uu * nx + vv * (wy * uz - wz * uy) + ww * (uy * vz - uz * vy)) ** 2
    total += (uu * ny + vv * (wz * ux - wx * uz) + ww * (uz * vx - ux * vz)) ** 2
    total += (uu * nz + vv * (wx * uy - wy * ux) + ww * (ux * vy - uy * vx)) ** 2
    return np.sqrt(total) / (2 * abs(six_volumes))


@njit(cache=True)
def _facet_gates(points, middle, tetrahedra, neighbors, radii):
    m = tetrahedra.shape[0]
    gates = np.empty((m, 4))
    corner = np.empty((7, 3))  # the facet's three again behind the four, so that j + 3 is there
    for t in range(m):
        for i in range(4):
            vertex = tetrahedra[t, i]
            for k in range(3):
                corner[i, k] = points[vertex, k] - middle[k]
        for i in range(3):
            for k in range(3):
                corner[4 + i, k] = corner[i, k]
        for j in range(4):
            other = neighbors[t, j]
            if 0 <= other < t:  # both sides must give the same number: computed once
                continue
            square, cx, cy, cz = _circle(corner, j + 1)
            limit = square * (1 - 1e-12)
            gabriel = not (
                (corner[j, 0] - cx) ** 2 + (corner[j, 1] - cy) ** 2 + (corner[j, 2] - cz) ** 2
                < limit
            )
            if other < 0:
                gates[t, j] = np.sqrt(square) if gabriel else radii[t]
                continue
            back = 0
            while neighbors[other, back] != t:
                back += 1
            if gabriel:
                apex = tetrahedra[other, back]
                gabriel = not (
                    (points[apex, 0] - middle[0] - cx) ** 2
                    + (points[apex, 1] - middle[1] - cy) ** 2
                    + (points[apex, 2] - middle[2] - cz) ** 2
                    < limit
                )
            value = np.sqrt(square) if gabriel else min(radii[t], radii[other])
            gates[t, j] = value
            gates[other, back] = value
    return gates


@njit(cache=True)
def _scaled(tetrahedra, gates, radii, scale):
    new_gates = np.empty_like(gates)
    new_radii = np.empty_like(radii)
    four = np.empty(4)
    for t in range(tetrahedra.shape[0]):
        for j in range(4):
            four[j] = scale[tetrahedra[t, j]]
        for j in range(4):
            a, b, c = four[(j + 1) % 4], four[(j + 2) % 4], four[(j + 3) % 4]
            new_gates[t, j] = gates[t, j] / min(a, b, c)
        middle = 0.5 * (four.sum() - four.min() - four.max())
        new_radii[t] = radii[t] / middle
    return new_gates, new_radii


@lean
def _circle(corner, i):
    """Squared radius and centre of the circle through rows i to i + 2; infinite for a line."""
    bb = cc = bc = 0.0
    for k in range(3):
        p, q = corner[i + 1, k] - corner[i, k], corner[i + 2, k] - corner[i, k]
        bb += p * p
        cc += q * q
        bc += p * q
    area = bb * cc - bc * bc
    if area <= 1e-28 * bb * cc:
        return np.inf, 0.0, 0.0, 0.0
    v = cc * (bb - bc) / (2 * area)
    w = bb * (cc - bc) / (2 * area)
    square = v * v * bb + w * w * cc + 2 * v * w * bc
    x = corner[i, 0] + v * (corner[i + 1, 0] - corner[i, 0]) + w * (corner[i + 2, 0] - corner[i, 0])
    y = corner[i, 1] + v * (corner[i + 1, 1] - corner[i, 1]) + w * (corner[i + 2, 1] - corner[i, 1])
    z = corner[i, 2] + v * (corner[i + 1, 2] - corner[i, 2]) + w * (corner[i + 2, 2] - corner[i, 2])
    return square, x, y, z

"""Where localizations stand over a surface that moves: foot, side and distance, found again fast.

Strategy: localizations are asked in the order of a curve, faces lie in memory in such an order, and
a search starts with the face of last time, so that few boxes are nearer than what is already known.
Those that were farther away than any that counts, by more than the surface has moved since, are
not asked again: neither their side nor their being far can have changed.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.lean import lean
from nanospine.surface.boxes import boxes_of, corners_of, faces_along_curve
from nanospine.surface.order import hilbert_keys

__all__ = ["Feet", "unit_normals"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BITS = 8
# Faces no farther than this times the nearest (squared) share the foot: it is on their common edge
# or corner. The one whose plane is farthest from the point knows on which side the point is.
_TIE = 1 + 1e-12


@dataclass
class Feet:
    """Signed distances of points to a moving surface, and the feet on it.

    Attributes
    ----------
    points : ndarray, shape (n, 3)
        In the order of a curve.
    faces : ndarray of int64, shape (m, 3)
        Likewise; their vertices may move.
    signed_nm : ndarray, shape (n,)
        Distance, negative inside. Of points that were left out: what it was when last asked.
    face : ndarray of int32, shape (n,)
        Row of `faces` that the foot is on.
    weights : ndarray, shape (n, 3)
        Barycentric coordinates of the foot.
    order : ndarray of int64, shape (n,)
        Row that each point had where it came from.
    """

    points: FloatArray
    faces: IntArray
    order: IntArray = field(repr=False)
    signed_nm: FloatArray = field(init=False, repr=False)
    face: npt.NDArray[np.int32] = field(init=False, repr=False)
    weights: FloatArray = field(init=False, repr=False)
    _vertices: FloatArray | None = field(default=None, init=False, repr=False)
    _slack: FloatArray = field(init=False, repr=False)

    @classmethod
    def over(cls, points: FloatArray, vertices: FloatArray, faces: IntArray) -> Feet:
        """Sort both along curves; nothing is known yet."""
        low = points.min(axis=0)
        scale = (2**_BITS - 1) / max(float((points.max(axis=0) - low).max()), 1e-300)
        order = np.argsort(hilbert_keys(points, low, scale, _BITS), kind="stable")
        result = cls(points[order], faces[faces_along_curve(vertices, faces)], order)
        n = len(points)
        result.signed_nm = np.zeros(n)
        result.face = np.full(n, -1, dtype=np.int32)
        result.weights = np.zeros((n, 3))
        result._slack = np.zeros(n)
        return result

    def find(self, vertices: FloatArray, *, beyond_nm: float = np.inf) -> None:
        """Find the feet on the surface with these vertices.

        Points that are certainly farther from it than `beyond_nm` keep their old figures.
        """
        moved = np.inf
        if self._vertices is not None:
            moved = float(np.sqrt(((vertices - self._vertices) ** 2).sum(axis=1).max()))
        origin = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        corners = corners_of(vertices, self.faces, origin)
        # a point of the surface has moved by no more than the vertices have
        self._slack -= moved
        _find(
            self.points, origin, corners, boxes_of(corners), float(beyond_nm), self._slack,
            self.signed_nm, self.face, self.weights,
        )  # fmt: skip
        self._vertices = vertices


def unit_normals(
    vertices: FloatArray, faces: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit normals and areas (a third of the faces around) of vertices; areas of faces."""
    normals, shares, areas = _normals(np.ascontiguousarray(vertices, dtype=np.float64), faces)
    return normals, shares, areas


@njit(cache=True)
def _normals(vertices, faces):
    n = vertices.shape[0]
    normals = np.zeros((n, 3))
    shares = np.zeros(n)
    areas = np.empty(faces.shape[0])
    u, v, w = np.empty(3), np.empty(3), np.empty(3)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        for k in range(3):
            u[k] = vertices[b, k] - vertices[a, k]
            v[k] = vertices[c, k] - vertices[a, k]
        square = 0.0
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            w[k] = u[i] * v[j] - u[j] * v[i]
            square += w[k] * w[k]
        areas[f] = np.sqrt(square) / 2
        for corner in range(3):
            vertex = faces[f, corner]
            shares[vertex] += areas[f] / 3
            for k in range(3):
                normals[vertex, k] += w[k]
    for i in range(n):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
        for k in range(3):
            normals[i, k] /= max(length, 1e-300)
    return normals, shares, areas


@njit(cache=True)
def _find(points, origin, corners, boxes, beyond, slack, signed, face, weights):
    sides = _sides(corners)
    first_leaf = boxes.shape[0] // 2
    leaves, m = first_leaf + 1, corners.shape[0]
    stack = np.empty(128, dtype=np.int64)
    gap = np.empty(128)
    p = np.empty(3)
    last = np.int64(0)
    for row in range(points.shape[0]):
        if slack[row] > beyond:
            continue
        for k in range(3):
            p[k] = points[row, k] - origin[k]
        found = last
        best, v, w = _to_triangle(p, sides, last)
        if face[row] >= 0 and face[row] != last:
            square, second, third = _to_triangle(p, sides, face[row])
            if square < best:
                best, v, w, found = square, second, third, np.int64(face[row])
        height = _height(p, sides, found)
        limit = best * _TIE
        stack[0], gap[0] = 0, 0.0
        top = 1
        while top > 0:
            top -= 1
            if gap[top] > limit:
                continue
            node = stack[top]
            if node < first_leaf:
                near, far = 2 * node + 1, 2 * node + 2
                gap_near, gap_far = _to_box(p, boxes, near), _to_box(p, boxes, far)
                if gap_far < gap_near:
                    near, far = far, near
                    gap_near, gap_far = gap_far, gap_near
                if gap_far <= limit:
                    stack[top], gap[top] = far, gap_far
                    top += 1
                if gap_near <= limit:
                    stack[top], gap[top] = near, gap_near
                    top += 1
                continue
            leaf = node - first_leaf
            for slot in range(leaf * m // leaves, (leaf + 1) * m // leaves):
                square, second, third = _to_triangle(p, sides, slot)
                if square > limit:
                    continue
                here = _height(p, sides, slot)
                if square * _TIE < best or abs(here) > abs(height):
                    v, w, found, height = second, third, np.int64(slot), here
                if square < best:
                    best = square
                    limit = best * _TIE
        last = found
        face[row] = found
        weights[row, 0], weights[row, 1], weights[row, 2] = max(1.0 - v - w, 0.0), v, w
        slack[row] = np.sqrt(best)
        signed[row] = np.copysign(slack[row], height)


@lean
def _height(p, sides, f):
    """Height of a point over the plane of a face; 0 for a face without area."""
    total = square = 0.0
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        normal = sides[f, 3 + i] * sides[f, 6 + j] - sides[f, 3 + j] * sides[f, 6 + i]
        square += normal * normal
        total += (p[k] - sides[f, k]) * normal
    return total / np.sqrt(square) if square > 0 else 0.0


@lean
def _to_box(p, boxes, node):
    """Squared distance of a point to a box."""
    total = 0.0
    for k in range(3):
        outside = max(boxes[node, k] - p[k], p[k] - boxes[node, 3 + k], 0.0)
        total += outside * outside
    return total


@njit(cache=True)
def _sides(corners):
    """For each face its first corner, the two sides there, and their products: 12 numbers."""
    m = corners.shape[0]
    sides = np.empty((m, 12))
    for f in range(m):
        bb = cc = bc = 0.0
        for k in range(3):
            a = corners[f, 0, k]
            b, c = corners[f, 1, k] - a, corners[f, 2, k] - a
            sides[f, k], sides[f, 3 + k], sides[f, 6 + k] = a, b, c
            bb += b * b
            cc += c * c
            bc += b * c
        sides[f, 9], sides[f, 10], sides[f, 11] = bb, bc, cc
    return sides


@lean
def _to_triangle(p, sides, f):
    """Squared distance to a triangle and the second and third barycentric coordinate of the foot.

    The regions of a triangle as in Ericson, Real-Time Collision Detection, 5.1.5.
    """
    x, y, z = p[0] - sides[f, 0], p[1] - sides[f, 1], p[2] - sides[f, 2]
    bb, bc, cc = sides[f, 9], sides[f, 10], sides[f, 11]
    d1 = sides[f, 3] * x + sides[f, 4] * y + sides[f, 5] * z
    d2 = sides[f, 6] * x + sides[f, 7] * y + sides[f, 8] * z
    d3, d4, d5, d6 = d1 - bb, d2 - bc, d1 - bc, d2 - cc
    if d1 <= 0 and d2 <= 0:
        return x * x + y * y + z * z, 0.0, 0.0
    if d3 >= 0 and d4 <= d3:
        return _square(x, y, z, sides, f, 1.0, 0.0), 1.0, 0.0
    if d6 >= 0 and d5 <= d6:
        return _square(x, y, z, sides, f, 0.0, 1.0), 0.0, 1.0
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    total = va + vb + vc  # the squared length of the product of the sides
    if min(va, vb, vc) > 0 and total > 1e-18 * bb * cc:
        v, w = vb / total, vc / total
        return _square(x, y, z, sides, f, v, w), v, w
    # On an edge; a triangle without area has no interior. The nearest of the three edges is right
    # for both, where regions by sign alone would divide zero by zero.
    v = min(max(d1 / bb, 0.0), 1.0) if bb > 0 else 0.0
    w = 0.0
    best = _square(x, y, z, sides, f, v, w)
    t = min(max(d2 / cc, 0.0), 1.0) if cc > 0 else 0.0
    square = _square(x, y, z, sides, f, 0.0, t)
    if square < best:
        best, v, w = square, 0.0, t
    length = bb - 2 * bc + cc
    t = min(max((d4 - d3) / length, 0.0), 1.0) if length > 0 else 0.0
    square = _square(x, y, z, sides, f, 1.0 - t, t)
    if square < best:
        best, v, w = square, 1.0 - t, t
    return best, v, w


@lean
def _square(x, y, z, sides, f, v, w):
    x -= v * sides[f, 3] + w * sides[f, 6]
    y -= v * sides[f, 4] + w * sides[f, 7]
    z -= v * sides[f, 5] + w * sides[f, 8]
    return x * x + y * y + z * z

"""Exact distance to a triangle surface and containment in a closed one, by a bounding-box tree."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.errors import GeometryError

__all__ = ["TriangleTree"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Triangles per leaf: below about eight the boxes cost more than the triangles they spare.
_LEAF = 4


class TriangleTree:
    """Search tree over the triangles of a surface.

    Strategy: a complete binary tree (children of node i are 2i + 1 and 2i + 2), split at the
    median of the longest side, so that it is three flat arrays and is built level by level.

    Parameters
    ----------
    vertices : array_like, shape (n, 3)
        Positions in nanometres.
    faces : array_like of int, shape (m, 3)
        Triangles, as indices into `vertices`. :meth:`contains` and :meth:`signed_distance` need a
        closed surface; the rest takes any triangles.

    Raises
    ------
    GeometryError
        When there are no faces, a face has no such vertex, or a vertex is not finite.

    Examples
    --------
    >>> import trimesh
    >>> box = trimesh.creation.box((10, 10, 10))
    >>> tree = TriangleTree(box.vertices, box.faces)
    >>> tree.contains([[0, 0, 0], [4, 4, 6]]).tolist()
    [True, False]
    >>> tree.signed_distance([[0, 0, 3], [8, 9, 0]]).tolist()
    [-2.0, 5.0]
    """

    def __init__(self, vertices: npt.ArrayLike, faces: npt.ArrayLike) -> None:
        self.vertices: FloatArray = np.ascontiguousarray(vertices, dtype=np.float64)
        self.faces: IntArray = np.ascontiguousarray(faces, dtype=np.int64)
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3:
            raise GeometryError(
                f"TriangleTree: vertices of shape (n, 3) expected, found {self.vertices.shape}."
            )
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or len(self.faces) == 0:
            raise GeometryError(
                f"TriangleTree: faces of shape (m, 3) with m > 0 expected, "
                f"found {self.faces.shape}."
            )
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise GeometryError("TriangleTree: a face names a vertex that does not exist.")
        if not np.isfinite(self.vertices).all():
            raise GeometryError("TriangleTree: a vertex is not finite.")
        # Coordinates relative to the middle: a far origin must not cost digits.
        self._origin = (self.vertices.min(axis=0) + self.vertices.max(axis=0)) / 2
        self._local = self.vertices - self._origin
        self._order, self._low, self._high = _build(self._local[self.faces])

    def __len__(self) -> int:
        return len(self.faces)

    @cached_property
    def open_edges(self) -> int:
        """Number of edges that an odd number of faces share (0: the surface is closed).

        Vertices at the same place count as one.
        """
        _, same = np.unique(self.vertices, axis=0, return_inverse=True)
        faces = np.asarray(same).reshape(-1)[self.faces]
        edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        edges = edges[edges[:, 0] != edges[:, 1]]
        _, count = np.unique(edges[:, 0] * len(self.vertices) + edges[:, 1], return_counts=True)
        return int((count % 2 == 1).sum())

    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies inside the closed surface, shape (n,).

        The crossings of an upward ray are summed with their direction (winding number): parts
        that overlap are joined, inward-facing voids are outside. Every edge is cut by the same
        arithmetic for both of its faces and intervals are half-open, so rays through edges and
        vertices count right. Only points within about 1e-12 of the extent of the surface itself
        may fall on either side.

        Raises
        ------
        GeometryError
            When the surface is open or a point is not finite.
        """
        if self.open_edges:
            raise GeometryError(
                f"TriangleTree: a closed surface was expected, found {self.open_edges} open "
                "edges; fill its holes first (trimesh.repair.fill_holes)."
            )
        points = self._points(xyz_nm)
        winding = np.zeros(len(points), dtype=np.int64)
        _windings(points, self._local, self.faces, self._order, self._low, self._high, winding)
        return winding != 0

    def closest(self, xyz_nm: npt.ArrayLike) -> tuple[FloatArray, FloatArray, IntArray]:
        """Give distance (n,), nearest surface point (n, 3) and its face (n,) for each point.

        Examples
        --------
        >>> tree = TriangleTree([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
        >>> distance, nearest, face = tree.closest([[0.25, 0.25, 2.0]])
        >>> distance.tolist(), nearest.tolist(), face.tolist()
        ([2.0], [[0.25, 0.25, 0.0]], [0])
        """
        points = self._points(xyz_nm)
        nearest = np.zeros_like(points)
        face = np.zeros(len(points), dtype=np.int64)
        _closest(points, self._local, self.faces, self._order, self._low, self._high, nearest, face)
        distance = np.sqrt(((points - nearest) ** 2).sum(axis=1))
        return distance, nearest + self._origin, face

    def distance(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance of each point to the surface, shape (n,), never negative."""
        return self.closest(xyz_nm)[0]

    def signed_distance(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance of each point to the closed surface, negative inside, shape (n,)."""
        distance = self.closest(xyz_nm)[0]
        return np.where(self.contains(xyz_nm), -distance, distance)

    def _points(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        points = np.asarray(xyz_nm, dtype=np.float64)
        if points.size == 0:
            points = points.reshape(0, 3)
        if points.ndim != 2 or points.shape[1] != 3:
            raise GeometryError(
                f"TriangleTree: points of shape (n, 3) were expected, found {points.shape}."
            )
        if not np.isfinite(points).all():
            raise GeometryError("TriangleTree: a point is not finite.")
        return np.ascontiguousarray(points - self._origin)


def _build(triangles: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Order the triangles into equal leaves and give the boxes of all nodes, root first.

    Returns the order, shape (leaves * leaf size,), padded with -1, and low and high corners.
    """
    n = len(triangles)
    depth = max(0, int(np.ceil(np.log2(n / _LEAF)))) if n > _LEAF else 0
    size = -(-n // 2**depth) * 2**depth
    order = np.full(size, -1, dtype=np.int64)
    order[:n] = np.arange(n)
    padding = size - n
    centre = np.concatenate([triangles.mean(axis=1), np.full((padding, 3), np.inf)])
    box_low = np.concatenate([triangles.min(axis=1), np.full((padding, 3), np.inf)])
    box_high = np.concatenate([triangles.max(axis=1), np.full((padding, 3), -np.inf)])
    index = np.arange(size)
    lows, highs = [], []
    for level in range(depth + 1):
        index = index.reshape(2**level, -1)
        low = box_low[index].min(axis=1)
        high = box_high[index].max(axis=1)
        lows.append(low)
        highs.append(high)
        if level < depth:
            axis = np.argmax(high - low, axis=1)
            key = centre[index, axis[:, None]]
            index = np.take_along_axis(index, np.argsort(key, axis=1, kind="stable"), axis=1)
    return order[index.ravel()], np.concatenate(lows), np.concatenate(highs)


@njit(cache=True)
def _windings(points, vertices, faces, order, low, high, winding):  # type: ignore[no-untyped-def]
    """Sum the signed crossings of the ray from each point towards +z with all faces."""
    first_leaf = low.shape[0] // 2
    leaf = order.shape[0] // (first_leaf + 1)
    stack = np.empty(128, dtype=np.int64)
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        total = 0
        top = 1
        stack[0] = 0
        while top > 0:
            top -= 1
            node = stack[top]
            if (
                x < low[node, 0]
                or x > high[node, 0]
                or y < low[node, 1]
                or y > high[node, 1]
                or z > high[node, 2]
            ):
                continue
            if node < first_leaf:
                stack[top] = 2 * node + 1
                stack[top + 1] = 2 * node + 2
                top += 2
                continue
            start = (node - first_leaf) * leaf
            for slot in range(start, start + leaf):
                face = order[slot]
                if face >= 0:
                    total += _crossing(x, y, z, vertices, faces[face])
        winding[i] = total


@njit(cache=True)
def _crossing(x, y, z, vertices, face):  # type: ignore[no-untyped-def]
    """Give +1 or -1 when the ray from (x, y, z) towards +z crosses the face, else 0.

    The plane through the ray at this y cuts the face in one segment between two of its edges;
    each end is computed from the edge's own two vertices in the order of their numbers.
    """
    found = 0
    x_up = z_up = x_down = z_down = 0.0
    for k in range(3):
        a = face[k]
        b = face[(k + 1) % 3]
        upward = vertices[a, 1] <= y < vertices[b, 1]
        downward = vertices[b, 1] <= y < vertices[a, 1]
        if upward or downward:
            p, q = min(a, b), max(a, b)
            t = (y - vertices[p, 1]) / (vertices[q, 1] - vertices[p, 1])
            x_cut = vertices[p, 0] + t * (vertices[q, 0] - vertices[p, 0])
            z_cut = vertices[p, 2] + t * (vertices[q, 2] - vertices[p, 2])
            found += 1
            if upward:
                x_up, z_up = x_cut, z_cut
            else:
                x_down, z_down = x_cut, z_cut
    if found != 2:
        return 0
    # An edge going up in y on the right of the point: counterclockwise seen from above.
    if x_down <= x < x_up:
        sign = 1
    elif x_up <= x < x_down:
        sign = -1
    else:
        return 0
    z_cut = z_down + (z_up - z_down) * (x - x_down) / (x_up - x_down)
    return sign if z_cut > z else 0


@njit(cache=True)
def _closest(points, vertices, faces, order, low, high, nearest, found):  # type: ignore[no-untyped-def]
    """Find the nearest surface point of each point, nearer boxes first."""
    first_leaf = low.shape[0] // 2
    leaf = order.shape[0] // (first_leaf + 1)
    stack = np.empty(128, dtype=np.int64)
    gap = np.empty(128)
    here = np.empty(3)
    best_point = np.zeros(3)
    best_face = np.int64(-1)
    for i in range(points.shape[0]):
        p = points[i]
        best = np.inf
        if best_face >= 0:  # the neighbour of the point before is often near
            best = _to_triangle(p, vertices, faces[best_face], best_point)
        top = 1
        stack[0] = 0
        gap[0] = 0.0
        while top > 0:
            top -= 1
            if gap[top] >= best:
                continue
            node = stack[top]
            if node < first_leaf:
                near, far = 2 * node + 1, 2 * node + 2
                gap_near = _to_box(p, low[near], high[near])
                gap_far = _to_box(p, low[far], high[far])
                if gap_far < gap_near:
                    near, far = far, near
                    gap_near, gap_far = gap_far, gap_near
                stack[top], gap[top] = far, gap_far
                stack[top + 1], gap[top + 1] = near, gap_near
                top += 2
                continue
            start = (node - first_leaf) * leaf
            for slot in range(start, start + leaf):
                face = order[slot]
                if face < 0:
                    continue
                square = _to_triangle(p, vertices, faces[face], here)
                if square < best:
                    best = square
                    best_face = face
                    best_point[:] = here
        nearest[i] = best_point
        found[i] = best_face


@njit(cache=True)
def _to_box(p, low, high):  # type: ignore[no-untyped-def]
    """Squared distance of a point to a box."""
    total = 0.0
    for k in range(3):
        outside = max(low[k] - p[k], p[k] - high[k], 0.0)
        total += outside * outside
    return total


@njit(cache=True)
def _to_triangle(p, vertices, face, nearest):  # type: ignore[no-untyped-def]
    """Squared distance of a point to a triangle; writes the nearest point.

    The regions of a triangle in barycentric terms (Ericson, Real-Time Collision Detection, 5.1.5).
    """
    a = vertices[face[0]]
    b = vertices[face[1]]
    c = vertices[face[2]]
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for k in range(3):
        ab, ac = b[k] - a[k], c[k] - a[k]
        d1 += ab * (p[k] - a[k])
        d2 += ac * (p[k] - a[k])
        d3 += ab * (p[k] - b[k])
        d4 += ac * (p[k] - b[k])
        d5 += ab * (p[k] - c[k])
        d6 += ac * (p[k] - c[k])
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    total = va + vb + vc  # the squared length of ab x ac
    v = w = 0.0
    if d1 <= 0 and d2 <= 0:
        pass
    elif d3 >= 0 and d4 <= d3:
        v = 1.0
    elif d6 >= 0 and d5 <= d6:
        w = 1.0
    elif min(va, vb, vc) > 0 and total > 1e-18 * (d1 - d3) * (d2 - d6):
        v, w = vb / total, vc / total
    else:
        # On an edge; a triangle without area has no interior. The nearest of the three edges is
        # right for both, where regions by sign alone would divide zero by zero.
        return _to_edges(p, a, b, c, nearest)
    square = 0.0
    for k in range(3):
        nearest[k] = a[k] + v * (b[k] - a[k]) + w * (c[k] - a[k])
        square += (p[k] - nearest[k]) ** 2
    return square


@njit(cache=True)
def _to_edges(p, a, b, c, nearest):  # type: ignore[no-untyped-def]
    """Squared distance of a point to the three edges of a triangle; writes the nearest point."""
    best = np.inf
    for edge in range(3):
        start, end = (a, b) if edge == 0 else ((b, c) if edge == 1 else (c, a))
        along = length = 0.0
        for k in range(3):
            along += (p[k] - start[k]) * (end[k] - start[k])
            length += (end[k] - start[k]) ** 2
        t = min(max(along / length, 0.0), 1.0) if length > 0 else 0.0
        square = 0.0
        for k in range(3):
            square += (p[k] - start[k] - t * (end[k] - start[k])) ** 2
        if square < best:
            best = square
            for k in range(3):
                nearest[k] = start[k] + t * (end[k] - start[k])
    return best

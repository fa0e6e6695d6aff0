"""Where a surface cuts itself: pairs of faces that meet anywhere but in what they share.

Strategy: a tree of boxes is walked against itself; the pairs of faces whose boxes overlap are
tested with orientation signs alone (segments of one against the other), which are exact. Hardly
any pair needs more than the two signs that put both ends on one side of a plane.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
import trimesh
from numba import njit

from nanospine.core.errors import GeometryError
from nanospine.core.lean import keeping, lean
from nanospine.surface.boxes import boxes_of, corners_of, faces_along_curve
from nanospine.surface.expansions import difference, multiply, sign, subtract
from nanospine.surface.predicates import orient3d

__all__ = ["self_intersections"]

IntArray = npt.NDArray[np.int64]

# Shewchuk's (7 + 56 eps) eps times the sum of 6 products of largest differences.
_SPACE_BOUND = 42.5 * 2.0**-53
# Shewchuk's (3 + 16 eps) eps for orientation in a plane.
_PLANE_BOUND = 3.0000001 * 2.0**-53


def self_intersections(mesh: trimesh.Trimesh) -> IntArray:
    """Find the pairs of faces that meet in more than their common vertices or edge.

    The answer is exact for the coordinates as they are: touching counts, being near does not. A
    face without area counts where it meets one that has an area and shares no edge with it.

    Parameters
    ----------
    mesh : trimesh.Trimesh
        Faces that share a vertex must share its number, as in every envelope.

    Returns
    -------
    ndarray of int64, shape (k, 2)
        Rows of `mesh.faces`, the lower one first, in rising order.

    Raises
    ------
    GeometryError
        When a vertex is not finite.

    Examples
    --------
    >>> ball = trimesh.creation.icosphere(2, radius=100)
    >>> self_intersections(ball).shape
    (0, 2)
    >>> ball.vertices[0] *= -1.01                # push one vertex through the other side
    >>> len(self_intersections(ball)) > 0
    True
    """
    vertices = np.ascontiguousarray(mesh.vertices, dtype=np.float64)
    faces = np.ascontiguousarray(mesh.faces, dtype=np.int64)
    if not np.isfinite(vertices).all():
        raise GeometryError("self_intersections: a vertex of the mesh is not finite.")
    if len(faces) < 2:
        return np.empty((0, 2), dtype=np.int64)
    order = faces_along_curve(vertices, faces)
    sorted_faces = faces[order]
    corners = corners_of(vertices, sorted_faces, np.zeros(3))
    boxes = boxes_of(corners)
    own = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    pairs = np.sort(order[_overlapping(corners.reshape(-1, 3), sorted_faces, boxes, own)], axis=1)
    return np.asarray(pairs[np.lexsort(pairs.T[::-1])])


@njit(cache=True)
def _overlapping(p, faces, boxes, own):
    """Walk the tree against itself; rows of faces that cut each other."""
    first_leaf = boxes.shape[0] // 2
    leaves, m = first_leaf + 1, faces.shape[0]
    found = np.empty((64, 2), dtype=np.int64)
    count = 0
    stack = np.empty((512, 2), dtype=np.int64)
    stack[0, 0] = stack[0, 1] = 0
    top = 1
    while top > 0:
        top -= 1
        a, b = stack[top, 0], stack[top, 1]
        if a < first_leaf:  # both or none: the tree is complete and they are of one level
            for i in range(2 * a + 1, 2 * a + 3):
                for j in range(2 * b + 1, 2 * b + 3):
                    if j >= i and (i == j or _meet(boxes, i, j)):
                        stack[top, 0], stack[top, 1] = i, j
                        top += 1
            continue
        a, b = a - first_leaf, b - first_leaf
        for f in range(a * m // leaves, (a + 1) * m // leaves):
            for g in range(b * m // leaves, (b + 1) * m // leaves):
                if (a == b and g <= f) or not _meet(own, f, g):
                    continue
                if _cut(p, faces, f, g):
                    if count == found.shape[0]:
                        longer = np.empty((2 * count, 2), dtype=np.int64)
                        longer[:count] = found
                        found = longer
                    found[count, 0], found[count, 1] = f, g
                    count += 1
    return found[:count].copy()


@lean
def _meet(boxes, i, j):
    for k in range(3):
        if boxes[i, k] > boxes[j, 3 + k] or boxes[j, k] > boxes[i, 3 + k]:
            return False
    return True


@lean
def _cut(p, faces, f, g):
    """Tell whether two faces meet in more than they share.

    `p` holds the corners of face after face: vertices would be all over memory.
    """
    shared, last_f, last_g = 0, 0, 0
    alone_f, alone_g = 3, 3  # the sum of the places that are shared, taken from 0 + 1 + 2
    for i in range(3):
        for j in range(3):
            if faces[f, i] == faces[g, j]:
                shared += 1
                last_f, last_g = i, j
                alone_f -= i
                alone_g -= j
    if shared == 3:
        return True
    if shared == 2:
        a, b, c = 3 * f + (alone_f + 1) % 3, 3 * f + (alone_f + 2) % 3, 3 * f + alone_f
        d = 3 * g + alone_g
        return orient3d(p, a, b, c, d) == 0 and _same_side(p, a, b, c, d)
    a, b, c = 3 * f + last_f, 3 * f + (last_f + 1) % 3, 3 * f + (last_f + 2) % 3
    d, e, h = 3 * g + last_g, 3 * g + (last_g + 1) % 3, 3 * g + (last_g + 2) % 3
    if shared == 1:
        return _pierces(p, b, c, d, e, h) or _pierces(p, e, h, a, b, c)
    return (
        _pierces(p, a, b, d, e, h)
        or _pierces(p, b, c, d, e, h)
        or _pierces(p, c, a, d, e, h)
        or _pierces(p, d, e, a, b, c)
        or _pierces(p, e, h, a, b, c)
        or _pierces(p, h, d, a, b, c)
    )


@lean
def _pierces(p, s, t, a, b, c):
    """Tell whether the segment from s to t meets the triangle (a, b, c)."""
    if _beside(p, s, t, a, b, c):
        return False
    one = orient3d(p, a, b, c, s)
    other = orient3d(p, a, b, c, t)
    if one * other > 0:
        return False
    if one == 0 and other == 0:
        return _meet_in_plane(p, s, t, a, b, c)
    ab, bc, ca = orient3d(p, s, t, a, b), orient3d(p, s, t, b, c), orient3d(p, s, t, c, a)
    return (ab >= 0 and bc >= 0 and ca >= 0) or (ab <= 0 and bc <= 0 and ca <= 0)


@lean
def _beside(p, s, t, a, b, c):
    """Tell whether s and t are certainly on one side of a plane: as in `orient3d`, for both."""
    bx, by, bz = p[b, 0] - p[a, 0], p[b, 1] - p[a, 1], p[b, 2] - p[a, 2]
    cx, cy, cz = p[c, 0] - p[a, 0], p[c, 1] - p[a, 1], p[c, 2] - p[a, 2]
    sx, sy, sz = p[s, 0] - p[a, 0], p[s, 1] - p[a, 1], p[s, 2] - p[a, 2]
    tx, ty, tz = p[t, 0] - p[a, 0], p[t, 1] - p[a, 1], p[t, 2] - p[a, 2]
    nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    one = sx * nx + sy * ny + sz * nz
    other = tx * nx + ty * ny + tz * nz
    mx = max(max(abs(bx), abs(cx)), max(abs(sx), abs(tx)))
    my = max(max(abs(by), abs(cy)), max(abs(sy), abs(ty)))
    mz = max(max(abs(bz), abs(cz)), max(abs(sz), abs(tz)))
    bound = _SPACE_BOUND * mx * my * mz
    return (one > bound and other > bound) or (one < -bound and other < -bound)


@lean
def _plane_of(p, a, b, c):
    """Two axes onto which the triangle projects with an area; -1 for a triangle on a line."""
    for i, j in ((0, 1), (1, 2), (2, 0)):
        if _turn(p, a, b, c, i, j) != 0:
            return i, j
    return -1, -1


@keeping
def _turn(p, a, b, c, i, j):
    """Give the sign of the area of (a, b, c) in the plane of two axes."""
    left = (p[b, i] - p[a, i]) * (p[c, j] - p[a, j])
    right = (p[b, j] - p[a, j]) * (p[c, i] - p[a, i])
    determinant = left - right
    bound = _PLANE_BOUND * (abs(left) + abs(right))
    if determinant > bound:
        return 1
    if determinant < -bound:
        return -1
    return sign(
        subtract(
            multiply(difference(p[b, i], p[a, i]), difference(p[c, j], p[a, j])),
            multiply(difference(p[b, j], p[a, j]), difference(p[c, i], p[a, i])),
        )
    )


@lean
def _same_side(p, a, b, c, d):
    """Tell whether c and d, in one plane with a and b, lie on one side of them."""
    i, j = _plane_of(p, a, b, c)
    if i < 0:
        return False
    return _turn(p, a, b, c, i, j) * _turn(p, a, b, d, i, j) > 0


@lean
def _meet_in_plane(p, s, t, a, b, c):
    """Tell whether a segment in the plane of a triangle meets it."""
    i, j = _plane_of(p, a, b, c)
    if i < 0:
        return False
    around = _turn(p, a, b, c, i, j)
    for end in (s, t):
        if (
            around * _turn(p, a, b, end, i, j) >= 0
            and around * _turn(p, b, c, end, i, j) >= 0
            and around * _turn(p, c, a, end, i, j) >= 0
        ):
            return True
    return _cross(p, s, t, a, b, i, j) or _cross(p, s, t, b, c, i, j) or _cross(p, s, t, c, a, i, j)


@lean
def _cross(p, s, t, a, b, i, j):
    """Tell whether two segments whose ends are not in each other's triangles cross in a plane."""
    return (
        _turn(p, s, t, a, i, j) * _turn(p, s, t, b, i, j) < 0
        and _turn(p, a, b, s, i, j) * _turn(p, a, b, t, i, j) < 0
    )

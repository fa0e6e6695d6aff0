"""The rows of arrays that hold a triangulation while it is made: their beginning and their end."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
from numba import njit

from nanospine.core.lean import lean
from nanospine.surface.predicates import orient3d

__all__ = [
    "FREE",
    "INFINITY",
    "copy_neighbors",
    "copy_tetrahedra",
    "first_four",
    "four",
    "number_finite",
    "shift",
    "start",
]

#: The vertex at infinity, and the mark of rows that are free.
INFINITY, FREE = -1, -2


@lean
def four(corners, base):
    """Give the vertices of a tetrahedron; one kind of integers, so that less is compiled."""
    return (
        np.int64(corners[base]),
        np.int64(corners[base + 1]),
        np.int64(corners[base + 2]),
        np.int64(corners[base + 3]),
    )


@njit(cache=True)
def first_four(points):
    """Give four points that span a volume; -1 at the end when there are none."""
    n = points.shape[0]
    found = np.array([0, -1, -1, -1])
    for i in range(1, n):
        if (
            points[i, 0] != points[0, 0]
            or points[i, 1] != points[0, 1]
            or points[i, 2] != points[0, 2]
        ):
            found[1] = i
            break
    if found[1] < 0:
        return found
    # Points on one line make a flat tetrahedron with each of three that lie off it.
    probe = np.empty((4, points.shape[1]))
    for i in range(n):
        flat = True
        for k in range(3):
            probe[0] = points[0]
            probe[1] = points[found[1]]
            probe[2] = points[i]
            probe[3] = points[0]
            probe[3, k] += 1.0 + abs(points[0, k])
            if orient3d(probe, 0, 1, 2, 3) != 0:
                flat = False
                break
        if not flat:
            found[2] = i
            break
    if found[2] < 0:
        return found
    for i in range(n):
        if orient3d(points, found[0], found[1], found[2], i) != 0:
            found[3] = i
            break
    return found


@njit(cache=True)
def start(points, corners, facing):
    """Make the tetrahedron of points 0 to 3 and the four that join its facets to infinity."""
    a, b = 0, 1
    if orient3d(points, 0, 1, 2, 3) < 0:
        a, b = 1, 0
    first = np.array([a, b, 2, 3])
    for k in range(4):
        corners[k] = first[k]
    for k in range(4):
        base = 4 * (k + 1)
        # Infinity takes the place of vertex k; two others change places, which turns it round.
        i, j = (k + 1) % 4, (k + 2) % 4
        for m in range(4):
            corners[base + m] = first[m]
        corners[base + k] = INFINITY
        corners[base + i], corners[base + j] = first[j], first[i]
        facing[k] = base + k
        facing[base + k] = k
    # The one without k and the one without v share the facet that has neither.
    for k in range(1, 5):
        for m in range(4):
            for other in range(1, 5):
                if corners[4 * k + m] != first[other - 1] or other == k:
                    continue
                for q in range(4):
                    if corners[4 * other + q] == first[k - 1]:
                        facing[4 * k + m] = 4 * other + q
    return 5


@njit(cache=True, nogil=True)
def number_finite(corners, number, begin, end):
    """Number the rows that hold a tetrahedron without infinity from 0 on, the others -1; count."""
    count = np.int64(0)
    for t in range(begin, end):
        a, b, c, d = four(corners, 4 * t)
        # A free row keeps its old vertices but the first.
        if a >= 0 and (b | c | d) >= 0:
            number[t] = count
            count += 1
        else:
            number[t] = -1
    return count


@njit(cache=True, nogil=True)
def shift(number, begin, end, start):
    """Let the numbers of rows begin with `start`."""
    for t in range(begin, end):
        if number[t] >= 0:
            number[t] += start


@njit(cache=True, nogil=True)
def copy_tetrahedra(corners, number, begin, end, order, tetrahedra):
    """Copy the vertices of numbered rows, as the points' own numbers."""
    for t in range(begin, end):
        row = number[t]
        if row >= 0:
            for k in range(4):
                tetrahedra[row, k] = order[corners[4 * t + k]]


@njit(cache=True, nogil=True)
def copy_neighbors(facing, number, begin, end, neighbors):
    """Copy the neighbours of numbered rows; -1 for those at infinity."""
    for t in range(begin, end):
        row = number[t]
        if row >= 0:
            for k in range(4):
                neighbors[row, k] = number[facing[4 * t + k] >> 2]

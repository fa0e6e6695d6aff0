"""Holes in a membrane's label, wider than an even label leaves, closed before carving.

Strategy: where a label is, spheres pass the facets between its molecules as through doors: the
space on both sides is wider. What doors are usual is read from all of them; a few of an even label
are wider, by the law of large voids in random points. A door beyond that with a room behind it that
is wider than the door, as no pocket outside is, is a hole in the label of a hollow body: its facets
count as if they were labelled like the rest.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.surface.delaunay import Delaunay
from nanospine.surface.flood import widest_ways

__all__ = ["close_holes", "usual_gap", "widest_gap"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# A door is this many times narrower than the space on both sides.
_NARROW = 1.3
# Doors count with this power of their width: those between the repeats of one molecule, however
# many, have no weight. Gates above so many usual ones have no part in what is usual.
_POWER = 6
_TRIM = 3.0
# The widest door of an even label is about this part of the usual one times sqrt(log doors); less
# without noise or repeats (0.6), more with many repeats (0.9).
_WIDEST = 0.9
# A room is this many times wider than its door; or, as background in it may hide how wide it is, of
# so many times the volume of a ball as wide as the door.
_WIDE = 1.5
_LARGE = 7.0
# Part of a room's wall that may be open: free space between dendrites, or between background, is a
# room with doors everywhere.
_OPEN = 0.4
# Part of what hangs together with a room that is rooms: along the outside of a label with sparse
# background there are pockets everywhere.
_FREE = 0.5
# Gates of one hole are not narrower than this part of the widest.
_SAME = 0.7
# Behind one hole there may be others into the same body, of which the widest counts first.
_ROUNDS = 12


def usual_gap(gates: FloatArray, neighbors: IntArray, radii: FloatArray) -> tuple[float, int]:
    """Give the width of the usual door between molecules, and how many doors there are.

    The median over doors below three times itself, weighted with the sixth power of their width,
    so that gaps between the repeats of one molecule do not count; 0 without any.
    """
    doors = np.sort(_doors(gates, neighbors, radii))
    if len(doors) == 0:
        return 0.0, 0
    weight = np.cumsum((doors / doors[-1]) ** _POWER)
    usual = float(doors[len(doors) // 2])
    for _ in range(20):
        within = int(np.searchsorted(doors, _TRIM * usual, side="right"))
        new = float(doors[np.searchsorted(weight[:within], 0.5 * weight[within - 1])])
        if new == usual:
            break
        usual = new
    return usual, len(doors)


def widest_gap(gates: FloatArray, neighbors: IntArray, radii: FloatArray) -> float:
    """Give how wide a gap in an even label may be; infinite where nothing is known.

    In random points of an even density the share of the area in voids wider than g falls with
    exp(-c g²): of n doors the widest is about sqrt(log n) times a usual one.
    """
    usual, count = usual_gap(gates, neighbors, radii)
    return _WIDEST * usual * float(np.sqrt(np.log(count))) if count > 1 else np.inf


def close_holes(
    triangulation: Delaunay,
    gates: FloatArray,
    radii: FloatArray,
    volumes: FloatArray,
    depth: FloatArray,
    limit_nm: float,
) -> tuple[FloatArray, float]:
    """Close the holes that are wider than a limit, and have a room behind.

    Parameters
    ----------
    triangulation : Delaunay
    gates : ndarray, shape (m, 4)
        Of :func:`nanospine.surface.gates.facet_gates`; changed at the holes.
    radii, volumes : ndarray, shape (m,)
        Circumradius and volume of each tetrahedron.
    depth : ndarray, shape (m,)
        Widest ways from outside (:func:`nanospine.surface.flood.widest_ways`).
    limit_nm : float

    Returns
    -------
    depth_nm : ndarray, shape (m,)
        Widest ways once the holes are closed.
    hole_nm : float
        Radius of the widest hole that was closed; 0 without any.
    """
    widest = 0.0
    for _ in range(_ROUNDS):
        room = _rooms(triangulation, gates, depth, radii, volumes, limit_nm)
        if not room.any():
            break
        widest = max(widest, float(depth[room].max()))
        _close(
            triangulation.tetrahedra, len(triangulation.points_nm), gates, triangulation.neighbors,
            depth, room, limit_nm, 0.5 * limit_nm,
        )  # fmt: skip
        depth = widest_ways(gates, triangulation.neighbors)
    return depth, widest


def _rooms(
    triangulation: Delaunay,
    gates: FloatArray,
    depth: FloatArray,
    radii: FloatArray,
    volumes: FloatArray,
    limit: float,
) -> BoolArray:
    """Tell which tetrahedra are in rooms behind doors above the limit.

    What is reached through the same narrowest door has the same depth to the last bit. The walls
    of a room are label: free space between sparse background has doors on all sides.
    """
    beyond = np.flatnonzero((depth > limit) & np.isfinite(depth))
    doors, behind = np.unique(depth[beyond], return_inverse=True)
    solid = np.where((volumes[beyond] > 0) & np.isfinite(radii[beyond]), radii[beyond], 0.0)
    widest = np.zeros(len(doors))
    np.maximum.at(widest, behind, solid)
    ball = 4.0 / 3.0 * np.pi * doors**3
    volume = np.bincount(behind, volumes[beyond], len(doors))
    is_room = ((widest > _WIDE * doors) & (volume > ball)) | (volume > _LARGE * ball)
    room, candidate = np.zeros(len(depth), dtype=bool), np.zeros(len(depth), dtype=bool)
    candidate[beyond[is_room[behind]]] = True
    visited = np.full(len(depth), -1, dtype=np.int64)
    beyond = beyond[np.argsort(behind, kind="stable")]  # room by room
    ends = np.cumsum(np.bincount(behind, minlength=len(doors)))
    for number in np.flatnonzero(is_room):
        inside = beyond[ends[number - 1] if number else 0 : ends[number]]
        wall, opening, free, around = _walls(
            triangulation.points_nm, triangulation.tetrahedra, triangulation.neighbors, gates,
            volumes, depth, candidate, inside, number, limit, visited,
        )  # fmt: skip
        if opening < _OPEN * (wall + opening) and free > _FREE * around:
            room[inside] = True
    return room


@njit(cache=True)
def _doors(gates, neighbors, radii):
    m = gates.shape[0]
    found = np.empty(4 * m)
    count = 0
    for t in range(m):
        for j in range(4):
            other = neighbors[t, j]
            if 0 <= other < t:
                continue
            space = radii[t] if other < 0 else min(radii[t], radii[other])
            if space > _NARROW * gates[t, j]:
                found[count] = gates[t, j]
                count += 1
    return found[:count].copy()


@njit(cache=True)
def _walls(
    points, tetrahedra, neighbors, gates, volumes, depth, candidate, inside, number, limit, visited
):
    """Area of label around a room, of doors to outside in it, volume of rooms in it, and of all.

    All that can be reached from the room through doors, but not past its own door, is looked at.
    """
    own = depth[inside[0]]
    stack = np.empty(depth.shape[0], dtype=np.int64)
    size = 0
    for i in range(inside.shape[0]):
        visited[inside[i]] = number
        stack[size] = inside[i]
        size += 1
    wall = opening = free = around = 0.0
    u, v = np.empty(3), np.empty(3)
    while size:
        size -= 1
        t = stack[size]
        around += volumes[t]
        if candidate[t]:
            free += volumes[t]
        for j in range(4):
            other = neighbors[t, j]
            if other >= 0 and visited[other] == number:
                continue
            is_door = gates[t, j] > limit
            if is_door and other >= 0 and depth[other] <= own:
                visited[other] = number
                stack[size] = other
                size += 1
                continue
            a = tetrahedra[t, (j + 1) % 4]
            b = tetrahedra[t, (j + 2) % 4]
            c = tetrahedra[t, (j + 3) % 4]
            for k in range(3):
                u[k] = points[b, k] - points[a, k]
                v[k] = points[c, k] - points[a, k]
            square = 0.0
            for k in range(3):
                p, q = (k + 1) % 3, (k + 2) % 3
                square += (u[p] * v[q] - u[q] * v[p]) ** 2
            if is_door:
                opening += 0.5 * np.sqrt(square)
            else:
                wall += 0.5 * np.sqrt(square)
    return wall, opening, free, around


@njit(cache=True)
def _close(tetrahedra, n, gates, neighbors, depth, room, limit, closed):
    """Make the wide gates into rooms narrow, seen from both sides.

    To a room belongs what hangs together with it by gates not much narrower than its door and is
    not reached earlier from outside: niches beside a hole, or the next facet of the same hole
    would open it. Through gates that an even label leaves one could get to pockets outside.
    """
    m = gates.shape[0]
    door = np.zeros(m)
    stack = np.empty(m, dtype=np.int64)
    size = 0
    for t in range(m):
        if room[t]:
            door[t] = depth[t]
            stack[size] = t
            size += 1
    while size:
        size -= 1
        t = stack[size]
        for j in range(4):
            other = neighbors[t, j]
            if other < 0 or door[other] > 0 or depth[other] > door[t]:
                continue
            if gates[t, j] <= max(limit, _SAME * door[t]):
                continue
            door[other] = door[t]
            stack[size] = other
            size += 1
    rim = np.zeros(n, dtype=np.bool_)
    widest = 0.0
    for t in range(m):
        if door[t] == 0:
            continue
        for j in range(4):
            other = neighbors[t, j]
            if gates[t, j] <= limit or (other >= 0 and door[other] > 0):
                continue
            widest = max(widest, gates[t, j])
            for k in range(1, 4):
                rim[tetrahedra[t, (j + k) % 4]] = True
    # all between molecules of the rim, or there would be tunnels beside what is closed
    for t in range(m):
        for j in range(4):
            a = tetrahedra[t, (j + 1) % 4]
            b = tetrahedra[t, (j + 2) % 4]
            c = tetrahedra[t, (j + 3) % 4]
            if rim[a] and rim[b] and rim[c] and limit < gates[t, j] <= widest:
                gates[t, j] = closed

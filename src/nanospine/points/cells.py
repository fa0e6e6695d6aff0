"""Loops over Voronoi cells: sizes by cutting, sums and unions over neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["Measured", "cell_sizes", "gather", "join_dense", "scatter", "sum_around", "touching"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SmallIntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]

# A cut adds at most one corner to a convex polygon: neighbours, box and some for rounding.
_SPARE = 16
# Cells that meet in less than this fraction of the distance (3-D: its square) meet in a corner, as
# the cells of a lattice do: rounding makes edges (faces) of it.
_CORNER = 1e-9


@dataclass(frozen=True, eq=False)
class Measured:
    """Cells of some rows.

    Attributes
    ----------
    size : ndarray, shape (k,)
        Area or volume within the box.
    clipped : ndarray of bool, shape (k,)
        Whether the box cuts it.
    final : ndarray of bool, shape (k,)
        Whether no point outside of what is known can cut it.
    degree : ndarray of int64, shape (k,)
        Number of the cells that share an edge (face) with it in the box.
    neighbours : ndarray of int32
        These cells, of one row after the other.
    """

    size: FloatArray
    clipped: BoolArray
    final: BoolArray
    degree: IntArray
    neighbours: SmallIntArray


def cell_sizes(
    points: FloatArray,
    starts: IntArray,
    neighbours: SmallIntArray,
    box: FloatArray,
    rows: IntArray,
    known: FloatArray,
) -> Measured:
    """Measure the cells of `rows`.

    Parameters
    ----------
    points : ndarray, shape (n, d)
    starts, neighbours
        Compressed rows of Delaunay neighbours of each point.
    box : ndarray, shape (2, d)
        Cells end at it.
    rows : ndarray of int64, shape (k,)
    known : ndarray, shape (2, d)
        Box in which all points are known (infinite allowed): a cell is final when every sphere
        around a corner through the point stays in it.
    """
    degrees = np.diff(starts)
    most = int(degrees.max(initial=0))
    flat = np.empty(int(degrees[rows].sum()), dtype=np.int32)
    function = _cell_areas if points.shape[1] == 2 else _cell_volumes
    size, clipped, final, degree = function(
        np.ascontiguousarray(points), starts, neighbours, box, rows, known, most, flat
    )
    return Measured(size, clipped, final, degree, flat[: int(degree.sum())])


@njit(cache=True)
def _cut(
    polygon: FloatArray, size: int, spare: FloatArray, a: float, b: float, limit: float
) -> int:
    """Keep the part of a convex polygon where a x + b y <= limit; give its number of corners."""
    kept = 0
    cut = False
    for i in range(size):
        x, y = polygon[i, 0], polygon[i, 1]
        j = i + 1 if i + 1 < size else 0
        here = a * x + b * y - limit
        there = a * polygon[j, 0] + b * polygon[j, 1] - limit
        if here <= 0:
            spare[kept, 0], spare[kept, 1] = x, y
            kept += 1
        else:
            cut = True
        if (here < 0 and there > 0) or (here > 0 and there < 0):
            t = here / (here - there)
            spare[kept, 0] = x + t * (polygon[j, 0] - x)
            spare[kept, 1] = y + t * (polygon[j, 1] - y)
            kept += 1
    if not cut:
        return size
    polygon[:kept] = spare[:kept]
    return kept


@njit(cache=True)
def _area(polygon: FloatArray, size: int) -> float:
    twice = 0.0
    for i in range(1, size - 1):
        ax, ay = polygon[i, 0] - polygon[0, 0], polygon[i, 1] - polygon[0, 1]
        bx, by = polygon[i + 1, 0] - polygon[0, 0], polygon[i + 1, 1] - polygon[0, 1]
        twice += ax * by - ay * bx
    return abs(twice) / 2


@njit(cache=True)
def _shares_edge(polygon: FloatArray, size: int, a: float, b: float) -> bool:
    """Tell whether the bisector towards (a, b) bears an edge of the polygon."""
    gap2 = a * a + b * b
    low, high = np.inf, -np.inf
    for k in range(size):
        x, y = polygon[k, 0], polygon[k, 1]
        # across and along the bisector, in units of the distance
        if abs((a * x + b * y) / gap2 - 0.5) < _CORNER:
            along = (a * y - b * x) / gap2
            low, high = min(low, along), max(high, along)
    return bool(high - low > _CORNER)


@njit(cache=True)
def _cell_areas(
    points: FloatArray,
    starts: IntArray,
    neighbours: SmallIntArray,
    box: FloatArray,
    rows: IntArray,
    known: FloatArray,
    most: int,
    flat: SmallIntArray,
) -> tuple[FloatArray, BoolArray, BoolArray, IntArray]:
    n = len(rows)
    sizes = np.zeros(n)
    clipped = np.zeros(n, dtype=np.bool_)
    final = np.ones(n, dtype=np.bool_)
    degree = np.zeros(n, dtype=np.int64)
    used = 0
    polygon = np.empty((most + _SPARE, 2))
    spare = np.empty((most + _SPARE, 2))
    for at in range(n):
        i = rows[at]
        low, high = box[0] - points[i], box[1] - points[i]
        near, far = known[0] - points[i], known[1] - points[i]
        polygon[0], polygon[1] = (low[0], low[1]), (high[0], low[1])
        polygon[2], polygon[3] = (high[0], high[1]), (low[0], high[1])
        size = 4
        for k in range(starts[i], starts[i + 1]):
            a = points[neighbours[k], 0] - points[i, 0]
            b = points[neighbours[k], 1] - points[i, 1]
            size = _cut(polygon, size, spare, a, b, (a * a + b * b) / 2)
        sizes[at] = _area(polygon, size)
        for k in range(size):
            x, y = polygon[k, 0], polygon[k, 1]
            r = np.sqrt(x * x + y * y)
            if x <= low[0] or x >= high[0] or y <= low[1] or y >= high[1]:
                clipped[at] = True
            if x - r < near[0] or x + r > far[0] or y - r < near[1] or y + r > far[1]:
                final[at] = False
        for k in range(starts[i], starts[i + 1]):
            a = points[neighbours[k], 0] - points[i, 0]
            b = points[neighbours[k], 1] - points[i, 1]
            if _shares_edge(polygon, size, a, b):
                flat[used] = neighbours[k]
                used += 1
                degree[at] += 1
    return sizes, clipped, final, degree


@njit(cache=True)
def _face_area(
    planes: FloatArray,
    n_planes: int,
    face: int,
    reach: float,
    known: FloatArray,
    polygon: FloatArray,
    spare: FloatArray,
) -> tuple[float, bool]:
    """Area of one face of the cell of unit normals and distances (nx, ny, nz, h); is it final?"""
    nx, ny, nz, h = planes[face]
    # Two directions in the plane, from the axis that the normal is least along.
    if abs(nx) <= abs(ny) and abs(nx) <= abs(nz):
        ux, uy, uz = 0.0, nz, -ny
    elif abs(ny) <= abs(nz):
        ux, uy, uz = -nz, 0.0, nx
    else:
        ux, uy, uz = ny, -nx, 0.0
    length = np.sqrt(ux * ux + uy * uy + uz * uz)
    ux, uy, uz = ux / length, uy / length, uz / length
    vx, vy, vz = ny * uz - nz * uy, nz * ux - nx * uz, nx * uy - ny * ux
    polygon[0], polygon[1] = (-reach, -reach), (reach, -reach)
    polygon[2], polygon[3] = (reach, reach), (-reach, reach)
    size = 4
    for g in range(n_planes):
        if g == face:
            continue
        ax, ay, az, limit = planes[g]
        # Planes are sorted by distance: behind the farthest corner none cuts any more.
        if g % 8 == 7:
            far = 0.0
            for k in range(size):
                far = max(far, polygon[k, 0] ** 2 + polygon[k, 1] ** 2)
            if limit * limit > far + h * h:
                break
        dot = ax * nx + ay * ny + az * nz
        a = ax * ux + ay * uy + az * uz
        b = ax * vx + ay * vy + az * vz
        size = _cut(polygon, size, spare, a, b, limit - dot * h)
        if size < 3:
            return 0.0, True
    final = True
    for k in range(size):
        s, t = polygon[k]
        r = np.sqrt(s * s + t * t + h * h)
        x, y, z = h * nx + s * ux + t * vx, h * ny + s * uy + t * vy, h * nz + s * uz + t * vz
        if x - r < known[0, 0] or y - r < known[0, 1] or z - r < known[0, 2]:
            final = False
        if x + r > known[1, 0] or y + r > known[1, 1] or z + r > known[1, 2]:
            final = False
    return _area(polygon, size), final


@njit(cache=True)
def _cell_volumes(
    points: FloatArray,
    starts: IntArray,
    neighbours: SmallIntArray,
    box: FloatArray,
    rows: IntArray,
    known: FloatArray,
    most: int,
    flat: SmallIntArray,
) -> tuple[FloatArray, BoolArray, BoolArray, IntArray]:
    n = len(rows)
    sizes = np.zeros(n)
    clipped = np.zeros(n, dtype=np.bool_)
    final = np.ones(n, dtype=np.bool_)
    degree = np.zeros(n, dtype=np.int64)
    used = 0
    polygon = np.empty((most + _SPARE, 2))
    spare = np.empty((most + _SPARE, 2))
    planes = np.empty((most + 6, 4))
    reach = np.sqrt(((box[1] - box[0]) ** 2).sum()) + 1.0
    for at in range(n):
        i = rows[at]
        planes[:6] = 0.0
        for axis in range(3):
            planes[2 * axis, axis] = -1.0
            planes[2 * axis, 3] = points[i, axis] - box[0, axis]
            planes[2 * axis + 1, axis] = 1.0
            planes[2 * axis + 1, 3] = box[1, axis] - points[i, axis]
        size = 6
        for k in range(starts[i], starts[i + 1]):
            gap = points[neighbours[k]] - points[i]
            length = np.sqrt((gap * gap).sum())
            planes[size, :3] = gap / length
            planes[size, 3] = length / 2
            size += 1
        order = np.argsort(planes[:size, 3])
        arranged = planes[:size][order]
        rest = known - points[i]
        for face in range(size):
            area, sure = _face_area(arranged, size, face, reach, rest, polygon, spare)
            sizes[at] += area * arranged[face, 3] / 3
            if area > 0:
                clipped[at] = clipped[at] or order[face] < 6
                final[at] = final[at] and sure
            k = order[face] - 6
            if k >= 0 and area > _CORNER * (2 * arranged[face, 3]) ** 2:
                flat[used] = neighbours[starts[i] + k]
                used += 1
                degree[at] += 1
    return sizes, clipped, final, degree


@njit(cache=True)
def sum_around(starts: IntArray, neighbours: SmallIntArray, values: FloatArray) -> FloatArray:
    """Sum of the values of a cell and its neighbours."""
    result = values.copy()
    for i in range(len(values)):
        for k in range(starts[i], starts[i + 1]):
            result[i] += values[neighbours[k]]
    return result


@njit(cache=True)
def gather(starts: IntArray, neighbours: SmallIntArray, rows: IntArray) -> SmallIntArray:
    """Neighbours of rows, one after the other."""
    total = 0
    for row in rows:
        total += starts[row + 1] - starts[row]
    result = np.empty(total, dtype=np.int32)
    at = 0
    for row in rows:
        for k in range(starts[row], starts[row + 1]):
            result[at] = neighbours[k]
            at += 1
    return result


@njit(cache=True)
def scatter(
    starts: IntArray, neighbours: SmallIntArray, rows: IntArray, flat: SmallIntArray
) -> None:
    """Write what :func:`gather` gave to its place."""
    at = 0
    for row in rows:
        for k in range(starts[row], starts[row + 1]):
            neighbours[k] = flat[at]
            at += 1


@njit(cache=True)
def touching(degree: IntArray, flat: SmallIntArray, final: BoolArray) -> BoolArray:
    """Tell for each row of :func:`gather` whether one of its neighbours is not final."""
    result = np.zeros(len(degree), dtype=np.bool_)
    at = 0
    for row in range(len(degree)):
        for _ in range(degree[row]):
            if not final[flat[at]]:
                result[row] = True
            at += 1
    return result


@njit(cache=True)
def _root(parent: IntArray, cell: int) -> int:
    while parent[cell] != cell:
        parent[cell] = parent[parent[cell]]
        cell = parent[cell]
    return cell


@njit(cache=True)
def join_dense(
    starts: IntArray,
    neighbours: SmallIntArray,
    dense: BoolArray,
    place: FloatArray,
    longest2: float,
) -> IntArray:
    """Give the first cell of the connected dense cells that each cell belongs to."""
    parent = np.arange(len(dense))
    for i in range(len(dense)):
        if not dense[i]:
            continue
        for k in range(starts[i], starts[i + 1]):
            j = neighbours[k]
            if not dense[j]:
                continue
            gap = 0.0
            for axis in range(place.shape[1]):
                gap += (place[i, axis] - place[j, axis]) ** 2
            a, b = _root(parent, i), _root(parent, j)
            if a != b and gap <= longest2:
                parent[max(a, b)] = min(a, b)
    for i in range(len(dense)):
        parent[i] = _root(parent, i)
    return parent

"""Set covariance of closed meshes, from the exact chords of parallel lines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["chord_covariance", "octahedron_directions", "octahedron_table"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Each row of lines is moved against the last by this share of the pitch: a long thin shadow is
# then met at as many places across it as there are rows along it.
_GOLDEN = 0.6180339887498949
# Lines across the mesh for each direction; directions along an edge of the table, to begin with
# and at most; steps of distance; the error, as a share of the volume, that ends the refinement.
_LINES, _DIRECTIONS, _MOST, _STEPS, _TOLERANCE = 2048, 17, 33, 65, 2e-3


def octahedron_directions(count: int) -> FloatArray:
    """Give unit vectors over half the sphere, shape (count², 3), in the order of the table."""
    u, v = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count), indexing="ij")
    x, y = (u + v).ravel() / 2, (u - v).ravel() / 2
    vector = np.stack([x, y, np.maximum(1 - np.abs(x) - np.abs(y), 0)], axis=1)
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def octahedron_table(
    vertices: FloatArray, faces: IntArray, volume: float, radius_nm: float
) -> FloatArray:
    """Tabulate the set covariance of a mesh by direction and distance, shape (k, k, m).

    Directions are doubled until, half-way between those of the table, the mean error is below
    2e-3 of the volume, at most once.
    """
    count = _DIRECTIONS
    table = _table(vertices, faces, volume, radius_nm, count)
    while count < _MOST:
        finer = 2 * count - 1
        # A few of the new directions tell whether all of them are needed.
        probe = np.random.default_rng(0).integers(0, count - 1, (24, 2))
        between = octahedron_directions(finer).reshape(finer, finer, 3)
        exact = chord_covariance(
            vertices, faces, between[2 * probe[:, 0] + 1, 2 * probe[:, 1] + 1], volume, radius_nm
        )
        i, j = probe.T
        mean = (table[i, j] + table[i + 1, j] + table[i, j + 1] + table[i + 1, j + 1]) / 4
        if np.abs(mean - exact).mean(axis=0).max() <= _TOLERANCE * volume:
            break
        count = finer
        table = _table(vertices, faces, volume, radius_nm, count)
    return table


def _table(
    vertices: FloatArray, faces: IntArray, volume: float, radius_nm: float, count: int
) -> FloatArray:
    directions = octahedron_directions(count)
    rows = chord_covariance(vertices, faces, directions, volume, radius_nm)
    return np.ascontiguousarray(rows.reshape(count, count, -1))


def chord_covariance(
    vertices: FloatArray,
    faces: IntArray,
    directions: FloatArray,
    volume: float,
    radius_nm: float,
    *,
    lines: int = _LINES,
    steps: int = _STEPS,
) -> FloatArray:
    """Give the set covariance along directions at equal steps up to a radius, shape (k, steps).

    `gamma(d u)` is the integral, over all lines along u, of how much the chords of the line share
    with themselves moved by d. The chords are exact; about `lines` lines stand for all, on a
    grid along the principal axes of the shadow. The volume is known and sets the scale.
    """
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    local = vertices - middle
    out = np.zeros((len(directions), steps))
    for k, direction in enumerate(directions):
        across = np.linalg.svd(direction[None])[2][1:]
        shadow = local @ across.T
        turn = np.linalg.eigh(np.cov(shadow.T))[1]
        places = np.column_stack([shadow @ turn, local @ direction])
        if np.linalg.det(np.vstack([turn.T @ across, direction])) < 0:
            places[:, 0] = -places[:, 0]
        _along(np.ascontiguousarray(places), faces, lines, radius_nm, out[k])
        if out[k, 0] > 0:
            out[k] *= volume / out[k, 0]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _side(a: FloatArray, b: FloatArray, x: float, y: float, swap: bool) -> float:
    # The same arithmetic for both faces of an edge: no line slips through between them.
    if swap:
        return -((a[0] - b[0]) * (y - b[1]) - (a[1] - b[1]) * (x - b[0]))
    return (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _crossings(
    places: FloatArray, faces: IntArray, low: FloatArray, pitch: float, nx: int, ny: int,
    cells: IntArray, heights: FloatArray, signs: npt.NDArray[np.int8],
) -> int:  # fmt: skip
    """Write where lines meet faces, as far as there is room; give how often they do."""
    found = 0
    for face in range(faces.shape[0]):
        ia, ib, ic = faces[face, 0], faces[face, 1], faces[face, 2]
        a, b, c = places[ia], places[ib], places[ic]
        x0, x1 = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
        y0, y1 = min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
        for iy in range(
            max(int(np.ceil((y0 - low[1]) / pitch)), 0),
            min(int(np.floor((y1 - low[1]) / pitch)), ny - 1) + 1,
        ):
            y = low[1] + iy * pitch
            left = low[0] + (iy * _GOLDEN % 1.0) * pitch
            for ix in range(
                max(int(np.ceil((x0 - left) / pitch)), 0),
                min(int(np.floor((x1 - left) / pitch)), nx - 1) + 1,
            ):
                x = left + ix * pitch
                wc = _side(a, b, x, y, ia > ib)
                wa = _side(b, c, x, y, ib > ic)
                wb = _side(c, a, x, y, ic > ia)
                up = wa > 0.0 and wb > 0.0 and wc > 0.0
                if not up and not (wa < 0.0 and wb < 0.0 and wc < 0.0):
                    continue
                if found < cells.size:
                    cells[found] = ix * ny + iy
                    heights[found] = (wa * a[2] + wb * b[2] + wc * c[2]) / (wa + wb + wc)
                    signs[found] = -1 if up else 1
                found += 1
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _along(places: FloatArray, faces: IntArray, lines: int, radius: float, out: FloatArray) -> None:
    low = np.array([places[:, 0].min(), places[:, 1].min()])
    width, depth = places[:, 0].max() - low[0], places[:, 1].max() - low[1]
    pitch = np.sqrt(width * depth / lines)
    # No line through the corner of a drawing that keeps to round numbers.
    low[0] -= 0.9871623 * pitch
    low[1] += 0.5128377 * pitch
    nx, ny = int(width / pitch) + 2, int(depth / pitch) + 1
    room = 8 * lines
    count = 0
    while True:
        cells, heights = np.empty(room, np.int64), np.empty(room)
        signs = np.empty(room, np.int8)
        count = _crossings(places, faces, low, pitch, nx, ny, cells, heights, signs)
        if count <= room:
            break
        room = count
    start = np.zeros(nx * ny + 1, np.int64)
    for cell in cells[:count]:
        start[cell + 1] += 1
    for cell in range(nx * ny):
        start[cell + 1] += start[cell]
    cursor = start[:-1].copy()
    order = np.empty(count, np.int64)
    for k in range(count):
        place = cursor[cells[k]]
        cursor[cells[k]] += 1
        while place > start[cells[k]] and heights[order[place - 1]] > heights[k]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k
    chords = np.empty((count + 1, 2))
    step = radius / (out.size - 1)
    for cell in range(nx * ny):
        winding, n = 0, 0
        for place in range(start[cell], start[cell + 1]):
            k = order[place]
            before = winding
            winding += signs[k]
            if before == 0:
                chords[n, 0] = heights[k]
            elif winding == 0:
                chords[n, 1] = heights[k]
                n += 1
        _shared(chords, n, step, pitch * pitch, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _shared(chords: FloatArray, n: int, step: float, area: float, out: FloatArray) -> None:
    for i in range(n):
        a0, a1 = chords[i, 0], chords[i, 1]
        for j in range(i + 1):
            b0, b1 = chords[j, 0], chords[j, 1]
            first = max(int((a0 - b1) / step), 0)
            last = min(int((a1 - b0) / step), out.size - 1)
            for k in range(first, last + 1):
                moved = k * step
                both = min(a1, b1 + moved) - max(a0, b0 + moved)
                if both > 0.0:
                    out[k] += both * area

"""Gaussians into voxels, compiled: sorted by block, drawn in a small copy of the block, then added.

Strategy: in a large array rows of voxels lie so far apart that the cache holds few of them, and a
sum of a million small numbers in single precision loses some. A block of voxels with a margin is
drawn by itself, small enough for the cache: in single precision, a few hundred points at a time,
which are summed in double precision; the block is added to the array once.

What happens to a voxel depends on the points of its blocks alone, not on which part of the frame is
asked for, so parts are equal to the whole to the last bit.
"""

from __future__ import annotations

from math import erf

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.lean import lean
from nanospine.voxels.splat_vectors import GROUP, add_rows, give_vector, take_steps

__all__ = ["REACH", "block_counts", "order_by_block", "splat_blocks"]

FloatArray = npt.NDArray[np.float64]

#: Standard deviations at which a Gaussian is cut; what lies beyond (2e-5) is given to the rest.
REACH = 4.7
_BLOCK_Z, _BLOCK_Y, _BLOCK_X = 48, 32, 64  # voxels
_MARGIN = 24  # voxels; wider Gaussians are drawn into the array itself
_SUB = 8  # voxels; points of a block are drawn in the order of parts of it
_SIDE_Z, _SIDE_Y, _SIDE_X = _BLOCK_Z + 2 * _MARGIN, _BLOCK_Y + 2 * _MARGIN, _BLOCK_X + 2 * _MARGIN
_STRIDE = (_SIDE_X // GROUP + 2) * GROUP
_BATCH = 32  # points
_CHUNK = 16 * _BATCH  # points that are summed in single precision


def block_counts(frame: tuple[int, int, int]) -> tuple[int, int, int]:
    """Blocks along z, y, x: those of the frame, and one beyond it on either side."""
    return frame[0] // _BLOCK_Z + 3, frame[1] // _BLOCK_Y + 3, frame[2] // _BLOCK_X + 3


def _polynomial(degree: int) -> tuple[float, ...]:
    """Coefficients of g, with t g(2 t^2 - 1) the normal law from -REACH (t = -1, -0.5) to REACH.

    From -0.5 to 0.5, without what lies beyond; 1e-10 off at most.
    """
    whole = erf(REACH / np.sqrt(2.0))

    def law(u: FloatArray) -> FloatArray:
        t = np.sqrt((u + 1.0) / 2.0)
        return np.array([0.5 * erf(REACH * s / np.sqrt(2.0)) / whole / s for s in t])

    fitted = np.polynomial.Chebyshev.interpolate(law, degree)
    return tuple(fitted.convert(kind=np.polynomial.Polynomial).coef.tolist())


_C = _polynomial(19)


@njit(cache=True, nogil=True)
def order_by_block(z, y, x, voxel, face, bz, by, bx, frame):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sort points by block, then by part of a block (two counting sorts, stable).

    Gives the order, where each of the bz * by * bx blocks begins in it, and the number of points
    in each plane of the frame across its longest axis.
    """
    n = len(z)
    rz, ry, rx = _BLOCK_Z // _SUB, _BLOCK_Y // _SUB, _BLOCK_X // _SUB
    block, part = np.empty(n, np.int64), np.empty(n, np.int64)
    starts = np.zeros(bz * by * bx + 1, np.int64)
    inner = np.zeros(rz * ry * rx + 1, np.int64)
    longest = 0
    for a in range(1, 3):
        longest = a if frame[a] > frame[longest] else longest
    planes = np.zeros(frame[longest], np.int64)
    for i in range(n):
        k = int(np.floor((z[i] - face[0]) / voxel[0]))
        j = int(np.floor((y[i] - face[1]) / voxel[1]))
        m = int(np.floor((x[i] - face[2]) / voxel[2]))
        at = k if longest == 0 else (j if longest == 1 else m)
        planes[min(max(at, 0), len(planes) - 1)] += 1
        part[i] = (k // _SUB % rz * ry + j // _SUB % ry) * rx + m // _SUB % rx
        inner[part[i] + 1] += 1
        # The outermost blocks are beyond the frame and hold all points out there.
        k = min(max(k // _BLOCK_Z + 1, 0), bz - 1)
        j = min(max(j // _BLOCK_Y + 1, 0), by - 1)
        m = min(max(m // _BLOCK_X + 1, 0), bx - 1)
        block[i] = (k * by + j) * bx + m
        starts[block[i] + 1] += 1
    for b in range(1, len(inner)):
        inner[b] += inner[b - 1]
    for b in range(1, len(starts)):
        starts[b] += starts[b - 1]
    by_part, order = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        by_part[inner[part[i]]] = i
        inner[part[i]] += 1
    place = starts.copy()
    for row in by_part:
        order[place[block[row]]] = row
        place[block[row]] += 1
    return order, starts, planes, longest


@lean
def _masses(position, sigma, upto, o):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mass of a Gaussian (all in voxels) below each face within REACH, from -0.5 to 0.5.

    Gives the first voxel, and how many there are.
    """
    first = int(np.floor(position - REACH * sigma))
    n = int(np.floor(position + REACH * sigma)) - first + 1
    if n > 1:
        step = 1.0 / (REACH * sigma)
        before = (first - position) * step
        for i in range(_whole(n)):
            t = before + i * step
            u = 2.0 * t * t - 1.0
            g = _C[16] + u * (_C[17] + u * (_C[18] + u * _C[19]))
            g = _C[12] + u * (_C[13] + u * (_C[14] + u * (_C[15] + u * g)))
            g = _C[8] + u * (_C[9] + u * (_C[10] + u * (_C[11] + u * g)))
            g = _C[4] + u * (_C[5] + u * (_C[6] + u * (_C[7] + u * g)))
            upto[o + i] = t * (_C[0] + u * (_C[1] + u * (_C[2] + u * (_C[3] + u * g))))
    upto[o] = -0.5
    for i in range(2 * GROUP):  # nothing beyond
        upto[o + n + i] = 0.5
    return first, n


@lean
def _whole(n):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Round up to whole vectors: what is left over would be computed one by one."""
    return (n + GROUP - 1) // GROUP * GROUP


@njit(cache=True, nogil=True)
def _flush(small, box, corner, window, data):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the used box of a small array to `data` (its voxel 0 lies at `corner`); empty it."""
    ny, nx = data.shape[1], data.shape[2]
    k0, k1 = window[0] - corner[0], window[1] - corner[0]
    j0, j1 = window[2] - corner[1], window[3] - corner[1]
    a, b = max(box[4], window[4] - corner[2]), min(box[5], window[5] - corner[2])
    whole = a + max(b - a, 0) // GROUP * GROUP
    flat, source = data.reshape(-1), small.reshape(-1)
    for k in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            here = (k * _SIDE_Y + j) * _STRIDE
            if k0 <= k < k1 and j0 <= j < j1:
                at = ((corner[0] + k) * ny + corner[1] + j) * nx + corner[2]
                for m in range(a, whole, GROUP):
                    give_vector(flat, at + m, source, here + m)
                for m in range(whole, b):
                    flat[at + m] += data.dtype.type(source[here + m])
            source[here + box[4] : here + box[5]] = 0.0
    box[::2], box[1::2] = _STRIDE + _SIDE_Y + _SIDE_Z, 0


@lean
def _gather(z, y, x, sigma, voxel, face, rows, points):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put positions and standard deviations, in voxels, of a few rows side by side.

    A loop of its own: the processor waits for many rows at once.
    """
    for p in range(len(rows)):
        i = rows[p]
        points[p, 0] = (z[i] - face[0]) / voxel[0]
        points[p, 1] = (y[i] - face[1]) / voxel[1]
        points[p, 2] = (x[i] - face[2]) / voxel[2]
        i = i if len(sigma) > 1 else 0
        for a in range(3):
            points[p, 3 + a] = sigma[i, a] / voxel[a]


@lean
def _ellipse(pz, sz, py, sy, z0, cz, y0, cy, upto, o, first, last, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Rows of each plane within REACH, and the mass in them.

    Rows beyond are left out, and what they held (at most 2e-5) is given to the others.
    """
    shrink, fall = REACH * sy, 1.0 / (REACH * max(sz, 1e-9))
    for k in range(_whole(cz)):
        gap = z0 + k - pz
        away = max(gap, -1.0 - gap, 0.0) * fall
        half = shrink * np.sqrt(max(1.0 - away * away, 0.0))
        first[at + k] = int(np.floor(py - half)) - y0
        last[at + k] = int(np.floor(py + half)) + 1 - y0
    kept = 0.0
    for k in range(cz):
        low, high = max(0, first[at + k]), min(cy, last[at + k])
        first[at + k], last[at + k] = low, high
        kept += (upto[k + 1] - upto[k]) * (upto[o + high] - upto[o + low])
    return kept


@njit(cache=True, nogil=True)
def _blocks_near(start, window, reach, blocks):  # type: ignore[no-untyped-def]  # pragma: no cover
    """First and last block along each axis that may reach the window.

    Points far away are in the outermost blocks, and farther than these.
    """
    ends, size = np.empty(6, np.int64), (_BLOCK_Z, _BLOCK_Y, _BLOCK_X)
    for a in range(3):
        low, high = start[a] + window[2 * a] - reach[a], start[a] + window[2 * a + 1] + reach[a]
        ends[2 * a] = min(max(low // size[a] + 1, 0), blocks[a] - 1)
        ends[2 * a + 1] = min(max(high // size[a] + 2, 1), blocks[a])
    return ends


@njit(cache=True, nogil=True)
def splat_blocks(z, y, x, sigma, voxel, face, order, starts, blocks, start, window, data):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw the points into the window of `data`; give the mass that lies there.

    `start` is the first voxel of `data` in the frame; the window, first and last z, first and last
    y, first and last x, is in voxels of `data`.
    """
    reach, widest = np.zeros(3, np.int64), 0
    for i in range(len(sigma)):
        for a in range(3):
            reach[a] = max(reach[a], int(REACH * sigma[i, a] / voxel[a]) + 2)
            widest = max(widest, 2 * reach[a])
    points, upto = np.empty((_BATCH, 6)), np.empty(3 * (widest + 3 * GROUP))
    widest += 3 * GROUP
    many = _BATCH * widest
    wz, wy, wx = np.empty(many, np.float32), np.empty(many, np.float32), np.empty(many, np.float32)
    first, last = np.empty(many, np.int64), np.empty(many, np.int64)
    place = np.empty((_BATCH, 5), np.int64)
    small = np.zeros((_SIDE_Z, _SIDE_Y, _STRIDE), np.float32)
    large = np.zeros((_SIDE_Z, _SIDE_Y, _STRIDE), np.float64)
    flat = small.reshape(-1)
    whole = np.array([0, _SIDE_Z, 0, _SIDE_Y, 0, _STRIDE])
    none, corner = np.zeros(3, np.int64), np.empty(3, np.int64)
    box, total = np.zeros(6, np.int64), np.zeros(6, np.int64)
    box[::2], total[::2] = _STRIDE + _SIDE_Y + _SIDE_Z, _STRIDE + _SIDE_Y + _SIDE_Z
    ends = _blocks_near(start, window, reach, blocks)
    mass = 0.0
    for bz in range(ends[0], ends[1]):
        for by in range(ends[2], ends[3]):
            for bx in range(ends[4], ends[5]):
                corner[0] = (bz - 1) * _BLOCK_Z - _MARGIN - start[0]
                corner[1] = (by - 1) * _BLOCK_Y - _MARGIN - start[1]
                corner[2] = (bx - 1) * _BLOCK_X - _MARGIN - start[2]
                block = (bz * blocks[1] + by) * blocks[2] + bx
                crowded = starts[block + 1] - starts[block] > _CHUNK
                for begin in range(starts[block], starts[block + 1], _BATCH):
                    some = order[begin : min(begin + _BATCH, starts[block + 1])]
                    _gather(z, y, x, sigma, voxel, face, some, points)
                    n = 0
                    for p in range(len(some)):
                        fits, part = _prepare(
                            points, p, start, window, corner, upto, n, widest, wz, wy, wx, first,
                            last, place, box, data,
                        )  # fmt: skip
                        mass += part
                        n += fits
                    _draw(wz, wy, wx, widest, first, last, place, n, flat)
                    if crowded and (begin - starts[block]) % _CHUNK == _CHUNK - _BATCH:
                        _join(total, box)
                        _flush(small, box, none, whole, large)
                if box[1] > box[0]:
                    if crowded:
                        _join(total, box)
                        _flush(small, box, none, whole, large)
                    else:
                        _flush(small, box, corner, window, data)
                if total[1] > total[0]:
                    _flush(large, total, corner, window, data)
    return mass


@lean
def _join(total, box):  # type: ignore[no-untyped-def]  # pragma: no cover
    for a in range(0, 6, 2):
        total[a], total[a + 1] = min(total[a], box[a]), max(total[a + 1], box[a + 1])


@lean
def _prepare(  # type: ignore[no-untyped-def]  # pragma: no cover
    points, p, start, window, corner, upto, n, widest, wz, wy, wx, first, last, place, box, data
):
    """Weights of a point, and where they go; one too wide for a block is drawn into `data`.

    Gives whether there is something to draw into the block, and the mass within the window.
    """
    pz, py, px = points[p, 0], points[p, 1], points[p, 2]
    sz, sy, sx = points[p, 3], points[p, 4], points[p, 5]
    reach = REACH * sz + 1.0
    if pz + reach < start[0] + window[0] or pz - reach > start[0] + window[1]:
        return 0, 0.0
    at, o = n * widest, len(upto) // 3
    o2 = 2 * o
    z0, cz = _masses(pz, sz, upto, 0)
    y0, cy = _masses(py, sy, upto, o)
    x0, cx = _masses(px, sx, upto, o2)
    share = 1.0 / _ellipse(pz, sz, py, sy, z0, cz, y0, cy, upto, o, first, last, at)
    z0, y0, x0 = z0 - start[0], y0 - start[1], x0 - start[2]
    k0, k1 = max(0, window[0] - z0), min(cz, window[1] - z0)
    j0, j1 = max(0, window[2] - y0), min(cy, window[3] - y0)
    a, b = max(0, window[4] - x0), min(cx, window[5] - x0)
    if k1 <= k0 or j1 <= j0 or b <= a:
        return 0, 0.0
    mass = 1.0
    if k1 - k0 < cz or j1 - j0 < cy or b - a < cx:
        mass = 0.0
        for k in range(k0, k1):
            low, high = max(first[at + k], j0), min(last[at + k], j1)
            if high > low:
                mass += (upto[k + 1] - upto[k]) * (upto[o + high] - upto[o + low])
        mass *= share * (upto[o2 + b] - upto[o2 + a])
    kz, jy, mx = z0 - corner[0], y0 - corner[1], x0 - corner[2]
    fits = kz >= 0 and kz + cz <= _SIDE_Z and jy >= 0 and jy + cy <= _SIDE_Y
    if not (fits and mx >= 0 and mx + cx <= _SIDE_X):
        for k in range(k0, k1):
            here = share * (upto[k + 1] - upto[k])
            low, high = max(first[at + k], j0), min(last[at + k], j1)
            _draw_wide(here, upto, o, low, high, a, b, data, z0 + k, y0, x0)
        return 0, mass
    box[0], box[1] = min(box[0], kz + k0), max(box[1], kz + k1)
    box[2], box[3] = min(box[2], jy), max(box[3], jy + cy)
    off = mx % GROUP
    mx -= off
    groups = (off + cx + GROUP - 1) // GROUP
    box[4], box[5] = min(box[4], mx), max(box[5], mx + groups * GROUP)
    take_steps(wz, at, upto, 0, cz, share)
    take_steps(wy, at, upto, o, cy, 1.0)
    for m in range(GROUP):  # rows are added in whole vectors
        wx[at + m] = 0.0
    take_steps(wx, at + off, upto, o2, cx + GROUP, 1.0)
    place[n, 0], place[n, 1], place[n, 2] = kz, kz + k0, kz + k1
    place[n, 3], place[n, 4] = jy * _STRIDE + mx, groups
    return 1, mass


@lean
def _draw_wide(here, upto, o, low, high, a, b, data, z, y0, x0):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw rows of a plane into the array itself."""
    for j in range(low, high):
        weight = here * (upto[o + j + 1] - upto[o + j])
        for m in range(a, b):
            add = weight * (upto[2 * o + m + 1] - upto[2 * o + m])
            data[z, y0 + j, x0 + m] += np.float32(add)


@lean
def _draw(wz, wy, wx, widest, first, last, place, n, flat):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw points into the small array, plane by plane: a plane stays in the nearest cache."""
    bottom, top = _SIDE_Z, 0
    for p in range(n):
        bottom, top = min(bottom, place[p, 1]), max(top, place[p, 2])
    for k in range(bottom, top):
        for p in range(n):
            if k < place[p, 1] or k >= place[p, 2]:
                continue
            o = p * widest
            i = o + k - place[p, 0]
            low, high = first[i], last[i]
            at = k * _SIDE_Y * _STRIDE + place[p, 3] + low * _STRIDE
            add_rows(flat, at, _STRIDE, wx, o, place[p, 4], wy, o + low, o + high, wz[i])

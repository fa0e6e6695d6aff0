"""Gaussians into voxels, compiled: sorted by block, drawn in a small copy of the block, then added.

Strategy: in a large array rows of voxels lie so far apart that the cache holds few of them, and a
sum of a million small numbers in single precision loses some. A block of voxels with a margin is
drawn by itself, small enough for the cache, and added to the array once.
"""

from __future__ import annotations

from functools import cache
from math import erf

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["REACH", "block_counts", "normal_table", "order_by_block", "splat_blocks"]

FloatArray = npt.NDArray[np.float64]

#: Standard deviations at which a Gaussian is cut; what lies beyond (2e-5) is given to the rest.
REACH = 4.7
_BLOCK = 32  # voxels
_MARGIN = 24  # voxels; wider Gaussians are drawn into the array itself
_SUB = 8  # voxels; points of a block are drawn in the order of parts of it
_GROUP = 4  # numbers of a vector
_SIDE = _BLOCK + 2 * _MARGIN
_STRIDE = _SIDE + 2 * _GROUP
_PER_SIGMA = 64.0  # entries of the table of the normal distribution
_TABLE_END = 6.0
_BATCH = 32  # points


def block_counts(frame: tuple[int, int, int]) -> tuple[int, int, int]:
    """Blocks along z, y, x: those of the frame, and one beyond it on either side."""
    nz, ny, nx = (size // _BLOCK + 3 for size in frame)
    return nz, ny, nx


@cache
def normal_table() -> FloatArray:
    """Cubics through the normal distribution and its density, shape (k, 4); 1e-10 off at most."""
    at = np.arange(-_TABLE_END, _TABLE_END + 2 / _PER_SIGMA, 1 / _PER_SIGMA)
    value = np.array([0.5 * (1.0 + erf(t / np.sqrt(2.0))) for t in at])
    slope = np.exp(-0.5 * at * at) / np.sqrt(2.0 * np.pi) / _PER_SIGMA
    rise, a, b = np.diff(value), slope[:-1], slope[1:]
    return np.ascontiguousarray(
        np.stack([value[:-1], a, 3.0 * rise - 2.0 * a - b, a + b - 2.0 * rise], axis=1)
    )


@njit(cache=True, nogil=True)
def order_by_block(z, y, x, voxel, face, bz, by, bx, first, nz):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sort points by block, then by part of a block (two counting sorts, stable).

    Gives the order, where each of the bz * by * bx blocks begins in it, and the number of points
    of each of the `nz` planes from `first`.
    """
    n = len(z)
    ratio = _BLOCK // _SUB
    block, part = np.empty(n, np.int64), np.empty(n, np.int64)
    starts = np.zeros(bz * by * bx + 1, np.int64)
    inner = np.zeros(ratio**3 + 1, np.int64)
    planes = np.zeros(nz, np.int64)
    for i in range(n):
        k = int(np.floor((z[i] - face[0]) / voxel[0]))
        j = int(np.floor((y[i] - face[1]) / voxel[1]))
        m = int(np.floor((x[i] - face[2]) / voxel[2]))
        planes[min(max(k - first, 0), nz - 1)] += 1
        kk, jj, mm = k // _SUB % ratio, j // _SUB % ratio, m // _SUB % ratio
        part[i] = (kk * ratio + jj) * ratio + mm
        inner[part[i] + 1] += 1
        # The outermost blocks are beyond the frame and hold all points out there.
        k = min(max(k // _BLOCK + 1, 0), bz - 1)
        j = min(max(j // _BLOCK + 1, 0), by - 1)
        m = min(max(m // _BLOCK + 1, 0), bx - 1)
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
    return order, starts, planes


@njit(cache=True, nogil=True)
def _normal(t, table):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Distribution function of the normal law within the table."""
    s = (t + _TABLE_END) * _PER_SIGMA
    i = int(s)
    f = s - i
    return table[i, 0] + f * (table[i, 1] + f * (table[i, 2] + f * table[i, 3]))


@njit(cache=True, nogil=True)
def _weights(position, sigma, weights, table):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mass of a Gaussian (all in voxels) in each voxel within REACH; first voxel and how many."""
    first = int(np.floor(position - REACH * sigma))
    last = int(np.floor(position + REACH * sigma))
    n = last - first + 1
    if n == 1:
        weights[0] = 1.0
        return first, 1
    before = _normal(-REACH, table)
    share = 1.0 / (1.0 - 2.0 * before)
    scale = 1.0 / sigma
    for i in range(n):
        if i == n - 1:
            after = 1.0 - _normal(-REACH, table)
        else:
            after = _normal((first + i + 1 - position) * scale, table)
        weights[i] = (after - before) * share
        before = after
    return first, n


@intrinsic
def _add_vector(_typing, flat, at, row, m, weight):  # type: ignore[no-untyped-def]
    """flat[at : at + 4] += weight * row[m : m + 4], in one go.

    The compiler cannot know that the arrays do not overlap and, for rows this short, loses more
    time in asking than in adding.
    """
    signature = types.void(flat, at, row, m, weight)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.DoubleType(), _GROUP)
        places = []
        for k in (0, 2):
            array = context.make_array(signature.args[k])(context, builder, args[k])
            first = builder.gep(array.data, [args[k + 1]])
            places.append(builder.bitcast(first, vector.as_pointer()))
        held, add = (builder.load(place, align=8) for place in places)
        factor = ir.Constant(vector, ir.Undefined)
        for k in range(_GROUP):
            lane = ir.Constant(ir.IntType(32), k)
            factor = builder.insert_element(factor, args[4], lane)
        product = builder.fmul(add, factor)
        builder.store(builder.fadd(held, product), places[0], align=8)
        return context.get_dummy_value()

    return signature, generate


@njit(cache=True, nogil=True)
def _add_rows(flat, at, stride, row, groups, weights, first, last, here):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add weighted copies of a row, of whole vectors, to rows that are `stride` apart."""
    if groups == 6:  # the usual widths without an inner loop
        for j in range(first, last):
            weight = here * weights[j]
            _add_vector(flat, at, row, 0, weight)
            _add_vector(flat, at + 4, row, 4, weight)
            _add_vector(flat, at + 8, row, 8, weight)
            _add_vector(flat, at + 12, row, 12, weight)
            _add_vector(flat, at + 16, row, 16, weight)
            _add_vector(flat, at + 20, row, 20, weight)
            at += stride
    elif groups == 5:
        for j in range(first, last):
            weight = here * weights[j]
            _add_vector(flat, at, row, 0, weight)
            _add_vector(flat, at + 4, row, 4, weight)
            _add_vector(flat, at + 8, row, 8, weight)
            _add_vector(flat, at + 12, row, 12, weight)
            _add_vector(flat, at + 16, row, 16, weight)
            at += stride
    else:
        for j in range(first, last):
            weight = here * weights[j]
            for m in range(0, groups * _GROUP, _GROUP):
                _add_vector(flat, at + m, row, m, weight)
            at += stride


@intrinsic
def _give_vector(_typing, flat, at, small, start):  # type: ignore[no-untyped-def]
    """flat[at : at + 4] += small[start : start + 4], in single precision."""
    signature = types.void(flat, at, small, start)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        places = []
        for k, kind in ((0, ir.FloatType()), (2, ir.DoubleType())):
            array = context.make_array(signature.args[k])(context, builder, args[k])
            first = builder.gep(array.data, [args[k + 1]])
            places.append(builder.bitcast(first, ir.VectorType(kind, _GROUP).as_pointer()))
        held, add = builder.load(places[0], align=4), builder.load(places[1], align=8)
        add = builder.fptrunc(add, ir.VectorType(ir.FloatType(), _GROUP))
        builder.store(builder.fadd(held, add), places[0], align=4)
        return context.get_dummy_value()

    return signature, generate


@njit(cache=True, nogil=True)
def _flush(small, box, corner, low, high, data):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the used box of the small array to `data` (its voxel 0 lies at `corner`); empty it."""
    ny, nx = data.shape[1], data.shape[2]
    a, b = max(box[4], -corner[2]), min(box[5], nx - corner[2])
    whole = max(b - a, 0) // _GROUP * _GROUP
    flat = data.reshape(-1)
    source = small.reshape(-1)
    for k in range(box[0], box[1]):
        for j in range(box[2], box[3]):
            row, plane = corner[1] + j, corner[0] + k
            if low <= plane < high and 0 <= row < ny and b > a:
                at = (plane * ny + row) * nx + corner[2]
                here = (k * _SIDE + j) * _STRIDE
                for m in range(a, a + whole, _GROUP):
                    _give_vector(flat, at + m, source, here + m)
                for m in range(a + whole, b):
                    flat[at + m] += np.float32(source[here + m])
            small[k, j, box[4] : box[5]] = 0.0
    box[::2], box[1::2] = _SIDE, 0


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _ellipse(pz, sz, py, sy, z0, cz, y0, cy, wz, wy, upto, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Rows of each plane within REACH, and the mass in them.

    Rows beyond are left out, and what they held (at most 2e-5) is given to the others.
    """
    for j in range(cy):
        upto[j + 1] = upto[j] + wy[j]
    shrink, fall = REACH * sy, 1.0 / (REACH * max(sz, 1e-9))
    kept = 0.0
    for k in range(cz):
        gap = z0 + k - pz
        away = max(gap, -1.0 - gap, 0.0) * fall
        half = shrink * np.sqrt(max(1.0 - away * away, 0.0))
        first[k] = max(0, int(np.floor(py - half)) - y0)
        last[k] = min(cy, int(np.floor(py + half)) + 1 - y0)
        kept += wz[k] * (upto[last[k]] - upto[first[k]])
    return kept


@njit(cache=True, nogil=True)
def splat_blocks(z, y, x, sigma, voxel, face, order, starts, blocks, table, start, low, high, data):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw the points into the planes low to high of `data`; give the mass that lies there."""
    widest = 0
    for i in range(len(sigma)):
        for a in range(3):
            widest = max(widest, int(2 * REACH * sigma[i, a] / voxel[a]) + 3)
    points = np.empty((_BATCH, 6))
    w = np.empty((_BATCH, 3, widest + 2 * _GROUP + 1))
    rows = np.empty((_BATCH, 2, widest), np.int64)
    place = np.empty((_BATCH, 4), np.int64)
    upto = np.zeros(widest + 1)
    small = np.zeros((_SIDE, _SIDE, _STRIDE))
    box, corner = np.empty(6, np.int64), np.empty(3, np.int64)
    box[::2], box[1::2] = _SIDE, 0
    span = (low, high)
    mass = 0.0
    for block in range(len(starts) - 1):
        corner[0], rest = divmod(block, blocks[1] * blocks[2])
        corner[1], corner[2] = divmod(rest, blocks[2])
        for a in range(3):
            corner[a] = (corner[a] - 1) * _BLOCK - _MARGIN - start[a]
        for begin in range(starts[block], starts[block + 1], _BATCH):
            some = order[begin : min(begin + _BATCH, starts[block + 1])]
            _gather(z, y, x, sigma, voxel, face, some, points)
            n = 0
            for p in range(len(some)):
                fits, part = _prepare(
                    points[p], table, start, span, corner, w[n], rows[n], place[n], upto, box, data
                )
                mass += part
                n += fits
            _draw(w, rows, place, n, small)
        if box[1] > box[0]:
            _flush(small, box, corner, low, high, data)
    return mass


@njit(cache=True, nogil=True)
def _prepare(point, table, start, span, corner, w, rows, place, upto, box, data):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Weights of a point, and where they go; one too wide for a block is drawn into `data`.

    Gives whether there is something to draw into the block, and the mass within `data`.
    """
    ny, nx = data.shape[1], data.shape[2]
    pz, py, px, sz, sy, sx = point
    reach = REACH * sz + 1.0
    if pz + reach < start[0] + span[0] or pz - reach > start[0] + span[1]:
        return 0, 0.0
    wz, wy, wx = w[0], w[1], w[2]
    z0, cz = _weights(pz, sz, wz, table)
    y0, cy = _weights(py, sy, wy, table)
    x0, cx = _weights(px, sx, wx, table)
    first, last = rows[0], rows[1]
    share = 1.0 / _ellipse(pz, sz, py, sy, z0, cz, y0, cy, wz, wy, upto, first, last)
    z0, y0, x0 = z0 - start[0], y0 - start[1], x0 - start[2]
    a, b = max(0, -x0), min(cx, nx - x0)
    if b <= a or y0 >= ny or y0 + cy <= 0:
        return 0, 0.0
    wx[cx : cx + _GROUP] = 0.0  # rows are added in whole vectors
    k0, k1 = max(0, span[0] - z0), min(cz, span[1] - z0)
    mass = 0.0
    for k in range(k0, k1):
        wz[k] *= share
        j0, j1 = max(first[k], -y0), min(last[k], ny - y0)
        mass += wz[k] * max(upto[j1] - upto[j0], 0.0) if j1 > j0 else 0.0
    mass *= wx[a:b].sum()
    kz, jy, mx = z0 - corner[0], y0 - corner[1], x0 - corner[2]
    fits = kz >= 0 and kz + cz <= _SIDE and jy >= 0 and jy + cy <= _SIDE
    if not (fits and mx >= 0 and mx + cx <= _SIDE):
        for k in range(k0, k1):
            for j in range(max(first[k], -y0), min(last[k], ny - y0)):
                for m in range(a, b):
                    data[z0 + k, y0 + j, x0 + m] += np.float32(wz[k] * wy[j] * wx[m])
        return 0, mass
    box[0], box[1] = min(box[0], kz + k0), max(box[1], kz + k1)
    box[2], box[3] = min(box[2], jy), max(box[3], jy + cy)
    box[4], box[5] = min(box[4], mx), max(box[5], mx + cx)
    place[0], place[1], place[2] = kz, kz + k0, kz + k1
    off = mx % _GROUP
    for m in range(cx - 1, -1, -1):
        wx[m + off] = wx[m]
    wx[:off] = 0.0
    wx[off + cx : off + cx + _GROUP] = 0.0
    place[3] = jy * _STRIDE + mx - off
    w[2, -1] = (off + cx + _GROUP - 1) // _GROUP
    return 1, mass


@njit(cache=True, nogil=True)
def _draw(w, rows, place, n, small):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Draw points into the small array, plane by plane: a plane stays in the nearest cache."""
    bottom, top = _SIDE, 0
    for p in range(n):
        bottom, top = min(bottom, place[p, 1]), max(top, place[p, 2])
    for k in range(bottom, top):
        for p in range(n):
            if k < place[p, 1] or k >= place[p, 2]:
                continue
            i = k - place[p, 0]
            at = k * _SIDE * _STRIDE + place[p, 3] + rows[p, 0, i] * _STRIDE
            groups = int(w[p, 2, -1])
            first, last = rows[p, 0, i], rows[p, 1, i]
            _add_rows(small, at, _STRIDE, w[p, 2], groups, w[p, 1], first, last, w[p, 0, i])

"""The order in which points are inserted: rounds of growing size, along a Hilbert curve in each.

It depends on the places of the points only, not on the order in which they are given. Equal points
come out next to each other, which is how they are found.

Source: N. Amenta, S. Choi, G. Rote, Incremental constructions con BRIO, SCG 2003.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["along_curve", "first_of_equal", "hilbert_keys", "insertion_order"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Bits for each axis: cells of 1 in 65,536 of the extent.
_BITS = 16
# Each round holds so many times the points of all rounds before it.
_GROWTH = 32
_FIRST_ROUND = 1000
# So many points in one cell (an outlier far away makes cells large) are sorted among themselves.
_CROWD = 64


@njit(cache=True, inline="always")
def _turned(x, y, p, bit):
    """Undo one turn of the curve: where `bit` of y is set the low bits of x flip, else they swap.

    Without a branch: which of the two it is cannot be foreseen.
    """
    flip = p & -((y >> bit) & 1)
    swap = (x ^ y) & p & ~flip
    return x ^ (swap | flip), y ^ swap


@njit(cache=True, inline="always")
def _ungrayed(x):
    """Give the exclusive or of all higher bits, for each bit of a number of at most 32 bits."""
    x >>= 1
    for shift in (1, 2, 4, 8, 16):
        x ^= x >> shift
    return x


@njit(cache=True, inline="always")
def _spread3(x):
    """Put two zeros between the bits of a number of at most 21 bits."""
    x = (x | (x << 32)) & 0x1F00000000FFFF
    x = (x | (x << 16)) & 0x1F0000FF0000FF
    x = (x | (x << 8)) & 0x100F00F00F00F00F
    x = (x | (x << 4)) & 0x10C30C30C30C30C3
    return (x | (x << 2)) & 0x1249249249249249


@njit(cache=True, inline="always")
def _spread2(x):
    """Put a zero between the bits of a number of at most 31 bits."""
    x = (x | (x << 16)) & 0x0000FFFF0000FFFF
    x = (x | (x << 8)) & 0x00FF00FF00FF00FF
    x = (x | (x << 4)) & 0x0F0F0F0F0F0F0F0F
    x = (x | (x << 2)) & 0x3333333333333333
    return (x | (x << 1)) & 0x5555555555555555


@njit(cache=True, nogil=True)
def hilbert_keys(points, low, scale, bits):
    """Give the places of points (n, 2 or 3) on a Hilbert curve (transform of Skilling 2004)."""
    n, dimension = points.shape
    keys = np.empty(n, dtype=np.int64)
    top = (np.int64(1) << bits) - 1
    for row in range(n):
        x = min(np.int64((points[row, 0] - low[0]) * scale), top)
        y = min(np.int64((points[row, 1] - low[1]) * scale), top)
        z = np.int64(0)
        if dimension == 3:
            z = min(np.int64((points[row, 2] - low[2]) * scale), top)
        for bit in range(bits - 1, 0, -1):
            p = (np.int64(1) << bit) - 1
            x ^= p & -((x >> bit) & 1)
            x, y = _turned(x, y, p, bit)
            if dimension == 3:
                x, z = _turned(x, z, p, bit)
        y ^= x
        if dimension == 3:
            z ^= y
            turns = _ungrayed(z)
            keys[row] = (
                (_spread3(x ^ turns) << 2) | (_spread3(y ^ turns) << 1) | _spread3(z ^ turns)
            )
        else:
            turns = _ungrayed(y)
            keys[row] = (_spread2(x ^ turns) << 1) | _spread2(y ^ turns)
    return keys


def along_curve(points: FloatArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Sort points along a Hilbert curve.

    Returns
    -------
    order : ndarray of int64, shape (n,)
        Among points of one cell those with lower index first.
    repeated : ndarray of bool, shape (n,)
        Whether the next in this order has equal coordinates.

    Examples
    --------
    >>> order, repeated = along_curve(np.array([[0.0, 0, 0], [9, 9, 9], [0, 0, 0]]))
    >>> order.tolist(), repeated.tolist()
    ([0, 2, 1], [True, False, False])
    """
    n = len(points)
    repeated = np.zeros(n, dtype=bool)
    if n < 2:
        return np.arange(n), repeated
    low = points.min(axis=0)
    extent = float((points.max(axis=0) - low).max())
    if extent == 0.0:
        repeated[:-1] = True
        return np.arange(n), repeated
    keys = hilbert_keys(points, low, ((1 << _BITS) - 1) / extent, _BITS)
    order = np.argsort(keys)  # not stable, but several times faster; ties are sorted below
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    if not same.any():
        return order, repeated
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2] + 1
    crowded = ends - begins > _CROWD
    # Points of one cell are sorted among themselves: the few of most cells all at once,
    within = np.zeros(n + 1, dtype=np.int8)
    within[begins[~crowded]] = 1
    within[ends[~crowded]] -= 1
    rows = np.flatnonzero(np.cumsum(within[:-1]))
    members = order[rows]
    order[rows] = members[np.lexsort((members, *points[members].T[::-1], keys[rows]))]
    pairs = rows[:-1][keys[rows[:-1]] == keys[rows[1:]]] if len(rows) else rows
    repeated[pairs] = (points[order[pairs]] == points[order[pairs + 1]]).all(axis=1)
    # and the many of crowded ones by a curve of their own.
    for begin, end in zip(begins[crowded], ends[crowded], strict=True):
        run = np.sort(order[begin:end])
        inner, repeated[begin:end] = along_curve(points[run])
        order[begin:end] = run[inner]
    return order, repeated


def first_of_equal(order: IntArray, repeated: npt.NDArray[np.bool_]) -> IntArray:
    """For each point the lowest index of a point with the same coordinates.

    Examples
    --------
    >>> first_of_equal(np.array([0, 2, 1]), np.array([True, False, False])).tolist()
    [0, 1, 0]
    """
    first = np.arange(len(order))
    if not repeated.any():
        return first
    new = np.ones(len(order), dtype=bool)
    new[1:] = ~repeated[:-1]
    group = np.cumsum(new) - 1
    first[order] = np.minimum.reduceat(order, np.flatnonzero(new))[group]
    return first


def insertion_order(points: FloatArray, order: IntArray) -> tuple[IntArray, int]:
    """Deal points that are sorted along a curve into rounds; give where the last round begins.

    Parameters
    ----------
    points : ndarray, shape (n, dimension)
    order : ndarray of int64
        Of those that are to be inserted.

    Examples
    --------
    >>> points = np.random.default_rng(0).random((3000, 3))
    >>> order, last = insertion_order(points, along_curve(points)[0])
    >>> bool((np.sort(order) == np.arange(3000)).all()), 30 < last < 300
    (True, True)
    """
    n = len(order)
    rounds, size = 0, n
    while size > _FIRST_ROUND:
        size //= _GROWTH
        rounds += 1
    if rounds == 0:
        return order, 0
    # Rounds are drawn, not cut: each is a sample of the whole. The lot is a mix of the coordinates.
    lot = np.full(len(points), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in points.T:
        lot ^= np.ascontiguousarray(column + 0.0).view(np.uint64)  # + 0.0: -0 is 0
        lot *= np.uint64(0xBF58476D1CE4E5B9)
        lot ^= lot >> np.uint64(29)
    number = np.full(len(points), rounds, dtype=np.int8)
    for level in range(1, rounds + 1):
        number -= (lot >> np.uint64(11)) < np.uint64(int(2.0**53 * float(_GROWTH) ** -level))
    number = number[order]
    return order[np.argsort(number, kind="stable")], n - int((number == rounds).sum())

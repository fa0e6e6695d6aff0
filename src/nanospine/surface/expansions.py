"""Exact arithmetic with sums of floating-point numbers, for predicates that rounding cannot decide.

An expansion is an array of numbers that do not overlap, smallest first, whose exact sum is the
value; its sign is the sign of the last. Products and sums of expansions are exact. Zeros are left
out, so that small whole numbers stay as short as they are.

Source: J. R. Shewchuk, Adaptive precision floating-point arithmetic and fast robust geometric
predicates, Discrete & Computational Geometry 18 (1997) 305-363.
"""

from __future__ import annotations

# numba needs no annotations, and mypy none of its functions
# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
from numba import njit

__all__ = ["difference", "multiply", "sign", "subtract", "total", "two_product", "two_sum"]

_SPLITTER = 134217729.0  # 2**27 + 1


@njit(cache=True, inline="always")
def two_sum(a, b):
    """Give s + e = a + b with s the rounded sum."""
    s = a + b
    bb = s - a
    return s, (a - (s - bb)) + (b - bb)


@njit(cache=True, inline="always")
def two_product(a, b):
    """Give p + e = a * b with p the rounded product."""
    p = a * b
    c = _SPLITTER * a
    a_high = c - (c - a)
    a_low = a - a_high
    c = _SPLITTER * b
    b_high = c - (c - b)
    b_low = b - b_high
    return p, a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)


@njit(cache=True)
def difference(a, b):
    """Give a - b as an expansion."""
    s, e = two_sum(a, -b)
    result = np.empty(2)
    n = 0
    if e != 0.0:
        result[n] = e
        n += 1
    if s != 0.0:
        result[n] = s
        n += 1
    return result[:n]


@njit(cache=True)
def total(e, f):
    """Give e + f."""
    ne, nf = e.size, f.size
    result = np.empty(ne + nf)
    if ne + nf == 0:
        return result
    i = j = n = 0
    # Merge by magnitude, then let the carry run up.
    if nf == 0 or (ne > 0 and abs(e[0]) <= abs(f[0])):
        q = e[0]
        i = 1
    else:
        q = f[0]
        j = 1
    while i < ne or j < nf:
        if j >= nf or (i < ne and abs(e[i]) <= abs(f[j])):
            x = e[i]
            i += 1
        else:
            x = f[j]
            j += 1
        q, h = two_sum(q, x)
        if h != 0.0:
            result[n] = h
            n += 1
    if q != 0.0:
        result[n] = q
        n += 1
    return result[:n]


@njit(cache=True)
def subtract(e, f):
    """Give e - f."""
    return total(e, -f)


@njit(cache=True)
def _scaled(e, b):
    """Give e * b."""
    result = np.empty(2 * e.size)
    if e.size == 0:
        return result
    n = 0
    q, h = two_product(e[0], b)
    if h != 0.0:
        result[n] = h
        n += 1
    for i in range(1, e.size):
        p, low = two_product(e[i], b)
        s, h = two_sum(q, low)
        if h != 0.0:
            result[n] = h
            n += 1
        q, h = two_sum(p, s)
        if h != 0.0:
            result[n] = h
            n += 1
    if q != 0.0:
        result[n] = q
        n += 1
    return result[:n]


@njit(cache=True)
def multiply(e, f):
    """Give e * f."""
    if e.size < f.size:
        e, f = f, e
    result = np.empty(0)
    for i in range(f.size):
        result = total(result, _scaled(e, f[i]))
    return result


@njit(cache=True)
def sign(e):
    """Give -1, 0 or 1."""
    if e.size == 0:
        return 0
    return 1 if e[e.size - 1] > 0.0 else -1

"""Every stretch of a neck, as every polynomial: its likelihood, and draws of its radius.

Compiled, because there are some thousand of them to a neck.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["draw_profiles", "fit_stretches"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_STEPS = 25
_LARGEST_STEP = 0.25
_CLOSE_ENOUGH = 1e-4
_BEYOND_TABLE = 1e4  # curvature of the wall at the ends of the table


@njit(cache=True)
def _look_up(cubic, first, step, piece, x):  # type: ignore[no-untyped-def]
    """Log-likelihood of a piece at log radius x, and its first two derivatives."""
    m = cubic.shape[1]
    last = first + step * m
    inside = min(max(x, first), last)
    i = min(int((inside - first) / step), m - 1)
    t = inside - first - step * i
    c0, c1, c2, c3 = cubic[piece, i, 0], cubic[piece, i, 1], cubic[piece, i, 2], cubic[piece, i, 3]
    value = c0 + t * (c1 + t * (c2 + t * c3))
    slope = c1 + t * (2.0 * c2 + 3.0 * t * c3)
    bend = 2.0 * c2 + 6.0 * t * c3
    over = x - inside
    if over != 0.0:
        value -= 0.5 * _BEYOND_TABLE * over * over
        slope, bend = -_BEYOND_TABLE * over, -_BEYOND_TABLE
    return value, slope, bend


@njit(cache=True)
def _legendre(x, out):  # type: ignore[no-untyped-def]
    out[0] = 1.0
    if out.shape[0] > 1:
        out[1] = x
    for k in range(2, out.shape[0]):
        out[k] = ((2 * k - 1) * x * out[k - 1] - (k - 1) * out[k - 2]) / k


@njit(cache=True)
def _value(cubic, first, step, low, high, theta, expected, precision, basis):  # type: ignore[no-untyped-def]
    """Log-likelihood of [low, high) less what the prior says."""
    total = 0.0
    for piece in range(low, high):
        _legendre((2.0 * (piece - low) + 1.0) / (high - low) - 1.0, basis)
        total += _look_up(cubic, first, step, piece, np.dot(basis, theta))[0]
    for k in range(theta.shape[0]):
        away = theta[k] - expected[k]
        total -= 0.5 * precision[k] * away * away
    return total


@njit(cache=True)
def _derivatives(cubic, first, step, low, high, theta, expected, precision, basis):  # type: ignore[no-untyped-def]
    """Gradient and negative Hessian, as observed and with each piece's made positive."""
    size = theta.shape[0]
    gradient, observed, positive = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    for piece in range(low, high):
        _legendre((2.0 * (piece - low) + 1.0) / (high - low) - 1.0, basis)
        _, slope, bend = _look_up(cubic, first, step, piece, np.dot(basis, theta))
        for p in range(size):
            gradient[p] += basis[p] * slope
            for q in range(size):
                observed[p, q] -= bend * basis[p] * basis[q]
                positive[p, q] += abs(bend) * basis[p] * basis[q]
    for k in range(size):
        away = theta[k] - expected[k]
        gradient[k] -= precision[k] * away
        observed[k, k] += precision[k]
        positive[k, k] += precision[k]
    return gradient, observed, positive


@njit(cache=True)
def _root(matrix):  # type: ignore[no-untyped-def]
    """Lower triangular root of a small matrix; its first entry is -1 if it is not definite."""
    size = matrix.shape[0]
    root = np.zeros((size, size))
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= root[i, k] * root[j, k]
            if i == j:
                if total <= 1e-9 * abs(matrix[i, i]):
                    root[0, 0] = -1.0
                    return root
                root[i, i] = math.sqrt(total)
            else:
                root[i, j] = total / root[j, j]
    return root


@njit(cache=True)
def _solve(root, right):  # type: ignore[no-untyped-def]
    """Solve root root' x = right."""
    x = _back(root, right, False)
    return _back(root, x, True)


@njit(cache=True)
def _back(root, right, transposed):  # type: ignore[no-untyped-def]
    size = right.shape[0]
    x = right.copy()
    if transposed:
        for i in range(size - 1, -1, -1):
            for j in range(i + 1, size):
                x[i] -= root[j, i] * x[j]
            x[i] /= root[i, i]
    else:
        for i in range(size):
            for j in range(i):
                x[i] -= root[i, j] * x[j]
            x[i] /= root[i, i]
    return x


@njit(cache=True)
def _climb(cubic, first, step, low, high, theta, expected, precision):  # type: ignore[no-untyped-def]
    """Newton's method to the top; gives its height and the root of the negative Hessian there."""
    basis = np.empty(theta.shape[0])
    height = _value(cubic, first, step, low, high, theta, expected, precision, basis)
    root = np.eye(theta.shape[0])
    for _ in range(_STEPS):
        gradient, observed, positive = _derivatives(
            cubic, first, step, low, high, theta, expected, precision, basis
        )
        root = _root(observed)
        if root[0, 0] < 0:
            root = _root(positive)
        move = _solve(root, gradient)
        largest = np.abs(move).max()
        if largest > _LARGEST_STEP:
            move *= _LARGEST_STEP / largest
        for _ in range(8):
            new = _value(cubic, first, step, low, high, theta + move, expected, precision, basis)
            if new >= height - 1e-9:
                break
            move *= 0.4
        theta = theta + move
        height = new
        if np.abs(move).max() < _CLOSE_ENOUGH:
            break
    return theta, height, root


@njit(cache=True)
def fit_stretches(
    cubic: FloatArray,
    first: float,
    step: float,
    free: FloatArray,
    expected: FloatArray,
    stretches: IntArray,
    precisions: FloatArray,
    sizes: IntArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # pragma: no cover - compiled
    """Fit each stretch as each polynomial, the rest of the neck being left to the free fit.

    Parameters
    ----------
    cubic, first, step, free
        See :class:`nanospine.spines.radius_table.RadiusTable`.
    stretches : ndarray of int, shape (s, 2)
        First piece and the piece after the last.
    expected, precisions : ndarray, shape (m, k)
        Prior mean and precision of each Legendre coefficient in each model.
    sizes : ndarray of int, shape (m,)
        Number of coefficients of each model.

    Returns
    -------
    evidence : ndarray, shape (s, m)
        Log-likelihood of everything, integrated over the coefficients (Laplace's approximation).
    theta : ndarray, shape (s, m, k)
    root : ndarray, shape (s, m, k, k)
        Lower root of the negative Hessian.
    """
    count, models, k = stretches.shape[0], sizes.shape[0], precisions.shape[1]
    evidence, theta = np.empty((count, models)), np.zeros((count, models, k))
    root = np.zeros((count, models, k, k))
    whole = free.sum()
    for s in range(count):
        low, high = stretches[s, 0], stretches[s, 1]
        outside = whole - free[low:high].sum()
        constant = expected[0, 0]
        for m in range(models):
            size = sizes[m]
            start = expected[m, :size].copy()
            start[0] = constant
            found, height, top = _climb(
                cubic, first, step, low, high, start, expected[m, :size], precisions[m, :size]
            )
            if m == 0:
                constant = found[0]
            theta[s, m, :size] = found
            root[s, m, :size, :size] = top
            evidence[s, m] = outside + height
            for i in range(size):
                evidence[s, m] += 0.5 * math.log(precisions[m, i]) - math.log(top[i, i])
    return evidence, theta, root


@njit(cache=True)
def draw_profiles(
    cubic: FloatArray,
    first: float,
    step: float,
    expected: FloatArray,
    low: IntArray,
    high: IntArray,
    sizes: IntArray,
    precisions: FloatArray,
    theta: FloatArray,
    root: FloatArray,
    normal: FloatArray,
) -> tuple[FloatArray, FloatArray]:  # pragma: no cover - compiled
    """Draw log radii of stretches about their fits, with the weight that each draw deserves.

    Parameters
    ----------
    expected, low, high, sizes, precisions, theta, root
        Prior mean, stretch, model and fit of each of n draws.
    normal : ndarray, shape (n, k)

    Returns
    -------
    log_radius : ndarray, shape (n, pieces)
        NaN outside the stretch.
    log_weight : ndarray, shape (n,)
        Likelihood and prior of the draw over the Gaussian that it was drawn from.
    """
    count = low.shape[0]
    log_radius = np.full((count, cubic.shape[0]), np.nan)
    log_weight = np.zeros(count)
    for d in range(count):
        size = sizes[d]
        basis = np.empty(size)
        away = _back(root[d, :size, :size], normal[d, :size].copy(), True)
        drawn = theta[d, :size] + away
        precision, mean = precisions[d, :size], expected[d, :size]
        here = _value(cubic, first, step, low[d], high[d], drawn, mean, precision, basis)
        top = _value(
            cubic, first, step, low[d], high[d], theta[d, :size].copy(), mean, precision, basis
        )
        log_weight[d] = here - top + 0.5 * (normal[d, :size] ** 2).sum()
        for piece in range(low[d], high[d]):
            _legendre((2.0 * (piece - low[d]) + 1.0) / (high[d] - low[d]) - 1.0, basis)
            log_radius[d, piece] = np.dot(basis, drawn)
    return log_radius, log_weight

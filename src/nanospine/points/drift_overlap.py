"""Drift by the overlap of localizations: the trace that puts molecules seen again on themselves."""

from __future__ import annotations

# numba needs no annotations
# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.linalg import solve_triangular
from threadpoolctl import threadpool_limits

from nanospine.core.progress import Progress, report
from nanospine.points.drift_pairs import (
    GROUPS,
    MOST_POINTS,
    REACH,
    Pairs,
    drift_at,
    find_pairs,
)

__all__ = ["refine"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SHRINK = 0.7
_FOLDS = 5
_SMOOTHINGS = 10.0 ** np.arange(-4, 7.1)
_ROUNDS = 60
_SETTLED = 1e-3


def refine(
    scaled: FloatArray,
    place: FloatArray,
    start: FloatArray,
    widths: FloatArray,
    *,
    apart: float,
    seed: int,
    progress: Progress | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Refine a drift so that localizations of different times overlap.

    The sum over pairs of exp(-r² / (2 h²)) is made large, with r the difference of the corrected
    positions and h falling to the precision (the entropy of a mixture of Gaussians, as in Cnossen
    et al. 2021, with the logarithm left out). The drift is a value for each bin of time with a
    penalty on its second differences, whose weight is chosen for each axis by cross-validation
    over places in the field.

    Parameters
    ----------
    scaled : ndarray, shape (n, d)
        Positions, each axis over its scale, so that precisions are alike.
    place : ndarray, shape (n,)
        Time of each localization, in bins (0 is the middle of the first bin).
    start : ndarray, shape (bins, d)
        Drift to begin with.
    widths : ndarray
        Values of h, falling.
    apart : float
        Pairs are at least this many bins apart.
    seed : int
        Of the localizations and partners that are drawn where there are too many.
    progress : callable, optional
        Told the stage and its fraction.

    Returns
    -------
    drift, std : ndarray, shape (bins, d)
        Mean of `drift` over localizations is 0; `std` by the spread between places of the field.
    """
    rng = np.random.default_rng(seed)
    drift = start.copy()
    n_bins = len(drift)
    if len(scaled) > MOST_POINTS:
        chosen = np.sort(rng.permutation(len(scaled))[:MOST_POINTS])
        scaled, place = scaled[chosen], place[chosen]
    bins = np.clip(np.rint(place), 0, n_bins - 1).astype(np.int64)
    # Threads that wait for each other over matrices of this size take twenty times as long.
    with threadpool_limits(1, user_api="blas"):
        return _refined(scaled, place, bins, drift, widths, apart, rng, progress)


def _refined(
    scaled: FloatArray,
    place: FloatArray,
    bins: IntArray,
    drift: FloatArray,
    widths: FloatArray,
    apart: float,
    rng: np.random.Generator,
    progress: Progress | None,
) -> tuple[FloatArray, FloatArray]:
    n_bins = len(drift)
    for number, h in enumerate(widths):
        corrected = scaled - drift_at(drift, place)
        pairs = find_pairs(corrected, place, REACH * h, apart, rng)
        last = number == len(widths) - 1
        drift = _settle(scaled, place, bins, drift, pairs, h, _ROUNDS if last else 6)
        report(progress, "overlap", (number + 1) / len(widths))
    std = _spread(scaled, place, bins, drift, pairs, float(widths[-1]))
    return drift - np.average(drift, axis=0, weights=np.bincount(bins, minlength=n_bins)), std


@njit(cache=True)
def _tables(scaled, place, bins, drift, first, second, group, h, n_tables):
    """Sum weights and weighted differences of pairs over their bins of time.

    Returns weight (tables, bins, bins), difference (tables, bins, bins, d), curvature
    (bins, bins, d).
    """
    n_bins, d = drift.shape
    weight = np.zeros((n_tables, n_bins, n_bins))
    difference = np.zeros((n_tables, n_bins, n_bins, d))
    curvature = np.zeros((n_bins, n_bins, d))
    left = np.empty(d)
    for p in range(first.size):
        i, j = first[p], second[p]
        w = _overlap(scaled, place, drift, i, j, h, left)
        a, b, t = bins[i], bins[j], group[p] % n_tables
        weight[t, a, b] += w
        for k in range(d):
            difference[t, a, b, k] += w * left[k]
            curvature[a, b, k] += w * (1 - left[k] * left[k] / (h * h))
    return weight, difference, curvature


@njit(cache=True)
def _value(drift, k, place):
    last = drift.shape[0] - 1
    if place <= 0:
        return drift[0, k]
    if place >= last:
        return drift[last, k]
    at = int(place)
    part = place - at
    return drift[at, k] * (1 - part) + drift[at + 1, k] * part


def _normal(weight: FloatArray) -> FloatArray:
    """Matrix of sum w_ab (D_a - D_b)²."""
    both = weight + weight.T
    return np.asarray(np.diag(both.sum(axis=1)) - both)


def _gradient(difference: FloatArray) -> FloatArray:
    """Give sum w_ab (D_a - D_b) r_ab of each axis, shape (bins, d)."""
    return np.asarray(difference.sum(axis=1) - difference.sum(axis=0))


def _penalty(n_bins: int) -> FloatArray:
    second = np.diff(np.eye(n_bins), n=2, axis=0)
    return np.asarray(second.T @ second)


def _pinned(n_bins: int, scale: float) -> FloatArray:
    """Hold the mean, which pairs do not know, and bins that have none."""
    return scale * (np.ones((n_bins, n_bins)) / n_bins + 1e-8 * np.eye(n_bins))


def _settle(
    scaled: FloatArray,
    place: FloatArray,
    bins: IntArray,
    drift: FloatArray,
    pairs: Pairs,
    h: float,
    rounds: int,
) -> FloatArray:
    """Weighted least squares, with weights of the last round, until nothing moves."""
    n_bins, d = drift.shape
    penalty = _penalty(n_bins)
    smoothing = np.full(d, np.nan)
    for number in range(rounds):
        weight, difference, curvature = _tables(
            scaled, place, bins, drift, pairs.first, pairs.second, pairs.group, h, _FOLDS
        )
        normals = np.stack([_normal(item) for item in weight])
        total = normals.sum(axis=0)
        step = np.zeros_like(drift)
        scale = np.trace(total) / n_bins
        if scale == 0:  # nothing is seen twice
            break
        gradients = np.stack([_gradient(item) for item in difference])
        if number == 0 or number % 16 == 5:
            smoothing = _choose_smoothing(normals, gradients, drift, penalty)
        ridge = _pinned(n_bins, scale)
        for k in range(d):
            # A round leaves the share of h² that the spread of the pairs is: step on accordingly.
            bend = np.trace(_normal(curvature[..., k])) / np.trace(total)
            matrix = total * min(max(bend, 0.3), 1.0) + smoothing[k] * scale * penalty + ridge
            pull = gradients[..., k].sum(axis=0) - smoothing[k] * scale * (penalty @ drift[:, k])
            step[:, k] = np.linalg.solve(matrix, pull)
        step -= step.mean(axis=0)
        drift = drift + np.clip(step, -h, h)
        if np.abs(step).max() < _SETTLED * h:
            break
    return drift


def _choose_smoothing(
    normals: FloatArray, gradients: FloatArray, drift: FloatArray, penalty: FloatArray
) -> FloatArray:
    """Weight of the penalty, for each axis, that predicts left-out parts of the field best."""
    total, pull = normals.sum(axis=0), gradients.sum(axis=0)
    n_bins, d = drift.shape
    scale = np.trace(total) / n_bins
    ridge = _pinned(n_bins, scale)
    loss = np.zeros((len(_SMOOTHINGS), d))
    for fold in range(_FOLDS):
        matrix = total - normals[fold]
        rest = pull - gradients[fold] + matrix @ drift
        # M = L L' and L^-1 P L^-T = Q diag(p) Q' give all (M + s P)^-1 at once:
        # L^-T Q diag(1 / (1 + s p)) Q' L^-1.
        lower = np.linalg.cholesky(matrix + ridge)
        inner = solve_triangular(lower, solve_triangular(lower, penalty, lower=True).T, lower=True)
        p, q = np.linalg.eigh((inner + inner.T) / 2)
        back = solve_triangular(lower, q, lower=True, trans=1)
        damping = 1 / (1 + scale * _SMOOTHINGS * np.maximum(p, 0.0)[:, None])
        for k in range(d):
            along = q.T @ solve_triangular(lower, rest[:, k], lower=True)
            trial = back @ (along[:, None] * damping) - drift[:, k, None]
            loss[:, k] += (trial * (normals[fold] @ trial)).sum(axis=0)
            loss[:, k] -= 2 * gradients[fold, :, k] @ trial
    # of those that are as good the smoothest
    good = loss <= loss.min(axis=0) + 1e-9 * np.abs(loss.min(axis=0))
    return np.asarray([_SMOOTHINGS[np.flatnonzero(item)[-1]] for item in good.T])


def _spread(
    scaled: FloatArray,
    place: FloatArray,
    bins: IntArray,
    drift: FloatArray,
    pairs: Pairs,
    h: float,
) -> FloatArray:
    """Standard error of the drift, with what the penalty and the bins smooth away.

    The pull of each part of the field on the solution tells how many independent pairs there are,
    v = trace(M^-1 G M^-1) / trace(M^-1 A M^-1); with the penalty as prior the variance is
    diag(v M^-1). Within a bin the drift strays from the line by about a fifth of its second
    differences.
    """
    n_bins, d = drift.shape
    penalty = _penalty(n_bins)
    weight, difference, curvature = _tables(
        scaled, place, bins, drift, pairs.first, pairs.second, pairs.group, h, _FOLDS
    )
    normals = np.stack([_normal(item) for item in weight])
    total = normals.sum(axis=0)
    scale = np.trace(total) / n_bins
    if scale == 0:
        return np.full(drift.shape, np.inf)
    pulls = _pulls(scaled, place, bins, drift, pairs.first, pairs.second, pairs.group, h, GROUPS)
    result = np.empty((n_bins, d))
    middle = np.eye(n_bins) - 1 / n_bins
    gradients = np.stack([_gradient(item) for item in difference])
    smoothing = _choose_smoothing(normals, gradients, drift, penalty)
    for k in range(d):
        bend = np.trace(_normal(curvature[..., k])) / np.trace(total)
        slope = total * min(max(bend, 0.3), 1.0)
        inverse = np.linalg.inv(slope + smoothing[k] * scale * penalty + _pinned(n_bins, scale))
        moved = pulls[:, :, k] @ inverse @ middle
        moved -= moved.mean(axis=0)
        sandwich = (moved**2).sum() * GROUPS / (GROUPS - 1)
        each = sandwich / np.trace(middle @ inverse @ slope @ inverse @ middle)
        bends = np.diff(drift[:, k], n=2)
        within = 0.22 * float(np.linalg.norm(bends)) / max(len(bends), 1) ** 0.5
        result[:, k] = np.sqrt(np.diag(middle @ inverse @ middle) * each + within**2)
    return result


@njit(cache=True)
def _overlap(scaled, place, drift, i, j, h, left):
    """Weight of a pair; `left` gets the difference that the drift leaves."""
    square = 0.0
    for k in range(left.size):
        left[k] = (
            scaled[i, k] - scaled[j, k] - _value(drift, k, place[i]) + _value(drift, k, place[j])
        )
        square += left[k] * left[k]
    return np.exp(-square / (2 * h * h))


@njit(cache=True)
def _pulls(scaled, place, bins, drift, first, second, group, h, n_groups):
    """Gradient of each group of places, shape (groups, bins, d)."""
    n_bins, d = drift.shape
    result = np.zeros((n_groups, n_bins, d))
    left = np.empty(d)
    for p in range(first.size):
        i, j = first[p], second[p]
        w = _overlap(scaled, place, drift, i, j, h, left)
        for k in range(d):
            result[group[p], bins[i], k] += w * left[k]
            result[group[p], bins[j], k] -= w * left[k]
    return result

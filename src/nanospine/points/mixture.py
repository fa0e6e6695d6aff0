"""Mixtures of Gaussians on a line: fitted from several starts, components in order of the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Mixture", "fit_mixture"]

FloatArray = npt.NDArray[np.float64]

_SHORT, _LONG = 60, 3000
_RANDOM_STARTS = 12
_START_VALUES, _BINNED = 2000, 4096
_TOLERANCE = 1e-9
_ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians; `means` rise.

    `deviations` are without the photon noise that `scale` brings to a value (see `fit_mixture`).
    """

    means: FloatArray
    deviations: FloatArray
    weights: FloatArray
    log_likelihood: float
    converged: bool

    def posterior(self, values: FloatArray, scale: FloatArray | None = None) -> FloatArray:
        """Probability of each component, shape (n, k); NaN where the value is.

        A value beyond the outermost means is judged as if it lay on the mean: of two Gaussians
        the wider one wins in both far tails, which would give the lowest values to the upper
        component.
        """
        result = np.empty((len(values), len(self.means)))
        for first in range(0, len(values), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            clipped = np.clip(values[part], self.means[0], self.means[-1])
            noise = None if scale is None else scale[part]
            log_density = _log_densities(clipped, noise, self.means, self.deviations, self.weights)
            top = log_density.max(axis=1, keepdims=True)
            density = np.exp(log_density - top)
            result[part] = density / density.sum(axis=1, keepdims=True)
        return result


def fit_mixture(
    values: FloatArray,
    n_components: int,
    *,
    counts: FloatArray | None = None,
    scale: FloatArray | None = None,
    least_deviation: float = 0.0,
    seed: int = 0,
) -> Mixture:
    """Fit by expectation maximisation, the best of several starts.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite numbers.
    n_components : int
        Number of Gaussians.
    counts : ndarray, shape (n,), optional
        How often each value occurs.
    scale : ndarray, shape (n,), optional
        Known noise: a value of the component with mean m has the additional variance
        `m (1 - m) scale`, which is the photon noise of a fraction for scale = 1 / photons. The
        deviations are then those of the component itself (extreme deconvolution, Bovy et al.,
        Ann. Appl. Stat. 5, 1657, 2011).
    least_deviation : float
        No component becomes narrower: the likelihood of a spike on one value has no maximum.
    seed : int
        Of the random starts.
    """
    share = np.ones(len(values)) if counts is None else counts
    share = share / share.sum()
    best: tuple[float, FloatArray, FloatArray, FloatArray] | None = None
    few, few_share, few_scale = values, share, scale
    if len(values) > _BINNED:  # the starts only have to find the right neighbourhood
        rows = np.random.default_rng(seed).choice(len(values), _START_VALUES, p=share)
        few, few_share = values[rows], np.full(_START_VALUES, 1 / _START_VALUES)
        few_scale = None if scale is None else scale[rows]
    for means in _starts(values, share, n_components, seed):
        spread = np.full(n_components, max(float(np.ptp(values)) / (3 * n_components), 1e-12))
        state = (means, spread, np.full(n_components, 1 / n_components))
        after = _iterate(few, few_share, few_scale, state, least_deviation, _SHORT, 1e-5)
        if best is None or after[3] > best[0] + 1e-9:
            best = (after[3], *after[:3])
    assert best is not None
    # With known noise a deviation creeps towards zero for ever, and changes nothing any more.
    tolerance = _TOLERANCE if scale is None else 100 * _TOLERANCE
    means, deviations, weights, likelihood, converged = _iterate(
        values, share, scale, best[1:], least_deviation, _LONG, tolerance
    )
    order = np.argsort(means, kind="stable")
    n = float(len(values) if counts is None else counts.sum())
    return Mixture(means[order], deviations[order], weights[order], likelihood * n, converged)


def _starts(values: FloatArray, share: FloatArray, k: int, seed: int) -> list[FloatArray]:
    """First means: equal shares, equal distances, and random quantiles."""
    order = np.argsort(values, kind="stable")
    ordered, cumulated = values[order], np.cumsum(share[order])

    def quantile(levels: FloatArray) -> FloatArray:
        index = np.searchsorted(cumulated, np.clip(levels, 0, 1))
        return ordered[np.minimum(index, len(ordered) - 1)]

    low, high = quantile(np.array([0.01, 0.99]))
    middles = (np.arange(k) + 0.5) / k
    generator = np.random.default_rng(seed)
    # Half of the random starts are even on the axis, so that a rare component gets its chance.
    random = [np.sort(quantile(generator.random(k))) for _ in range(_RANDOM_STARTS // 2)]
    random += [np.sort(generator.uniform(low, high, k)) for _ in range(_RANDOM_STARTS // 2)]
    return [quantile(middles), low + (high - low) * middles, *random]


def _iterate(
    values: FloatArray,
    share: FloatArray,
    scale: FloatArray | None,
    state: tuple[FloatArray, FloatArray, FloatArray],
    least_deviation: float,
    rounds: int,
    tolerance: float,
) -> tuple[FloatArray, FloatArray, FloatArray, float, bool]:
    means, deviations, weights = state
    before = -np.inf
    x = values[:, None]
    for _ in range(rounds):
        log_density = _log_densities(values, scale, means, deviations, weights)
        top = log_density.max(axis=1, keepdims=True)
        density = np.exp(log_density - top)
        total = density.sum(axis=1, keepdims=True)
        likelihood = float(share @ (top + np.log(total))[:, 0])
        if likelihood - before < tolerance:
            return means, deviations, weights, likelihood, True
        before = likelihood
        owned = density / total * share[:, None]
        weights = np.maximum(owned.sum(axis=0), 1e-12)
        own = deviations**2
        noise = _noise(scale, means, len(values))
        trust = own / (own + noise)
        expected = means + trust * (x - means)
        means = (owned * expected).sum(axis=0) / weights
        variance = (owned * ((expected - means) ** 2 + trust * noise)).sum(axis=0) / weights
        deviations = np.sqrt(np.maximum(variance, max(least_deviation, 1e-9) ** 2))
        weights = weights / weights.sum()
    return means, deviations, weights, before, False


def _noise(scale: FloatArray | None, means: FloatArray, n: int) -> FloatArray:
    if scale is None:
        return np.zeros((n, len(means)))
    inside = np.clip(means, 1e-3, 1 - 1e-3)  # a pure channel still has a photon astray
    return scale[:, None] * (inside * (1 - inside))


def _log_densities(
    values: FloatArray,
    scale: FloatArray | None,
    means: FloatArray,
    deviations: FloatArray,
    weights: FloatArray,
) -> FloatArray:
    variance = deviations**2 + _noise(scale, means, len(values))
    distance = (values[:, None] - means) ** 2 / variance
    return np.asarray(np.log(weights) - 0.5 * (np.log(2 * np.pi * variance) + distance))

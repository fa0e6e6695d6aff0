"""Is there coupling at all: Monte Carlo in the window for all rings, a tail for each ring."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.statistics.soda_estimate import Chance

__all__ = ["holm", "overall_p", "ring_p"]

FloatArray = npt.NDArray[np.float64]

# Places of equal probability of which the simulations draw.
_POOL = 200_000


def overall_p(observed: FloatArray, n: int, chance: Chance, n_simulations: int, seed: int) -> float:
    """Rank the largest standardised excess (each ring, all rings) among simulations.

    A simulation puts `n` points anywhere in the window: how many of them meet points of `a` is
    binomial, and what these meet is drawn out of the pool of places around the points of `a`.
    """
    rng = np.random.default_rng([seed, 1])
    hit = min(float(chance.pool_weight.sum()), 1.0)
    cumulated = np.cumsum(chance.pool_weight)
    even = (np.arange(_POOL) + rng.random()) / _POOL * cumulated[-1]
    pool = chance.pool[np.minimum(np.searchsorted(cumulated, even), len(cumulated) - 1)]
    draws = _draw(np.ascontiguousarray(pool), rng.binomial(n, hit, n_simulations), rng)
    draws += n * (chance.mean[0] - hit * pool.mean(axis=0))
    every = np.vstack([chance.inverse, chance.weights])
    spread = np.sqrt(np.maximum(np.einsum("ik,kl,il->i", every, chance.covariance, every), 1e-300))
    simulated = ((draws - n * chance.mean[0]) @ every.T / spread).max(axis=1)
    found = ((observed - n * chance.mean[0]) @ every.T / spread).max()
    return float((1 + (simulated >= found - 1e-9).sum()) / (n_simulations + 1))


def _draw(
    pool: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64], rng: np.random.Generator
) -> FloatArray:
    """Sum `sizes[i]` rows of the pool, drawn with replacement, for each simulation i."""
    result = np.zeros((len(sizes), pool.shape[1]))
    for i, size in enumerate(sizes):
        _gather(pool, rng.integers(0, len(pool), size, dtype=np.int32), result[i])
    return result


@njit(cache=True, nogil=True)
def _gather(pool, rows, result):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        for k in range(pool.shape[1]):
            result[k] += pool[rows[i], k]


def ring_p(observed: FloatArray, expected: FloatArray, variance: FloatArray) -> FloatArray:
    """Upper tail of a count with this mean and variance, shape (m,).

    Poisson; negative binomial where the points of `a` are clustered and counts scatter more.
    """
    from scipy import stats

    result = np.ones(len(observed))
    for k, (count, mean, spread) in enumerate(zip(observed, expected, variance, strict=True)):
        if mean <= 0:
            result[k] = 1.0 if count <= 0 else 0.0
        elif spread <= mean * (1 + 1e-6):
            result[k] = stats.poisson.sf(count - 1, mean)
        else:
            result[k] = stats.nbinom.sf(count - 1, mean**2 / (spread - mean), mean / spread)
    return np.minimum(result, 1.0)


def holm(p_values: FloatArray, level: float = 0.05) -> npt.NDArray[np.bool_]:
    """Tell which are significant with the chance of any false one at most `level` (Holm 1979).

    Examples
    --------
    >>> holm(np.array([0.001, 0.04, 0.02])).tolist()
    [True, True, True]
    """
    order = np.argsort(p_values)
    limit = level / (len(p_values) - np.arange(len(p_values)))
    passed = np.logical_and.accumulate(p_values[order] <= limit)
    result = np.zeros(len(p_values), dtype=bool)
    result[order] = passed
    return result

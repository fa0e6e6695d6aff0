"""Is there coupling at all: Monte Carlo in the window for all rings, a tail for each ring."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.region import Region
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_estimate import Chance

__all__ = ["holm", "overall_p", "ring_p"]

FloatArray = npt.NDArray[np.float64]

# Points anywhere in the window, of which the simulations draw.
_POOL_LEAST, _POOL_MOST = 50_000, 1_000_000
# Rows drawn at a time.
_DRAWS = 4_000_000


def overall_p(
    observed: FloatArray,
    n: int,
    chance: Chance,
    cells: Cells,
    edges_nm: FloatArray,
    region: Region,
    n_simulations: int,
    seed: int,
) -> float:
    """Rank the largest standardised excess (each ring, all rings) among simulations.

    A simulation draws `n` points out of a pool of points anywhere in the window; the pool's mean is
    put right, so that what is left of the pool is the shape of the distribution.
    """
    rng = np.random.default_rng([seed, 1])
    size = int(np.clip(4 * n, _POOL_LEAST, _POOL_MOST))
    places = region.sample_nm(size, rng)
    pool = cells.ring_counts(places, edges_nm).astype(np.float64)
    draws = _draw(pool, n, n_simulations, rng)
    draws += n * (chance.mean - pool.mean(axis=0))
    every = np.vstack([chance.inverse, chance.weights])
    spread = np.sqrt(np.maximum(np.einsum("ik,kl,il->i", every, chance.covariance, every), 1e-300))
    simulated = ((draws - n * chance.mean) @ every.T / spread).max(axis=1)
    found = ((observed - n * chance.mean) @ every.T / spread).max()
    return float((1 + (simulated >= found - 1e-9).sum()) / (n_simulations + 1))


def _draw(pool: FloatArray, n: int, n_simulations: int, rng: np.random.Generator) -> FloatArray:
    """Sum `n` rows of the pool, drawn with replacement, for each simulation."""
    result = np.zeros((n_simulations, pool.shape[1]))
    step = max(1, _DRAWS // n)
    for first in range(0, n_simulations, step):
        part = result[first : first + step]
        rows = rng.integers(0, len(pool), (len(part), n), dtype=np.int32)
        _gather(pool, rows, part)
    return result


@njit(cache=True, nogil=True)
def _gather(pool, rows, result):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            for k in range(pool.shape[1]):
                result[i, k] += pool[rows[i, j], k]


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

"""How far a curve lies from simulated ones: bands and p-values of Monte Carlo tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Band",
    "deviations",
    "global_band",
    "monte_carlo_p",
    "pointwise_band",
    "pointwise_p",
    "rank_band",
]

FloatArray = npt.NDArray[np.float64]

# So that 0.05 times 20 is 1 and not a little less.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Band:
    """Limits between which the simulated curves lie, and what the observed one is worth."""

    low: FloatArray
    high: FloatArray
    p_value: float
    level: float


def pointwise_p(observed: FloatArray, simulated: FloatArray) -> FloatArray:
    """Give the two-sided p at each radius by itself, from the ranks among the simulations.

    Examples
    --------
    >>> pointwise_p(np.array([9.0]), np.arange(3.0)[:, None]).tolist()
    [0.5]
    """
    above = 1 + (simulated >= observed).sum(axis=0)
    below = 1 + (simulated <= observed).sum(axis=0)
    return np.asarray(np.minimum(1.0, 2.0 * np.minimum(above, below) / (len(simulated) + 1)))


def pointwise_band(simulated: FloatArray, level: float) -> Band:
    """Give the k-th smallest and largest value at each radius, k = level (s + 1) / 2.

    The true level of k, 2 k / (s + 1), holds at one radius chosen beforehand, not at all together.
    """
    n = len(simulated)
    k = max(1, int(level * (n + 1) / 2 + _ROUNDING))
    ordered = np.sort(simulated, axis=0)
    return Band(ordered[k - 1], ordered[n - k], np.nan, 2 * k / (n + 1))


def deviations(
    observed: FloatArray, simulated: FloatArray, reference: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Give the deviations of the observed and the simulated curves from a reference.

    Without a reference each curve is compared with the mean of all the *others* (of the
    simulations, for the observed one), so that all s + 1 are treated alike and the test is exact.
    """
    if reference is not None:
        return observed - reference, simulated - reference
    n = len(simulated)
    total = observed + simulated.sum(axis=0)
    return observed - (total - observed) / n, simulated - (total - simulated) / n


def monte_carlo_p(observed: float, simulated: FloatArray) -> float:
    """Give (1 + simulations at least as far away) / (1 + simulations).

    Examples
    --------
    >>> monte_carlo_p(5.0, np.array([1.0, 5.0, 9.0]))
    0.75
    """
    return float(1 + (simulated >= observed).sum()) / (1 + len(simulated))


def global_band(
    observed: FloatArray, simulated: FloatArray, reference: FloatArray | None, level: float
) -> Band:
    """Give a band of one width: the k-th largest of the greatest deviations, k = level (s + 1).

    The observed curve leaves it at some radius just when p <= k / (s + 1).
    """
    n = len(simulated)
    k = max(1, int(level * (n + 1) + _ROUNDING))
    own, others = deviations(observed, simulated, reference)
    greatest = np.abs(others).max(axis=1)
    half = float(np.sort(greatest)[max(n - k, 0)])
    centre = simulated.mean(axis=0) if reference is None else reference
    p = monte_carlo_p(float(np.abs(own).max()), greatest)
    return Band(centre - half, centre + half, p, k / (n + 1))


def rank_band(observed: FloatArray, simulated: FloatArray, level: float) -> Band:
    """Give the band of the extreme rank lengths: as wide at each radius as the curves are there.

    Each of the s + 1 curves has at each radius a rank from the nearer end; its ranks, sorted, are
    compared like words in a dictionary. p is the share of curves that are at least as extreme.
    The band spans the curves that are left when the most extreme ones, at most a share `level`,
    are taken away; a curve leaves it at some radius when p <= level.

    Notes
    -----
    Myllymäki, Mrkvička, Grabarnik, Seijo & Hahn, Journal of the Royal Statistical Society B 79
    (2017) 381, with mean ranks for ties.
    """
    from scipy.stats import rankdata

    curves = np.vstack([observed[None], simulated])
    n = len(curves)
    up = rankdata(curves, method="average", axis=0)
    ranks = np.sort(np.minimum(up, n + 1 - up), axis=1)
    order = np.lexsort(ranks.T[::-1])
    # Curves with equal words share their place: the p-value counts all of them.
    new = np.ones(n, dtype=bool)
    new[1:] = (np.diff(ranks[order], axis=0) != 0).any(axis=1)
    group = np.empty(n, dtype=np.int64)
    group[order] = new.cumsum() - 1
    at_least = np.bincount(group).cumsum()[group]
    taken = at_least <= level * n + _ROUNDING
    kept = curves[~taken]
    return Band(kept.min(axis=0), kept.max(axis=0), float(at_least[0]) / n, level)

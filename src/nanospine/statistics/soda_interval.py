"""Intervals of what SODA estimates: the coupled fraction, the distance and its spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.statistics.soda_distance import DistanceFit, ring_moments
from nanospine.statistics.soda_estimate import Chance, Scatter

__all__ = [
    "CoupledDistance",
    "FractionError",
    "coupled_distance",
    "fraction_interval",
    "three_numbers",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FractionError:
    """How the estimated coupled fraction of `b` scatters, as a function of the true one.

    The score of a point anywhere has variance and third moment of `background`; that of a coupled
    one those of `scatter`. What depends on *which* points of `a` have partners shrinks as all of
    them have one each (`sharing` 0); it stays where partners choose theirs independently (1).
    """

    background: tuple[float, float]
    scatter: Scatter
    n_a: int
    n_b: int
    sharing: float
    population: bool
    extra: float = 0.0

    @classmethod
    def of(
        cls, chance: Chance, scatter: Scatter, n_a: int, n_b: int, *, sharing: float,
        population: bool, extra: float,
    ) -> FractionError:  # fmt: skip
        """Take the moments of the background from `chance`."""
        return cls(chance.moments(), scatter, n_a, n_b, sharing, population, extra)

    def at(self, fraction: float) -> tuple[float, float]:
        """Give standard error and skewness of the estimate at a true fraction."""
        share = min(max(fraction, 0.0), 1.0)
        free = max(1 - share * self.n_b / self.n_a, 0.0)
        free += self.sharing * (1 - free)
        own = self.scatter.within + free * self.scatter.between
        variance = (1 - share) * self.background[0] + share * own
        third = (1 - share) * self.background[1] + share * self.scatter.third
        if self.population:
            variance += share * (1 - share)
            third += share * (1 - share) * (1 - 2 * share)
        variance = max(variance / self.n_b + self.extra, 1e-300)
        return float(np.sqrt(variance)), float(third / self.n_b**2 / variance**1.5)


def fraction_interval(found: float, error: FractionError, level: float) -> tuple[float, float]:
    """Ends from which the found fraction is just as far away as the level allows.

    A score interval: error and skewness are those at the end itself, quantiles by the first term
    of Cornish and Fisher.
    """
    from scipy.special import ndtri

    reach = float(ndtri((1 + level) / 2))
    ends = []
    for sign in (1.0, -1.0):
        end = found
        for _ in range(60):
            spread, skew = error.at(end)
            bent = sign * reach + np.clip(skew, -1.5, 1.5) * (reach**2 - 1) / 6
            end = (end + found - bent * spread) / 2
        ends.append(end)
    return ends[0], ends[1]


def three_numbers(scores: FloatArray) -> tuple[float, float, float]:
    """Give coupled pairs, mean and standard deviation of their distance, NaN where none is."""
    total, first, second = scores[:, :-2].sum(), scores[:, -2].sum(), scores[:, -1].sum()
    if total <= 0:
        return float(total), float("nan"), float("nan")
    mean = first / total
    variance = second / total - mean**2
    return float(total), float(mean), float(np.sqrt(variance)) if variance > 0 else float("nan")


@dataclass(frozen=True)
class CoupledDistance:
    """Mean and standard deviation of the coupled distance, each with the ends of its interval."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    model: str
    parameters_nm: tuple[float, float]


def coupled_distance(
    scores: FloatArray,
    fit: DistanceFit | None,
    covariance: FloatArray,
    edges_nm: FloatArray,
    level: float,
    extra: tuple[float, float],
) -> CoupledDistance:
    """Take the distance from a distribution that fits, else from the sums over the rings.

    Parameters
    ----------
    scores : ndarray, shape (n, m + 2)
        Of each point of `b`, as :func:`nanospine.statistics.soda_estimate.excess` gives them.
    fit : DistanceFit or None
        The distribution.
    covariance : ndarray, shape (m, m)
        Of the coupled pairs per ring, a sample's included.
    edges_nm : ndarray, shape (m + 1,)
        Of the rings.
    level : float
        Of the intervals.
    extra : (float, float)
        Variances of mean and standard deviation that come on top.
    """
    from scipy.special import ndtri

    reach = float(ndtri((1 + level) / 2))
    _, mean, std = three_numbers(scores)
    coupled = scores[:, :-2].sum(axis=0)
    if fit is None:
        errors, model, parameters = _errors_of_sums(scores), "sums", (float("nan"), float("nan"))
        if np.isfinite(mean) and not np.isfinite(std):
            mean, std = ring_moments(coupled, covariance, edges_nm)
            model = "rings"
    else:
        mean, std, errors = fit.mean_nm, fit.std_nm, fit.variance
        model, parameters = fit.model, fit.parameters_nm
    ends = []
    for value, variance, more in zip((mean, std), errors, extra, strict=True):
        half = reach * float(np.sqrt(variance + more))
        ends.append((value, max(value - half, 0.0), value + half))
    return CoupledDistance(ends[0], ends[1], model, parameters)


def _errors_of_sums(scores: FloatArray) -> tuple[float, float]:
    """Variances of mean and standard deviation: ratios of sums by their linear expansion.

    The points of `b` are taken as independent.
    """
    total, mean, std = three_numbers(scores)
    if not np.isfinite(mean):
        return float("nan"), float("nan")
    pairs = scores[:, :-2].sum(axis=1)
    centred = scores[:, -2] - mean * pairs
    first = len(scores) * centred.var() / total**2
    if not np.isfinite(std):
        return float(first), float("nan")
    bent = scores[:, -1] - (std**2 + mean**2) * pairs - 2 * mean * centred
    return float(first), float(len(scores) * bent.var() / total**2 / (2 * std) ** 2)

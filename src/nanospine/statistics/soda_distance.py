"""The distribution of the coupled distance: a curve through the rings where one fits.

Sums over all rings weigh the far ones, full of chance pairs, the most. Where one of two simple
distributions describes the coupled pairs of all rings within their errors, its mean and standard
deviation are several times more certain, and include what lies beyond the last ring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DistanceFit", "distance_law", "fit_distance", "ring_moments"]

FloatArray = npt.NDArray[np.float64]
Family = Callable[[float, float], tuple[Callable[[FloatArray], FloatArray], float, float]]

# A curve is rejected when data so far from it come up in fewer of this share of cases.
_REJECT = 0.01
# Coupled pairs over their standard error below which no curve is fitted.
_SIGNAL = 4.0
_ROUNDS = 3


@dataclass(frozen=True)
class DistanceFit:
    """A distribution that fits: its name, its two numbers, mean and spread with their variances."""

    model: str
    parameters_nm: tuple[float, float]
    mean_nm: float
    std_nm: float
    variance: tuple[float, float]


def fit_distance(
    coupled: FloatArray,
    covariance_of: Callable[[FloatArray], FloatArray],
    edges_nm: FloatArray,
    start: tuple[float, float],
) -> DistanceFit | None:
    """Fit folded normal and gamma distributions to the coupled pairs per ring.

    Parameters
    ----------
    coupled : ndarray, shape (m,)
        Coupled pairs in each ring.
    covariance_of : callable
        Gives the covariance (m, m) of the errors, that of a sample included, for true pairs per
        ring. It is taken at the fitted pairs, in rounds: at the found ones, rings that happen to
        have few would count as certain.
    edges_nm : ndarray, shape (m + 1,)
        Of the rings.
    start : (float, float)
        Mean and standard deviation to begin with, NaN where unknown.

    Returns
    -------
    DistanceFit or None
        The better one; None where neither fits, there are too few rings, or next to no coupling.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> edges = np.arange(0.0, 201, 20)
    >>> pairs = 1000 * np.diff(norm.cdf(edges, 100, 25))
    >>> found = fit_distance(pairs, lambda true: np.diag(true + 1), edges, (90, 30))
    >>> found.model, round(found.mean_nm), round(found.std_nm)
    ('folded normal', 100, 25)
    """
    error = float(np.sqrt(max(float(covariance_of(coupled).sum()), 1e-300)))
    if len(coupled) < 5 or coupled.sum() < _SIGNAL * error:
        return None
    fits = [
        found
        for name, family in _FAMILIES.items()
        if (found := _fit(name, family, covariance_of, coupled, edges_nm, start)) is not None
    ]
    return min(fits, key=lambda item: item[0])[1] if fits else None


def _white(covariance: FloatArray) -> FloatArray:
    """Matrix that makes the errors independent, each with variance 1."""
    ridge = 1e-9 * np.trace(covariance) / len(covariance)
    return np.asarray(
        np.linalg.cholesky(np.linalg.inv(covariance + ridge * np.eye(len(covariance)))).T
    )


def ring_moments(
    coupled: FloatArray, covariance: FloatArray, edges_nm: FloatArray
) -> tuple[float, float]:
    """Mean and standard deviation of the coupled distance when no ring may have less than none.

    For the case that no distribution fits and errors of far rings leave no positive variance.

    Examples
    --------
    >>> edges = np.array([0.0, 20, 40, 60])
    >>> ring_moments(np.array([0.0, 90, -40]), np.eye(3), edges)
    (30.0, 5.773502691896258)
    """
    from scipy.optimize import nnls

    white = _white(covariance)
    pairs = nnls(white, white @ coupled)[0]
    total = pairs.sum()
    if total <= 0:
        return float("nan"), float("nan")
    middle = (edges_nm[1:] + edges_nm[:-1]) / 2
    mean = float(pairs @ middle / total)
    inside = np.diff(edges_nm) ** 2 / 12  # of distances spread evenly over a ring
    variance = float(pairs @ ((middle - mean) ** 2 + inside) / total)
    return mean, float(np.sqrt(variance))


def _fit(
    name: str,
    family: Family,
    covariance_of: Callable[[FloatArray], FloatArray],
    coupled: FloatArray,
    edges: FloatArray,
    start: tuple[float, float],
) -> tuple[float, DistanceFit] | None:
    from scipy import optimize, stats

    largest = float(edges[-1])
    mean = start[0] if 0 < start[0] < largest else largest / 2
    std = start[1] if 0 < start[1] < largest else mean / 2
    scale = np.array([coupled.sum(), largest / 4, largest / 4])

    def curve(values: FloatArray) -> FloatArray:
        total, centre, width = values * scale
        return np.asarray(total * np.diff(family(float(centre), float(width))[0](edges)))

    low = np.array([0.0, 1e-3, 1e-3])
    high = np.array([np.inf, 8.0, 8.0])
    values = np.clip(np.array([coupled.sum(), mean, std]) / scale, low + 1e-6, high - 1e-6)
    # To begin with, errors as if the pairs were spread evenly.
    true = np.full(len(coupled), coupled.sum() / len(coupled))
    for _ in range(_ROUNDS):
        white = _white(covariance_of(true))
        found = optimize.least_squares(
            lambda item, white=white: white @ (coupled - curve(item)), values, bounds=(low, high)
        )
        values = np.clip(found.x, low + 1e-6, high - 1e-6)
        true = curve(found.x)
    freedom = len(coupled) - 3
    misfit = 2 * float(found.cost)
    if not found.success or stats.chi2.sf(misfit, freedom) < _REJECT:
        return None
    information = found.jac.T @ found.jac
    if np.linalg.cond(information) > 1e10:
        return None
    spread = np.linalg.inv(information)
    centre, width = (found.x * scale)[1:]

    def numbers(values: FloatArray) -> FloatArray:
        return np.array(family(*(values * scale)[1:])[1:])

    step = 1e-4
    slope = np.column_stack(
        [
            (numbers(found.x + step * unit) - numbers(found.x - step * unit)) / (2 * step)
            for unit in np.eye(3)
        ]
    )
    variance = np.diag(slope @ spread @ slope.T)
    mean_nm, std_nm = numbers(found.x)
    return misfit, DistanceFit(
        name, (float(centre), float(width)), float(mean_nm), float(std_nm),
        (float(variance[0]), float(variance[1])),
    )  # fmt: skip


def _folded(centre: float, width: float) -> tuple[Callable[[FloatArray], FloatArray], float, float]:
    """Distribution of |N(centre, width)|: its cumulated form, mean, standard deviation."""
    from scipy.special import ndtr

    def law(distance: FloatArray) -> FloatArray:
        return np.asarray(ndtr((distance - centre) / width) - ndtr((-distance - centre) / width))

    ratio = centre / width
    mean = width * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + centre * (1 - 2 * ndtr(-ratio))
    variance = centre**2 + width**2 - mean**2
    return law, float(mean), float(np.sqrt(max(variance, 0.0)))


def _gamma(mean: float, std: float) -> tuple[Callable[[FloatArray], FloatArray], float, float]:
    """Gamma distribution of this mean and standard deviation."""
    from scipy.special import gammainc

    def law(distance: FloatArray) -> FloatArray:
        return np.asarray(gammainc((mean / std) ** 2, distance * mean / std**2))

    return law, mean, std


_FAMILIES: dict[str, Family] = {"folded normal": _folded, "gamma": _gamma}


def distance_law(
    model: str, first_nm: float, second_nm: float
) -> Callable[[FloatArray], FloatArray]:
    """Give the cumulated distribution of a fitted model.

    Examples
    --------
    >>> law = distance_law("folded normal", 100.0, 25.0)
    >>> round(float(law(np.array([100.0]))[0]), 3)
    0.5
    """
    return _FAMILIES[model](first_nm, second_nm)[0]

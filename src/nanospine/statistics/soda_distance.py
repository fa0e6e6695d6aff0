"""The distribution of the coupled distance: the likelihood of every pair, where a curve fits.

Sums over all rings weigh the far ones, full of chance pairs, the most. Where one of two simple
distributions describes the coupled pairs of all rings within their errors, its mean and standard
deviation are several times more certain, and include what lies beyond the last ring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.statistics.soda_laws import FAMILIES, Family, Law

__all__ = [
    "DistanceFit", "Neighbours", "fit_distance", "likely_distances", "ring_chances", "ring_moments",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A curve is rejected when data so far from it come up in fewer of this share of cases.
_REJECT = 0.01
# Rings are joined until each holds so many pairs: fewer are far from normal.
_LEAST_COUNT = 5
_LEAST_RINGS = 5
# Coupled pairs over their standard error below which no curve is fitted.
_SIGNAL = 2.0
# Narrowest and widest distribution, as shares of the largest radius: a curve as narrow as the gap
# between two pairs would be infinitely likely.
_WIDTHS = (0.02, 2.0)
_CENTRES = (1e-4, 2.0)
_CERTAIN = 9.0


@dataclass(frozen=True)
class DistanceFit:
    """A distribution that fits: its name and its two numbers in open space.

    `mean_nm` and `std_nm`, with their variances, are of the coupled pairs in the window.
    """

    model: str
    parameters_nm: tuple[float, float]
    mean_nm: float
    std_nm: float
    variance: tuple[float, float]
    log_likelihood: float

    @property
    def law(self) -> Law:
        """The distribution in open space."""
        return FAMILIES[self.model](*self.parameters_nm)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """All pairs of two channels up to the largest radius, and the window about the first.

    Attributes
    ----------
    index_a, index_b : ndarray of int64, shape (p,)
        Points of each pair.
    distance_nm : ndarray, shape (p,)
        Their distance.
    n_b : int
        Points of `b`.
    size : float
        Area or volume of the window.
    dimension : int
        2 or 3.
    edges_nm : ndarray, shape (m + 1,)
        Of the rings.
    shares : ndarray, shape (n_a, m)
        Part of each ring of each point of `a` that lies in the window.
    """

    index_a: IntArray
    index_b: IntArray
    distance_nm: FloatArray
    n_b: int
    size: float
    dimension: int
    edges_nm: FloatArray
    shares: FloatArray

    def log_likelihood(self, law: Law, fraction: float) -> float:
        """Logarithm of how likely the points of `b` are where they are.

        A point of `b` is anywhere, or (`fraction`) beside any one of the points of `a` with the
        distance of the distribution, cut off by the window and the largest radius:
        `p(y) = (1 - f) / |W| + f / n sum_x p(|y - x|) / (s(|y - x|) Z_x)`, s the circumference or
        surface and Z_x the part of the distribution around x that lies in the window.
        """
        within = law.cumulated(self.edges_nm)
        inside = np.maximum(self.shares @ np.diff(within), 1e-300)
        far = np.maximum(self.distance_nm, 1e-6 * self.edges_nm[-1])
        around = 2 * np.pi * far if self.dimension == 2 else 4 * np.pi * far**2
        density = law.density(far) / (around * inside[self.index_a])
        met = np.bincount(self.index_b, density, minlength=self.n_b)
        times = np.asarray(met, dtype=np.float64) * (self.size / len(self.shares))
        return float(np.log(np.maximum(1 + fraction * (times - 1), 1e-300)).sum())

    def expected(self, law: Law) -> FloatArray:
        """Share of each ring in the coupled pairs inside the window."""
        chances = ring_chances(law, self.edges_nm)
        inside = np.maximum(self.shares @ chances, 1e-300)
        return np.asarray((self.shares * chances / inside[:, None]).mean(axis=0))

    def moments(self, law: Law) -> tuple[float, float]:
        """Mean and standard deviation of the distance of coupled pairs in the window.

        Those of the law where the window leaves all rings whole; what lies beyond the last ring is
        taken to be cut as that is.
        """
        m = len(self.edges_nm) - 1
        fine = np.interp(np.linspace(0, m, 16 * m + 1), np.arange(m + 1), self.edges_nm)
        far = max(law.mean + 6 * law.std, 1.5 * float(fine[-1]))
        fine = np.concatenate([fine, np.linspace(fine[-1], far, 101)[1:]])
        middle, chance = (fine[1:] + fine[:-1]) / 2, np.diff(law.cumulated(fine))
        ring = np.minimum(np.searchsorted(self.edges_nm, middle) - 1, m - 1)
        by_ring = np.bincount(ring, chance, minlength=m)
        reached = (self.shares / np.maximum(self.shares @ by_ring, 1e-300)[:, None]).mean(axis=0)

        def two(weight: FloatArray) -> FloatArray:
            mean = weight @ middle / weight.sum()
            return np.array([mean, np.sqrt(weight @ (middle - mean) ** 2 / weight.sum())])

        mean, std = two(chance * reached[ring]) / two(chance)
        return law.mean * float(mean), law.std * float(std)


def ring_chances(law: Law, edges_nm: FloatArray) -> FloatArray:
    """Chance of each ring in open space, of distances up to the largest radius."""
    found = np.diff(law.cumulated(edges_nm))
    return np.asarray(found / max(found.sum(), 1e-300))


def likely_distances(
    data: Neighbours, coupled: FloatArray, covariance: FloatArray
) -> list[DistanceFit]:
    """Fit folded normal and gamma distributions to the distances of all pairs; the best first.

    Parameters
    ----------
    data : Neighbours
        The pairs.
    coupled, covariance : ndarray, shapes (m,), (m, m)
        Coupled pairs in each ring with their errors, to begin with.

    Returns
    -------
    list of DistanceFit
        None for fewer than 5 rings, or next to no coupling.
    """
    error = float(np.sqrt(max(float(covariance.sum()), 1e-300)))
    if len(coupled) < _LEAST_RINGS or coupled.sum() < _SIGNAL * error:
        return []
    start = ring_moments(coupled, covariance, data.edges_nm)
    fraction = min(float(coupled.sum()) / data.n_b, 0.99)
    fits = [_climb(name, data, fraction, start) for name in FAMILIES]
    return sorted((fit for fit in fits if fit is not None), key=lambda fit: -fit.log_likelihood)


def fit_distance(
    likely: list[DistanceFit],
    data: Neighbours,
    coupled: FloatArray,
    observed: FloatArray,
    covariance_of: Callable[[FloatArray], FloatArray],
) -> DistanceFit | None:
    """Give the likeliest distribution that the coupled pairs per ring do not contradict.

    Parameters
    ----------
    likely : list of DistanceFit
        Of :func:`likely_distances`.
    data : Neighbours
        The pairs.
    coupled, observed : ndarray, shape (m,)
        Coupled and counted pairs in each ring.
    covariance_of : callable
        Gives the covariance (m, m) of the errors of `coupled`, that of a sample included, for true
        pairs per ring. It is taken at the fitted pairs: at the found ones, rings that happen to
        have few would count as certain.
    """
    for fit in likely:
        shape = data.expected(fit.law)
        if _agree(coupled, observed, shape, covariance_of(coupled.sum() * shape)):
            return fit
    return None


def _climb(
    name: str, data: Neighbours, fraction: float, start: tuple[float, float]
) -> DistanceFit | None:
    """Climb to the highest likelihood. The fraction is taken by its logit, which has no ends."""
    from scipy import optimize
    from scipy.special import expit, logit

    family, largest = FAMILIES[name], float(data.edges_nm[-1])

    def depth(values: FloatArray) -> float:
        law = family(float(values[1] * largest), float(values[2] * largest))
        return -data.log_likelihood(law, float(expit(values[0])))

    bounds = [(-12.0, 12.0), _CENTRES, _WIDTHS]
    begin = [logit(max(fraction, 0.01)), start[0] / largest, start[1] / largest]
    begin = [float(np.clip(value, *ends)) for value, ends in zip(begin, bounds, strict=True)]
    found = optimize.minimize(
        depth, begin, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100}
    )
    bend = _second_derivatives(depth, found.x)
    # Near its ends the logit of the fraction says nothing, and the fraction is as good as known.
    free = slice(0, 3) if abs(found.x[0]) < _CERTAIN else slice(1, 3)
    if not np.isfinite(bend).all() or (np.linalg.eigvalsh(bend[free, free]) <= 0).any():
        return None
    spread = np.linalg.inv(bend[free, free])[-2:, -2:]
    slope = np.column_stack([_slope(family, found.x[1:], unit) for unit in np.eye(2)])
    variance = np.diag(slope @ spread @ slope.T) * largest**2
    first, second = (float(value) for value in found.x[1:] * largest)
    mean, std = data.moments(family(first, second))
    return DistanceFit(
        name, (first, second), mean, std, (float(variance[0]), float(variance[1])),
        -float(found.fun),
    )  # fmt: skip


def _slope(family: Family, at: FloatArray, unit: FloatArray) -> FloatArray:
    """How mean and standard deviation go with one of the numbers of a distribution."""
    step = 1e-4 * at.max()
    ends = [family(*(at + sign * step * unit)) for sign in (1, -1)]
    return np.array([ends[0].mean - ends[1].mean, ends[0].std - ends[1].std]) / (2 * step)


def _second_derivatives(depth: Callable[[FloatArray], float], at: FloatArray) -> FloatArray:
    step = np.array([0.02, 2e-3, 2e-3])
    result = np.empty((3, 3))
    for i in range(3):
        for j in range(i + 1):
            corners = [
                si * sj * depth(at + si * step * np.eye(3)[i] + sj * step * np.eye(3)[j])
                for si in (1, -1) for sj in (1, -1)
            ]  # fmt: skip
            result[i, j] = result[j, i] = sum(corners) / (4 * step[i] * step[j])
    return result


def _agree(
    coupled: FloatArray, observed: FloatArray, shape: FloatArray, covariance: FloatArray
) -> bool:
    """Tell whether the coupled pairs per ring are those of a distribution, but for their errors."""
    from scipy import stats

    total = np.cumsum(observed)
    part = np.minimum(total // _LEAST_COUNT, max(total[-1] // _LEAST_COUNT - 1, 0))
    join = (part == np.unique(part)[:, None]).astype(np.float64)
    freedom = len(join) - 3
    if freedom < 1:
        return True
    white = _white(join @ covariance @ join.T)
    found, curve = white @ join @ coupled, white @ join @ shape
    misfit = found - curve * (found @ curve) / (curve @ curve)
    return bool(stats.chi2.sf(misfit @ misfit, freedom) >= _REJECT)


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

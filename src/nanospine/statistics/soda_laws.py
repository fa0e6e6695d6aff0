"""Distributions that the distance of coupled pairs may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["FAMILIES", "Family", "Law", "distance_law"]

FloatArray = npt.NDArray[np.float64]


class Law(NamedTuple):
    """A distribution of distances."""

    cumulated: Callable[[FloatArray], FloatArray]
    density: Callable[[FloatArray], FloatArray]
    mean: float
    std: float


Family = Callable[[float, float], Law]


def _folded(centre: float, width: float) -> Law:
    """Distribution of |N(centre, width)|."""
    from scipy.special import ndtr

    def cumulated(distance: FloatArray) -> FloatArray:
        return np.asarray(ndtr((distance - centre) / width) - ndtr((-distance - centre) / width))

    def density(distance: FloatArray) -> FloatArray:
        ahead = np.exp(-(((distance - centre) / width) ** 2) / 2)
        behind = np.exp(-(((distance + centre) / width) ** 2) / 2)
        return np.asarray((ahead + behind) / (width * np.sqrt(2 * np.pi)))

    ratio = centre / width
    mean = width * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + centre * (1 - 2 * ndtr(-ratio))
    variance = centre**2 + width**2 - mean**2
    return Law(cumulated, density, float(mean), float(np.sqrt(max(variance, 0.0))))


def _gamma(mean: float, std: float) -> Law:
    """Gamma distribution of this mean and standard deviation."""
    from scipy.special import gammainc, gammaln

    shape, rate = (mean / std) ** 2, mean / std**2

    def cumulated(distance: FloatArray) -> FloatArray:
        return np.asarray(gammainc(shape, distance * rate))

    def density(distance: FloatArray) -> FloatArray:
        height = shape * np.log(rate) - gammaln(shape)
        return np.asarray(np.exp(height + (shape - 1) * np.log(distance) - rate * distance))

    return Law(cumulated, density, mean, std)


FAMILIES: dict[str, Family] = {"folded normal": _folded, "gamma": _gamma}


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
    return FAMILIES[model](first_nm, second_nm).cumulated

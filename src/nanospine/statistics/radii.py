"""Radii for a summary function when nobody said which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.statistics.distance_laws import sized
from nanospine.statistics.patterns import Pattern

__all__ = ["automatic_radii"]

FloatArray = npt.NDArray[np.float64]

# Neighbours in the largest ball: enough for a smooth curve, few enough for a million points.
_NEIGHBOURS = 1000.0
# Share of nearest neighbours that the largest radius leaves out.
_LEFT = {"G": 1e-3, "F": 1e-3, "J": 1e-2}


def automatic_radii(searched: Pattern, function: str = "L", n: int = 50) -> FloatArray:
    """Give `n` evenly spaced radii up to where the function still says something.

    At most a quarter of the smallest extent of the region; for K, L, H and g at most the radius
    of a ball that holds 1,000 points on average; for G, F and J at most the radius that leaves
    0.1 % (J: 1 %) of the nearest neighbours out under complete randomness.

    Parameters
    ----------
    searched : Pattern
        The points among which neighbours are sought.
    function : str
        "K", "L", "H", "g", "G", "F" or "J".
    n : int
        Radii.

    Returns
    -------
    ndarray, shape (n,)
        Nanometres, the first one not 0.

    Examples
    --------
    >>> from nanospine.core.region import Box
    >>> from nanospine.statistics.patterns import pattern
    >>> found = pattern(np.ones((100, 2)), Box((0, 0), (1000, 400)))
    >>> automatic_radii(found, n=4).tolist()
    [25.0, 50.0, 75.0, 100.0]
    """
    low, high = sized(searched).region.bounds_nm
    neighbours = -np.log(_LEFT[function]) if function in _LEFT else _NEIGHBOURS
    volume = neighbours * searched.region.size / len(searched)
    if searched.region.dimension == 2:
        reach = np.sqrt(volume / np.pi)
    else:
        reach = np.cbrt(0.75 * volume / np.pi)
    largest = min(float(reach), float((high - low).min()) / 4)
    return np.asarray(np.linspace(largest / n, largest, n))

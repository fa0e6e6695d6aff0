"""Joint test of two couplings by random shifts: patches of coupled objects stay patches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.core.region import Box, Region
from nanospine.statistics.shifts import shift_by_chance

__all__ = ["shift_p"]

FloatArray = npt.NDArray[np.float64]

# Part of the objects that a shift must leave inside the region, and draws until one does.
_LEAST_LEFT = 0.3
_TRIES = 100


def shift_p(
    points_nm: FloatArray,
    first: FloatArray,
    second: FloatArray,
    region: Region,
    n_simulations: int,
    rng: np.random.Generator,
) -> float:
    """Chance of so much covariance of two marks of the same points when one ignores the other.

    The second mark is moved as a whole: each point gets that of the point nearest to where it
    comes to lie. In a box the shift goes around the walls; elsewhere points that leave the region
    are left out, and the covariance is scaled by the root of how many stay (Mrkvička et al. 2021),
    by which it varies the same.

    Parameters
    ----------
    points_nm : ndarray, shape (n, d)
        Objects.
    first, second : ndarray, shape (n,)
        Marks, such as the probability of a partner in another channel.
    region : Region
        The window.
    n_simulations : int
        Shifts.
    rng : Generator
        That draws them.
    """
    from scipy.spatial import cKDTree

    around = isinstance(region, Box)
    low, high = region.bounds_nm
    sides = high - low
    if around:
        # A point on the high wall is one on the low wall; the tree wants it below the period.
        places = np.mod(points_nm - low, sides)
        places[places >= sides] = 0.0
        tree = cKDTree(places, boxsize=sides)
    else:
        tree = cKDTree(points_nm)

    def covariance(a: FloatArray, b: FloatArray) -> float:
        return float(np.sqrt(len(a)) * ((a * b).mean() - a.mean() * b.mean()))

    found = covariance(first, second)
    beyond = 0
    for _ in range(n_simulations):
        if around:
            moved = np.mod(places + rng.uniform(0, sides), sides)
            moved[moved >= sides] = 0.0
            stay = np.ones(len(points_nm), dtype=bool)
        else:
            moved, stay = _moved(points_nm, region, rng)
        near = tree.query(moved[stay])[1]
        beyond += covariance(first[stay], second[near]) >= found - 1e-9
    return (1 + beyond) / (n_simulations + 1)


def _moved(
    points: FloatArray, region: Region, rng: np.random.Generator
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    low, high = region.bounds_nm
    reach = float((high - low).max()) / 2
    for _ in range(_TRIES):
        moved = points + shift_by_chance(reach, region, rng)
        stay = region.contains(moved)
        if stay.mean() >= _LEAST_LEFT:
            return moved, stay
        reach *= 0.97
    raise GeometryError(
        f"joint test: none of {_TRIES} shifts left {_LEAST_LEFT:.0%} of the objects inside the "
        "region; leave b out: objects are shuffled then."
    )

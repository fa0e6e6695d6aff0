"""The index of Clark and Evans: one number for clustering or regularity, with a test."""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma, pi, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.region import Box, Region
from nanospine.statistics.distance_laws import mean_distance, sized
from nanospine.statistics.nearest import neighbour_distances
from nanospine.statistics.patterns import Pattern, Points, pattern
from nanospine.statistics.randomisation import spawned

__all__ = ["ClarkEvans", "clark_evans"]

FloatArray = npt.NDArray[np.float64]
Correction = Literal["cdf", "donnelly", "none"]

_SIMULATIONS = 199


@dataclass(frozen=True, eq=False)
class ClarkEvans:
    """The Clark-Evans index and its test.

    Attributes
    ----------
    index : float
        Mean distance to the nearest neighbour over what it is under complete randomness: 1 without
        structure, less for clusters, more for regularity.
    mean_distance_nm, expected_nm : float
        The two distances.
    z : float
        Standardised difference.
    p_value : float
        Two-sided.
    correction : str
        Edge correction.
    n_points : int
        Points inside the region.
    n_simulations : int
        Simulations behind z and p; 0 when they come from the normal law.
    notes : tuple of str
        What a reader must know.
    """

    index: float
    mean_distance_nm: float
    expected_nm: float
    z: float
    p_value: float
    correction: str
    n_points: int
    n_simulations: int
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give one row."""
        row = {name: value for name, value in vars(self).items() if name != "notes"}
        return pd.DataFrame([row])


def clark_evans(
    points: Points,
    *,
    region: Region | None = None,
    correction: Correction = "cdf",
    n_simulations: int | None = None,
    seed: int = 0,
) -> ClarkEvans:
    """Compare the mean distance to the nearest neighbour with that of complete randomness.

    - none: mean distance over 1 / (2 sqrt(λ)) in 2-D, Γ(4/3) (3 / (4 π λ))^(1/3) in 3-D; points at
      the edge have neighbours that are not seen, so that the index is too large.
    - donnelly: the expectation in a rectangle of perimeter P, area A:
      sqrt(A/n) / 2 + (0.0514 + 0.0412 / sqrt(n)) P / n
    - cdf: mean of the Kaplan-Meier estimate of G, in any region; the expectation as for none.

    Parameters
    ----------
    points : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    region : Region, optional
        Where points could have been seen; default: that of the localizations, or the bounding box.
    correction : {"cdf", "donnelly", "none"}
        "donnelly" is for rectangles.
    n_simulations : int, optional
        z and p from as many patterns of complete randomness in the region. Default: 199 for
        "cdf", whose law is not known, and 0 for the others: the normal law. Its standard error is
        sqrt(0.0703 A / n² + 0.037 P sqrt(A / n⁵)) with "donnelly"; without correction that of
        independent distances, which is too small.
    seed : int
        Of the simulations.

    Returns
    -------
    ClarkEvans

    Raises
    ------
    ConfigError
        For an unknown correction; "donnelly" in another region than a rectangle.
    GeometryError, TooFewPointsError
        For points that are not finite, of another dimension, or fewer than 2 inside the region.

    Notes
    -----
    Clark & Evans, Ecology 35 (1954) 445; Donnelly, in Simulation Methods in Archaeology (1978) 91.

    Examples
    --------
    >>> xy = np.stack(np.meshgrid(np.arange(5, 100, 10), np.arange(5, 100, 10)), -1).reshape(-1, 2)
    >>> found = clark_evans(xy, region=Box((0, 0), (100, 100)), correction="none")
    >>> found.index, found.p_value < 1e-6
    (2.0, True)
    """
    if correction not in ("cdf", "donnelly", "none"):
        raise ConfigError(f"correction: cdf, donnelly or none was expected, found {correction!r}.")
    found = sized(pattern(points, region, least=2))
    if correction == "donnelly" and not (
        isinstance(found.region, Box) and found.region.dimension == 2
    ):
        raise ConfigError(
            f"correction: 'donnelly' is for rectangles, found a {found.region.dimension}-D "
            f"{type(found.region).__name__}; use 'cdf'."
        )
    if n_simulations is None:
        n_simulations = _SIMULATIONS if correction == "cdf" else 0
    expected, error = _expectation(found, correction)
    observed = _mean_nm(found.points_nm, found.region, correction)
    notes = list(found.notes)
    if n_simulations:
        z, p = _simulated(found, correction, observed, n_simulations, seed)
    else:
        z = (observed - expected) / error
        p = float(_two_sided(z))
        if correction == "none":
            notes.append(
                "without edge correction the index is too large, its p-value too small or too "
                "large; use 'cdf'"
            )
    return ClarkEvans(
        observed / expected, observed, expected, z, p, correction, len(found), n_simulations,
        tuple(notes),
    )  # fmt: skip


def _expectation(found: Pattern, correction: Correction) -> tuple[float, float]:
    """Give mean and standard error of the mean distance under complete randomness, nm."""
    n, size = len(found), found.region.size
    if found.region.dimension == 3:
        scale = (3 * size / (4 * pi * n)) ** (1 / 3)
        spread = sqrt(gamma(5 / 3) - gamma(4 / 3) ** 2)
        return gamma(4 / 3) * scale, spread * scale / sqrt(n)
    expected = sqrt(size / n) / 2
    if correction != "donnelly":
        return expected, sqrt((4 - pi) * size / (4 * pi)) / n
    low, high = found.region.bounds_nm
    perimeter = 2 * float((high - low).sum())
    error = sqrt(0.0703 * size / n**2 + 0.037 * perimeter * sqrt(size / n**5))
    return expected + (0.0514 + 0.0412 / sqrt(n)) * perimeter / n, error


def _mean_nm(points_nm: FloatArray, region: Region, correction: Correction) -> float:
    distances, _ = neighbour_distances(points_nm)
    if correction != "cdf":
        return float(distances.mean())
    return mean_distance(distances, region.distance_to_boundary_nm(points_nm))


def _simulated(
    found: Pattern, correction: Correction, observed: float, n: int, seed: int
) -> tuple[float, float]:
    values = np.array(
        [
            _mean_nm(found.region.sample_nm(len(found), np.random.default_rng(one)), found.region,
                     correction)
            for one in spawned(seed, n)
        ]
    )  # fmt: skip
    values = values[np.isfinite(values)]
    if len(values) < 2 or not np.isfinite(observed):
        return float("nan"), float("nan")
    above, below = 1 + (values >= observed).sum(), 1 + (values <= observed).sum()
    p = min(1.0, 2.0 * float(min(above, below)) / (len(values) + 1))
    return (observed - float(values.mean())) / float(values.std(ddof=1)), p


def _two_sided(z: float) -> float:
    from scipy.special import ndtr

    return float(2.0 * ndtr(-abs(z)))

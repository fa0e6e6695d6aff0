"""Distribution functions of distances that the edge of the region cuts off: four estimators."""

from __future__ import annotations

import weakref
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Box, Polygon, Prism, Region
from nanospine.statistics.patterns import Pattern

__all__ = [
    "DistanceCorrection",
    "checked_correction",
    "csr_distance_law",
    "distribution",
    "eroded_size",
    "mean_distance",
    "places",
    "sized",
]

FloatArray = npt.NDArray[np.float64]
DistanceCorrection = Literal["km", "border", "hanisch", "none"]

_CORRECTIONS = ("km", "border", "hanisch", "none")
# Below this share of its bounding box a region is sampled by its own sampler: a grid of the box
# would mostly miss it.
_THIN = 0.02
# Erosions that are computed one by one; more distances are interpolated between as many.
_EROSIONS = 512
_ARC = 128
# Places at which a region without a formula is eroded.
_EROSION_PLACES = 65_536

_PLACES: weakref.WeakKeyDictionary[Region, dict[int, tuple[FloatArray, FloatArray]]] = (
    weakref.WeakKeyDictionary()
)


def checked_correction(correction: str) -> DistanceCorrection:
    """Check the name of an edge correction of G, F and J."""
    if correction not in _CORRECTIONS:
        raise ConfigError(
            f"correction: one of {', '.join(_CORRECTIONS)} was expected for G, F and J, found "
            f"{correction!r}."
        )
    return cast(DistanceCorrection, correction)


def sized(found: Pattern) -> Pattern:
    """Give a pattern back whose region has a size, without which it has no density.

    Raises
    ------
    GeometryError
        When the region has none: the bounding box of points on one line, plane or place.
    """
    if found.region.size > 0:
        return found
    what = "area" if found.region.dimension == 2 else "volume"
    raise GeometryError(
        f"region: the bounding box of points that lie on one line, plane or place has no {what}; "
        "say where they could have been seen: region=..."
    )


def distribution(
    distances_nm: FloatArray,
    boundary_nm: FloatArray,
    radii_nm: FloatArray,
    correction: DistanceCorrection,
    region: Region,
) -> FloatArray:
    """Estimate the distribution function of a distance that is seen only up to the boundary.

    With d the distance and b that to the boundary of each place, o = min(d, b), and the event
    d <= b:

    - none: share of d <= r
    - border: share of d <= r among the places with b >= r (reduced sample)
    - km: 1 - prod over events s <= r of (1 - #{o = s, event} / #{o >= s}) (Kaplan-Meier)
    - hanisch: sum over events with d <= r of 1/|W eroded by d|, over the same sum without r

    NaN where no place tells: beyond all b (border), beyond the last o when it is not an event (km).

    Parameters
    ----------
    distances_nm, boundary_nm : ndarray, shape (n,)
        Of each place; an infinite distance means that there is nothing to reach.
    radii_nm : ndarray, shape (m,)
        Ascending.
    correction : {"km", "border", "hanisch", "none"}
        Estimator.
    region : Region
        The window, for its erosions.

    Returns
    -------
    ndarray, shape (m,)
        Between 0 and 1.
    """
    if correction == "none":
        return np.searchsorted(np.sort(distances_nm), radii_nm, side="right") / len(distances_nm)
    if correction == "border":
        return _reduced_sample(distances_nm, boundary_nm, radii_nm)
    seen = distances_nm <= boundary_nm
    if correction == "km":
        return _kaplan_meier(np.minimum(distances_nm, boundary_nm), seen, radii_nm)
    return _hanisch(distances_nm[seen], radii_nm, region)


def _reduced_sample(
    distances_nm: FloatArray, boundary_nm: FloatArray, radii_nm: FloatArray
) -> FloatArray:
    n = len(radii_nm)
    # A place counts for the radii from its distance on, as long as the boundary is not nearer.
    last = np.searchsorted(radii_nm, boundary_nm, side="right")
    first = np.searchsorted(radii_nm, distances_nm, side="left")
    possible = np.bincount(last, minlength=n + 1)[::-1].cumsum()[::-1][1 : n + 1]
    met = first < last
    counted = np.bincount(first[met], minlength=n + 1) - np.bincount(last[met], minlength=n + 1)
    with np.errstate(invalid="ignore"):
        return np.where(possible > 0, counted.cumsum()[:n] / possible, np.nan)


def _kaplan_meier(
    observed_nm: FloatArray, seen: npt.NDArray[np.bool_], radii_nm: FloatArray
) -> FloatArray:
    events, survival = _survival(observed_nm, seen)
    values = 1.0 - survival[np.searchsorted(events, radii_nm, side="right")]
    if survival[-1] > 0:
        values[radii_nm > observed_nm.max()] = np.nan
    return values


def _survival(
    observed_nm: FloatArray, seen: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Give the distances at which the Kaplan-Meier curve falls, and its value before and after."""
    ordered = np.sort(observed_nm)
    events, counts = np.unique(observed_nm[seen], return_counts=True)
    at_risk = len(ordered) - np.searchsorted(ordered, events, side="left")
    return events, np.concatenate([[1.0], np.cumprod(1.0 - counts / at_risk)])


def mean_distance(distances_nm: FloatArray, boundary_nm: FloatArray) -> float:
    """Give the mean of the Kaplan-Meier estimate of a distance, nm; NaN when none was seen whole.

    Where the longest distances are not seen, the mean of the part of the distribution that is.

    Examples
    --------
    >>> mean_distance(np.array([1.0, 3.0]), np.array([9.0, 9.0]))
    2.0
    """
    seen = distances_nm <= boundary_nm
    events, survival = _survival(np.minimum(distances_nm, boundary_nm), seen)
    falls = -np.diff(survival)
    return float((events * falls).sum() / falls.sum()) if len(events) else float("nan")


def _hanisch(distances_nm: FloatArray, radii_nm: FloatArray, region: Region) -> FloatArray:
    if not len(distances_nm):
        return np.full(len(radii_nm), np.nan)
    ordered = np.sort(distances_nm)
    sizes = eroded_size(region, ordered)
    # A place that can see its distance lies in the eroded region, which therefore is not empty;
    # a sampled erosion may still say zero for the very last of them.
    sums = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(sizes, region.size * 1e-9))])
    values: FloatArray = sums[np.searchsorted(ordered, radii_nm, side="right")] / sums[-1]
    return values


def eroded_size(region: Region, distances_nm: FloatArray) -> FloatArray:
    """Area or volume of the part of a region that is farther from its boundary than a distance.

    Exact for boxes; for polygons and prisms by offset curves whose arcs are 128-gons per quarter
    (interpolated where more than 512 distances are asked); for masks and meshes by 65,536 places.

    Examples
    --------
    >>> eroded_size(Box((0, 0), (10, 6)), np.array([0.0, 1.0, 3.0])).tolist()
    [60.0, 32.0, 0.0]
    """
    if isinstance(region, Box):
        sides = region.high_nm - region.low_nm
        left = np.maximum(sides[None, :] - 2 * distances_nm[:, None], 0.0)
        return np.asarray(left.prod(axis=1))
    if isinstance(region, Prism):
        height = region.z_high_nm - region.z_low_nm - 2 * distances_nm
        return eroded_size(region.polygon, distances_nm) * np.maximum(height, 0.0)
    if isinstance(region, Polygon):
        return _eroded_polygon(region, distances_nm)
    depth = np.sort(places(region, _EROSION_PLACES)[1])
    return region.size * (1 - np.searchsorted(depth, distances_nm, side="left") / len(depth))


def _eroded_polygon(region: Polygon, distances_nm: FloatArray) -> FloatArray:
    at = np.unique(distances_nm)
    if len(at) > _EROSIONS:
        at = np.linspace(at[0], at[-1], _EROSIONS)
    areas = [region.shape.buffer(-float(d), quad_segs=_ARC).area for d in at]
    if len(at) == 1:
        return np.full(len(distances_nm), areas[0])
    from scipy.interpolate import PchipInterpolator

    return np.asarray(PchipInterpolator(at, areas)(distances_nm))


def csr_distance_law(radii_nm: FloatArray, density: float, dimension: int) -> FloatArray:
    """Give G = F of complete randomness: 1 - exp(-density times the size of a ball).

    Examples
    --------
    >>> csr_distance_law(np.array([0.0, 1.0]), 1 / np.pi, 2).round(4).tolist()
    [0.0, 0.6321]
    """
    ball = np.pi * radii_nm**2 if dimension == 2 else 4 / 3 * np.pi * radii_nm**3
    return np.asarray(-np.expm1(-density * ball))


def places(region: Region, n: int) -> tuple[FloatArray, FloatArray]:
    """Give `n` places spread evenly in a region, the same ones each time, and their depth.

    The first Halton points of the bounding box that lie inside; for a region that fills less than
    2 % of its box, uniform random ones with a fixed seed. Kept as long as the region lives, so
    that the simulations of an envelope do not place them again.

    Returns
    -------
    places_nm : ndarray, shape (n, d)
        Positions.
    depth_nm : ndarray, shape (n,)
        Distance to the boundary.

    Examples
    --------
    >>> at, depth = places(Box((0, 0), (4, 4)), 3)
    >>> at.shape, depth.shape
    ((3, 2), (3,))
    """
    kept = _PLACES.setdefault(region, {})
    if n not in kept:
        at = _spread(region, n)
        kept[n] = (at, region.distance_to_boundary_nm(at))
    return kept[n]


def _spread(region: Region, n: int) -> FloatArray:
    low, high = region.bounds_nm
    share = region.size / float(np.prod(high - low))
    if share < _THIN:
        return region.sample_nm(n, 0)
    from scipy.stats import qmc

    halton = qmc.Halton(region.dimension, scramble=False)
    halton.fast_forward(1)  # the first point of the sequence is the corner
    found: list[FloatArray] = []
    missing = n
    while missing > 0:
        points = low + (high - low) * halton.random(int(missing / share * 1.05) + 64)
        points = points[region.contains(points)][:missing]
        found.append(points)
        missing -= len(points)
    return np.ascontiguousarray(np.concatenate(found))

"""Distances to the nearest neighbour: G, F, J and the distances themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Region
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.distance_laws import (
    DistanceCorrection,
    checked_correction,
    csr_distance_law,
    distribution,
    places,
    sized,
)
from nanospine.statistics.nearest_uneven import checked_border, uneven_law
from nanospine.statistics.patterns import (
    Pattern,
    Points,
    beyond_note,
    checked_radii,
    pattern,
    shared_region,
)
from nanospine.statistics.problem import Intensity, inverse_intensity

__all__ = [
    "NearestDistances",
    "csr_distance_law",
    "empty_space_f",
    "j_function",
    "nearest_distances",
    "nearest_neighbour_g",
    "neighbour_distances",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Places from which the empty space is measured.
_N_PLACES = 131_072


@dataclass(frozen=True, eq=False)
class NearestDistances:
    """The nearest neighbour of each point.

    Attributes
    ----------
    distances_nm : ndarray, shape (n,)
        Distance to it, nm.
    index : ndarray of int64, shape (n,)
        Its row in the pattern that was searched.
    """

    distances_nm: FloatArray
    index: IntArray

    def to_frame(self) -> pd.DataFrame:
        """Give a row per point: `distance_nm`, `index`."""
        return pd.DataFrame({"distance_nm": self.distances_nm, "index": self.index})


def nearest_distances(a: Points, b: Points | None = None) -> NearestDistances:
    """Find the nearest point of `b` for each point of `a`.

    Parameters
    ----------
    a : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    b : the same, optional
        Left out: the nearest *other* point of `a`. A point at the same place counts, with
        distance 0.

    Returns
    -------
    NearestDistances
        In the order of `a`.

    Raises
    ------
    GeometryError
        For positions that are not finite or of different dimension.
    TooFewPointsError
        When there is nothing to be near to.

    Examples
    --------
    >>> found = nearest_distances([[0, 0], [3, 4]], [[0, 1], [9, 9], [3, 3]])
    >>> found.distances_nm.tolist(), found.index.tolist()
    ([1.0, 1.0], [0, 2])
    """
    first = _positions(a, "a", 1 if b is not None else 2)
    if b is None:
        return NearestDistances(*neighbour_distances(first))
    second = _positions(b, "b", 1)
    if first.shape[1] != second.shape[1]:
        raise GeometryError(
            f"nearest_distances: two patterns of the same dimension were expected, found a with "
            f"{first.shape[1]} and b with {second.shape[1]} coordinates."
        )
    return NearestDistances(*neighbour_distances(first, second))


def neighbour_distances(
    points_nm: FloatArray, other_nm: FloatArray | None = None
) -> tuple[FloatArray, IntArray]:
    """Give distance and row of the nearest other point, or of the nearest point of `other_nm`.

    Examples
    --------
    >>> neighbour_distances(np.array([[0.0, 0], [0, 0], [0, 2]]))[0].tolist()
    [0.0, 0.0, 2.0]
    """
    from scipy.spatial import cKDTree

    if other_nm is not None:
        distance, index = cKDTree(other_nm).query(points_nm)
        return np.asarray(distance), np.asarray(index, dtype=np.int64)
    distances, rows = cKDTree(points_nm).query(points_nm, k=2)
    # Of points at one place the tree may name either first: the own row need not be column 0.
    own = rows[:, 0] == np.arange(len(points_nm))
    return np.asarray(distances[:, 1]), np.where(own, rows[:, 1], rows[:, 0]).astype(np.int64)


def nearest_neighbour_g(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: DistanceCorrection = "km",
    other: Points | None = None,
    intensity: Intensity | None = None,
) -> SummaryFunction:
    """Distribution function G(r) of the distance to the nearest neighbour.

    Parameters
    ----------
    points : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    radii_nm : array_like, shape (m,)
        Ascending distances, nm.
    region : Region, optional
        Where points could have been seen; default: that of the localizations, or the bounding box.
    correction : {"km", "border", "hanisch", "none"}
        Kaplan-Meier; reduced sample; Hanisch; the plain share, which edges bias downward.
    other : Localizations or array_like, optional
        Cross form: the distance from `points` to the nearest of `other`.
    intensity : float, array_like, callable, optional
        Of the points that are looked for, as for :func:`nanospine.ripley_k`: neighbours count less
        where they are dense anyway (van Lieshout 2011), with the border correction; theory is that
        of the lowest intensity.

    Returns
    -------
    SummaryFunction
        Without unit, 0 to 1; theory 1 - exp(-λ π r²), or 1 - exp(-λ 4/3 π r³) in 3-D, with λ the
        density of what is searched. NaN where every point is nearer to the boundary than to a
        neighbour.

    Raises
    ------
    ConfigError
        For an unknown correction or radii that are not ascending distances.
    GeometryError, TooFewPointsError
        For points that are not finite, of another dimension, or too few inside the region.

    Notes
    -----
    Baddeley & Gill, Annals of Statistics 25 (1997) 263; Hanisch, Math. Operationsforsch. Statist.
    15 (1984) 409. Computed from the exact distances, without bins.

    Examples
    --------
    >>> from nanospine import Box
    >>> square = Box((0, 0), (100, 100))
    >>> xy = np.stack(np.meshgrid(np.arange(5, 100, 10), np.arange(5, 100, 10)), -1).reshape(-1, 2)
    >>> nearest_neighbour_g(xy, [9, 10], region=square).values.tolist()
    [0.0, 1.0]
    """
    wanted = checked_correction(correction)
    radii = checked_radii(radii_nm)
    first, second = _patterns(points, other, region)
    searched = first if second is None else second
    at, depth = first.points_nm, first.region.distance_to_boundary_nm(first.points_nm)
    if intensity is not None:
        given = points if other is None else other
        return _uneven("G", radii, (at, depth), first, second, intensity, given, wanted)
    distances, _ = neighbour_distances(at, None if second is None else second.points_nm)
    values = distribution(distances, depth, radii, wanted, first.region)
    theory = csr_distance_law(radii, len(searched) / first.region.size, first.region.dimension)
    return _curve("G", radii, values, theory, wanted, first, second)


def empty_space_f(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: DistanceCorrection = "km",
    other: Points | None = None,
    n_places: int | None = None,
    intensity: Intensity | None = None,
) -> SummaryFunction:
    """Distribution function F(r) of the distance from any place to the nearest point.

    Exact distances from places that are spread evenly over the region (a Halton sequence, the same
    each time); nothing is rounded to pixels.

    Parameters
    ----------
    points : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    radii_nm : array_like, shape (m,)
        Ascending distances, nm.
    region : Region, optional
        Where points could have been seen; default: that of the localizations, or the bounding box.
    correction : {"km", "border", "hanisch", "none"}
        Kaplan-Meier; reduced sample; Chiu & Stoyan's form of Hanisch; the plain share.
    other : Localizations or array_like, optional
        Cross form: the distance to the nearest of `other`; `points` are not used but for their
        region.
    n_places : int, optional
        Default 131,072, for an error of about 0.0005 of F; with 32,768 it is 0.0015. The notes
        say the number.
    intensity : float, array_like, callable, optional
        As for :func:`nearest_neighbour_g`.

    Returns
    -------
    SummaryFunction
        Without unit, 0 to 1; theory as for :func:`nearest_neighbour_g`.

    Raises
    ------
    ConfigError
        For an unknown correction, radii that are not ascending distances, no places.
    GeometryError, TooFewPointsError
        For points that are not finite, of another dimension, or none inside the region.

    Notes
    -----
    Baddeley & Gill, Annals of Statistics 25 (1997) 263; Chiu & Stoyan, Statistica Neerlandica 52
    (1998) 239.

    Examples
    --------
    >>> from nanospine import Box
    >>> found = empty_space_f([[50, 50]], [10, 20], region=Box((0, 0), (100, 100)),
    ...                       correction="none")
    >>> np.abs(found.values - np.pi * np.array([100, 400]) / 10_000).max() < 1e-3
    np.True_
    """
    wanted = checked_correction(correction)
    radii = checked_radii(radii_nm)
    first, second = _patterns(points, other, region, least=1)
    searched = first if second is None else second
    count = _N_PLACES if n_places is None else n_places
    if count < 1:
        raise ConfigError(f"n_places: at least one place was expected, found {n_places}.")
    at, depth = places(first.region, count)
    note = f"empty space was measured from {count} places"
    if intensity is not None:
        given = points if other is None else other
        return _uneven("F", radii, (at, depth), first, second, intensity, given, wanted, (note,))
    distances, _ = neighbour_distances(at, searched.points_nm)
    values = distribution(distances, depth, radii, wanted, first.region)
    theory = csr_distance_law(radii, len(searched) / first.region.size, first.region.dimension)
    return _curve("F", radii, values, theory, wanted, first, second, (note,))


def j_function(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: DistanceCorrection = "km",
    other: Points | None = None,
    n_places: int | None = None,
    intensity: Intensity | None = None,
) -> SummaryFunction:
    """J(r) = (1 - G(r)) / (1 - F(r)): 1 without structure, less for clusters, more for regularity.

    Parameters
    ----------
    points, radii_nm, region, correction, other, n_places, intensity
        As for :func:`nearest_neighbour_g` and :func:`empty_space_f`. In the cross form G goes from
        `points` to `other`, and F is that of `other`: J = 1 when the two are independent.

    Returns
    -------
    SummaryFunction
        Without unit; theory 1. NaN where F is 1: every place is nearer than r to a point.

    Raises
    ------
    ConfigError, GeometryError, TooFewPointsError
        As for the two functions.

    Notes
    -----
    van Lieshout & Baddeley, Statistica Neerlandica 50 (1996) 344.

    Examples
    --------
    >>> from nanospine import Box
    >>> xy = np.random.default_rng(1).random((400, 2)) * 1000
    >>> found = j_function(xy, [5, 10], region=Box((0, 0), (1000, 1000)))
    >>> np.abs(found.values - 1).max() < 0.1
    np.True_
    """
    g = nearest_neighbour_g(
        points, radii_nm, region=region, correction=correction, other=other, intensity=intensity
    )
    f = empty_space_f(
        points, radii_nm, region=region, correction=correction, other=other, n_places=n_places,
        intensity=intensity,
    )  # fmt: skip
    left = 1.0 - f.values
    # What is left of 1 after rounding is not emptiness.
    left[left < 1e-12] = np.nan
    values = (1.0 - g.values) / left
    theory = np.ones(len(g.radii_nm))
    return replace(f, name="J" + f.name[1:], values=values, theory=theory)


def _positions(points: Points, name: str, least: int) -> FloatArray:
    known = points.xyz_nm[:, : points.dimension] if isinstance(points, Localizations) else points
    return pattern(known, name=name, least=least).points_nm


def _patterns(
    points: Points, other: Points | None, region: Region | None, least: int = 2
) -> tuple[Pattern, Pattern | None]:
    """Put one or two patterns into their region."""
    if other is None:
        return sized(pattern(points, region, least=least)), None
    window = shared_region(points, other, region)
    return sized(pattern(points, window)), pattern(other, window, name="other")


def _uneven(
    name: str,
    radii: FloatArray,
    at: tuple[FloatArray, FloatArray],
    first: Pattern,
    second: Pattern | None,
    intensity: Intensity,
    given: Points,
    correction: str,
    notes: tuple[str, ...] = (),
) -> SummaryFunction:
    wanted = checked_border(correction)
    searched = first if second is None else second
    inverse = np.asarray(inverse_intensity(intensity, searched, given, "intensity"))
    own = name == "G" and second is None
    values, lowest = uneven_law(*at, searched.points_nm, inverse, radii, own=own)
    theory = csr_distance_law(radii, lowest, first.region.dimension)
    found = _curve(name, radii, values, theory, wanted, first, second, notes)
    return replace(found, name=found.name + "_inhom")


def _curve(
    name: str,
    radii: FloatArray,
    values: FloatArray,
    theory: FloatArray,
    correction: str,
    first: Pattern,
    second: Pattern | None,
    notes: tuple[str, ...] = (),
) -> SummaryFunction:
    unknown = int(np.isnan(values).sum())
    if unknown:
        notes += (
            f"{name} is unknown at the last {unknown} of {len(radii)} radii: no place is that far "
            "from the boundary of the region",
        )
    return SummaryFunction(
        name=name if second is None else f"{name}_cross",
        radii_nm=radii,
        values=values,
        theory=theory,
        correction=correction,
        n_points=len(first),
        n_other=0 if second is None else len(second),
        region=first.region,
        notes=first.notes
        + (second.notes if second is not None else ())
        + notes
        + beyond_note(radii, first.region),
    )

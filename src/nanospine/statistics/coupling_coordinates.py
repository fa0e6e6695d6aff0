"""Coordinate-based colocalization per localization (CBC), and clusters of it (ClusDoC)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.localizations import from_arrays
from nanospine.core.region import Region
from nanospine.statistics.nearest import neighbour_distances
from nanospine.statistics.patterns import Pattern, Points, beyond_note, pattern, shared_region
from nanospine.statistics.soda_cells import Cells

__all__ = ["ClusterColocalization", "Colocalization", "cluster_colocalization", "colocalization"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_CHUNK = 50_000


@dataclass(frozen=True, eq=False)
class Colocalization:
    """Colocalization of each point: 1 coupled, 0 unrelated, -1 excluding each other.

    Attributes
    ----------
    a, b : ndarray, shapes (n_a,), (n_b,)
        Of the points in the region; NaN where a point has no neighbours of one kind.
    rows_a, rows_b : ndarray of int64
        Their rows in the input.
    notes : tuple of str
    """

    a: FloatArray = field(repr=False)
    b: FloatArray = field(repr=False)
    rows_a: IntArray = field(repr=False)
    rows_b: IntArray = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give a row per point: `channel` ("a", "b"), `index`, `colocalization`."""
        names = np.repeat(["a", "b"], [len(self.a), len(self.b)])
        rows = np.concatenate([self.rows_a, self.rows_b])
        values = np.concatenate([self.a, self.b])
        return pd.DataFrame({"channel": names, "index": rows, "colocalization": values})


def colocalization(
    a: Points, b: Points, radius_nm: float, *, n_steps: int = 20, region: Region | None = None
) -> Colocalization:
    """Coordinate-based colocalization (Malkusch et al. 2012).

    Of a point of `a`, how its neighbours of either channel grow with the distance r = R/n ... R,
    relative to even growth: D_AA = N_AA(r) / N_AA(R) * (R/r)^d, and D_AB alike. Their rank
    correlation (Spearman) times exp(-E/R), with E the distance to the *nearest* point of the other
    channel. The point itself is not among its neighbours. Edges are not corrected: both channels
    lose the same.

    Parameters
    ----------
    a, b : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    radius_nm : float
        Largest distance R.
    n_steps : int
        Distances, at least 3.
    region : Region, optional
        Points outside are left out.

    Returns
    -------
    Colocalization

    Raises
    ------
    ConfigError
        For a radius that is not positive or fewer than 3 steps.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spots = np.repeat(rng.uniform(0, 9000, (20, 2)), 30, axis=0)
    >>> found = colocalization(rng.normal(spots, 40), rng.normal(spots, 40), 300)
    >>> bool(np.median(found.a) > 0.7)
    True
    """
    if not (np.isfinite(radius_nm) and radius_nm > 0) or n_steps < 3:
        raise ConfigError(
            "colocalization: radius_nm above 0 and at least 3 steps were expected, found "
            f"{radius_nm} and {n_steps}."
        )
    window = shared_region(a, b, region)
    first, second = pattern(a, window, name="a"), pattern(b, window, name="b")
    values = [_values(x, y, radius_nm, n_steps) for x, y in ((first, second), (second, first))]
    beyond = beyond_note(np.array([radius_nm]), window)
    notes = list(dict.fromkeys(first.notes + second.notes + beyond))
    for name, found in zip("ab", values, strict=True):
        lonely = int(np.isnan(found).sum())
        if lonely:
            notes.append(
                f"{name}: {lonely} of {len(found)} points have no neighbours of one channel "
                f"within {radius_nm:g} nm, or as many at all distances; their value is NaN"
            )
    return Colocalization(values[0], values[1], first.rows, second.rows, tuple(notes))


def _values(points: Pattern, other: Pattern, radius: float, n_steps: int) -> FloatArray:
    from scipy.stats import rankdata

    steps = np.linspace(0.0, radius, n_steps + 1)
    steps[-1] = np.nextafter(radius, np.inf)  # a neighbour exactly at R counts
    even = (radius / steps[1:]) ** points.points_nm.shape[1]
    own, across = Cells(points.points_nm, steps[-1]), Cells(other.points_nm, steps[-1])
    nearest, _ = neighbour_distances(points.points_nm, other.points_nm)
    result = np.full(len(points), np.nan)
    for start in range(0, len(points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = points.points_nm[rows]
        same = np.cumsum(own.ring_counts(part, steps), axis=1) - 1.0
        cross = np.cumsum(across.ring_counts(part, steps), axis=1).astype(np.float64)
        ok = (same[:, -1] > 0) & (cross[:, -1] > 0)
        ranks = [
            # Rounded: densities that are equal are a tie, whatever their last digit.
            rankdata(np.round(counts[ok] / counts[ok, -1:] * even, 9), axis=1) - (n_steps + 1) / 2
            for counts in (same, cross)
        ]
        norm = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
        product = (ranks[0] * ranks[1]).sum(axis=1)
        correlation = np.divide(product, norm, out=np.full(len(norm), np.nan), where=norm > 0)
        chunk = np.full(len(part), np.nan)
        chunk[ok] = correlation * np.exp(-nearest[rows][ok] / radius)
        result[rows] = chunk
    return result


@dataclass(frozen=True, eq=False)
class ClusterColocalization:
    """Clusters of one channel and how much of each is colocalized with the other (ClusDoC).

    Attributes
    ----------
    table : pandas.DataFrame
        The clusters of `a`: columns of :func:`nanospine.cluster`, `n_colocalized`,
        `colocalized_fraction`, `mean_colocalization`, and `colocalized` (at least `least_points`).
    labels : ndarray of int64, shape (n_a,)
        Cluster of each point of `a` in the region, -1 for none.
    colocalization : Colocalization
        Of all points.
    dense : ndarray of bool, shape (n_a,)
        Points of `a` denser than random, which were clustered.
    """

    table: pd.DataFrame = field(repr=False)
    labels: IntArray = field(repr=False)
    colocalization: Colocalization = field(repr=False)
    dense: BoolArray = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give the table of clusters as a copy."""
        return self.table.copy()


def cluster_colocalization(
    a: Points,
    b: Points,
    radius_nm: float,
    *,
    cluster_radius_nm: float = 20.0,
    min_points: int = 3,
    density_radius_nm: float = 20.0,
    threshold: float = 0.4,
    least_points: int = 10,
    n_steps: int = 20,
    region: Region | None = None,
) -> ClusterColocalization:
    """Clusters of `a` and their colocalization with `b` (Clus-DoC, Pageon et al. 2016).

    Points whose local L(r) at `density_radius_nm` is above r (denser than random) are clustered by
    DBSCAN; a point with a colocalization of at least `threshold` is colocalized.

    Parameters
    ----------
    a, b : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    radius_nm : float
        Largest distance of :func:`colocalization`.
    cluster_radius_nm, min_points
        Of DBSCAN.
    density_radius_nm : float
        Distance of the local L; 0 takes all points.
    threshold : float
        Colocalization from which a point counts.
    least_points : int
        Colocalized points from which a cluster counts.
    n_steps : int
        Distances of the colocalization.
    region : Region, optional
        Default: that of the data, else their bounding box.

    Returns
    -------
    ClusterColocalization

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spots = np.repeat(rng.uniform(500, 9500, (8, 2)), 40, axis=0)
    >>> found = cluster_colocalization(rng.normal(spots, 15), rng.normal(spots[:160], 15), 200)
    >>> int(found.table["colocalized"].sum()), len(found.table)
    (4, 8)
    """
    from nanospine.points.clustering import cluster

    window = shared_region(a, b, region)
    points = pattern(a, window, name="a")
    degree = colocalization(a, b, radius_nm, n_steps=n_steps, region=window)
    dense = _denser(points, density_radius_nm)
    labels = np.full(len(points), -1, dtype=np.int64)
    chosen = points.points_nm[dense]
    if len(chosen) == 0:
        return ClusterColocalization(
            pd.DataFrame(), labels, degree, dense, (*degree.notes, "no point is denser than random")
        )
    found = cluster(
        from_arrays(chosen, region=window), radius_nm=cluster_radius_nm, min_points=min_points
    )
    labels[dense] = found.labels
    table = found.to_frame().reset_index(drop=True)
    inside = labels >= 0
    values = np.nan_to_num(degree.a)
    size = np.bincount(labels[inside], minlength=len(table))
    count = np.bincount(labels[inside], values[inside] >= threshold, minlength=len(table))
    total = np.bincount(labels[inside], values[inside], minlength=len(table))
    table["n_colocalized"] = count.astype(np.int64)
    table["colocalized_fraction"] = count / np.maximum(size, 1)
    table["mean_colocalization"] = total / np.maximum(size, 1)
    table["colocalized"] = count >= least_points
    return ClusterColocalization(table, labels, degree, dense, degree.notes)


def _denser(points: Pattern, radius: float) -> BoolArray:
    """Whether the local L(r) of a point is above r: more neighbours than random points have."""
    if radius <= 0:
        return np.ones(len(points), dtype=bool)
    dimension = points.points_nm.shape[1]
    ball = np.pi * radius**2 if dimension == 2 else 4 / 3 * np.pi * radius**3
    cells = Cells(points.points_nm, radius)
    counts = cells.ring_counts(points.points_nm, np.array([0.0, radius]))[:, 0] - 1
    return np.asarray(counts > (len(points) - 1) * ball / points.region.size)

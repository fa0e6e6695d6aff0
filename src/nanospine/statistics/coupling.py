"""Nearest-neighbour distances against randomised positions, and distances of clusters."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.progress import Progress, report
from nanospine.core.region import Region
from nanospine.points.cluster_table import Clusters
from nanospine.statistics.nearest import neighbour_distances
from nanospine.statistics.patterns import pattern, shared_region
from nanospine.statistics.randomisation import NullModel, null_model, spawned
from nanospine.statistics.soda_input import Objects, as_points

__all__ = ["NearestDistancesTest", "centroid_distances", "nearest_distances_test"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NearestDistancesTest:
    """Distances to the nearest object of the other channel, and what they are by chance.

    Attributes
    ----------
    distances_nm : ndarray, shape (n,)
        From each object of `a` in the region to the nearest of `b`.
    rows_a, rows_b : ndarray of int64, shape (n,)
        Rows of the two in the input.
    median_nm, expected_median_nm : float
        Observed median, and the mean of the simulated ones.
    p_value, p_value_far : float
        Chance of a median as small, as large.
    curve : pandas.DataFrame
        `distance_nm`, `observed` share of objects with a neighbour nearer than it, `expected`,
        `low`, `high` (pointwise 95 % of the simulations).
    null : str
        What the simulations did.
    n_simulations : int
    notes : tuple of str
    """

    distances_nm: FloatArray = field(repr=False)
    rows_a: npt.NDArray[np.int64] = field(repr=False)
    rows_b: npt.NDArray[np.int64] = field(repr=False)
    median_nm: float
    expected_median_nm: float
    p_value: float
    p_value_far: float
    curve: pd.DataFrame = field(repr=False)
    null: str
    n_simulations: int
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give a row per object of `a`: `index_a`, `index_b`, `distance_nm`."""
        columns = {"index_a": self.rows_a, "index_b": self.rows_b}
        return pd.DataFrame(columns | {"distance_nm": self.distances_nm})


def nearest_distances_test(
    a: Objects,
    b: Objects,
    *,
    region: Region | None = None,
    null: str | NullModel = "csr",
    n_simulations: int = 199,
    seed: int = 0,
    progress: Progress | None = None,
) -> NearestDistancesTest:
    """Compare distances to the nearest object of `b` with those to objects placed by chance.

    Parameters
    ----------
    a, b : Localizations, Clusters, DataFrame or array_like, shape (n, 2) or (n, 3)
        Objects, nanometres.
    region : Region, optional
        Where objects could be seen; default: that of the data, else their bounding box.
    null : str or NullModel
        "csr": `b` uniform in the region; "shift": `b` moved as a whole; "labelling": names of the
        channels shuffled; or a model of :mod:`nanospine.statistics.randomisation`.
    n_simulations : int
        At least 19.
    seed : int
        Of the simulations.
    progress : callable, optional
        Called with the stage and the fraction that is done.

    Returns
    -------
    NearestDistancesTest

    Raises
    ------
    GeometryError, TooFewPointsError, ConfigError
        For positions that are not finite, none in the region, too few simulations.

    Examples
    --------
    >>> import nanospine as ns
    >>> a = np.random.default_rng(0).uniform(100, 4900, (60, 2))
    >>> found = nearest_distances_test(a, a + [40, 30], region=ns.Box((0, 0), (5000, 5000)))
    >>> found.median_nm, found.p_value
    (50.0, 0.005)
    """
    if n_simulations < 19:
        raise ConfigError(f"nearest distances: at least 19 simulations, found {n_simulations}.")
    model = null_model(null)
    first, second = as_points(a, "a"), as_points(b, "b")
    window = shared_region(first, second, region)
    points, other = pattern(first, window, name="a"), pattern(second, window, name="b")
    distance, nearest = neighbour_distances(points.points_nm, other.points_nm)
    top = float(np.quantile(distance, 0.99)) * 1.5
    drawn, medians = [], []
    for step, sequence in enumerate(spawned(seed, n_simulations)):
        draw = model.draw(points, other, np.random.default_rng(sequence))
        assert draw.other_nm is not None
        found, _ = neighbour_distances(draw.points_nm, draw.other_nm)
        drawn.append(np.sort(found))
        medians.append(float(np.median(found)))
        top = max(top, float(np.quantile(found, 0.99)) if step < 5 else 0.0)
        report(progress, "simulations", (step + 1) / n_simulations)
    grid = np.linspace(0.0, top, 101)
    shares = np.array([np.searchsorted(item, grid, side="right") / len(item) for item in drawn])
    low, high = np.quantile(shares, [0.025, 0.975], axis=0)
    observed = np.searchsorted(np.sort(distance), grid, side="right") / len(distance)
    median = float(np.median(distance))
    simulated = np.array(medians)
    curve = {"distance_nm": grid, "observed": observed, "expected": shares.mean(axis=0)}
    return NearestDistancesTest(
        distances_nm=distance,
        rows_a=points.rows,
        rows_b=other.rows[nearest],
        median_nm=median,
        expected_median_nm=float(simulated.mean()),
        p_value=float((1 + (simulated <= median + 1e-9).sum()) / (n_simulations + 1)),
        p_value_far=float((1 + (simulated >= median - 1e-9).sum()) / (n_simulations + 1)),
        curve=pd.DataFrame(curve | {"low": low, "high": high}),
        null=model.name,
        n_simulations=n_simulations,
        notes=tuple(dict.fromkeys(points.notes + other.notes)),
    )


def centroid_distances(a: Clusters, b: Clusters) -> pd.DataFrame:
    """Distance of each cluster of `a` to the nearest cluster of `b`, centre to centre.

    Parameters
    ----------
    a, b : Clusters
        Of two channels.

    Returns
    -------
    pandas.DataFrame
        `index_a`, `index_b` (rows of the tables of clusters), `distance_nm`; with radii of
        gyration in both tables `gap_nm`, the distance less both of them: below 0 they overlap.

    Raises
    ------
    TooFewPointsError
        When a channel has no cluster.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> spots = rng.normal(np.repeat([[0.0, 0], [900, 0]], 30, axis=0), 10)
    >>> a = ns.cluster(ns.from_arrays(spots), radius_nm=20)
    >>> b = ns.cluster(ns.from_arrays(spots + [0, 70]), radius_nm=20)
    >>> centroid_distances(a, b)["distance_nm"].round(6).tolist()
    [70.0, 70.0]
    """
    first, second = pattern(as_points(a, "a"), name="a"), pattern(as_points(b, "b"), name="b")
    distance, nearest = neighbour_distances(first.points_nm, second.points_nm)
    result = pd.DataFrame(
        {
            "index_a": first.rows,
            "index_b": second.rows[nearest],
            "distance_nm": distance,
        }
    )
    size = "radius_of_gyration_nm"
    if size in a.table and size in b.table:
        radii_a = a.table[size].to_numpy()[first.rows]
        result["gap_nm"] = distance - radii_a - b.table[size].to_numpy()[result["index_b"]]
    return result

"""Filters by neighbours: local density, sparse points, outliers, duplicates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.core.localizations import Localizations

__all__ = [
    "drop_duplicates",
    "drop_outliers",
    "drop_sparse",
    "keep_density",
    "neighbour_counts",
]

# So many points are asked at a time: the answers stay far below the size of the table.
_CHUNK = 200_000


def neighbour_counts(localizations: Localizations, radius_nm: float) -> npt.NDArray[np.int64]:
    """Count for each localization the others within a radius.

    Parameters
    ----------
    localizations : Localizations
        2-D or 3-D.
    radius_nm : float
        Nanometres.

    Returns
    -------
    ndarray of int, shape (n,)
        Without the localization itself.

    Raises
    ------
    GeometryError
        For a radius that is not positive.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [5, 0, 0], [100, 0, 0]])
    >>> ns.neighbour_counts(locs, 10).tolist()
    [1, 1, 0]
    """
    _positive(radius_nm, "radius_nm")
    xyz = _coordinates(localizations)
    counts = np.empty(len(xyz), dtype=np.int64)
    if len(xyz) == 0:
        return counts
    tree = cKDTree(xyz)
    for start in range(0, len(xyz), _CHUNK):
        part = slice(start, start + _CHUNK)
        counts[part] = tree.query_ball_point(xyz[part], radius_nm, return_length=True)
    return counts - 1


def keep_density(
    localizations: Localizations,
    radius_nm: float,
    *,
    low: float | None = None,
    high: float | None = None,
) -> Localizations:
    """Keep by local density: `low <= other localizations within radius_nm <= high`.

    The counts go into the column `n_neighbours`.

    Raises
    ------
    GeometryError
        For a radius that is not positive.
    TooFewPointsError
        When nothing would be left, with the range of the counts.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [5, 0, 0], [100, 0, 0]])
    >>> ns.keep_density(locs, 10, low=1).table["n_neighbours"].tolist()
    [1, 1]
    """
    counts = neighbour_counts(localizations, radius_nm)
    least = -np.inf if low is None else low
    most = np.inf if high is None else high
    mask = (counts >= least) & (counts <= most)
    if not mask.any():
        span = f"{counts.min()} to {counts.max()}" if len(counts) else "nothing"
        raise TooFewPointsError(
            f"keep_density: no localization has between {least:g} and {most:g} others within "
            f"{radius_nm:g} nm; the counts run from {span}."
        )
    table = localizations.table.loc[mask].assign(n_neighbours=counts[mask])
    return localizations.replace(
        table=table.reset_index(drop=True),
        operation="keep_density",
        arguments={"radius_nm": radius_nm, "low": low, "high": high},
    )


def drop_sparse(
    localizations: Localizations, radius_nm: float, *, min_neighbours: int = 3
) -> Localizations:
    """Drop localizations with fewer than `min_neighbours` others within `radius_nm`.

    Raises
    ------
    GeometryError, TooFewPointsError
        As :func:`keep_density`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [5, 0, 0], [100, 0, 0]])
    >>> len(ns.drop_sparse(locs, 10, min_neighbours=1))
    2
    """
    mask = neighbour_counts(localizations, radius_nm) >= min_neighbours
    if not mask.any():
        raise TooFewPointsError(
            f"drop_sparse: no localization of {len(localizations)} has {min_neighbours} others "
            f"within {radius_nm:g} nm; take a larger radius or fewer neighbours."
        )
    arguments = {"radius_nm": radius_nm, "min_neighbours": min_neighbours}
    return localizations.select(mask, operation="drop_sparse", arguments=arguments)


def drop_outliers(
    localizations: Localizations, *, n_neighbours: int = 20, k: float = 3.0
) -> Localizations:
    """Drop statistical outliers: those far from their neighbours, compared with the others.

    With d the mean distance to the `n_neighbours` nearest others, a localization is dropped when
    `log d > median(log d) + k * 1.4826 * MAD(log d)`. The logarithm and the median make the rule
    independent of the scale, and keep the outliers from setting their own limit as a mean and a
    standard deviation do. The robust standard deviation counts as at least 0.05.

    Parameters
    ----------
    localizations : Localizations
        More than `n_neighbours` of them.
    n_neighbours : int
        At least 1.
    k : float
        Robust standard deviations.

    Raises
    ------
    TooFewPointsError
        For fewer localizations than neighbours.

    Examples
    --------
    >>> import nanospine as ns
    >>> grid = np.stack(np.meshgrid(*[np.arange(6.0) * 10] * 3), -1).reshape(-1, 3)
    >>> locs = ns.from_arrays(np.vstack([grid, [[5000.0, 0, 0]]]))
    >>> len(locs), len(ns.drop_outliers(locs))
    (217, 216)
    """
    xyz = _coordinates(localizations)
    if n_neighbours < 1 or len(xyz) <= n_neighbours:
        raise TooFewPointsError(
            f"drop_outliers: more than {n_neighbours} localizations were expected, found "
            f"{len(xyz)}; take fewer neighbours (n_neighbours, at least 1)."
        )
    tree = cKDTree(xyz)
    mean = np.empty(len(xyz))
    for start in range(0, len(xyz), _CHUNK):
        part = slice(start, start + _CHUNK)
        distance, _ = tree.query(xyz[part], k=n_neighbours + 1)
        mean[part] = distance[:, 1:].mean(axis=1)
    # Points on each other have no logarithm; they are no outliers.
    floor = max(float(mean.max()) * 1e-12, np.finfo(float).tiny)
    size = np.log(np.maximum(mean, floor))
    middle = float(np.median(size))
    # On a lattice nearly all are equally far: a difference of 5 % is never what makes an outlier.
    spread = max(1.4826 * float(np.median(np.abs(size - middle))), 0.05)
    mask = size <= middle + k * spread
    arguments = {"n_neighbours": n_neighbours, "k": k}
    return localizations.select(mask, operation="drop_outliers", arguments=arguments)


def drop_duplicates(localizations: Localizations, *, tolerance_nm: float = 0.0) -> Localizations:
    """Drop repeated rows: the same position in the same frame and channel.

    Parameters
    ----------
    localizations : Localizations
        Without a column `frame` all rows count as one frame.
    tolerance_nm : float
        Positions at most so far apart are the same: a molecule fitted twice. The row with more
        photons stays (without photons the earlier one).

    Raises
    ------
    GeometryError
        For a negative tolerance.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [0, 0, 0], [3, 0, 0]], frame=[1, 1, 1])
    >>> len(ns.drop_duplicates(locs)), len(ns.drop_duplicates(locs, tolerance_nm=5))
    (2, 1)
    """
    if not (np.isfinite(tolerance_nm) and tolerance_nm >= 0):
        raise GeometryError(
            f"drop_duplicates: tolerance_nm 0 or more was expected, found {tolerance_nm!r}."
        )
    table = localizations.table
    same = [name for name in ("x_nm", "y_nm", "z_nm", "frame", "channel") if name in table]
    if tolerance_nm == 0:
        mask = ~table.duplicated(subset=same).to_numpy()
    else:
        mask = _best_of_near(localizations, tolerance_nm)
    arguments = {"tolerance_nm": tolerance_nm}
    return localizations.select(mask, operation="drop_duplicates", arguments=arguments)


def _best_of_near(localizations: Localizations, tolerance_nm: float) -> npt.NDArray[np.bool_]:
    table = localizations.table
    xyz = _coordinates(localizations)
    # Frame and channel become one more axis on which neighbours are too far to be near.
    keys = [name for name in ("frame", "channel") if name in table]
    groups = table.groupby(keys, observed=True, sort=False, dropna=False) if keys else None
    group = np.zeros(len(table)) if groups is None else groups.ngroup().to_numpy(np.float64)
    extended = np.column_stack([xyz, group * (4.0 * tolerance_nm)])
    pairs = cKDTree(extended).query_pairs(tolerance_nm, output_type="ndarray")
    score = table["photons"].to_numpy(np.float64) if "photons" in table else np.zeros(len(table))
    order = np.lexsort([np.arange(len(table)), -np.nan_to_num(score, nan=-np.inf)])
    rank = np.empty(len(table), dtype=np.int64)
    rank[order] = np.arange(len(table))
    better = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    worse = pairs.sum(axis=1) - better
    kept = np.ones(len(table), dtype=bool)
    # From the best on: what a kept row covers goes, and then covers nothing itself.
    for number in np.argsort(rank[better], kind="stable"):
        if kept[better[number]]:
            kept[worse[number]] = False
    return kept


def _coordinates(localizations: Localizations) -> npt.NDArray[np.float64]:
    xyz = localizations.xyz_nm[:, : localizations.dimension]
    # Far from the origin differences lose digits.
    return np.ascontiguousarray(xyz - xyz.mean(axis=0)) if len(xyz) else xyz


def _positive(value: float, name: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise GeometryError(f"{name}: a positive number of nanometres was expected, found {value}.")

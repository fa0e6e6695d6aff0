"""Clusters of localizations: DBSCAN, HDBSCAN, and density of Voronoi cells."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, TooFewPointsError
from nanospine.core.history import entry
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report
from nanospine.points.cluster_methods import METHODS, Group, Settings
from nanospine.points.cluster_table import Clusters, cluster_table

__all__ = ["Clusters", "cluster", "mark_clusters"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Method = Literal["dbscan", "hdbscan", "voronoi"]
Result = Literal["label", "members", "centroids"]


def cluster(
    localizations: Localizations,
    *,
    method: Method = "dbscan",
    radius_nm: float | None = None,
    radius_z_nm: float | None = None,
    min_points: int = 10,
    min_localizations: int = 1,
    density_factor: float = 2.0,
    random_fraction: float | None = None,
    density_rank: int = 0,
    by_channel: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Clusters:
    """Find clusters.

    "dbscan" (Ester et al. 1996)
        A localization with at least `min_points` localizations (itself included) within
        `radius_nm` is core; core localizations within `radius_nm` of each other are in one
        cluster; others within it of a core localization join the nearest one. The same as
        scikit-learn's but for the last rule, which there depends on the order of the rows; memory
        is bounded: no lists of neighbours.
    "hdbscan" (Campello et al. 2013)
        The spanning tree is ours, the choice of clusters in it scikit-learn's, with `min_points`
        the smallest cluster and `radius_nm` (optional) the distance below which clusters are not
        split.
    "voronoi" (SR-Tesseler, Levet et al. 2015)
        The density of a localization is 1 over the size of its Voronoi cell (`density_rank` 0), or
        the number over the size of the cell and those around it (1, smoother, for large
        structures). Those denser than `density_factor` times the mean density of the region, or
        with `random_fraction` those denser than all but this fraction of localizations spread at
        random in the region, make objects where their cells share an edge or face
        (and, with `radius_nm`, not farther apart); objects of fewer than `min_points` are dropped.
        Cells end at the bounding box of region and data; localizations on each other share a cell.
        Cells at the rim of a cluster reach into the void around it and are not dense: the
        outermost localizations are lost, in 3-D and with rank 1 the most.

    Parameters
    ----------
    localizations : Localizations
        2-D or 3-D.
    method : {"dbscan", "hdbscan", "voronoi"}
    radius_nm : float, optional
        Nanometres; needed for "dbscan".
    radius_z_nm : float, optional
        Half axis along z of the neighbourhood, which is an ellipsoid then: for 3-D data with a
        poorer axial precision. "dbscan" only.
    min_points : int
        At least 1 ("hdbscan": 2).
    min_localizations : int
        Clusters with fewer localizations are dropped, with any method.
    density_factor, random_fraction, density_rank
        Of "voronoi".
    by_channel : bool
        Each channel for itself; without it channels are clustered together.
    seed : int
        Of the random localizations for `random_fraction`.
    progress : callable, optional
        Called with the stage and the fraction that is done.

    Returns
    -------
    Clusters
        Without clusters `notes` says why.

    Raises
    ------
    GeometryError
        For a radius that is not positive.
    ConfigError
        For an unknown method, a missing radius or numbers out of range.
    SchemaError
        For `by_channel` without a column `channel`.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> spots = np.repeat([[500.0, 500], [1500, 900], [700, 1700]], 60, axis=0)
    >>> xy = np.concatenate([rng.normal(spots, 12), rng.uniform(0, 2000, (40, 2))])
    >>> found = cluster(ns.from_arrays(xy), radius_nm=25, min_points=8)
    >>> len(found), found.centroids_nm.round(-1).tolist()
    (3, [[500.0, 500.0], [1500.0, 900.0], [700.0, 1700.0]])
    >>> len(cluster(ns.from_arrays(xy), method="voronoi", density_factor=4))
    3
    """
    arguments: dict[str, Any] = {
        "method": method, "radius_nm": radius_nm, "radius_z_nm": radius_z_nm,
        "min_points": min_points, "min_localizations": min_localizations,
        "density_factor": density_factor, "random_fraction": random_fraction,
        "density_rank": density_rank, "by_channel": by_channel, "seed": seed,
    }  # fmt: skip
    settings = Settings(**arguments)
    settings.check(localizations)
    report(progress, "cluster", 0.0)
    xyz = localizations.xyz_nm[:, : localizations.dimension]
    labels = np.full(len(xyz), -1, dtype=np.int64)
    notes: list[str] = []
    groups = _groups(localizations, by_channel, notes)
    for number, (name, rows) in enumerate(groups):
        progress_here = _part_of(progress, number, len(groups))
        group = Group(name, xyz[rows], localizations.region, settings, notes, progress_here)
        found = group.nothing if group.too_small() else METHODS[method](group)
        found[found >= 0] += labels.max(initial=-1) + 1
        labels[rows] = found
    labels = _ordered(labels, min_localizations)
    table = cluster_table(localizations, labels)
    if len(table) == 0 and not any("no cluster" in note for note in notes):
        notes.append(_nothing_found(len(localizations), settings))
    step = entry("cluster", arguments, n_before=len(localizations), n_after=len(table), notes=notes)
    report(progress, "cluster", 1.0)
    history = (*localizations.history, step)
    return Clusters(labels, table, localizations.region, history, tuple(notes))


def mark_clusters(
    localizations: Localizations,
    radius_nm: float | None = None,
    *,
    result: Result = "label",
    method: Method = "dbscan",
    radius_z_nm: float | None = None,
    min_points: int = 10,
    min_localizations: int = 1,
    density_factor: float = 2.0,
    random_fraction: float | None = None,
    density_rank: int = 0,
    by_channel: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Localizations:
    """Find clusters and give localizations: marked, only those in clusters, or the centroids.

    Parameters
    ----------
    localizations, radius_nm, method, radius_z_nm, min_points, min_localizations, density_factor, \
random_fraction, density_rank, by_channel, seed, progress
        As in :func:`cluster`.
    result : {"label", "members", "centroids"}
        All localizations with a column `cluster` (-1 for none); those in clusters, with it; or one
        localization per cluster with the columns of its table.

    Raises
    ------
    TooFewPointsError
        When there is no cluster, for "members" and "centroids".
    GeometryError, ConfigError, SchemaError
        As :func:`cluster`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0]] * 12 + [[300, 300]] + [[500, 0]] * 15)
    >>> mark_clusters(locs, 20).table["cluster"].iloc[[0, 12, 20]].tolist()
    [0, -1, 1]
    >>> len(mark_clusters(locs, 20, result="members"))
    27
    >>> mark_clusters(locs, 20, result="centroids").table["n_localizations"].tolist()
    [12, 15]
    """
    if result not in ("label", "members", "centroids"):
        raise ConfigError(
            f"mark_clusters: result {result!r} is not known; results: label, members, centroids."
        )
    found = cluster(
        localizations,
        method=method,
        radius_nm=radius_nm,
        radius_z_nm=radius_z_nm,
        min_points=min_points,
        min_localizations=min_localizations,
        density_factor=density_factor,
        random_fraction=random_fraction,
        density_rank=density_rank,
        by_channel=by_channel,
        seed=seed,
        progress=progress,
    )
    if result == "label":
        return found.add_to(localizations)
    if len(found) == 0:
        raise TooFewPointsError(f"mark_clusters: {'; '.join(found.notes)}.")
    if result == "centroids":
        return found.as_localizations()
    return found.add_to(localizations).select(found.labels >= 0, operation="keep_clusters")


def _part_of(progress: Progress | None, number: int, total: int) -> Progress:
    """Progress of one of several groups, which together are 0.8 of the work."""
    return lambda stage, fraction: report(progress, stage, 0.8 * (number + fraction) / total)


def _groups(
    localizations: Localizations, by_channel: bool, notes: list[str]
) -> list[tuple[str, IntArray]]:
    """Name and rows of what is clustered together."""
    if not by_channel:
        return [("", np.arange(len(localizations)))]
    codes = np.asarray(localizations.table["channel"].cat.codes)
    lost = int((codes < 0).sum())
    if lost:
        notes.append(f"{lost} localizations without a channel are in no cluster")
    names = localizations.table["channel"].cat.categories
    return [
        (f"channel {names[i]}: ", np.flatnonzero(codes == i)) for i in np.unique(codes[codes >= 0])
    ]


def _ordered(labels: IntArray, least: int) -> IntArray:
    """Drop small clusters and number the others by their first row."""
    from nanospine.points.grid_dbscan import number_by_first_row

    inside = labels >= 0
    if least > 1 and inside.any():
        counts = np.bincount(labels[inside])
        labels[inside] = np.where(counts[labels[inside]] >= least, labels[inside], -1)
    return number_by_first_row(labels)


def _nothing_found(n: int, settings: Settings) -> str:
    what = {
        "dbscan": f"a larger radius_nm ({settings.radius_nm:g})" if settings.radius_nm else "",
        "voronoi": f"a smaller density_factor ({settings.density_factor:g})"
        if settings.random_fraction is None
        else f"a larger random_fraction ({settings.random_fraction:g})",
    }.get(settings.method, "")
    least = f"smaller min_points ({settings.min_points})"
    if settings.min_localizations > settings.min_points:
        least += f" and min_localizations ({settings.min_localizations})"
    return f"no cluster among {n} localizations: take {what}{' or ' if what else ''}{least}"

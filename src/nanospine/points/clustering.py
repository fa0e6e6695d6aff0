"""Clusters of localizations: DBSCAN, HDBSCAN, and density of Voronoi cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError, SchemaError
from nanospine.core.history import entry
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report
from nanospine.core.region import Region
from nanospine.points.cluster_table import Clusters, cluster_table

__all__ = ["Clusters", "cluster"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Method = Literal["dbscan", "hdbscan", "voronoi"]

# scikit-learn's HDBSCAN compares all pairs: 200 000 points take two minutes, a million an hour.
_HDBSCAN_LIMIT = 200_000
# Densities of random points relative to their mean do not depend on how many there are.
_RANDOM_POINTS = {2: 50_000, 3: 20_000}


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
        Through scikit-learn, with `min_points` the smallest cluster and `radius_nm` (optional) the
        distance below which clusters are not split. Up to 200 000 localizations (per channel with
        `by_channel`): its time grows with the square.
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
        For a radius that is not positive, or more localizations than "hdbscan" can take.
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
    settings = _Settings(**arguments)
    settings.check(localizations)
    report(progress, "cluster", 0.0)
    xyz = localizations.xyz_nm[:, : localizations.dimension]
    labels = np.full(len(xyz), -1, dtype=np.int64)
    notes: list[str] = []
    groups = _groups(localizations, by_channel, notes)
    for number, (name, rows) in enumerate(groups):
        progress_here = _part_of(progress, number, len(groups))
        group = _Group(name, xyz[rows], localizations.region, settings, notes, progress_here)
        found = group.nothing if group.too_small() else _METHODS[method](group)
        found[found >= 0] += labels.max(initial=-1) + 1
        labels[rows] = found
    labels = _ordered(labels, min_localizations)
    table = cluster_table(localizations, labels)
    if len(table) == 0 and not notes:
        notes.append(_nothing_found(len(localizations), settings))
    step = entry("cluster", arguments, n_before=len(localizations), n_after=len(table), notes=notes)
    report(progress, "cluster", 1.0)
    history = (*localizations.history, step)
    return Clusters(labels, table, localizations.region, history, tuple(notes))


@dataclass(frozen=True)
class _Settings:
    method: str
    radius_nm: float | None
    radius_z_nm: float | None
    min_points: int
    min_localizations: int
    density_factor: float
    random_fraction: float | None
    density_rank: int
    by_channel: bool
    seed: int

    def check(self, localizations: Localizations) -> None:
        if self.method not in _METHODS:
            raise ConfigError(
                f"cluster: method {self.method!r} is not known; methods: {', '.join(_METHODS)}."
            )
        for name in ("radius_nm", "radius_z_nm"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise GeometryError(
                    f"cluster: {name}: a positive number of nanometres was expected, found {value}."
                )
        if self.method == "dbscan" and self.radius_nm is None:
            raise ConfigError(
                "cluster: dbscan needs radius_nm; twice to four times the localization precision "
                "is a place to start."
            )
        if self.radius_z_nm is not None and (
            self.method != "dbscan" or localizations.dimension == 2
        ):
            raise ConfigError("cluster: radius_z_nm is for dbscan of 3-D data only.")
        least = 2 if self.method == "hdbscan" else 1
        if self.min_points < least or self.min_localizations < 1:
            raise ConfigError(
                f"cluster: min_points of at least {least} and min_localizations of at least 1 were "
                f"expected, found {self.min_points} and {self.min_localizations}."
            )
        if not (np.isfinite(self.density_factor) and self.density_factor > 0):
            raise ConfigError(
                f"cluster: a positive density_factor was expected, found {self.density_factor}."
            )
        if self.random_fraction is not None and not 0 < self.random_fraction < 1:
            raise ConfigError(
                f"cluster: random_fraction between 0 and 1 was expected, found "
                f"{self.random_fraction}."
            )
        if self.density_rank not in (0, 1):
            raise ConfigError(
                f"cluster: density_rank 0 or 1 was expected, found {self.density_rank}."
            )
        if self.by_channel and "channel" not in localizations.table:
            known = ", ".join(str(name) for name in localizations.table.columns)
            raise SchemaError(
                f"cluster: by_channel needs a column 'channel'; the table has {known}."
            )


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


def _nothing_found(n: int, settings: _Settings) -> str:
    return (
        f"no cluster among {n} localizations: take a larger radius or a smaller density_factor, or "
        f"smaller min_points ({settings.min_points}) or min_localizations "
        f"({settings.min_localizations})"
    )


@dataclass(frozen=True)
class _Group:
    """Localizations that are clustered together."""

    name: str
    xyz: FloatArray
    region: Region
    settings: _Settings
    notes: list[str]
    progress: Progress | None

    @property
    def nothing(self) -> IntArray:
        return np.full(len(self.xyz), -1, dtype=np.int64)

    def too_small(self) -> bool:
        n, least = len(self.xyz), self.settings.min_points
        if n >= least:
            return False
        self.note(f"no cluster: {n} localizations are fewer than min_points ({least})")
        return True

    def note(self, text: str) -> None:
        self.notes.append(f"{self.name}{text}")


def _dbscan(group: _Group) -> IntArray:
    from nanospine.points.grid_dbscan import dbscan_labels

    settings, xyz = group.settings, group.xyz
    assert settings.radius_nm is not None  # checked with the settings
    if settings.radius_z_nm is not None:
        xyz = xyz * [1.0, 1.0, settings.radius_nm / settings.radius_z_nm]
    return dbscan_labels(xyz, settings.radius_nm, settings.min_points, progress=group.progress)


def _hdbscan(group: _Group) -> IntArray:
    if len(group.xyz) > _HDBSCAN_LIMIT:
        raise GeometryError(
            f"cluster: {group.name}hdbscan compares all pairs and takes up to {_HDBSCAN_LIMIT} "
            f"localizations, found {len(group.xyz)}; crop (keep_box), merge blinking, or take "
            "dbscan."
        )
    from sklearn.cluster import HDBSCAN

    model = HDBSCAN(
        min_cluster_size=group.settings.min_points,
        cluster_selection_epsilon=group.settings.radius_nm or 0.0,
        copy=True,
    )
    # Ties between equal distances are decided by the order of the rows: make it one of place.
    order = np.lexsort(group.xyz.T[::-1])
    labels = group.nothing
    labels[order] = model.fit((group.xyz - group.xyz.min(axis=0))[order]).labels_
    return labels


def _voronoi(group: _Group) -> IntArray:
    from nanospine.points.tessellation import dense_objects, voronoi_cells

    xyz, region, settings = group.xyz, group.region, group.settings
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    size = float(np.prod(high - low))
    if region.dimension == xyz.shape[1]:
        size = region.size
        low = np.minimum(low, region.bounds_nm[0])
        high = np.maximum(high, region.bounds_nm[1])
    if size <= 0 or not (high > low).all():
        group.note("no cluster: the region has no area or volume, so there is no density")
        return group.nothing
    cells = voronoi_cells(xyz, low, high, progress=group.progress)
    factor = settings.density_factor
    if settings.random_fraction is not None:
        factor = _random_factor(group, low, high)
        group.note(
            f"{settings.random_fraction:g} of localizations spread at random in the region are "
            f"denser than {factor:.4g} times the mean"
        )
    dense = cells.density(rank=settings.density_rank) > factor * len(xyz) / size
    return dense_objects(cells, xyz, dense, settings.radius_nm, settings.min_points)


def _random_factor(group: _Group, low: FloatArray, high: FloatArray) -> float:
    """Density, as a multiple of the mean, that a fraction of random localizations exceed."""
    from nanospine.points.tessellation import voronoi_cells

    region, settings, dimension = group.region, group.settings, len(low)
    count = max(min(len(group.xyz), _RANDOM_POINTS[dimension]), 50)
    rng = np.random.default_rng(settings.seed)
    if region.dimension == dimension:
        points, size = region.sample_nm(count, rng), region.size
    else:
        points, size = rng.uniform(low, high, (count, dimension)), float(np.prod(high - low))
    cells = voronoi_cells(points, low, high)
    density = cells.density(rank=settings.density_rank)[cells.site]
    assert settings.random_fraction is not None  # asked for
    return float(np.quantile(density, 1 - settings.random_fraction)) / (count / size)


_METHODS: dict[str, Callable[[_Group], IntArray]] = {
    "dbscan": _dbscan,
    "hdbscan": _hdbscan,
    "voronoi": _voronoi,
}

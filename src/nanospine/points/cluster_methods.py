"""The methods of clustering on coordinates, with their settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError, SchemaError
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress
from nanospine.core.region import Region

__all__ = ["METHODS", "Group", "Settings"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Densities of random points relative to their mean do not depend on how many there are.
_RANDOM_POINTS = {2: 50_000, 3: 20_000}
_RANDOM_LEAST = 5_000


@dataclass(frozen=True)
class Settings:
    """Arguments of :func:`nanospine.points.clustering.cluster`, checked by `check`."""

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
        """Refuse what is out of range, unknown or missing."""
        if self.method not in METHODS:
            raise ConfigError(
                f"cluster: method {self.method!r} is not known; methods: {', '.join(METHODS)}."
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


@dataclass(frozen=True)
class Group:
    """Localizations that are clustered together."""

    name: str
    xyz: FloatArray
    region: Region
    settings: Settings
    notes: list[str]
    progress: Progress | None

    @property
    def nothing(self) -> IntArray:
        """Labels without a cluster."""
        return np.full(len(self.xyz), -1, dtype=np.int64)

    def too_small(self) -> bool:
        """Tell, and note, whether there are fewer localizations than one cluster has."""
        n, least = len(self.xyz), self.settings.min_points
        if n >= least:
            return False
        self.note(f"no cluster: {n} localizations are fewer than min_points ({least})")
        return True

    def note(self, text: str) -> None:
        """Add a note that names the group."""
        self.notes.append(f"{self.name}{text}")


def _dbscan(group: Group) -> IntArray:
    from nanospine.points.grid_dbscan import dbscan_labels

    settings, xyz = group.settings, group.xyz
    assert settings.radius_nm is not None  # checked with the settings
    if settings.radius_z_nm is not None:
        xyz = xyz * [1.0, 1.0, settings.radius_nm / settings.radius_z_nm]
    return dbscan_labels(xyz, settings.radius_nm, settings.min_points, progress=group.progress)


def _hdbscan(group: Group) -> IntArray:
    from nanospine.points.condensed_tree import stable_clusters
    from nanospine.points.spanning_tree import spanning_tree

    # Ties between equal distances are decided by the order of the rows: make it one of place.
    order = np.lexsort(group.xyz.T[::-1])
    xyz = (group.xyz - group.xyz.min(axis=0))[order]
    settings = group.settings
    a, b, length = spanning_tree(xyz, settings.min_points, progress=group.progress)
    del xyz
    labels = group.nothing
    labels[order] = stable_clusters(a, b, length, settings.min_points, settings.radius_nm or 0.0)
    return labels


def _voronoi(group: Group) -> IntArray:
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


def _random_factor(group: Group, low: FloatArray, high: FloatArray) -> float:
    """Density, as a multiple of the mean, that a fraction of random localizations exceed."""
    from nanospine.points.tessellation import voronoi_cells

    region, settings, dimension = group.region, group.settings, len(low)
    count = min(len(group.xyz), _RANDOM_POINTS[dimension])
    rng = np.random.default_rng(settings.seed)
    densities = []
    # Few points have a rim of their own share; many need one draw.
    for _ in range(-(-_RANDOM_LEAST // count)):
        if region.dimension == dimension:
            points, size = region.sample_nm(count, rng), region.size
        else:
            points, size = rng.uniform(low, high, (count, dimension)), float(np.prod(high - low))
        cells = voronoi_cells(points, low, high)
        densities.append(cells.density(rank=settings.density_rank)[cells.site])
    density = np.concatenate(densities)
    assert settings.random_fraction is not None  # asked for
    return float(np.quantile(density, 1 - settings.random_fraction)) / (count / size)


METHODS: dict[str, Callable[[Group], IntArray]] = {
    "dbscan": _dbscan,
    "hdbscan": _hdbscan,
    "voronoi": _voronoi,
}

"""What SODA takes: localizations, clusters, tables of objects or positions, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, GeometryError, SchemaError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Region
from nanospine.points.cluster_table import Clusters
from nanospine.statistics.patterns import Pattern, checked_radii, pattern, shared_region
from nanospine.statistics.soda_cells import Cells

__all__ = ["Channels", "Objects", "as_points", "channels", "order_note", "ring_edges"]

FloatArray = npt.NDArray[np.float64]
Objects = Localizations | Clusters | pd.DataFrame | npt.ArrayLike

# Times as many own pairs that make one channel the more clustered one.
_CLUSTERED = 1.5


@dataclass(frozen=True, eq=False)
class Channels:
    """Two checked patterns in one region."""

    a: Pattern
    b: Pattern
    edges_nm: FloatArray
    region: Region
    notes: tuple[str, ...] = field(default=())


def ring_edges(radii_nm: npt.ArrayLike) -> FloatArray:
    """Give the radii between which the rings lie, from 0.

    Examples
    --------
    >>> ring_edges([50, 100]).tolist()
    [0.0, 50.0, 100.0]
    """
    radii = checked_radii(radii_nm)
    edges = radii if radii[0] == 0 else np.concatenate([[0.0], radii])
    if len(edges) < 2:
        raise ConfigError("soda: radii_nm needs at least one radius above 0.")
    return edges


def channels(
    a: Objects, b: Objects, radii_nm: npt.ArrayLike, region: Region | None, name: str = "soda"
) -> Channels:
    """Check two channels and the radii.

    Raises
    ------
    GeometryError
        For positions that are not finite or all at one place.
    TooFewPointsError
        When fewer than two points of a channel lie in the region.
    ConfigError
        For radii that are not ascending or reach across the whole region.
    """
    edges = ring_edges(radii_nm)
    first, second = as_points(a, "a"), as_points(b, "b")
    region = shared_region(first, second, region)
    pattern_a = pattern(first, region, name="a", least=2)
    pattern_b = pattern(second, region, name="b", least=2)
    longest = float((region.bounds_nm[1] - region.bounds_nm[0]).max())
    if edges[-1] >= longest:
        raise ConfigError(
            f"{name}: the largest radius, {edges[-1]:g} nm, reaches across the whole region, whose "
            f"longest side is {longest:g} nm; use smaller radii_nm or a larger region."
        )
    notes = list(dict.fromkeys(pattern_a.notes + pattern_b.notes))
    for key, points in (("a", pattern_a), ("b", pattern_b)):
        different = len(np.unique(points.points_nm, axis=0))
        if different == 1:
            raise GeometryError(
                f"{name}: all {len(points)} points of {key} in the region are at one place; "
                "at least two places are needed."
            )
        if different < len(points):
            notes.append(f"{key}: {len(points) - different} points lie exactly on another one")
    return Channels(pattern_a, pattern_b, edges, region, tuple(notes))


def order_note(data: Channels) -> tuple[str, ...]:
    """Say when `b` is the more clustered channel: apart from its coupling it is taken as even."""
    shares = []
    for points in (data.a, data.b):
        cells = Cells(points.points_nm, float(data.edges_nm[-1]))
        reach = np.array([0.0, data.edges_nm[-1]])
        pairs = float(cells.ring_counts(points.points_nm, reach).sum() - len(points)) / 2
        shares.append((pairs, len(points) * (len(points) - 1) / 2))
    (pairs_a, all_a), (pairs_b, all_b) = shares
    expected = pairs_a / all_a * all_b
    if pairs_b > _CLUSTERED * expected and pairs_b - expected > 6 * np.sqrt(max(expected, 1.0)):
        return (
            "b is more clustered than a, but is taken as spread evenly apart from its coupling; "
            "p and intervals are too good: put the channel with more structure first",
        )
    return ()


def as_points(objects: Objects, name: str) -> Localizations | FloatArray:
    """Give objects as localizations or as an array of their positions."""
    if isinstance(objects, Localizations):
        return objects
    if isinstance(objects, Clusters):
        return objects.as_localizations()
    if isinstance(objects, pd.DataFrame):
        axes = [axis for axis in ("x_nm", "y_nm", "z_nm") if axis in objects]
        if axes[:2] != ["x_nm", "y_nm"]:
            raise SchemaError(
                f"{name}: a table with columns x_nm, y_nm (and z_nm) was expected, found "
                f"{', '.join(map(str, objects.columns[:8]))}."
            )
        return objects[axes].to_numpy(np.float64)
    return np.asarray(objects, dtype=np.float64)

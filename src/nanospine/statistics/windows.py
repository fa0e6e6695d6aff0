"""How a window corrects for what it does not show: what each pair of points counts for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Box, Mask, MeshRegion, Polygon, Prism, Region
from nanospine.statistics.boundaries import Pieces, boundary_pieces, polygon_edges
from nanospine.statistics.covariance_tables import BOX, GRID, OCTAHEDRON, POLAR, RADIAL, sampled
from nanospine.statistics.mesh_covariance import octahedron_table
from nanospine.statistics.pair_sums import PairWeights
from nanospine.statistics.set_covariance import mask_table, polar_table

__all__ = ["Correction", "Window", "checked_correction", "window"]

FloatArray = npt.NDArray[np.float64]
Correction = Literal["none", "border", "translation", "rigid", "isotropic", "periodic"]

# A window and the window moved share less than this part of its size: no estimate beyond.
_LEAST_SHARE = 1e-3
# Tables cost up to a second and envelopes ask for the same one hundreds of times.
_KNOWN: WeakKeyDictionary[Region, dict[tuple[str, float], Any]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Window:
    """A region together with an edge correction.

    Attributes
    ----------
    region : Region
        Where points could have been seen.
    correction : str
        Name of the correction.
    limit_nm : float
        Radii at or beyond this one cannot be corrected.
    reason : str
        Why.
    weights : PairWeights
        Translation and rigid: the set covariance by which a pair is divided.
    pieces : Pieces or None
        Isotropic: the boundary.
    period_nm : ndarray or None
        Corners of a periodic box.
    """

    region: Region
    correction: str
    limit_nm: float = np.inf
    reason: str = ""
    weights: PairWeights = field(default_factory=PairWeights, repr=False)
    pieces: Pieces | None = field(default=None, repr=False)
    period_nm: FloatArray | None = field(default=None, repr=False)


def checked_correction(correction: str) -> str:
    """Check the name of an edge correction."""
    if correction not in get_args(Correction):
        raise ConfigError(
            f"correction: one of {', '.join(get_args(Correction))} was expected, found "
            f"{correction!r}."
        )
    return correction


def window(region: Region, correction: str, radius_nm: float) -> Window:
    """Prepare the edge correction of a region for distances up to `radius_nm`.

    none
        Every pair counts 1: too low near the boundary.
    border
        Only points at least r from the boundary look around themselves.
    translation
        A pair counts `|W| / |W ∩ (W + h)|` with its displacement h. Exact for boxes and voxel
        masks; polygons, prisms and meshes by a table (error 2e-5 of the area, some 1e-3 of the
        volume of a mesh).
    rigid
        The same, averaged over all directions of h: a pair counts by its distance alone. For
        thin windows, which have pairs far apart along them and none across.
    isotropic
        A pair counts one over the share of the circle or sphere about its first point, through
        its second, that lies in the window.
    periodic
        The box goes on at its other side.

    Raises
    ------
    ConfigError
        For an unknown correction, or periodic in a region that is not a box.
    GeometryError
        For a region without area or volume.
    """
    checked_correction(correction)
    if region.size <= 0:
        size = "an area" if region.dimension == 2 else "a volume"
        raise GeometryError(
            f"region: {size} above 0 was expected; all "
            "points lie on one line or plane. Say where they could have been seen: region=..."
        )
    if correction in ("none", "border"):
        return Window(region, correction)
    if correction == "periodic":
        if not isinstance(region, Box):
            raise ConfigError(
                f"correction: periodic needs a box, the region is a {type(region).__name__}; "
                "translation takes any region."
            )
        limit = float((region.high_nm - region.low_nm).min()) / 2
        reason = "half the shortest side of the box"
        return Window(region, correction, limit, reason, period_nm=region.bounds_nm)
    if correction == "isotropic":
        pieces, limit = _kept(region, ("isotropic", 0.0), lambda: _isotropic(region))
        reason = "beyond which a circle or sphere about a point may miss the region"
        return Window(region, correction, limit, reason, pieces=pieces)
    low, high = region.bounds_nm
    # One step further than anything in it: there is nothing to know beyond.
    radius = min(radius_nm, float(np.linalg.norm(high - low))) * (1 + 1e-9)
    radius = max(radius, 1e-9 * float((high - low).max()))
    weights, limit = _kept(
        region, (correction, radius), lambda: _covariance(region, correction, radius)
    )
    reason = (
        "where the region and the region moved that far share almost nothing"
        if correction == "rigid"
        else "where the region moved that far in some direction shares almost nothing with itself; "
        "correction='rigid' goes further"
    )
    return Window(region, correction, limit, reason, weights)


def _kept(region: Region, key: tuple[str, float], make: Callable[[], Any]) -> Any:
    known = _KNOWN.setdefault(region, {})
    if key not in known:
        # Radii differ from call to call in some uses; a few tables are enough.
        if len(known) >= 4:
            known.clear()
        known[key] = make()
    return known[key]


def _isotropic(region: Region) -> tuple[Pieces, float]:
    pieces = boundary_pieces(region)
    generator = np.random.default_rng(0)
    units = generator.normal(size=(200, 3))
    units = np.concatenate([units, np.eye(3)])
    if region.dimension == 2:
        units[:, 2] = 0.0
    low, high = region.bounds_nm
    # To the corners too: the diagonal of a box is its widest extent.
    corners = np.concatenate([high - low, np.zeros(3 - region.dimension)])
    signs = np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)])
    units = np.concatenate([units, corners * signs])
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-300)
    places = pieces.begin @ units.T
    return pieces, float((places.max(axis=0) - places.min(axis=0)).max()) / 2


def _covariance(region: Region, correction: str, radius_nm: float) -> tuple[PairWeights, float]:
    weights = _translation(region, radius_nm)
    values = sampled(
        weights.mode, weights.params, weights.table, region.dimension, radius_nm,
        720 if region.dimension == 2 else 4000, 129,
    )  # fmt: skip
    if correction == "rigid":
        mean = values.mean(axis=0)
        params = np.zeros(8)
        params[0] = (len(mean) - 1) / radius_nm
        weights = PairWeights(RADIAL, params, mean[None, None])
        values = mean[None]
    elif isinstance(region, Box):
        return weights, float((region.high_nm - region.low_nm).min())
    gone = np.flatnonzero((values < _LEAST_SHARE * region.size).any(axis=0))
    limit = float(gone[0] * radius_nm / (values.shape[1] - 1)) if len(gone) else np.inf
    return weights, limit


def _translation(region: Region, radius_nm: float) -> PairWeights:
    params = np.ones(8)
    if isinstance(region, Box):
        params[: region.dimension] = region.high_nm - region.low_nm
        return PairWeights(BOX, params)
    if isinstance(region, Polygon | Prism):
        flat = region.polygon if isinstance(region, Prism) else region
        table = polar_table(polygon_edges(flat), flat.size, radius_nm)
        params[0] = (table.shape[2] - 1) / radius_nm
        if isinstance(region, Prism):
            params[1] = region.z_high_nm - region.z_low_nm
        return PairWeights(POLAR, params, table)
    if isinstance(region, Mask):
        table, params = mask_table(region, radius_nm)
        return PairWeights(GRID, params, table)
    if isinstance(region, MeshRegion):
        table = octahedron_table(
            np.asarray(region.mesh.vertices, dtype=np.float64),
            np.asarray(region.mesh.faces, dtype=np.int64), region.size, radius_nm,
        )  # fmt: skip
        params[0] = (table.shape[2] - 1) / radius_nm
        return PairWeights(OCTAHEDRON, params, table)
    raise ConfigError(f"region: translation is not known for a {type(region).__name__}.")

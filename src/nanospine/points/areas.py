"""Keeping what lies in a box, ellipse, polygon, mask or mesh; the region goes with the data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Box, Mask, Polygon, Prism, Region

__all__ = ["ellipse", "keep_box", "keep_ellipse", "keep_polygon", "keep_region"]

_PROBES = 500


def keep_region(localizations: Localizations, region: Region) -> Localizations:
    """Keep what lies in a region, which becomes the observed region of the result.

    A 2-D region on 3-D data reaches over the whole height of their region. Two boxes are
    intersected exactly; where another region reaches beyond what was observed the history notes
    it, because densities would come out too small.

    Parameters
    ----------
    localizations : Localizations
        2-D or 3-D.
    region : Region
        Box, Polygon, Prism, Mask or MeshRegion, nanometres.

    Raises
    ------
    GeometryError
        For a 3-D region on 2-D data.
    TooFewPointsError
        When nothing lies in it, with the bounds of both.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [50, 50, 20], [90, 90, 40]])
    >>> kept = ns.keep_region(locs, ns.Polygon([(40, 40), (100, 40), (100, 100), (40, 100)]))
    >>> len(kept), type(kept.region).__name__, kept.region.size
    (2, 'Prism', 144000.0)
    """
    dimension = localizations.dimension
    if region.dimension > dimension:
        raise GeometryError(
            f"keep_region: the {type(region).__name__} is 3-D, the data are 2-D; give a 2-D region."
        )
    mask = region.contains(localizations.xyz_nm[:, : region.dimension])
    if not mask.any():
        raise TooFewPointsError(
            f"keep_region: none of {len(localizations)} localizations lies in the "
            f"{type(region).__name__} ({_bounds(region.bounds_nm)}); the data span "
            f"{_bounds(localizations.region.bounds_nm)}. Both are in nanometres."
        )
    observed, notes = _intersection(_raised(region, localizations), localizations.region)
    return localizations.replace(
        table=localizations.table.loc[mask].reset_index(drop=True),
        region=observed,
        operation="keep_region",
        arguments={"region": region.to_dict()},
        notes=notes,
    )


def keep_box(
    localizations: Localizations, low_nm: npt.ArrayLike, high_nm: npt.ArrayLike
) -> Localizations:
    """Keep what lies in a rectangle (two coordinates each) or box (three), nanometres.

    Raises
    ------
    GeometryError, TooFewPointsError
        As :func:`keep_region`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [50, 50, 20], [90, 90, 40]])
    >>> len(ns.keep_box(locs, (40, 40), (60, 60)))
    1
    """
    return keep_region(localizations, Box(low_nm, high_nm))  # type: ignore[arg-type]


def keep_polygon(localizations: Localizations, corners_nm: npt.ArrayLike) -> Localizations:
    """Keep what lies in a polygon of x, y corners, nanometres.

    Raises
    ------
    GeometryError, TooFewPointsError
        As :func:`keep_region`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[10, 10, 0], [90, 90, 20]])
    >>> len(ns.keep_polygon(locs, [(0, 0), (100, 0), (0, 100)]))
    1
    """
    return keep_region(localizations, Polygon(corners_nm))  # type: ignore[arg-type]


def keep_ellipse(
    localizations: Localizations,
    centre_nm: npt.ArrayLike,
    radii_nm: npt.ArrayLike,
    *,
    angle_deg: float = 0.0,
) -> Localizations:
    """Keep what lies in an ellipse in x, y (see :func:`ellipse`).

    Raises
    ------
    GeometryError, TooFewPointsError
        As :func:`keep_region`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[10, 0, 0], [0, 90, 20], [90, 0, 5]])
    >>> len(ns.keep_ellipse(locs, (0, 0), (100, 50)))
    2
    """
    return keep_region(localizations, ellipse(centre_nm, radii_nm, angle_deg=angle_deg))


def ellipse(
    centre_nm: npt.ArrayLike, radii_nm: npt.ArrayLike, *, angle_deg: float = 0.0, corners: int = 720
) -> Polygon:
    """Give an ellipse as a polygon of the same area (to 1 in 10^5 in shape with 720 corners).

    Parameters
    ----------
    centre_nm : (x, y)
    radii_nm : float or (a, b)
        Half axes.
    angle_deg : float
        Of the first half axis against x, towards y.
    corners : int
        Of the polygon.

    Raises
    ------
    GeometryError
        For radii that are not positive.

    Examples
    --------
    >>> round(ellipse((0, 0), (100, 50)).size / (np.pi * 100 * 50), 9)
    1.0
    """
    centre = np.asarray(centre_nm, dtype=np.float64)
    radii = np.asarray(radii_nm, dtype=np.float64)
    radii = np.full(2, radii) if radii.ndim == 0 else radii
    good = centre.shape == radii.shape == (2,)
    if not good or not (np.isfinite([centre, radii]).all() and (radii > 0).all()):
        raise GeometryError(
            f"ellipse: a centre (x, y) and positive radii were expected, found "
            f"{centre.tolist()} and {radii.tolist()}."
        )
    step = 2 * np.pi / corners
    phase = np.arange(corners) * step
    # An inscribed polygon is smaller than its circle by sin(step) / step.
    radii = radii * np.sqrt(step / np.sin(step))
    turn = np.deg2rad(angle_deg)
    along, across = radii[0] * np.cos(phase), radii[1] * np.sin(phase)
    x = along * np.cos(turn) - across * np.sin(turn)
    y = along * np.sin(turn) + across * np.cos(turn)
    return Polygon(centre + np.column_stack([x, y]))


def _bounds(bounds_nm: npt.NDArray[np.float64]) -> str:
    return " to ".join("(" + ", ".join(f"{item:.6g}" for item in row) + ")" for row in bounds_nm)


def _raised(region: Region, localizations: Localizations) -> Region:
    """Give a 2-D region the height of 3-D data."""
    if region.dimension == localizations.dimension:
        return region
    low, high = localizations.region.bounds_nm[:, 2].tolist()
    if isinstance(region, Box):
        return Box([*region.low_nm, low], [*region.high_nm, high])  # type: ignore[arg-type]
    if isinstance(region, Polygon):
        return Prism(region, low, high)
    if isinstance(region, Mask):
        # Voxels are half open: without a margin the highest point would lie on the outer face.
        height = high - low + 1e-9 * max(1.0, abs(low), abs(high))
        return Mask(
            region.data[None],
            np.array([height, *region.voxel_nm]),
            np.array([(low + high) / 2, *region.origin_nm]),
        )
    raise GeometryError(f"keep_region: a 2-D {type(region).__name__} cannot be given a height.")


def _intersection(new: Region, old: Region) -> tuple[Region, tuple[str, ...]]:
    """Give what was observed of the new region, as far as it can be said."""
    if old.assumed:
        return new, ()
    if isinstance(new, Box) and isinstance(old, Box):
        return Box(np.maximum(new.low_nm, old.low_nm), np.minimum(new.high_nm, old.high_nm)), ()
    inside = float(old.contains(new.sample_nm(_PROBES, seed=0)).mean())
    if inside == 1.0:
        return new, ()
    return new, (
        f"about {100 * (1 - inside):.0f} % of the region lies outside of what was observed "
        f"({type(old).__name__}): densities in it come out too small",
    )

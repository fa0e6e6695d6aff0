"""What every spatial statistic takes: points, their region, and radii, checked in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Region, bounding_box

__all__ = ["Pattern", "beyond_note", "checked_radii", "pattern", "shared_region"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Points = Localizations | npt.ArrayLike


@dataclass(frozen=True, eq=False)
class Pattern:
    """Points in their region.

    Attributes
    ----------
    points_nm : ndarray, shape (n, d)
        Those inside the region, C-contiguous.
    rows : ndarray of int64, shape (n,)
        Their rows in the input.
    region : Region
        Where they could have been seen.
    notes : tuple of str
        Points outside, an assumed region.
    """

    points_nm: FloatArray = field(repr=False)
    rows: IntArray = field(repr=False)
    region: Region
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.points_nm)


def pattern(
    points: Points, region: Region | None = None, *, name: str = "points", least: int = 1
) -> Pattern:
    """Check points and put them into their region.

    Parameters
    ----------
    points : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres. An array in 3 columns is taken as 2-D when the region is.
    region : Region, optional
        Default: that of the localizations; their bounding box for an array, which is noted.
    name : str
        What messages call the points.
    least : int
        Fewest points inside the region.

    Raises
    ------
    GeometryError
        For positions that are not finite, a wrong shape, a region of another dimension.
    TooFewPointsError
        When fewer than `least` points lie inside the region.
    """
    if isinstance(points, Localizations):
        xyz = points.xyz_nm[:, : points.dimension]
        region = points.region if region is None else region
    else:
        xyz = np.asarray(points, dtype=np.float64)
    if xyz.ndim != 2 or xyz.shape[1] not in (2, 3):
        raise GeometryError(
            f"{name}: an array of shape (n, 2) or (n, 3) in nm was expected, found {xyz.shape}."
        )
    if len(xyz) == 0:
        raise TooFewPointsError(f"{name}: at least {_points(max(least, 1))} needed, found none.")
    if not np.isfinite(xyz).all():
        bad = int((~np.isfinite(xyz).all(axis=1)).sum())
        raise GeometryError(
            f"{name}: finite positions were expected; {bad} of {len(xyz)} rows hold NaN or "
            "infinity. Drop these rows first."
        )
    if region is None:
        region = bounding_box(xyz)
    if region.dimension > xyz.shape[1]:
        raise GeometryError(
            f"{name}: the region has {region.dimension} dimensions, the points have "
            f"{xyz.shape[1]}; give a 2-D region, or points with z."
        )
    xyz = np.ascontiguousarray(xyz[:, : region.dimension])
    rows = np.flatnonzero(region.contains(xyz))
    notes = []
    if region.assumed:
        notes.append(
            f"{name}: nobody said where they could have been seen, the bounding box was taken"
        )
    if len(rows) < len(xyz):
        notes.append(f"{name}: {len(xyz) - len(rows)} of {len(xyz)} lie outside the region")
    if len(rows) < least:
        raise TooFewPointsError(
            f"{name}: at least {_points(least)} needed inside the region, found {len(rows)} of "
            f"{len(xyz)}; the region reaches from {_corner(region.bounds_nm[0])} to "
            f"{_corner(region.bounds_nm[1])} nm, the points from {_corner(xyz.min(axis=0))} to "
            f"{_corner(xyz.max(axis=0))} nm."
        )
    if (
        len(rows) > 1
        and (xyz[rows[-1]] == xyz[rows[0]]).all()
        and (xyz[rows] == xyz[rows[0]]).all()
    ):
        notes.append(f"{name}: all {len(rows)} lie at one place, {_corner(xyz[rows[0]])} nm")
    # Picking rows costs as much as all checks: not when it is every row.
    return Pattern(xyz if len(rows) == len(xyz) else xyz[rows], rows, region, tuple(notes))


def shared_region(a: Points, b: Points, region: Region | None) -> Region:
    """Give the region of two patterns: the one that is given, that of both, or a box around all."""
    if region is not None:
        return region
    known = [
        item.region for item in (a, b)
        if isinstance(item, Localizations) and not item.region.assumed
    ]  # fmt: skip
    if len(known) == 2 and known[0].to_dict() != known[1].to_dict():
        raise ConfigError("the two patterns carry different regions; say which one: region=...")
    if known:
        return known[0]
    parts = [
        item.xyz_nm[:, : item.dimension]
        if isinstance(item, Localizations)
        else np.asarray(item, dtype=np.float64)
        for item in (a, b)
    ]
    if any(part.ndim != 2 for part in parts) or parts[0].shape[1] != parts[1].shape[1]:
        raise GeometryError(
            "two patterns of the same dimension were expected, found shapes "
            f"{parts[0].shape} and {parts[1].shape}."
        )
    both = np.concatenate(parts)
    return bounding_box(both[np.isfinite(both).all(axis=1)])


def checked_radii(radii_nm: npt.ArrayLike) -> FloatArray:
    """Check radii: finite, not negative, ascending, at least one; a number is one radius."""
    radii = np.atleast_1d(np.asarray(radii_nm, dtype=np.float64))
    if radii.ndim != 1 or not len(radii) or not np.isfinite(radii).all():
        raise ConfigError(
            f"radii_nm: a list of finite distances in nm was expected, found {radii_nm!r}."
        )
    if radii[0] < 0 or (np.diff(radii) <= 0).any():
        raise ConfigError(
            "radii_nm: ascending distances, none negative and none twice, were expected, found "
            f"{np.array2string(radii, threshold=8)}."
        )
    return radii


def beyond_note(radii_nm: FloatArray, region: Region) -> tuple[str, ...]:
    """Give a note where radii are larger than anything in the region, else none."""
    low, high = region.bounds_nm
    widest = float(np.linalg.norm(high - low))
    beyond = int((radii_nm > widest).sum())
    if not beyond:
        return ()
    return (
        f"{beyond} of {len(radii_nm)} radii lie beyond the region, in which no distance is above "
        f"{widest:.4g} nm",
    )


def _points(count: int) -> str:
    return "1 point is" if count == 1 else f"{count} points are"


def _corner(values: FloatArray) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"

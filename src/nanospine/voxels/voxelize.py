"""Localizations, meshes and envelopes to voxels, whole or tile by tile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region_base import Region
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.painters import Painter, make_painter
from nanospine.voxels.presets import preset_of
from nanospine.voxels.sources import Source, source_of

__all__ = ["MODES", "VoxelTile", "voxel_tiles", "voxelize"]

FloatArray = npt.NDArray[np.float64]

MODES = ("count", "gaussian", "density", "mask", "signed_distance", "smoothed")
_PLURALS = {"counts": "count", "occupancy": "mask"}
_MOST_VOXELS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class VoxelTile:
    """A part of a field of voxels.

    Attributes
    ----------
    start : tuple of int
        Index z, y, x of its first voxel in the whole field.
    field_shape : tuple of int
        Shape of the whole field.
    grid : VoxelGrid
        The voxels, at their place.
    """

    start: tuple[int, int, int]
    field_shape: tuple[int, int, int]
    grid: VoxelGrid

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where the tile lies in an array of the whole field."""
        z, y, x = (
            slice(low, low + size) for low, size in zip(self.start, self.grid.shape, strict=True)
        )
        return z, y, x


def voxelize(
    source: Any,
    voxel_nm: npt.ArrayLike | None = None,
    *,
    mode: str | None = None,
    preset: str | None = None,
    region: Region | npt.ArrayLike | None = None,
    like: Any = None,
    precision_nm: npt.ArrayLike | None = None,
    psf_nm: npt.ArrayLike | None = None,
    peak: float | None = None,
    pad: int | None = None,
) -> VoxelGrid:
    """Make voxels of localizations or of a closed surface.

    Modes of localizations: `count` (number in each voxel, int32), `gaussian` (each localization is
    a Gaussian of its own precision, integrated over each voxel with the error function, float32;
    the mass is that of the localizations), `density` (number per µm³; smoothed by `psf_nm` if
    given). Modes of a surface, which for localizations is their envelope: `mask` (True where the
    centre of the voxel is inside), `signed_distance` (nm, negative inside) and `smoothed` (filled
    fraction of each voxel blurred by `psf_nm`, times `peak`: what raster segmenters of filled
    cells want).

    Parameters
    ----------
    source : Localizations, array_like of shape (n, 3), Envelope or trimesh.Trimesh
        Positions x, y, z in nm; 2-D localizations fill one plane around z = 0.
    voxel_nm : float or array_like, shape (3,), optional
        Edge lengths z, y, x; that of the preset when left out.
    mode : str, optional
        See above; `count` for localizations and `mask` for surfaces by default.
    preset : str, optional
        Name of a tool: its voxel size, mode, blur and peak. See
        :data:`nanospine.voxels.presets.PRESETS`.
    region : Region or array_like, shape (2, 3), optional
        Region, or low and high corner x, y, z in nm, that the grid covers. Without one it covers
        the source. Faces of voxels lie at multiples of `voxel_nm`, so grids of one sample match.
    like : VoxelGrid or LabelGrid, optional
        Take voxels, origin and shape from this grid.
    precision_nm : float or array_like, shape (3,) or (n, 3), optional
        Standard deviations x, y, z, for `gaussian`; those of the localizations when left out.
    psf_nm : float or array_like, shape (3,), optional
        Standard deviations z, y, x of the blur, for `smoothed` and `density`.
    peak : float, optional
        Value of what is filled, for `smoothed`; 1 by default.
    pad : int, optional
        Empty voxels around the source when there is no region. By default 0 for counts, what five
        standard deviations need for Gaussians (of 99 % of the localizations), 2 for surfaces.

    Returns
    -------
    VoxelGrid
        `notes` say how much lies outside the grid.

    Raises
    ------
    ConfigError
        When mode or preset is unknown or an option does not belong to the mode.
    GeometryError
        When there is no voxel size, a precision is missing, the surface is open, or the grid would
        hold more than 1e9 voxels: :func:`voxel_tiles` makes those in parts.

    Examples
    --------
    >>> grid = voxelize([[5, 5, 5], [5, 5, 5], [35, 5, 5]], 10.0)
    >>> grid.data.tolist(), grid.origin_nm.tolist()
    ([[[2, 0, 0, 1]]], [5.0, 5.0, 5.0])
    >>> blurred = voxelize([[5, 5, 5]], 10.0, mode="gaussian", precision_nm=12.0)
    >>> round(float(blurred.data.sum()), 6)
    1.0
    """
    plan = _plan(source, voxel_nm, mode, preset, region, like, precision_nm, psf_nm, peak, pad)
    if math.prod(plan.shape) > _MOST_VOXELS:
        size = "x".join(map(str, plan.shape))
        raise GeometryError(
            f"voxelize: {size} voxels were asked for, 1e9 are the most in one piece; take larger "
            "voxels or a smaller region, or go tile by tile (voxel_tiles)."
        )
    data, notes = plan.painter.paint((0, 0, 0), plan.shape)
    return VoxelGrid(data, plan.voxel_nm, plan.origin_nm, notes)


def voxel_tiles(
    source: Any,
    voxel_nm: npt.ArrayLike | None = None,
    *,
    tile: tuple[int, int, int] = (128, 512, 512),
    **options: Any,
) -> Iterator[VoxelTile]:
    """Make voxels tile by tile, for fields larger than memory.

    Tiles do not overlap, cover the field, and hold the values that the whole would hold.

    Parameters
    ----------
    source, voxel_nm, **options
        See :func:`voxelize`.
    tile : tuple of int
        Most voxels z, y, x of a tile.

    Yields
    ------
    VoxelTile

    Examples
    --------
    >>> tiles = list(voxel_tiles([[5, 5, 5], [995, 5, 5]], 10.0, tile=(64, 64, 64)))
    >>> [(t.start, int(t.grid.data.sum())) for t in tiles]
    [((0, 0, 0), 1), ((0, 0, 64), 1)]
    """
    if len(tile) != 3 or min(tile) < 1:
        raise ConfigError(f"voxel_tiles: three sizes of 1 or more were expected, found {tile}.")
    names = ("mode", "preset", "region", "like", "precision_nm", "psf_nm", "peak", "pad")
    wrong = sorted(set(options) - set(names))
    if wrong:
        raise ConfigError(f"voxel_tiles: no option {', '.join(wrong)}; options: {names}.")
    plan = _plan(source, voxel_nm, *(options.get(name) for name in names))
    nz, ny, nx = plan.shape
    for z in range(0, nz, tile[0]):
        for y in range(0, ny, tile[1]):
            for x in range(0, nx, tile[2]):
                start = (z, y, x)
                stop = (min(z + tile[0], nz), min(y + tile[1], ny), min(x + tile[2], nx))
                data, notes = plan.painter.paint(start, stop)
                origin = plan.origin_nm + np.array(start) * plan.voxel_nm
                yield VoxelTile(start, plan.shape, VoxelGrid(data, plan.voxel_nm, origin, notes))


@dataclass(frozen=True, eq=False)
class _Plan:
    voxel_nm: FloatArray
    origin_nm: FloatArray
    shape: tuple[int, int, int]
    painter: Painter


def _plan(
    source: Any,
    voxel_nm: Any,
    mode: str | None,
    preset: str | None,
    region: Any,
    like: Any,
    precision_nm: Any,
    psf_nm: Any,
    peak: float | None,
    pad: int | None,
) -> _Plan:
    """Settle what is made, where and how."""
    chosen = None if preset is None else preset_of(preset)
    if chosen is not None:
        voxel_nm = chosen.voxel_nm if voxel_nm is None else voxel_nm
        if mode is None:
            mode = chosen.mode
        if mode == "smoothed":
            psf_nm = chosen.psf_nm if psf_nm is None else psf_nm
            peak = chosen.peak if peak is None else peak
    given = source_of(source, precision_nm)
    kind = _mode(mode, given)
    _check_options(kind, precision_nm, psf_nm, peak)
    if like is not None:
        if voxel_nm is not None or region is not None:
            raise ConfigError("voxelize: `like` replaces voxel_nm and region; give one of them.")
        voxel, shape = like.voxel_nm, like.shape
        face = like.origin_nm - voxel / 2
    else:
        voxel = _voxel(voxel_nm)
        given = given.for_mode(kind)
        face, shape = _frame(given, voxel, kind, region, psf_nm, pad)
    painter = make_painter(kind, given.for_mode(kind), voxel, face, shape, psf_nm, peak)
    return _Plan(voxel, face + voxel / 2, shape, painter)


def _mode(mode: str | None, source: Source) -> str:
    if mode is None:
        return "mask" if source.mesh is not None else "count"
    mode = _PLURALS.get(mode, mode)
    if mode not in MODES:
        raise ConfigError(f"voxelize: mode {mode!r} is not known; modes: {', '.join(MODES)}.")
    if mode in ("count", "gaussian", "density") and source.mesh is not None:
        raise ConfigError(
            f"voxelize: mode {mode!r} is one of localizations; a surface takes mask, "
            "signed_distance or smoothed."
        )
    return mode


def _check_options(mode: str, precision_nm: Any, psf_nm: Any, peak: Any) -> None:
    misplaced = [
        name
        for name, value, modes in (
            ("precision_nm", precision_nm, ("gaussian",)),
            ("psf_nm", psf_nm, ("smoothed", "density")),
            ("peak", peak, ("smoothed",)),
        )
        if value is not None and mode not in modes
    ]
    if misplaced:
        raise ConfigError(f"voxelize: mode {mode!r} takes no {' and no '.join(misplaced)}.")
    if mode == "smoothed" and psf_nm is None:
        raise ConfigError("voxelize: mode 'smoothed' needs psf_nm, or a preset that has one.")


def _voxel(voxel_nm: Any) -> FloatArray:
    if voxel_nm is None:
        raise GeometryError("voxelize: give voxel_nm (one number, or z, y, x), or a preset.")
    voxel = np.asarray(voxel_nm, dtype=np.float64)
    if voxel.shape not in ((), (3,)) or not (np.isfinite(voxel).all() and (voxel > 0).all()):
        raise GeometryError(
            "voxelize: voxel_nm must be one positive number or three (z, y, x), "
            f"found {voxel.tolist()}."
        )
    return np.broadcast_to(voxel, (3,)).copy()


def _frame(
    source: Source, voxel: FloatArray, mode: str, region: Any, psf_nm: Any, pad: int | None
) -> tuple[FloatArray, tuple[int, int, int]]:
    """Outer corner z, y, x and shape of the grid; faces lie at multiples of the voxel."""
    if region is None:
        bounds = source.bounds_nm()
        extra = source.default_pad(mode, voxel, psf_nm) if pad is None else np.full(3, pad)
    else:
        bounds = np.asarray(region.bounds_nm if isinstance(region, Region) else region, np.float64)
        if bounds.shape == (2, 2):
            bounds = np.concatenate([bounds, source.bounds_nm()[:, 2:]], axis=1)
        if bounds.shape != (2, 3) or not (bounds[1] >= bounds[0]).all():
            raise GeometryError(
                "voxelize: a region, or its low and high corner x, y, z, was expected, "
                f"found {bounds.tolist()}."
            )
        extra = np.full(3, pad or 0)
    low, high = bounds[:, ::-1]
    first = np.floor(low / voxel) - extra
    # A region that ends on a face ends there; a point on a face needs the voxel above it.
    last = np.ceil(high / voxel) if region is not None else np.floor(high / voxel) + 1
    if region is None:  # rounding must not put the outermost points beyond the grid
        middle = first * voxel + voxel / 2
        first = first + np.minimum(np.floor((low - middle) / voxel + 0.5), 0)
        last = np.maximum(last, first + np.floor((high - middle) / voxel + 0.5) + 1)
    count = np.maximum(last + extra - first, 1)
    if not (count < 2**31).all():
        raise GeometryError("voxelize: more than 2e9 voxels along one axis; use larger voxels.")
    nz, ny, nx = (int(n) for n in count)
    return first * voxel, (nz, ny, nx)

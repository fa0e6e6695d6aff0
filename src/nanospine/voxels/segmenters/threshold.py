"""Thresholds: Otsu, several Otsu classes, local, and SpineTool's variant."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BoolArray,
    FloatArray,
    Segmentation,
    closed,
    drop_small,
    fill_holes,
    foreground,
    smoothed,
)

__all__ = ["local", "multi_otsu", "otsu", "spinetool"]


def otsu(
    grid: VoxelGrid,
    *,
    sigma_nm: float = 0.0,
    scale: str = "nonzero",
    close_nm: float = 0.0,
    fill: str = "planes",
    min_volume_nm3: float = 5e6,
) -> Segmentation:
    """Segment by Otsu's threshold: the one that splits the histogram with least inner variance.

    Parameters
    ----------
    grid : VoxelGrid
    sigma_nm : float
        Gaussian smoothing before.
    scale : str
        Which values the threshold is sought among: `nonzero`, `log` (log1p of the non-zero) or
        `all`. In counts of localizations nearly all voxels are 0, and Otsu over all of them
        would only tell "any localization" from none.
    close_nm : float
        Gaps up to twice this are closed before. Localizations of a membrane are a hollow shell
        with gaps: smoothing by 30 nm and closing by 200 nm fill it best in simulations.
    fill : str
        Holes: `planes` (along each axis), `volume` or `none`.
    min_volume_nm3 : float
        Components below are dropped, and counted in the notes.

    Notes
    -----
    Otsu 1979 (doi:10.1109/TSMC.1979.4310076) by scikit-image; smoothing, scale, holes and small
    components are this program's.
    """
    from skimage.filters import threshold_otsu

    if grid.data.dtype == np.bool_:
        return _finish(grid.data, grid, fill, min_volume_nm3, close_nm)
    image = smoothed(grid.data, grid.voxel_nm, sigma_nm)
    values = _scaled(image, scale)
    if len(values) == 0 or values.min() == values.max():
        return _finish(image > 0, grid, fill, min_volume_nm3, close_nm, _constant(values))
    limit = float(threshold_otsu(values))
    if scale == "log":
        limit = float(np.expm1(limit))
    return _finish(image > limit, grid, fill, min_volume_nm3, close_nm, f"threshold {limit:.6g}")


def multi_otsu(
    grid: VoxelGrid,
    *,
    classes: int = 3,
    keep_classes: int | None = None,
    sigma_nm: float = 0.0,
    scale: str = "nonzero",
    close_nm: float = 0.0,
    fill: str = "planes",
    min_volume_nm3: float = 5e6,
) -> Segmentation:
    """Segment by several Otsu classes and keep the brightest ones.

    Parameters
    ----------
    grid : VoxelGrid
    classes : int
        2 to 5.
    keep_classes : int, optional
        How many of the brightest classes are foreground; all but the darkest by default.
    sigma_nm, scale, close_nm, fill, min_volume_nm3
        As for :func:`otsu`.

    Raises
    ------
    GeometryError
        When there are fewer distinct values than classes, as among small counts.

    Notes
    -----
    Liao, Chen and Chung 2001 by scikit-image.
    """
    from skimage.filters import threshold_multiotsu

    keep = classes - 1 if keep_classes is None else keep_classes
    if not 2 <= classes <= 5 or not 1 <= keep < classes:
        raise ConfigError(
            "segment: multi_otsu: classes of 2 to 5 and keep_classes below classes were expected, "
            f"found {classes} and {keep}."
        )
    image = smoothed(grid.data, grid.voxel_nm, sigma_nm)
    values = _scaled(image, scale)
    distinct = len(np.unique(values))
    if distinct <= classes:
        raise GeometryError(
            f"segment: multi_otsu: more than {classes} distinct values were expected for {classes} "
            f"classes, found {distinct}; smooth (sigma_nm) or use otsu."
        )
    limits = threshold_multiotsu(values, classes=classes, nbins=256)
    limit = float(limits[classes - 1 - keep])
    if scale == "log":
        limit = float(np.expm1(limit))
    return _finish(image > limit, grid, fill, min_volume_nm3, close_nm, f"threshold {limit:.6g}")


def local(
    grid: VoxelGrid,
    *,
    window_nm: float = 1500.0,
    offset: float = 0.0,
    floor: float = 0.5,
    sigma_nm: float = 0.0,
    close_nm: float = 0.0,
    fill: str = "planes",
    min_volume_nm3: float = 5e6,
) -> Segmentation:
    """Segment what is brighter than the Gaussian-weighted mean around it.

    Parameters
    ----------
    grid : VoxelGrid
    window_nm : float
        Width of the neighbourhood; rounded to an odd number of voxels along each axis.
    offset : float
        Taken off the local mean.
    floor : float
        A voxel must also exceed this fraction of the global Otsu threshold: in empty places
        anything exceeds the local mean.
    sigma_nm, close_nm, fill, min_volume_nm3
        As for :func:`otsu`.

    Notes
    -----
    `threshold_local` of scikit-image; the floor is this program's.
    """
    from skimage.filters import threshold_local, threshold_otsu

    image = smoothed(grid.data, grid.voxel_nm, sigma_nm)
    if image.min() == image.max():
        return _finish(image > 0, grid, fill, min_volume_nm3, close_nm, _constant(image))
    block = tuple(int(n) for n in 2 * np.floor(window_nm / grid.voxel_nm / 2).astype(int) + 1)
    limit = threshold_local(image, block, method="gaussian", offset=offset)
    least = floor * float(threshold_otsu(_scaled(image, "nonzero")))
    return _finish((image > limit) & (image > least), grid, fill, min_volume_nm3, close_nm)


def spinetool(
    grid: VoxelGrid,
    *,
    base: float = 127.0,
    weight: float = 0.05,
    block: int = 3,
    sigma_voxels: float = 1.0,
    fill: str = "none",
    min_volume_nm3: float = 5e6,
) -> Segmentation:
    """Segment by SpineTool's threshold, base - weight (base - median of the block).

    Parameters
    ----------
    grid : VoxelGrid
        Scaled to 0..255 first; the original takes 8 bits.
    base, weight, block, sigma_voxels
        As in SpineTool: threshold, share of the local median, voxels of the block, smoothing.
    fill, min_volume_nm3
        As for :func:`otsu`.

    Notes
    -----
    Pchitskaya et al. 2023, SpineTool: the formula of its code; its manual has the other sign.
    """
    image = smoothed(grid.data, grid.voxel_nm, 0.0)
    span = float(image.max() - image.min())
    image = (image - image.min()) * (255.0 / span) if span > 0 else np.zeros_like(image)
    image = np.asarray(ndimage.gaussian_filter(image, sigma_voxels))
    median = ndimage.median_filter(image, size=block)
    return _finish(image > base - weight * (base - median), grid, fill, min_volume_nm3, 0.0)


def _scaled(image: FloatArray, scale: str) -> FloatArray:
    if scale == "all":
        return image.ravel()
    # Smoothing leaves tails that are positive everywhere: below a thousandth they are zero too.
    values = image[image > 1e-3 * float(image.max(initial=0.0))]
    if scale == "nonzero":
        return values
    if scale == "log":
        return np.asarray(np.log1p(values))
    raise ConfigError(f"segment: scale of nonzero, log or all was expected, found {scale!r}.")


def _constant(values: npt.NDArray[Any]) -> str:
    return "all values are equal: nothing to split" if len(values) else "nothing but zeros"


def _finish(
    mask: BoolArray,
    grid: VoxelGrid,
    fill: str,
    min_volume_nm3: float,
    close_nm: float,
    *notes: str,
) -> Segmentation:
    whole = fill_holes(closed(mask, grid.voxel_nm, close_nm), fill)
    kept, dropped = drop_small(whole, grid.voxel_nm, min_volume_nm3)
    if dropped:
        notes += (f"{dropped} components below {min_volume_nm3:g} nm3 dropped",)
    return foreground(kept, *notes)

"""HK-Means: objects of a given size, at the lowest class at which they stand alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import ConfigError
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BACKGROUND,
    OBJECT,
    FloatArray,
    Segmentation,
    components,
    smoothed,
)

__all__ = ["hk_means"]

_BINS = 255


def hk_means(
    grid: VoxelGrid,
    *,
    classes: int = 10,
    sigma_nm: float = 0.0,
    min_volume_nm3: float = 5e6,
    max_volume_nm3: float = 1e9,
    min_intensity: float = 0.0,
    connectivity: int = 6,
) -> Segmentation:
    """Find objects of a given range of sizes by K-means on the histogram, class by class.

    The histogram of 255 bins is divided into classes by K-means. From the lowest class up, what is
    at or above a class and not yet taken falls into components; those of the right size and
    brightness are taken.

    Parameters
    ----------
    grid : VoxelGrid
    classes : int
        2 to 255.
    sigma_nm : float
        Gaussian smoothing before.
    min_volume_nm3, max_volume_nm3 : float
        Of an object. Without an upper limit everything is one object at the lowest class. The
        defaults suit whole dendrites; for spine heads take 5e6 and 5e8.
    min_intensity : float
        An object's brightest voxel must reach this.
    connectivity : int
        6 or 26.

    Notes
    -----
    Dufour et al. 2008 (Icy's HK-Means); sizes are volumes here and not numbers of pixels.
    """
    if not 2 <= classes <= _BINS:
        raise ConfigError(f"segment: hk_means: classes of 2 to 255 was expected, found {classes}.")
    image = smoothed(grid.data, grid.voxel_nm, sigma_nm)
    labels = np.zeros(grid.shape, dtype=np.int32)
    if image.min() == image.max():
        return Segmentation(labels, {0: BACKGROUND}, ("all values are equal",))
    limits = thresholds(image, classes)
    voxel = float(np.prod(grid.voxel_nm))
    taken = np.zeros(grid.shape, dtype=bool)
    count = 0
    for limit in limits:
        found = components((image >= limit) & ~taken, connectivity)
        volume = np.bincount(found.ravel()) * voxel
        peak = ndimage.maximum(image, found, np.arange(len(volume)))
        good = (volume >= min_volume_nm3) & (volume <= max_volume_nm3) & (peak >= min_intensity)
        good[0] = False
        number = np.zeros(len(volume), dtype=np.int32)
        number[good] = count + np.arange(1, int(good.sum()) + 1)
        labels += number[found]
        taken |= good[found]
        count += int(good.sum())
    roles = {0: BACKGROUND} | dict.fromkeys(range(1, count + 1), OBJECT)
    listed = ", ".join(f"{value:.4g}" for value in limits)
    return Segmentation(labels, roles, (f"thresholds {listed}",))


def thresholds(image: FloatArray, classes: int) -> FloatArray:
    """Give the limits between the classes, ascending: midpoints of the K-means centres.

    Centres are whole bins, an empty class falls to bin 0, and ties go to the lower class: as in
    Icy, whose results this reproduces.
    """
    low, high = float(image.min()), float(image.max())
    bins = ((image - low) * ((_BINS - 1) / (high - low))).astype(np.int64)
    histogram = np.bincount(bins.ravel(), minlength=_BINS).astype(np.float64)
    at = np.arange(_BINS)
    centres = ((_BINS - 1) * np.arange(1, classes + 1) // (classes + 1)).astype(np.int64)
    for _ in range(1000):
        nearest = np.abs(at[:, None] - centres[None, :]).argmin(axis=1)
        weight = np.bincount(nearest, histogram, minlength=classes)
        total = np.bincount(nearest, histogram * at, minlength=classes)
        new = np.where(weight > 0, total / np.maximum(weight, 1.0), 0.0).astype(np.int64)
        if (new == centres).all():
            break
        centres = new
    ordered: npt.NDArray[np.int64] = np.unique(centres)
    middle = (ordered[1:] + ordered[:-1]) / 2
    return np.asarray(low + middle * (high - low) / (_BINS - 1))

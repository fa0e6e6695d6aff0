"""SmRG: growing a region window by window, with a mixture of noise and counts for the threshold."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, stats

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BoolArray,
    FloatArray,
    Segmentation,
    drop_small,
    foreground,
    smoothed,
)

__all__ = ["mixture_threshold", "smrg"]

_MOST_LEVELS = 4096
_FEWEST_VOXELS = 200


def smrg(
    grid: VoxelGrid,
    *,
    seeds_xyz_nm: npt.ArrayLike | None = None,
    window_nm: float = 2500.0,
    planes: int = 1,
    certainty: float = 0.99,
    sigma_nm: float = 0.0,
    min_volume_nm3: float = 5e6,
) -> Segmentation:
    """Segment by growing from seeds; each window has its own threshold from a mixture.

    The voxels of a window around a seed (a few planes) are a mixture of a Gaussian background and
    negative binomial signal, fitted by expectation and maximization. What is connected to the seed
    and brighter than where signal is certain joins. Middles of what joined (maxima of the distance
    to its outline in each plane) are the next seeds, until there are none.

    Parameters
    ----------
    grid : VoxelGrid
        Counts or intensities; others than whole numbers up to 4095 are scaled to 0..255.
    seeds_xyz_nm : array_like, shape (n, 3), optional
        Where to begin; the brightest voxel after smoothing by 100 nm when not given.
    window_nm : float
        From the seed to the edge of the window, in the plane.
    planes : int
        Above and below the seed.
    certainty : float
        Posterior probability of signal.
    sigma_nm : float
        Smoothing before.
    min_volume_nm3 : float
        Smaller components (of several seeds) are dropped.

    Notes
    -----
    Callara et al. 2020, SmRG. There a dip test chooses between this mixture and an Otsu threshold;
    here the better of the mixture and a single Gaussian (by BIC) decides whether a window holds
    signal at all, and Otsu is used only when the mixture cannot be fitted. The mixture is fitted to
    the histogram instead of to voxels.

    Raises
    ------
    GeometryError
        When a seed lies outside the grid.
    """
    if not 0.5 <= certainty < 1 or planes < 0 or not window_nm > 0:
        raise ConfigError(
            "segment: smrg: certainty of 0.5 to 1, planes of 0 or more and a positive window_nm "
            f"were expected, found {certainty}, {planes} and {window_nm}."
        )
    image = _levels(smoothed(grid.data, grid.voxel_nm, sigma_nm))
    if image.max() == image.min():
        return foreground(np.zeros(grid.shape, dtype=bool), "all values are equal")
    queue = deque(_first_seeds(grid, image, seeds_xyz_nm))
    grown = np.zeros(grid.shape, dtype=bool)
    done = np.zeros(grid.shape, dtype=bool)
    half = np.array([planes, *np.maximum(window_nm / grid.voxel_nm[1:], 4).astype(int)])
    fallback = mixture_threshold(image, certainty)
    if fallback is None:
        return foreground(grown, "no signal beside the background")
    windows = 0
    while queue:
        seed = queue.popleft()
        if done[seed]:
            continue
        box = tuple(
            slice(max(int(s - h), 0), int(s + h + 1)) for s, h in zip(seed, half, strict=True)
        )
        inner: tuple[Any, ...] = (seed[0], *[slice(max(int(s - h // 2), 0), int(s + h // 2 + 1))
                            for s, h in zip(seed[1:], half[1:], strict=True)])  # fmt: skip
        done[inner] = True
        windows += 1
        limit = mixture_threshold(image[box], certainty)
        new = _connected(image[box] > (fallback if limit is None else limit), grown[box], seed, box)
        if new.any():
            grown[box] |= new
            queue.extend(_next_seeds(new, box, done))
    kept, dropped = drop_small(grown, grid.voxel_nm, min_volume_nm3)
    return foreground(kept, f"{windows} windows", f"{dropped} small components dropped")


def mixture_threshold(levels: npt.NDArray[np.int64], certainty: float) -> float | None:
    """Give the level above which signal is certain; None where there is only background.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> background = draw.normal(20, 4, 4000)
    >>> signal = draw.negative_binomial(10, 10 / (10 + 90), 1000)
    >>> both = np.concatenate([background, signal]).round().clip(0).astype(int)
    >>> bool(25 < mixture_threshold(both, 0.99) < 45)
    True
    """
    histogram = np.bincount(levels.ravel()).astype(np.float64)
    total = histogram.sum()
    at = np.arange(len(histogram), dtype=np.float64)
    mean = float(histogram @ at) / total
    spread = float(histogram @ (at - mean) ** 2) / total
    if total < _FEWEST_VOXELS or spread == 0:
        return None
    posterior, likelihood = _expectation_maximization(histogram, at)
    single = float(histogram @ stats.norm.logpdf(at, mean, np.sqrt(spread + 1 / 12)))
    better = 2 * (likelihood - single) > 3 * np.log(total)  # three parameters more
    present = histogram > 0
    certain = np.flatnonzero(present & (posterior >= certainty))
    if not better or len(certain) == 0:
        return None
    # Far below the background the wide signal wins again: only the upper branch counts.
    unsure = np.flatnonzero(present & (posterior < certainty) & (at <= certain[-1]))
    return float(unsure[-1]) + 0.5 if len(unsure) else None


def _expectation_maximization(histogram: FloatArray, at: FloatArray) -> tuple[FloatArray, float]:
    """Posterior of signal at each level, and the log-likelihood."""
    total = histogram.sum()
    cumulated = np.cumsum(histogram) / total
    middle = float(np.searchsorted(cumulated, 0.5))
    low = max(float(np.searchsorted(cumulated, 0.25)), 0.0)
    high = max(float(np.searchsorted(cumulated, 0.98)), middle + 2.0)
    mean_b, var_b = low, max(low, 1.0)
    mean_s, var_s, share = high, 2 * high, 0.3
    posterior, last = np.zeros_like(at), -np.inf
    for _ in range(500):
        if var_s <= mean_s:
            var_s = 2 * mean_s
        r = mean_s**2 / (var_s - mean_s)
        noise = (1 - share) * stats.norm.pdf(at, mean_b, np.sqrt(var_b + 1 / 12))
        signal = share * stats.nbinom.pmf(at, r, r / (r + mean_s))
        both = np.maximum(noise + signal, 1e-300)
        posterior = signal / both
        likelihood = float(histogram @ np.log(both))
        weight = histogram * posterior
        rest = histogram - weight
        if abs(likelihood - last) < 1e-6 * total or weight.sum() < 1 or rest.sum() < 1:
            break
        last = likelihood
        share = float(weight.sum() / total)
        mean_s = max(float(weight @ at / weight.sum()), 1e-3)
        var_s = max(float(weight @ (at - mean_s) ** 2 / weight.sum()), 1e-3)
        mean_b = float(rest @ at / rest.sum())
        var_b = max(float(rest @ (at - mean_b) ** 2 / rest.sum()), 0.05)
    return posterior, float(last)


def _levels(image: FloatArray) -> npt.NDArray[np.int64]:
    whole = bool((image == np.floor(image)).all()) and image.min() >= 0
    if not whole or image.max() >= _MOST_LEVELS:
        span = float(image.max() - image.min())
        image = (image - image.min()) * (255.0 / span if span > 0 else 0.0)
    return np.asarray(np.round(image).astype(np.int64))


def _first_seeds(
    grid: VoxelGrid, image: npt.NDArray[np.int64], seeds: npt.ArrayLike | None
) -> list[tuple[int, ...]]:
    if seeds is None:
        soft = ndimage.gaussian_filter(image.astype(np.float64), 100.0 / grid.voxel_nm)
        return [tuple(int(i) for i in np.unravel_index(int(soft.argmax()), soft.shape))]
    index = np.floor(grid.to_index(seeds) + 0.5).astype(np.int64)
    if not ((index >= 0) & (index < grid.shape)).all():
        raise GeometryError("segment: smrg: a seed lies outside the grid.")
    return [tuple(int(i) for i in item) for item in index]


def _connected(
    bright: BoolArray, grown: BoolArray, seed: tuple[int, ...], box: tuple[slice, ...]
) -> BoolArray:
    """What is bright, not yet grown, and connected to the seed or to what has grown."""
    labels, count = ndimage.label(bright | grown, np.ones((3, 3, 3)))
    keep = np.zeros(count + 1, dtype=bool)
    own = labels[tuple(s - part.start for s, part in zip(seed, box, strict=True))]
    keep[own] = True
    keep[labels[grown]] = True
    keep[0] = False
    return np.asarray(keep[labels] & ~grown)


def _next_seeds(new: BoolArray, box: tuple[slice, ...], done: BoolArray) -> list[tuple[int, ...]]:
    """Maxima of the rounded distance to the outline in each plane, where no window was yet."""
    found: list[tuple[int, ...]] = []
    for z in range(len(new)):
        if not new[z].any():
            continue
        depth = np.round(ndimage.distance_transform_edt(new[z]))
        top = (depth == ndimage.maximum_filter(depth, size=5)) & (depth > 0)
        for y, x in np.argwhere(top):
            place = (z + box[0].start, int(y) + box[1].start, int(x) + box[2].start)
            if not done[place]:
                found.append(place)
    return found

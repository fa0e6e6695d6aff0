"""Spot Spine: heads are local maxima of brightness near a dendrite, each grown within its zone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from nanospine.core.errors import ConfigError
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BoolArray,
    FloatArray,
    LabelArray,
    Segmentation,
    as_mask,
    parts,
    smoothed,
)

__all__ = ["spot_spine"]

_PROFILE_VOXELS = 10
_NEIGHBOURS = np.array([place for place in np.ndindex(3, 3, 3) if place != (1, 1, 1)]) - 1


def spot_spine(
    grid: VoxelGrid,
    *,
    dendrite: npt.ArrayLike | None = None,
    sigma_nm: float = 100.0,
    maximum_radius_nm: float = 300.0,
    min_intensity: float = 0.05,
    min_distance_nm: float = 100.0,
    max_distance_nm: float = 3500.0,
    width: float = 1.5,
    growth: str = "block",
    min_volume_nm3: float = 1e6,
    max_volume_nm3: float = 1e9,
    necks: bool = True,
    binarize: str = "otsu",
    binarize_options: dict[str, Any] | None = None,
) -> Segmentation:
    """Find spine heads as bright spots near a dendrite, and their necks as cheapest ways to it.

    Parameters
    ----------
    grid : VoxelGrid
        Intensities.
    dendrite : array_like of bool, optional
        Mask of the shaft. Without it the shaft is found by :func:`opening` on the mask that
        `binarize` gives.
    sigma_nm : float
        Gaussian smoothing before maxima are sought.
    maximum_radius_nm : float
        A seed is the brightest voxel within this distance.
    min_intensity : float
        Fraction of the brightest voxel that a seed must exceed.
    min_distance_nm, max_distance_nm : float
        Of a seed from the dendrite.
    width : float
        Heads end where a Gaussian fitted to the mean radial profile has fallen at this many
        standard deviations (Spot Spine begins with 2, its automatic mode takes 1.5).
    growth : str
        `block`: a voxel's bright neighbours join all together, if there are two or more and none is
        brighter than it; `classical`: every bright neighbour joins.
    min_volume_nm3, max_volume_nm3 : float
        Of a head.
    necks : bool
        Join each head to the dendrite along the way of least cost, 1 / brightness per length.
    binarize, binarize_options
        See `dendrite`.

    Notes
    -----
    Gilles et al. 2024, Spot Spine (Fiji). Radii are lengths here and not voxels; the dendrite is a
    mask instead of a traced path; the way of the neck is scikit-image's, without a heuristic.
    """
    from skimage.segmentation import watershed

    if growth not in ("block", "classical"):
        raise ConfigError(
            f"segment: spot_spine: growth of block or classical was expected, found {growth!r}."
        )
    shaft = _shaft(grid, dendrite, binarize, binarize_options)
    away = np.asarray(ndimage.distance_transform_edt(~shaft, sampling=grid.voxel_nm))
    image = np.where(shaft, 0.0, smoothed(grid.data, grid.voxel_nm, sigma_nm))
    seeds = _maxima(image, grid.voxel_nm, maximum_radius_nm)
    value, distance = image[tuple(seeds.T)], away[tuple(seeds.T)]
    good = value > min_intensity * float(image.max(initial=0.0))
    good &= (distance > min_distance_nm) & (distance < max_distance_nm)
    seeds = seeds[good]
    spines = np.zeros(grid.shape, dtype=np.int32)
    if len(seeds):
        markers = np.zeros(grid.shape, dtype=np.int32)
        markers[tuple(seeds.T)] = np.arange(1, len(seeds) + 1)
        apart = ndimage.distance_transform_edt(markers == 0, sampling=grid.voxel_nm)
        zones = watershed(apart, markers)
        voxel = float(np.prod(grid.voxel_nm))
        for number, seed in enumerate(seeds, start=1):
            limit = _limit(image, seed, width)
            head = _grown(image, seed, (zones == number) & ~shaft, limit, growth == "block")
            if min_volume_nm3 <= head.sum() * voxel <= max_volume_nm3:
                spines[head] = spines.max() + 1
    touching = 0
    if necks and spines.any():
        touching = _add_necks(image, spines, shaft, grid.voxel_nm)
    count = int(spines.max(initial=0))
    return parts(
        shaft & (spines == 0),
        spines,
        f"{len(seeds)} spots, {count} of the right size, {touching} of them touch the dendrite",
    )


def _shaft(
    grid: VoxelGrid, dendrite: npt.ArrayLike | None, binarize: str, options: dict[str, Any] | None
) -> BoolArray:
    if dendrite is not None:
        return np.asarray(dendrite, dtype=bool)
    from nanospine.voxels.segmenters.opening import opening

    return opening(grid.with_data(as_mask(grid, binarize, options))).labels == 1


def _maxima(image: FloatArray, voxel_nm: FloatArray, radius_nm: float) -> npt.NDArray[np.int64]:
    """Voxels that none within the radius exceeds; of a plateau only the first."""
    reach = np.maximum(np.floor(radius_nm / voxel_nm).astype(int), 1)
    at = np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij")
    size = np.sqrt(sum((a * v) ** 2 for a, v in zip(at, voxel_nm, strict=True)))
    ball = size <= max(radius_nm, float(voxel_nm.max()))
    top = (image == ndimage.maximum_filter(image, footprint=ball, mode="nearest")) & (image > 0)
    labels, count = ndimage.label(top, np.ones((3, 3, 3)))
    if count == 0:
        return np.zeros((0, 3), dtype=np.int64)
    first = np.unique(labels.ravel(), return_index=True)[1][-count:]
    return np.stack(np.unravel_index(first, image.shape), axis=1).astype(np.int64)


def _limit(image: FloatArray, seed: npt.NDArray[np.int64], width: float) -> float:
    """Value at `width` standard deviations of a Gaussian fitted to the mean radial profile."""
    low = np.maximum(seed - _PROFILE_VOXELS, 0)
    box = image[tuple(slice(a, b + _PROFILE_VOXELS + 1) for a, b in zip(low, seed, strict=True))]
    at = np.meshgrid(*[np.arange(n) for n in box.shape], indexing="ij")
    ring = np.sqrt(sum((a - s) ** 2 for a, s in zip(at, seed - low, strict=True)))
    shell = np.floor(ring + 0.5).astype(np.int64).ravel()
    near = shell <= _PROFILE_VOXELS
    count = np.bincount(shell[near], minlength=_PROFILE_VOXELS + 1)
    total = np.bincount(shell[near], box.ravel()[near], minlength=len(count))
    profile = total / np.maximum(count, 1)
    # Beyond the first rise the profile is that of the neighbours.
    rise = np.flatnonzero(np.diff(profile) > 0)
    end = max(int(rise[0]) + 1 if len(rise) else len(profile), 4)
    r = np.arange(end, dtype=np.float64)
    top, floor = float(profile[0]), float(profile[:end].min())

    def model(x: FloatArray, a: float, b: float, d: float) -> FloatArray:
        return np.asarray(a + (b - a) * np.exp(-(x**2) / (2 * d * d)))

    try:
        (a, b, d), _ = optimize.curve_fit(
            model,
            r,
            profile[:end],
            p0=(floor, top, 2.0),
            bounds=([0, 0, 0.3], [np.inf, np.inf, 10]),
        )
    except (RuntimeError, ValueError, optimize.OptimizeWarning):
        a, b, d = floor, top, 2.0
    return float(model(np.array(width * d), a, b, d))


def _grown(
    image: FloatArray,
    seed: npt.NDArray[np.int64],
    zone: BoolArray,
    limit: float,
    block: bool,
) -> BoolArray:
    """Grow a head from its seed within its zone among voxels above the limit."""
    allowed = zone & (image >= limit)
    head = np.zeros(image.shape, dtype=bool)
    head[tuple(seed)] = True
    if not block:
        labels, _ = ndimage.label(allowed | head, np.ones((3, 3, 3)))
        return np.asarray(labels == labels[tuple(seed)])
    front = [tuple(seed)]
    shape = np.array(image.shape)
    while front:
        centre = front.pop(0)
        near = _NEIGHBOURS + centre
        near = near[((near >= 0) & (near < shape)).all(axis=1)]
        new = near[allowed[tuple(near.T)] & ~head[tuple(near.T)]]
        if len(new) >= 2 and image[tuple(new.T)].max() <= image[centre]:
            head[tuple(new.T)] = True
            front.extend(map(tuple, new))
    return head


def _add_necks(
    image: FloatArray, spines: LabelArray, shaft: BoolArray, voxel_nm: FloatArray
) -> int:
    """Add the way to the dendrite to each head; give the number of heads that touch it."""
    from skimage.graph import MCP_Geometric

    scale = float(image.max())
    cost = 1.0 / (np.maximum(image, 0.0) / scale + 0.01)
    cost[shaft] = 1.0
    starts = np.argwhere(shaft & ~ndimage.binary_erosion(shaft))
    ways = MCP_Geometric(cost, sampling=tuple(voxel_nm))
    total, _ = ways.find_costs(starts.tolist())
    near = ndimage.binary_dilation(shaft, np.ones((3, 3, 3)))
    touching = 0
    for number in range(1, int(spines.max()) + 1):
        head = np.argwhere(spines == number)
        if near[tuple(head.T)].any():
            touching += 1
            continue
        end = head[np.argmin(total[tuple(head.T)])]
        way = np.array(ways.traceback(tuple(int(i) for i in end)))
        way = way[~shaft[tuple(way.T)] & (spines[tuple(way.T)] == 0)]
        spines[tuple(way.T)] = number
    return touching

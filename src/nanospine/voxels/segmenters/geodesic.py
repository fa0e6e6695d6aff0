"""Re-attaching detached spines: the cheapest way from each loose part to the dendrite."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BoolArray,
    FloatArray,
    Segmentation,
    as_mask,
    components,
    foreground,
    smoothed,
)

__all__ = ["geodesic"]


def geodesic(
    grid: VoxelGrid,
    *,
    mask: npt.ArrayLike | None = None,
    max_length_nm: float = 3000.0,
    max_cost: float = 0.9,
    ways: int = 7,
    jitter: float = 0.3,
    sigma_nm: float = 60.0,
    radius_nm: float = 60.0,
    min_volume_nm3: float = 5e6,
    seed: int = 0,
    binarize: str = "otsu",
    binarize_options: dict[str, Any] | None = None,
) -> Segmentation:
    """Join loose parts of a mask to its largest part along the dim bridges between them.

    From every loose part the way of least cost to the largest part is sought several times with the
    cost of each voxel changed at random, and the way in the middle of them (least mean distance to
    the others) is taken. It is accepted when it is short enough and mean cost along it is low
    enough; then it is added as a tube. What is not joined is dropped, and counted in the notes.

    Parameters
    ----------
    grid : VoxelGrid
        Intensities; from a boolean grid only distances count.
    mask : array_like of bool, optional
        By default what `binarize` gives.
    max_length_nm : float
        Of a way.
    max_cost : float
        Mean over the way of 1 - brightness / (brightness of the mask); 1 is darkness.
    ways : int
        Ways that are sought for each part.
    jitter : float
        Standard deviation of the logarithm of the random factor on cost.
    sigma_nm : float
        Smoothing of the image before.
    radius_nm : float
        Of the tube that is added.
    min_volume_nm3 : float
        Smaller loose parts are noise and dropped.
    seed : int
        Of the random factors.
    binarize, binarize_options
        See `mask`.

    Notes
    -----
    Own design after the idea of Jain et al. 2021 (a choice among stochastic paths between a
    detached head and its shaft); their algorithm could not be read, so this is not theirs.
    """
    from scipy import ndimage

    if mask is None:
        loose_options = {"min_volume_nm3": min(min_volume_nm3, 1e6)} if binarize == "otsu" else {}
        body = as_mask(grid, binarize, loose_options | (binarize_options or {}))
    else:
        body = np.asarray(mask, dtype=bool)
    image = smoothed(grid.data, grid.voxel_nm, sigma_nm)
    level = max(float(np.median(image[body])) if body.any() else 1.0, 1e-12)
    cost = np.clip(1.0 - image / level, 0.05, 1.0)
    labels = components(body)
    volume = np.bincount(labels.ravel()) * float(np.prod(grid.voxel_nm))
    main = labels == 1
    joined = main.copy()
    bridge = np.zeros(grid.shape, dtype=bool)
    draw = np.random.default_rng(seed)
    order = np.flatnonzero(volume >= min_volume_nm3)
    loose = [int(n) for n in order if n > 1]
    for number in loose:
        part = labels == number
        found = _middle_way(cost, part, main, grid.voxel_nm, max_length_nm, ways, jitter, draw)
        if found is None:
            continue
        way, length = found
        if length <= max_length_nm and float(cost[tuple(way.T)].mean()) <= max_cost:
            joined |= part
            bridge[tuple(way.T)] = True
    if bridge.any():
        away = ndimage.distance_transform_edt(~bridge, sampling=grid.voxel_nm)
        joined |= away <= max(radius_nm, 0.5 * float(grid.voxel_nm.max()))
    count = len(np.unique(labels[joined & (labels > 1)]))
    dropped = int(labels.max(initial=0)) - 1 - count
    return foreground(joined, f"{count} loose parts joined, {max(dropped, 0)} dropped")


def _middle_way(
    cost: FloatArray,
    part: BoolArray,
    main: BoolArray,
    voxel_nm: FloatArray,
    max_length_nm: float,
    ways: int,
    jitter: float,
    draw: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], float] | None:
    """Give the medoid of several cheap ways from a part to the main one, and its length."""
    from scipy.spatial import cKDTree
    from skimage.graph import MCP_Geometric

    place = np.argwhere(part)
    reach = np.ceil(max_length_nm / voxel_nm).astype(int)
    low = np.maximum(place.min(axis=0) - reach, 0)
    high = np.minimum(place.max(axis=0) + reach + 1, cost.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    ends = np.argwhere(main[box])
    if len(ends) == 0:
        return None
    # Nobody enters the shaft to travel inside it: its surface is the end.
    starts = (place - low).tolist()
    found = []
    for _ in range(max(ways, 1)):
        noisy = cost[box] * np.exp(jitter * draw.standard_normal(cost[box].shape))
        search = MCP_Geometric(noisy, sampling=tuple(voxel_nm))
        total, _ = search.find_costs(starts, find_all_ends=False, ends=ends.tolist())
        reached = total[tuple(ends.T)]
        if not np.isfinite(reached).any():
            continue
        way = np.array(search.traceback(tuple(int(i) for i in ends[np.argmin(reached)])))
        found.append(way)
    if not found:
        return None
    trees = [cKDTree(way * voxel_nm) for way in found]
    apart = [
        float(np.mean([tree.query(way * voxel_nm)[0].mean() for tree in trees])) for way in found
    ]
    way = found[int(np.argmin(apart))]
    steps = np.linalg.norm(np.diff(way, axis=0) * voxel_nm, axis=1)
    return (way + low).astype(np.int64), float(steps.sum())

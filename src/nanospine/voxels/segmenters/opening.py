"""Shaft and spines by opening a mask with balls, from large to small."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BoolArray,
    FloatArray,
    Segmentation,
    as_mask,
    components,
    distance_nm,
    parts,
    protrusions,
)
from nanospine.voxels.segmenters.skeleton import backbone, skeleton_tree

__all__ = ["opening"]


def opening(
    grid: VoxelGrid,
    *,
    largest_radius_nm: float | None = None,
    smallest_radius_nm: float = 100.0,
    steps: int = 8,
    span: float = 0.9,
    min_height_nm: float = 200.0,
    min_volume_nm3: float = 3e6,
    shell_nm: float = 80.0,
    binarize: str = "otsu",
    binarize_options: dict[str, Any] | None = None,
) -> Segmentation:
    """Separate shaft and spines: the shaft is what the largest ball can run along.

    For radii from large to small the mask is opened by an exact ball in nm (also on unequal
    voxels: two distance transforms). The first opening whose largest part covers the fraction
    `span` of the mask's backbone is the shaft; what sticks out of it are the spines. Heads that are
    as wide as the shaft stay apart, since their necks do not survive the opening.

    Parameters
    ----------
    grid : VoxelGrid
        A boolean mask, or intensities.
    largest_radius_nm : float, optional
        Where to begin; the median distance to the surface along the backbone by default.
    smallest_radius_nm : float
        Where to stop.
    steps : int
        Number of radii.
    span : float
        Fraction of the backbone (without its ends) that the shaft must cover.
    min_height_nm, min_volume_nm3, shell_nm : float
        A spine rises this high above the shaft and is this large; a layer of `shell_nm` around
        the opened shaft belongs to the shaft where no spine stands on it.
    binarize, binarize_options
        Method and options that make the mask of intensities.

    Notes
    -----
    The idea of separation at many scales is that of 3dSpAn (Das et al. 2022). Its fuzzy distance
    transform and its seeds set by hand are not here.
    """
    mask = as_mask(grid, binarize, binarize_options)
    depth = distance_nm(mask, grid.voxel_nm)
    tree = skeleton_tree(mask, grid.voxel_nm)
    path = tree.nodes[backbone(tree)]
    inner = path[len(path) // 10 : max(len(path) - len(path) // 10, 1)]
    along = depth[tuple(inner.T)]
    start = float(np.median(along)) if largest_radius_nm is None else largest_radius_nm
    radii = np.geomspace(max(start, smallest_radius_nm), smallest_radius_nm, steps)
    shaft, radius = mask, 0.0
    for radius in radii:
        shaft = _opened(depth, grid.voxel_nm, float(radius))
        if shaft[tuple(inner.T)].mean() >= span:
            break
    spines, dropped = protrusions(
        mask,
        shaft,
        grid.voxel_nm,
        min_height_nm=min_height_nm,
        min_volume_nm3=min_volume_nm3,
        shell_nm=shell_nm,
    )
    return parts(
        mask & (spines == 0),
        spines,
        f"opened with a ball of {radius:.0f} nm",
        f"{dropped} protrusions too low or too small were left with the shaft",
    )


def _opened(depth: FloatArray, voxel_nm: FloatArray, radius_nm: float) -> BoolArray:
    """Give the largest part of the opening by a ball, from distances to the surface."""
    core = components(depth > radius_nm) == 1
    if not core.any():
        return core
    return np.asarray((distance_nm(~core, voxel_nm) <= radius_nm) & (depth > 0))

"""Shaft and spines by the skeleton: short branches, and the rule of leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import LabelArray, Segmentation, as_mask, parts
from nanospine.voxels.segmenters.skeleton import (
    IntArray,
    SkeletonTree,
    assign_voxels,
    backbone,
    path_between,
    side_trees,
    skeleton_tree,
)

__all__ = ["branches", "keep_large"]


def branches(
    grid: VoxelGrid,
    *,
    longest_spine_nm: float = 3000.0,
    spur_factor: float = 1.0,
    min_volume_nm3: float = 3e6,
    window_nm: float = 1500.0,
    binarize: str = "otsu",
    binarize_options: dict[str, Any] | None = None,
) -> Segmentation:
    """Separate shaft and spines: spines are the short side branches of the skeleton.

    The longest path of the skeleton, and every side branch longer than a spine can be, is shaft.
    Of the rest, branches that do not even leave the shaft (shorter than `spur_factor` times its
    radius there, plus a voxel) are spurs of the thinning; what remains are spines, a forked one
    being one. A watershed of the distance to the surface shares out the voxels.

    Parameters
    ----------
    grid : VoxelGrid
        A boolean mask, or intensities.
    longest_spine_nm : float
        From the axis of the shaft to the tip.
    spur_factor : float
        Half of the end branches on real dendrites are spurs.
    min_volume_nm3 : float
        Smaller spines are left with the shaft.
    window_nm : float
        Along the shaft, over which its radius is smoothed.
    binarize, binarize_options
        Method and options that make the mask of intensities.

    Notes
    -----
    After Rusakov and Stewart 1995 (J. Neurosci. Meth. 60, 11) and SpineTool (Pchitskaya et al.
    2023). Here the backbone is the longest path and not the straightest, side trees are taken
    whole instead of pruned end by end, and the cut is at the surface of the smoothed shaft instead
    of where the branch is thinnest, so that the neck stays with its spine.
    """
    mask = as_mask(grid, binarize, binarize_options)
    tree = skeleton_tree(mask, grid.voxel_nm)
    shaft = backbone(tree)
    while True:
        long = [item for item in side_trees(tree, shaft) if item[2] > longest_spine_nm]
        if not long:
            break
        more = [path_between(tree, root, tip) for root, _, _, tip in long]
        shaft = np.unique(np.concatenate([shaft, *more]))
    found, spurs = without_spurs(tree, side_trees(tree, shaft), spur_factor, grid)
    spines = assign_voxels(mask, grid.voxel_nm, tree, shaft, found, window_nm=window_nm)
    spines, small = keep_large(spines, grid, min_volume_nm3)
    return parts(
        mask & (spines == 0),
        spines,
        f"{spurs} spurs of the skeleton and {small} small spines were left with the shaft",
    )


def without_spurs(
    tree: SkeletonTree,
    sides: list[tuple[int, IntArray, float, int]],
    spur_factor: float,
    grid: VoxelGrid,
) -> tuple[list[IntArray], int]:
    """Give the nodes of side trees that leave the shaft, and the number of those that do not."""
    step = float(grid.voxel_nm.max())
    kept = [
        nodes
        for root, nodes, length, _ in sides
        if length >= spur_factor * tree.depth_nm[root] + step
    ]
    return kept, len(sides) - len(kept)


def keep_large(
    spines: LabelArray, grid: VoxelGrid, min_volume_nm3: float
) -> tuple[LabelArray, int]:
    """Number spines anew without those below a volume, from large to small; count the dropped."""
    volume = np.bincount(spines.ravel())[1:] * float(np.prod(grid.voxel_nm))
    order = np.argsort(-volume, kind="stable")
    order = order[volume[order] >= max(min_volume_nm3, 1e-9)]
    number = np.zeros(len(volume) + 1, dtype=np.int32)
    number[order + 1] = np.arange(1, len(order) + 1)
    return number[spines], int((volume > 0).sum()) - len(order)

"""The rule of leaves: an edge of the skeleton that ends freely is a spine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csgraph

from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.branches import keep_large, without_spurs
from nanospine.voxels.segmenters.common import Segmentation, as_mask, parts
from nanospine.voxels.segmenters.skeleton import (
    IntArray,
    SkeletonTree,
    assign_voxels,
    backbone,
    side_trees,
    skeleton_tree,
)

__all__ = ["leaf"]


def leaf(
    grid: VoxelGrid,
    *,
    merge_nm: float = 150.0,
    spur_factor: float = 1.0,
    min_volume_nm3: float = 3e6,
    window_nm: float = 1500.0,
    binarize: str = "otsu",
    binarize_options: dict[str, Any] | None = None,
) -> Segmentation:
    """Separate shaft and spines: an edge of the skeleton with a free end is a spine.

    A junction where two or more such edges meet one more edge is inside a spine (a forked one), and
    that edge belongs to the spine too. Edges that end at the border of the grid, and the axis of
    the shaft, are shaft, however long: there is no longest spine here.

    Parameters
    ----------
    grid : VoxelGrid
        A boolean mask, or intensities.
    merge_nm : float
        Junctions nearer to each other than this are one.
    spur_factor, min_volume_nm3, window_nm, binarize, binarize_options
        As for :func:`branches`.

    Notes
    -----
    The rule of SpineJ (Levet et al. 2020), which is for planes: there the skeleton is that of a
    constrained Delaunay triangulation of the outline. Here it is thinned from voxels in 3-D, spurs
    are removed first, and the shaft's own ends are not taken for spines.
    """
    mask = as_mask(grid, binarize, binarize_options)
    tree = skeleton_tree(mask, grid.voxel_nm)
    main = backbone(tree)
    kept, spurs = without_spurs(tree, side_trees(tree, main), spur_factor, grid)
    use = np.unique(np.concatenate([main, *kept]))
    free = _free_nodes(tree, use, main, grid, merge_nm)
    found = _grouped(tree, free)
    shaft = np.setdiff1d(use, np.concatenate([np.zeros(0, dtype=np.int64), *found]))
    spines = assign_voxels(mask, grid.voxel_nm, tree, shaft, found, window_nm=window_nm)
    spines, small = keep_large(spines, grid, min_volume_nm3)
    return parts(
        mask & (spines == 0),
        spines,
        f"{spurs} spurs of the skeleton and {small} small spines were left with the shaft",
    )


def _free_nodes(
    tree: SkeletonTree, use: IntArray, main: IntArray, grid: VoxelGrid, merge_nm: float
) -> npt.NDArray[np.bool_]:
    """Mark the nodes of spine edges: leaf edges first, then what only leaf edges hang on."""
    on = np.zeros(len(tree.nodes), dtype=bool)
    on[use] = True
    axis = np.zeros_like(on)
    axis[main] = True
    place = tree.nodes
    border = ((place == 0) | (place == np.array(grid.shape) - 1)).any(axis=1)
    free = np.zeros_like(on)
    neighbours = np.split(tree.edges.indices, tree.edges.indptr[1:-1])
    degree = np.array([int(on[item].sum()) for item in neighbours])
    for tip in np.flatnonzero(on & ~axis & (degree == 1) & ~border):
        _walk(int(tip), on & ~axis, degree, neighbours, free)
    # Fork rule: nodes of an unmarked edge whose one end meets two marked edges, step by step.
    changed = True
    while changed:
        changed = False
        for node in np.flatnonzero(on & ~axis & ~free & (degree >= 3)):
            near = [int(n) for n in neighbours[node] if on[n]]
            if sum(bool(free[n]) for n in near) >= 2 and sum(not free[n] for n in near) <= 1:
                free[node] = True
                for other in near:
                    if not free[other] and not axis[other]:
                        _walk(other, on & ~axis, degree, neighbours, free)
                changed = True
    _merge_near(tree, on & ~axis, free, merge_nm)
    return free


def _walk(
    start: int,
    allowed: npt.NDArray[np.bool_],
    degree: IntArray,
    neighbours: list[npt.NDArray[np.int32]],
    free: npt.NDArray[np.bool_],
) -> None:
    """Mark the nodes of an edge from its end up to the next junction, without that."""
    node: int | None = start
    while node is not None and degree[node] <= 2:
        free[node] = True
        onward = [int(n) for n in neighbours[node] if allowed[n] and not free[n]]
        node = onward[0] if onward else None


def _merge_near(
    tree: SkeletonTree,
    side: npt.NDArray[np.bool_],
    free: npt.NDArray[np.bool_],
    merge_nm: float,
) -> None:
    """Mark what is left between junctions nearer than `merge_nm`, between marked edges and axis."""
    rest = np.flatnonzero(side & ~free)
    if len(rest) == 0:
        return
    sub = tree.edges[rest][:, rest]
    _, part = csgraph.connected_components(sub, directed=False)
    for number in range(int(part.max()) + 1):
        group = rest[part == number]
        length = float(sub[part == number][:, part == number].sum()) / 2
        if length < merge_nm:
            free[group] = True


def _grouped(tree: SkeletonTree, free: npt.NDArray[np.bool_]) -> list[IntArray]:
    """Give connected sets of marked nodes."""
    own = np.flatnonzero(free)
    if len(own) == 0:
        return []
    _, part = csgraph.connected_components(tree.edges[own][:, own], directed=False)
    return [own[part == number] for number in range(int(part.max()) + 1)]

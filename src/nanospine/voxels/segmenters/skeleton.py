"""The skeleton of a mask as a tree: backbone, side trees, and the voxels that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from nanospine.core.errors import TooFewPointsError
from nanospine.voxels.segmenters.common import (
    BoolArray,
    FloatArray,
    LabelArray,
    components,
    distance_nm,
)

__all__ = ["SkeletonTree", "assign_voxels", "backbone", "side_trees", "skeleton_tree"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SkeletonTree:
    """The skeleton of the largest component of a mask.

    Attributes
    ----------
    nodes : ndarray, shape (n, 3)
        Voxel indices z, y, x.
    edges : scipy.sparse.csr_array, shape (n, n)
        Symmetric; lengths in nm. Without cycles: rings, and the triangles where branches meet,
        are opened at their longest edges (minimum spanning tree).
    depth_nm : ndarray, shape (n,)
        Distance of each node to the surface.
    """

    nodes: IntArray
    edges: sparse.csr_array
    depth_nm: FloatArray

    @property
    def degree(self) -> IntArray:
        """Number of neighbours of each node."""
        return np.diff(self.edges.indptr).astype(np.int64)


def skeleton_tree(mask: BoolArray, voxel_nm: FloatArray) -> SkeletonTree:
    """Thin the largest component of a mask to its skeleton (Lee) and make a tree of it.

    Raises
    ------
    TooFewPointsError
        When the mask is empty.
    """
    from skimage.graph import pixel_graph
    from skimage.morphology import skeletonize

    body = components(mask) == 1
    # At the edge of the grid the thinning would eat the end of a shaft that leaves it.
    padded = np.pad(body, 1, mode="edge")
    line = skeletonize(padded)[1:-1, 1:-1, 1:-1] & body
    if not line.any():
        raise TooFewPointsError("segment: the mask is empty: it has no skeleton.")
    depth = distance_nm(body, voxel_nm)
    nodes = np.argwhere(line)
    if len(nodes) == 1:
        return SkeletonTree(nodes, sparse.csr_array((1, 1)), depth[tuple(nodes.T)])
    graph, flat = pixel_graph(line, connectivity=3, spacing=voxel_nm)
    nodes = np.stack(np.unravel_index(np.asarray(flat), line.shape), axis=1).astype(np.int64)
    tree = csgraph.minimum_spanning_tree(sparse.csr_array(graph))
    whole = sparse.csr_array(tree + tree.T)
    count, part = csgraph.connected_components(whole, directed=False)
    if count > 1:
        keep = np.flatnonzero(part == np.bincount(part).argmax())
        whole, nodes = sparse.csr_array(whole[keep][:, keep]), nodes[keep]
    return SkeletonTree(nodes, whole, depth[tuple(nodes.T)])


def backbone(tree: SkeletonTree, *, longest_spine_nm: float = 3000.0) -> IntArray:
    """Give the nodes of the shaft's axis in order: the longest thick path, no spines at its ends.

    The path with the largest sum of length times depth is found by two sweeps of Dijkstra (by
    length alone it would run to the tips of long thin spines). Where it passes a neck (less than
    half as deep as its median) within the length of a spine from an end, it ends before it.
    """
    if len(tree.nodes) == 1:
        return np.zeros(1, dtype=np.int64)
    rows = np.repeat(np.arange(len(tree.nodes)), np.diff(tree.edges.indptr))
    deep = (tree.depth_nm[rows] + tree.depth_nm[tree.edges.indices]) / 2
    weighted = sparse.csr_array(
        (tree.edges.data * deep, tree.edges.indices, tree.edges.indptr), tree.edges.shape
    )
    first = int(np.argmax(csgraph.dijkstra(weighted, indices=0)))
    far, before = csgraph.dijkstra(weighted, indices=first, return_predecessors=True)
    path = _path(before, int(np.argmax(far)))
    path = _without_end_spine(tree, path, longest_spine_nm)
    return _without_end_spine(tree, path[::-1], longest_spine_nm)[::-1]


def _without_end_spine(tree: SkeletonTree, path: IntArray, longest_spine_nm: float) -> IntArray:
    """Cut what lies beyond a neck near the last end of a path."""
    if len(path) < 3:
        return path
    steps = np.asarray(tree.edges[path[:-1], path[1:]]).ravel()
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    depth = tree.depth_nm[path]
    limit = 0.5 * float(np.median(depth))
    near_end = (arc[-1] - arc < longest_spine_nm) & (arc > arc[-1] / 2)
    thin = np.flatnonzero((depth < limit) & near_end)
    return path if len(thin) == 0 else path[: thin[0] + 1]


def side_trees(tree: SkeletonTree, main: IntArray) -> list[tuple[int, IntArray, float, int]]:
    """List what hangs on a set of nodes.

    Returns
    -------
    list of (root, nodes, length_nm, tip)
        The node of `main` it hangs on, its own nodes, the longest way from the root to a tip, and
        that tip.
    """
    away, before, _ = csgraph.dijkstra(
        tree.edges, indices=main, return_predecessors=True, min_only=True
    )
    rest = np.ones(len(tree.nodes), dtype=bool)
    rest[main] = False
    own = np.flatnonzero(rest)
    if len(own) == 0:
        return []
    _, part = csgraph.connected_components(tree.edges[own][:, own], directed=False)
    order = np.argsort(part, kind="stable")
    found = []
    for group in np.split(own[order], np.flatnonzero(np.diff(part[order])) + 1):
        tip = int(group[np.argmax(away[group])])
        root = _path(before, tip)[0]
        found.append((int(root), group, float(away[tip]), tip))
    return found


def path_between(tree: SkeletonTree, start: int, end: int) -> IntArray:
    """Give the nodes of the way from one node to another."""
    _, before = csgraph.dijkstra(tree.edges, indices=start, return_predecessors=True)
    return _path(before, end)


def _path(before: npt.NDArray[np.int32], end: int) -> IntArray:
    path = [end]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return np.array(path[::-1], dtype=np.int64)


def assign_voxels(
    mask: BoolArray,
    voxel_nm: FloatArray,
    tree: SkeletonTree,
    shaft: IntArray,
    spines: Sequence[IntArray],
    *,
    window_nm: float = 1500.0,
) -> LabelArray:
    """Share the voxels of a mask out among shaft (0) and spines (1, 2, ...).

    The shaft is seeded by the balls around its nodes, whose radius is the depth of the nodes
    smoothed by a median over `window_nm` (where a spine stands on it the shaft looks thicker), the
    spines by their nodes outside these balls; a watershed of the depth shares out the rest.

    Returns
    -------
    ndarray of int32
        0 where there is no spine, also outside the mask.
    """
    from skimage.segmentation import watershed

    radius = _smooth_radius(tree, shaft, voxel_nm, window_nm)
    line = np.ones(mask.shape, dtype=bool)
    at = tuple(tree.nodes[shaft].T)
    line[at] = False
    size = np.zeros(mask.shape)
    size[at] = radius
    away, nearest = ndimage.distance_transform_edt(line, sampling=voxel_nm, return_indices=True)
    tube = mask & (away <= size[tuple(nearest)])
    seeds = tube.astype(np.int32)
    for number, nodes in enumerate(spines, start=2):
        place = tree.nodes[nodes]
        free = place[~tube[tuple(place.T)]]
        seeds[tuple(free.T)] = number
    flooded = watershed(-distance_nm(mask, voxel_nm), seeds, mask=mask, connectivity=3)
    return np.maximum(flooded.astype(np.int32) - 1, 0).astype(np.int32)


def _smooth_radius(
    tree: SkeletonTree, shaft: IntArray, voxel_nm: FloatArray, window_nm: float
) -> FloatArray:
    """Median of the depth over shaft nodes within half a window of each."""
    from scipy.spatial import cKDTree

    place = tree.nodes[shaft] * voxel_nm
    near = cKDTree(place).query_ball_point(place, window_nm / 2)
    depth = tree.depth_nm[shaft]
    return np.array([float(np.median(depth[item])) for item in near])

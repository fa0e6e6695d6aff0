"""Labels of voxels go back: to localizations, to the vertices of an envelope, to meshes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.localizations import Localizations
from nanospine.voxels.closed_surface import closed_surface
from nanospine.voxels.grid import LabelGrid, VoxelGrid

__all__ = ["as_labels", "labels_to_meshes", "labels_to_points", "labels_to_vertices"]

IntArray = npt.NDArray[np.int64]


def labels_to_points(
    labels: LabelGrid | VoxelGrid,
    locs: Localizations | npt.ArrayLike,
    *,
    reach_nm: float = 0.0,
) -> IntArray:
    """Give each localization the label of the voxel that it lies in.

    Parameters
    ----------
    labels : LabelGrid or VoxelGrid of whole numbers
    locs : Localizations or array_like, shape (n, 3)
        x, y, z in nm.
    reach_nm : float
        Localizations in the background take the label of the nearest labelled voxel (the least,
        where several are) whose centre is no farther than this: localizations of a membrane
        scatter about the border of a mask by their precision. 0 takes the voxel as it is.

    Returns
    -------
    ndarray of int64, shape (n,)
        0 in voxels of background, -1 beyond the grid, whatever the reach.

    Raises
    ------
    GeometryError
        When the labels are not whole numbers, or a position is not finite.

    Examples
    --------
    >>> labels = LabelGrid(np.array([[[0, 7]]]), 10.0, (0, 0, 0))
    >>> labels_to_points(labels, [[10, 0, 0], [0, 0, 0], [20, 0, 0]]).tolist()
    [7, 0, -1]
    >>> labels_to_points(labels, [[10, 0, 0], [0, 0, 0], [20, 0, 0]], reach_nm=10).tolist()
    [7, 7, -1]
    """
    if not (np.isfinite(reach_nm) and reach_nm >= 0):
        raise ConfigError(f"labels_to_points: reach_nm of 0 or more expected, found {reach_nm}.")
    if isinstance(locs, Localizations):
        points = locs.xyz_nm
    else:
        points = np.asarray(locs, dtype=np.float64)
        if points.size == 0:
            points = points.reshape(0, 3)
        if points.ndim == 2 and points.shape[1] == 2:
            points = np.column_stack([points, np.zeros(len(points))])
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise GeometryError(
            "labels_to_points: finite positions of shape (n, 3) were expected, found "
            f"{points.shape}."
        )
    grid = as_labels(labels)
    found = np.asarray(grid.values_at(points, outside=-1), dtype=np.int64)
    return _nearest(grid, points, found, reach_nm) if reach_nm else found


def _nearest(
    grid: VoxelGrid, points: npt.NDArray[np.float64], found: IntArray, reach_nm: float
) -> IntArray:
    """Replace 0 by the nearest label within reach."""
    from scipy.ndimage import binary_erosion
    from scipy.spatial import cKDTree

    bare = np.flatnonzero(found == 0)
    mask = grid.data > 0
    # Seen from the background, the nearest labelled voxel lies at the border of the mask.
    border = np.argwhere(mask & ~binary_erosion(mask, np.ones((3, 3, 3)), border_value=0))
    if not len(bare) or not len(border):
        return found
    labels = grid.data[tuple(border.T)]
    order = np.argsort(labels, kind="stable")
    tree = cKDTree(grid.to_xyz_nm(border[order]))
    # The bound of the tree is open; a voxel at just this distance is within reach.
    bound = np.nextafter(reach_nm, np.inf)
    distance, nearest = tree.query(points[bare], k=min(8, len(border)), distance_upper_bound=bound)
    distance, nearest = distance.reshape(len(bare), -1), nearest.reshape(len(bare), -1)
    tied = np.isfinite(distance) & (distance <= distance[:, :1])
    least = np.where(tied, nearest, len(border)).min(axis=1)
    hit = least < len(border)
    found[bare[hit]] = labels[order][least[hit]]
    return found


def labels_to_vertices(
    labels: LabelGrid | VoxelGrid, envelope: Any, *, depth_nm: float | None = None
) -> IntArray:
    """Give each vertex of an envelope or a mesh the label of the voxel just inside of it.

    The vertices lie on the surface, where the voxels of a mask end: half of them would fall into
    the background. So each is looked up at steps inwards, to the first label that is not 0.

    Parameters
    ----------
    labels : LabelGrid or VoxelGrid of whole numbers
    envelope : Envelope or trimesh.Trimesh
        Its normals point outwards.
    depth_nm : float, optional
        How far inwards a label is looked for; two diagonals of a voxel by default.

    Returns
    -------
    ndarray of int64, shape (n_vertices,)
        0 where there is no label within the depth, -1 beyond the grid.

    Examples
    --------
    >>> labels = LabelGrid(np.ones((9, 9, 9), dtype=np.int64), 10.0, (-40, -40, -40))
    >>> ball = trimesh.creation.icosphere(radius=45.5)
    >>> set(labels_to_vertices(labels, ball).tolist())
    {1}
    """
    mesh = getattr(envelope, "mesh", envelope)
    grid = as_labels(labels)
    if depth_nm is None:
        depth_nm = 2.0 * float(np.linalg.norm(grid.voxel_nm))
    if not depth_nm >= 0:
        raise ConfigError(f"labels_to_vertices: depth_nm of 0 or more expected, found {depth_nm}.")
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    inwards = -np.asarray(mesh.vertex_normals, dtype=np.float64)
    result = np.full(len(vertices), -1, dtype=np.int64)
    for depth in np.linspace(0.0, depth_nm, int(np.ceil(4 * depth_nm / grid.voxel_nm.min())) + 1):
        found = labels_to_points(grid, vertices + depth * inwards)
        result = np.where((result <= 0) & (found >= 0), found, result)
    return result


def labels_to_meshes(
    labels: LabelGrid | VoxelGrid,
    *,
    only: list[int] | None = None,
    smooth: int = 10,
) -> dict[int, trimesh.Trimesh]:
    """Make a closed mesh around the voxels of each label.

    Marching cubes (Lewiner's) at half height of the label's mask, or marching tetrahedra where
    voxels that touch at edges or corners would leave the former with doubled edges; then
    Taubin's smoothing, which takes off the steps and keeps the volume.

    Parameters
    ----------
    labels : LabelGrid or VoxelGrid of whole numbers
    only : list of int, optional
        Labels to mesh; all but 0 by default.
    smooth : int
        Rounds of smoothing; 0 leaves the surface of marching cubes.

    Returns
    -------
    dict
        From label to mesh in nm: watertight, normals outwards. Voxels at the edge of the grid are
        closed off there.

    Raises
    ------
    GeometryError
        When a label of `only` has no voxel.

    Examples
    --------
    >>> data = np.zeros((24, 24, 24), dtype=np.int64)
    >>> z, y, x = np.indices(data.shape) - 12
    >>> data[x**2 + y**2 + z**2 < 100] = 3
    >>> mesh = labels_to_meshes(LabelGrid(data, 10.0, (0, 0, 0)))[3]
    >>> mesh.is_watertight, bool(abs(mesh.volume / ((data == 3).sum() * 1000) - 1) < 0.03)
    (True, True)
    """
    from scipy.ndimage import find_objects

    grid = as_labels(labels)
    data = np.asarray(grid.data).astype(np.int64)
    boxes = find_objects(data) if data.any() else []
    present = [n for n, box in enumerate(boxes, start=1) if box is not None]
    wanted = present if only is None else list(only)
    missing = [n for n in wanted if n not in present]
    if missing:
        raise GeometryError(f"labels_to_meshes: no voxel has label {missing[0]}.")
    return {n: _mesh(data[boxes[n - 1]] == n, boxes[n - 1], grid, smooth) for n in wanted}


def _mesh(
    mask: npt.NDArray[np.bool_], box: tuple[slice, ...], grid: VoxelGrid, smooth: int
) -> trimesh.Trimesh:
    from skimage.measure import marching_cubes

    padded = np.pad(mask, 1).astype(np.float32)
    vertices, faces, _, _ = marching_cubes(padded, 0.5)
    corner = np.array([part.start for part in box]) - 1
    mesh = trimesh.Trimesh(vertices + corner, faces, process=True)
    if not mesh.is_watertight:  # voxels that touch at an edge or a corner only
        vertices, faces = closed_surface(padded > 0)
        mesh = trimesh.Trimesh(vertices + corner, faces, process=False)
    if smooth:
        trimesh.smoothing.filter_taubin(mesh, iterations=smooth)
    # To nm after smoothing: it works on steps of voxels, which are 1 along each axis here.
    placed = trimesh.Trimesh(grid.to_xyz_nm(mesh.vertices), mesh.faces, process=False)
    if placed.volume < 0:
        placed.invert()
    return placed


def as_labels(labels: LabelGrid | VoxelGrid) -> VoxelGrid:
    """Give labels as a grid of int64; refuse what are not whole numbers."""
    grid = labels.grid if isinstance(labels, LabelGrid) else labels
    data = np.asarray(grid.data)
    if data.dtype.kind == "f" and not (data == np.floor(data)).all():
        raise GeometryError("labels: whole numbers were expected as labels, found fractions.")
    return grid.with_data(data.astype(np.int64))

"""Poisson reconstruction and ball pivoting by Open3D, with normals from the carved surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.triangles import TriangleTree

__all__ = ["ball_pivoting_surface", "poisson_surface"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Cells of the octree over alpha, and its depth.
_CELL = 0.4
_DEPTHS = (5, 11)
# Points for ball pivoting are thinned to this spacing, and these balls roll over them.
_SPACING = 0.35
_BALLS = (0.4, 0.7, 1.2, 2.0)


def poisson_surface(
    points: FloatArray, vertices: FloatArray, faces: IntArray, *, alpha_nm: float
) -> tuple[FloatArray, IntArray, tuple[str, ...]]:
    """Screened Poisson reconstruction (Kazhdan and Hoppe 2013) of the localizations.

    Localizations within alpha of the carved surface are used, with the normals of its nearest
    faces: it knows inside from outside, which normals fitted to noisy points do not.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Localizations on a membrane, nanometres.
    vertices, faces : ndarray
        The carved surface.
    alpha_nm : float
        Its alpha; cells of the octree are 0.4 of it.

    Returns
    -------
    vertices, faces : ndarray
    notes : tuple of str

    Raises
    ------
    ConfigError
        Without Open3D.
    """
    o3d = _open3d("poisson")
    near, normals = _oriented(points, vertices, faces, alpha_nm)
    cloud = _cloud(o3d, near, normals)
    extent = float(np.ptp(near, axis=0).max()) * 1.2
    depth = int(np.clip(np.ceil(np.log2(extent / (_CELL * alpha_nm))), *_DEPTHS))
    # more than one thread gives another surface each time
    found, _ = o3d.geometry.TriangleMesh.create_from_point_cloud_poisson(
        cloud, depth=depth, scale=1.2, linear_fit=False, n_threads=1
    )
    return (
        np.asarray(found.vertices, dtype=np.float64),
        np.asarray(found.triangles, dtype=np.int64),
        (f"poisson: octree of depth {depth}, {len(near)} of {len(points)} localizations",),
    )


def ball_pivoting_surface(
    points: FloatArray, vertices: FloatArray, faces: IntArray, *, alpha_nm: float
) -> tuple[FloatArray, IntArray, tuple[str, ...]]:
    """Ball pivoting (Bernardini et al. 1999) over localizations that lie on the carved surface.

    A ball does not roll over a layer of noise: localizations within alpha of the carved surface
    are put onto it and thinned to 0.35 alpha first. Holes that are left are filled.

    Parameters
    ----------
    points, vertices, faces, alpha_nm
        As for :func:`poisson_surface`.

    Returns
    -------
    vertices, faces : ndarray
    notes : tuple of str

    Raises
    ------
    ConfigError
        Without Open3D.
    """
    o3d = _open3d("ball-pivoting")
    tree = TriangleTree(vertices, faces)
    distance, foot, _ = tree.closest(points)
    near = foot[np.abs(distance) <= alpha_nm]
    # What holds no localization is on the surface all the same: without it there are holes.
    laid = np.concatenate([near, vertices])
    cloud = _cloud(o3d, laid, None).voxel_down_sample(_SPACING * alpha_nm)
    laid = np.asarray(cloud.points)
    _, laid, face = tree.closest(laid)
    cloud = _cloud(o3d, laid, _face_normals(vertices, faces)[face])
    balls = o3d.utility.DoubleVector([part * alpha_nm for part in _BALLS])
    found = o3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(cloud, balls)
    found.remove_duplicated_triangles()
    found.remove_degenerate_triangles()
    found.remove_non_manifold_edges()
    found.remove_unreferenced_vertices()
    corners = np.asarray(found.vertices, dtype=np.float64)
    corners, triangles, holes = _filled(corners, np.asarray(found.triangles, dtype=np.int64))
    return (
        corners,
        triangles,
        (f"ball pivoting over {len(laid)} points on the carved surface; {holes} holes filled",),
    )


def _filled(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray, int]:
    """Close each loop of open edges with a fan around its middle."""
    n = len(vertices)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    key, twin = edges[:, 0] * n + edges[:, 1], edges[:, 1] * n + edges[:, 0]
    open_edges = edges[~np.isin(key, twin)]
    after: dict[int, list[int]] = {}
    for start, end in open_edges.tolist():
        after.setdefault(end, []).append(start)  # a fan runs against the edge
    added, fans, holes = [], [], 0
    while after:
        loop = [next(iter(after))]
        while loop:
            node = loop[-1]
            if node not in after:  # does not close
                break
            following = after[node].pop()
            if not after[node]:
                del after[node]
            if following not in loop:
                loop.append(following)
                continue
            # A loop that meets itself is two.
            at = loop.index(following)
            ring, loop = loop[at:], loop[: at + 1] if at else []
            middle = n + holes
            holes += 1
            added.append(vertices[ring].mean(axis=0))
            fans += [[a, b, middle] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)]
    if not holes:
        return vertices, faces, 0
    return np.vstack([vertices, added]), np.vstack([faces, np.array(fans)]), holes


def _open3d(method: str) -> Any:
    try:
        import open3d
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"envelope: method={method!r} needs Open3D, which is not installed; run "
            "pip install 'nanospine[open3d]', or take method='carve'."
        ) from error
    except ImportError as error:  # it is there, but a library of the system that it needs is not
        raise ConfigError(
            f"envelope: method={method!r} needs Open3D, which is installed but cannot be loaded "
            f"({error}). Install what it names, or take method='carve'."
        ) from error
    return open3d


def _oriented(
    points: FloatArray, vertices: FloatArray, faces: IntArray, alpha_nm: float
) -> tuple[FloatArray, FloatArray]:
    distance, _, face = TriangleTree(vertices, faces).closest(points)
    near = np.abs(distance) <= alpha_nm
    if near.sum() < 10:
        raise GeometryError("envelope: fewer than 10 localizations lie near the carved surface.")
    return points[near], _face_normals(vertices, faces)[face[near]]


def _face_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1), 1e-300)[:, None])


def _cloud(o3d: Any, points: FloatArray, normals: FloatArray | None) -> Any:
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    if normals is not None:
        cloud.normals = o3d.utility.Vector3dVector(normals)
    return cloud

"""One spine on its piece of shaft: neighbours and what stands before it cut away, and closed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nanospine.core.colours import SHAFT_COLOUR, rgb
from nanospine.output.raster import Surface
from nanospine.output.raster_fill import vertex_normals

if TYPE_CHECKING:
    from nanospine.output.raster_camera import Camera
    from nanospine.output.render_scene import Stage
    from nanospine.spines.model import Spine, Spines

__all__ = ["closed_part", "lone_spine"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def lone_spine(
    spine: Spine, spines: Spines, scene: Stage, camera: Camera, limit_nm: float
) -> Surface:
    """Give what a camera sees of the envelope, without the other spines and what stands before.

    Parameters
    ----------
    spine : Spine
        The one that stays.
    spines : Spines
    scene : Stage
        Made of these spines.
    camera : Camera
    limit_nm : float
        What is nearer to the viewer than this, seen from the middle of the picture, is cut off.

    Returns
    -------
    Surface
        Without holes where something was cut off: neighbours are closed over like skin, the
        plane like a section.
    """
    part, used = _in_sight(scene, camera)
    others = (spines.vertex_spine[used] >= 0) & (spines.vertex_spine[used] != spine.id)
    kept = ~others[part.faces].any(axis=1)
    rim = _edges_between(part.faces, kept)
    return closed_part(replace(part, faces=part.faces[kept], nearest_nm=limit_nm), rim)


def _in_sight(scene: Stage, camera: Camera) -> tuple[Surface, IntArray]:
    """The triangles of a stage on or near the picture, and the vertices that they use."""
    whole = scene.surfaces[0]
    seen = np.abs((whole.vertices_nm - camera.centre_nm) @ camera.rotation[:2].T)
    half = camera.nm_per_pixel * np.array([camera.width, camera.height]) / 2
    inside = (seen[:, 0] <= 1.2 * half[0]) & (seen[:, 1] <= 1.2 * half[1])
    faces = np.concatenate([item.faces[inside[item.faces].any(axis=1)] for item in scene.surfaces])
    used, packed = np.unique(faces, return_inverse=True)
    return Surface(
        whole.vertices_nm[used], packed.reshape(-1, 3), whole.colours[used], whole.normals[used]
    ), used


def _edges_between(faces: IntArray, kept: BoolArray) -> IntArray:
    """Edges that one triangle that is kept shares with one that is not, shape (n, 2).

    In the direction in which that which is not kept has them.
    """
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    low, high = edges.min(axis=1), edges.max(axis=1)
    key = low * (int(faces.max(initial=0)) + 1) + high
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    pair = np.stack([order[same], order[same + 1]], axis=1)
    stays = kept[pair // 3]
    pair, stays = pair[stays[:, 0] != stays[:, 1]], stays[stays[:, 0] != stays[:, 1]]
    return np.asarray(edges[np.where(stays[:, 0], pair[:, 1], pair[:, 0])])


def closed_part(base: Surface, rim: IntArray) -> Surface:
    """Close each ring of edges by triangles from its middle, in the colour of the shaft.

    Parameters
    ----------
    base : Surface
    rim : ndarray, shape (n, 2)
        Edges along which something was cut off, in rings, as the piece that is gone has them.

    Examples
    --------
    >>> import trimesh
    >>> ball = trimesh.creation.icosphere(radius=100.0)
    >>> v, f = np.array(ball.vertices), np.array(ball.faces)
    >>> kept = (v[f][:, :, 2] < 40).any(axis=1)
    >>> open_ball = Surface(v, f[kept], np.ones_like(v), np.array(ball.vertex_normals))
    >>> closed = closed_part(open_ball, _edges_between(f, kept))
    >>> mesh = trimesh.Trimesh(closed.vertices_nm, closed.faces)
    >>> bool(mesh.is_volume), bool(mesh.volume > 0)
    (True, True)
    """
    if len(rim) == 0:
        return base
    corners, edge = np.unique(rim, return_inverse=True)
    edge = edge.reshape(-1, 2)
    graph = coo_array((np.ones(len(edge)), (edge[:, 0], edge[:, 1])), shape=(len(corners),) * 2)
    count, ring = connected_components(graph, directed=False)
    places = base.vertices_nm[corners]
    number = np.bincount(ring)
    middle = np.stack([np.bincount(ring, weights=axis) / number for axis in places.T], axis=1)
    start = len(base.vertices_nm)
    vertices = np.concatenate([base.vertices_nm, middle])
    fan = np.column_stack([rim, start + ring[edge[:, 0]]])
    normals = vertex_normals(vertices, fan)[start:]
    return replace(
        base,
        vertices_nm=vertices,
        faces=np.concatenate([base.faces, fan]),
        colours=np.concatenate([base.colours, np.tile(rgb(SHAFT_COLOUR), (count, 1))]),
        normals=np.concatenate([base.normals, normals]),
    )

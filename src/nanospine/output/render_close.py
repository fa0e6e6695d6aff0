"""One spine on its piece of shaft: neighbours and what stands before it cut away, and closed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nanospine.core.colours import BACKGROUND_COLOUR, SHAFT_COLOUR, rgb
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
    towards = camera.rotation[2]
    nearer = (part.vertices_nm - camera.centre_nm) @ towards - limit_nm
    beyond = nearer > 0
    # A triangle across the plane stays, its far corners laid into the plane: a straight edge
    kept = ~others[part.faces].any(axis=1) & ~beyond[part.faces].all(axis=1)
    rim = _edges_between(part.faces, kept)
    laid = part.vertices_nm - np.where(beyond, nearer, 0.0)[:, None] * towards
    base = replace(part, vertices_nm=laid, faces=part.faces[kept])
    return closed_part(base, rim, beyond, towards)


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
    """Edges that one triangle that is kept shares with one that is not, shape (n, 2)."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    key = edges[:, 0] * (int(faces.max(initial=0)) + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    first, second = order[same], order[same + 1]
    return edges[first[kept[first // 3] != kept[second // 3]]]


def closed_part(base: Surface, rim: IntArray, flat: BoolArray, towards: FloatArray) -> Surface:
    """Close each ring of edges by triangles from its middle.

    Parameters
    ----------
    base : Surface
    rim : ndarray, shape (n, 2)
        Edges along which something was cut off, in rings.
    flat : ndarray of bool, shape (vertices,)
        Corners of a plane section, which is drawn flat and light; other rings are closed over
        smoothly, in the colour of the shaft.
    towards : ndarray, shape (3,)
        Normal of the section.

    Examples
    --------
    >>> import trimesh
    >>> ball = trimesh.creation.icosphere(radius=100.0)
    >>> v, f = np.array(ball.vertices), np.array(ball.faces)
    >>> kept = (v[f][:, :, 2] < 40).any(axis=1)
    >>> edges = _edges_between(f, kept)
    >>> open_ball = Surface(v, f[kept], np.ones_like(v), np.array(ball.vertex_normals))
    >>> closed = closed_part(open_ball, edges, v[:, 2] > 90, np.array([0.0, 0.0, 1.0]))
    >>> bool(trimesh.Trimesh(closed.vertices_nm, closed.faces).is_watertight)
    True
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
    section = np.bincount(ring, weights=flat[corners]) > 0.5 * number
    # Corners of its own, so that a section has an edge instead of a shadow around it
    start = len(base.vertices_nm)
    vertices = np.concatenate([base.vertices_nm, places, middle])
    fan = np.column_stack([start + edge, start + len(corners) + ring[edge[:, 0]]])
    new = vertex_normals(vertices, fan)[start:]
    normals = np.concatenate([base.normals[corners], new[len(corners) :]])
    ring_of = np.concatenate([ring, np.arange(count)])
    normals[section[ring_of]] = towards
    colours = np.tile(rgb(SHAFT_COLOUR), (len(normals), 1))
    colours[section[ring_of]] = rgb(BACKGROUND_COLOUR)
    return Surface(
        vertices,
        np.concatenate([base.faces, fan]),
        np.concatenate([base.colours, colours]),
        np.concatenate([base.normals, normals]),
        opacity=1.0,
    )

"""One spine on its piece of shaft: neighbours and what stands before it cut away, and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nanospine.core.colours import BACKGROUND_COLOUR, SHAFT_COLOUR, rgb
from nanospine.output.raster import Surface
from nanospine.output.raster_fill import vertex_normals

if TYPE_CHECKING:
    from nanospine.output.render_scene import Stage
    from nanospine.spines.model import Spine, Spines

__all__ = ["closed_part", "lone_spine"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def lone_spine(
    spine: Spine, spines: Spines, scene: Stage, towards: FloatArray, limit_nm: float
) -> Surface:
    """Give the envelope without the other spines and without what stands before a plane.

    Parameters
    ----------
    spine : Spine
        The one that stays.
    spines : Spines
    scene : Stage
        Made of these spines.
    towards : ndarray, shape (3,)
        Unit vector to the viewer.
    limit_nm : float
        Places whose `towards` coordinate is larger are cut off.

    Returns
    -------
    Surface
        Without holes where something was cut off: neighbours are closed over like skin, the
        plane like a section.
    """
    found = spines.envelope
    mesh = found if isinstance(found, trimesh.Trimesh) else found.mesh
    vertices, faces = scene.surfaces[0].vertices_nm, np.asarray(mesh.faces, dtype=np.int64)
    others = (spines.vertex_spine >= 0) & (spines.vertex_spine != spine.id)
    beyond = vertices @ towards > limit_nm
    # A triangle across the plane stays, its far corners laid into the plane: a straight edge
    kept = ~others[faces].any(axis=1) & ~beyond[faces].all(axis=1)
    excess = np.where(beyond, vertices @ towards - limit_nm, 0.0)
    laid = vertices - excess[:, None] * towards
    adjacency = np.asarray(mesh.face_adjacency)
    rim = np.asarray(mesh.face_adjacency_edges)[kept[adjacency[:, 0]] != kept[adjacency[:, 1]]]
    base = Surface(
        laid, faces[kept], scene.surfaces[0].colours, scene.surfaces[0].normals, opacity=1.0
    )
    return closed_part(base, np.asarray(rim, dtype=np.int64), beyond, towards)


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
    >>> ball = trimesh.creation.icosphere(radius=100.0)
    >>> v, f = np.array(ball.vertices), np.array(ball.faces)
    >>> kept = (v[f][:, :, 2] < 40).any(axis=1)
    >>> edges = ball.face_adjacency_edges[kept[ball.face_adjacency].sum(axis=1) == 1]
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

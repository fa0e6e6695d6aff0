"""The boundary of a window as flat pieces: edges in the plane, planar faces with edges in space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nanospine.core.region import Box, Mask, MeshRegion, Polygon, Prism, Region
from nanospine.core.region_mask import pixel_edges, voxel_faces

__all__ = ["Pieces", "boundary_pieces", "polygon_edges"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Pieces(NamedTuple):
    """Flat pieces of a boundary, the inside to the left of an edge and behind a face.

    Attributes
    ----------
    begin, end : ndarray, shape (e, 3)
        Ends of the edges; counter-clockwise around a face seen from outside. z is 0 in 2-D.
    first : ndarray of int64, shape (f + 1,)
        First edge of each face. In 2-D each edge is a face of its own.
    normal : ndarray, shape (f, 3)
        Outward unit normals.
    centre, reach : ndarray, shape (f, 3) and (f,)
        A ball around each face.
    """

    begin: FloatArray
    end: FloatArray
    first: IntArray
    normal: FloatArray
    centre: FloatArray
    reach: FloatArray


def boundary_pieces(region: Region) -> Pieces:
    """Cut the boundary of any region into flat pieces."""
    if region.dimension == 2:
        edges = pixel_edges(region) if isinstance(region, Mask) else polygon_edges(region)
        flat = np.zeros((len(edges), 2, 3))
        flat[:, :, :2] = edges
        return _pieces(flat[:, 0], flat[:, 1], np.arange(len(edges) + 1))
    if isinstance(region, MeshRegion):
        corners = np.asarray(region.mesh.triangles, dtype=np.float64)
        return _from_loops(corners)
    if isinstance(region, Mask):
        return _from_loops(voxel_faces(region))
    if isinstance(region, Prism):
        return _prism(polygon_edges(region.polygon), region.z_low_nm, region.z_high_nm)
    low, high = region.bounds_nm
    square = Box(low[:2], high[:2])
    return _prism(polygon_edges(square), float(low[2]), float(high[2]))


def polygon_edges(region: Region) -> FloatArray:
    """Give the directed edges (e, 2, 2) of a rectangle or polygon, the inside to their left."""
    import shapely

    if isinstance(region, Polygon):
        shapes = [shapely.geometry.polygon.orient(part.shape) for part in region.parts]
        rings = [ring for shape in shapes for ring in (shape.exterior, *shape.interiors)]
        loops = [np.asarray(ring.coords, dtype=np.float64)[:, :2] for ring in rings]
    else:
        (x0, y0), (x1, y1) = region.bounds_nm
        loops = [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])]
    edges = np.concatenate([np.stack([loop[:-1], loop[1:]], axis=1) for loop in loops])
    return edges[(edges[:, 0] != edges[:, 1]).any(axis=1)]


def _pieces(begin: FloatArray, end: FloatArray, first: IntArray) -> Pieces:
    face = np.repeat(np.arange(len(first) - 1), np.diff(first))
    number = np.diff(first)[:, None].astype(np.float64)
    centre = np.add.reduceat(begin + end, first[:-1], axis=0) / (2 * number)
    far = np.maximum(
        np.linalg.norm(begin - centre[face], axis=1), np.linalg.norm(end - centre[face], axis=1)
    )
    reach = np.maximum.reduceat(far, first[:-1])
    # Twice the vector area of each face, about its own middle, where it loses no digits.
    area = np.cross(begin - centre[face], end - centre[face])
    normal = np.add.reduceat(area, first[:-1], axis=0)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    return Pieces(
        np.ascontiguousarray(begin, dtype=np.float64), np.ascontiguousarray(end, dtype=np.float64),
        np.ascontiguousarray(first, dtype=np.int64), normal, centre, reach,
    )  # fmt: skip


def _from_loops(corners: FloatArray) -> Pieces:
    """Take faces that all have the same number of corners, shape (f, k, 3)."""
    count = corners.shape[1]
    begin = corners.reshape(-1, 3)
    end = np.roll(corners, -1, axis=1).reshape(-1, 3)
    pieces = _pieces(begin, end, np.arange(len(corners) + 1) * count)
    if (pieces.normal != 0).any(axis=1).all():
        return pieces
    solid = (pieces.normal != 0).any(axis=1)
    return _from_loops(corners[solid])


def _prism(edges: FloatArray, z_low: float, z_high: float) -> Pieces:
    count = len(edges)
    low = np.concatenate([edges, np.full((count, 2, 1), z_low)], axis=2)
    high = np.concatenate([edges, np.full((count, 2, 1), z_high)], axis=2)
    walls = np.stack([low[:, 0], low[:, 1], high[:, 1], high[:, 0]], axis=1)
    begin = np.concatenate([high[:, 0], low[:, 1], walls.reshape(-1, 3)])
    end = np.concatenate([high[:, 1], low[:, 0], np.roll(walls, -1, axis=1).reshape(-1, 3)])
    first = np.concatenate([[0, count], 2 * count + 4 * np.arange(count + 1)])
    return _pieces(begin, end, first)

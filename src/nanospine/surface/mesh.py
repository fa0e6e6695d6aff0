"""The boundary of a set of tetrahedra as a closed surface, manifold by construction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = [
    "boundary_surface",
    "inside_components",
    "joined_facets",
    "middles",
    "set_apart",
    "shared_joints",
    "split_faces",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Local vertices of the facet opposite vertex j, seen counterclockwise from outside a tetrahedron
# of positive volume.
_FACET = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]], dtype=np.int64)

# How far copies of one vertex are moved apart, as a fraction of the size of their tetrahedra, and
# at least of their largest coordinate, so that single-precision files keep them apart.
_APART = 1e-3
_APART_FLOAT32 = 2.0**-20


def inside_components(
    neighbors: IntArray, inside: BoolArray, volumes: FloatArray
) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Label the parts of the inside that hang together by facets.

    Returns
    -------
    label : ndarray of int32, shape (m,)
        0 for the part with the largest volume, then falling; -1 outside.
    volume_nm3 : ndarray
        Volume of each part.
    """
    part, count = _parts(neighbors, inside)
    volume = _sums(part, count, volumes)
    order = np.argsort(-volume, kind="stable")
    rank = np.empty(count + 1, dtype=np.int32)
    rank[order] = np.arange(count)
    rank[-1] = -1
    return rank[part], volume[order]


@njit(cache=True)
def _parts(neighbors, inside):  # type: ignore[no-untyped-def]
    """Number the parts of the inside in the order of their first tetrahedra; -1 outside."""
    m = inside.shape[0]
    part = np.full(m, -1, dtype=np.int32)
    stack = np.empty(1024, dtype=np.int32)
    count = 0
    for first in range(m):
        if not inside[first] or part[first] >= 0:
            continue
        part[first] = count
        stack[0] = first
        size = 1
        while size > 0:
            size -= 1
            t = stack[size]
            if size + 4 > stack.shape[0]:
                longer = np.empty(2 * stack.shape[0], dtype=np.int32)
                longer[:size] = stack[:size]
                stack = longer
            for j in range(4):
                other = neighbors[t, j]
                if other >= 0 and inside[other] and part[other] < 0:
                    part[other] = count
                    stack[size] = other
                    size += 1
        count += 1
    return part, count


@njit(cache=True)
def _sums(part, count, volumes):  # type: ignore[no-untyped-def]
    """Volume of each part."""
    total = np.zeros(count)
    for t in range(part.shape[0]):
        if part[t] >= 0:
            total[part[t]] += volumes[t]
    return total


def boundary_surface(
    points: FloatArray, tetrahedra: IntArray, neighbors: IntArray, inside: BoolArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Give the boundary of the inside as a closed, outward oriented 2-manifold.

    Strategy: each boundary facet is joined across each of its edges with the boundary facet that
    is reached by turning around the edge through inside tetrahedra. Corners of facets that are
    joined so form one fan and one vertex of the surface: a point where two fans meet becomes two
    vertices. Where two joints connect the same two vertices, each gets a vertex of its own in its
    middle. Copies of one point move slightly into their own tetrahedra, so that a file format that
    merges equal positions does not glue them together.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
    tetrahedra, neighbors : ndarray of int64, shape (m, 4)
        Of positive volume; column j of `neighbors` is opposite vertex j, -1 outside.
    inside : ndarray of bool, shape (m,)

    Returns
    -------
    vertices : ndarray, shape (v, 3)
    faces : ndarray of int, shape (f, 3)
    origin : ndarray of int, shape (v,)
        Point that each vertex stands at; -1 for a vertex in the middle of an edge or face.

    Examples
    --------
    >>> import numpy as np, trimesh
    >>> corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    >>> vertices, faces, _ = boundary_surface(
    ...     corners, np.array([[0, 1, 2, 3]]), np.full((1, 4), -1), np.array([True]))
    >>> trimesh.Trimesh(vertices, faces).is_volume
    True
    """
    own, corners, partner, partner_edge, faces, count = joined_facets(tetrahedra, neighbors, inside)
    origin = np.empty(count, dtype=np.int64)
    origin[faces.ravel()] = corners.ravel()
    positions = set_apart(points, tetrahedra, origin, faces, own)
    joints, middle = shared_joints(faces, partner, partner_edge)
    if len(joints):
        split = (middle >= 0).any(axis=1)
        between = middles(points, corners, positions, faces, partner, joints)
        centre = positions[faces[split]].mean(axis=1)
        numbered = np.where(middle[split] < 0, -1, middle[split] + count)
        new = split_faces(faces[split], numbered, count + len(joints))
        faces = np.concatenate([faces[~split], new])
        positions = np.concatenate([positions, between, centre])
    added = np.full(len(positions) - count, -1, dtype=np.int64)
    return positions, faces, np.concatenate([origin, added])


def joined_facets(
    tetrahedra: IntArray, neighbors: IntArray, inside: BoolArray
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray, int]:
    """Give the facets of the boundary, what they are joined with, and the surface's vertices.

    Returns
    -------
    own : ndarray of int64, shape (f,)
        Tetrahedron behind each facet.
    corners : ndarray of int64, shape (f, 3)
        Points.
    partner, partner_edge : ndarray of int64, shape (f, 3)
        The facet across the edge from corner k to k + 1, and the place of the edge there.
    faces : ndarray of int64, shape (f, 3)
        Vertices of the surface: one for each fan of facets.
    count : int
        Number of vertices.
    """
    own, side = _boundary_facets(neighbors, inside)
    corners = tetrahedra[own[:, None], _FACET[side]]
    partner, partner_edge = _pair_edges(tetrahedra, neighbors, inside, own, side, corners)
    faces, count = _fans(partner, partner_edge)
    return own, corners, partner, partner_edge, faces, count


@njit(cache=True)
def _boundary_facets(neighbors, inside):  # type: ignore[no-untyped-def]
    """Tetrahedron and side of each facet between the inside and the rest."""
    count = 0
    for t in range(inside.shape[0]):
        if inside[t]:
            for j in range(4):
                other = neighbors[t, j]
                if other < 0 or not inside[other]:
                    count += 1
    own = np.empty(count, dtype=np.int64)
    side = np.empty(count, dtype=np.int64)
    count = 0
    for t in range(inside.shape[0]):
        if inside[t]:
            for j in range(4):
                other = neighbors[t, j]
                if other < 0 or not inside[other]:
                    own[count], side[count] = t, j
                    count += 1
    return own, side


@njit(cache=True)
def _pair_edges(tetrahedra, neighbors, inside, own, side, corners):  # type: ignore[no-untyped-def]
    """For each facet and edge (k to k + 1) the facet across it, and the edge's place there."""
    count = own.shape[0]
    first = np.empty(tetrahedra.shape[0], dtype=np.int32)  # the first facet of a tetrahedron
    for f in range(count - 1, -1, -1):
        first[own[f]] = f
    partner = np.empty((count, 3), dtype=np.int64)
    partner_edge = np.full((count, 3), -1, dtype=np.int64)
    for f in range(count):
        for k in range(3):
            if partner_edge[f, k] >= 0:
                continue
            a, b, c = corners[f, k], corners[f, (k + 1) % 3], corners[f, (k + 2) % 3]
            t = own[f]
            ahead = tetrahedra[t, side[f]]  # the vertex of the facet that the turn comes to next
            behind = c
            while True:
                leave = 0
                while tetrahedra[t, leave] != behind:
                    leave += 1
                beyond = neighbors[t, leave]
                if beyond < 0 or not inside[beyond]:
                    break
                t = beyond
                behind = ahead
                for i in range(4):
                    vertex = tetrahedra[t, i]
                    if vertex != a and vertex != b and vertex != behind:
                        ahead = vertex
                        break
            g = first[t]
            while side[g] != leave:
                g += 1
            i = 0
            while corners[g, i] != b:
                i += 1
            partner[f, k], partner_edge[f, k] = g, i
            partner[g, i], partner_edge[g, i] = f, k
    return partner, partner_edge


@njit(cache=True)
def _fans(partner, partner_edge):  # type: ignore[no-untyped-def]
    """Join the corners of facets around each vertex; give faces and the number of vertices.

    The start of my edge is the end of the partner's edge: from corner to corner around a vertex.
    """
    faces = np.full(partner.shape, -1, dtype=np.int64)
    count = 0
    for f in range(partner.shape[0]):
        for k in range(3):
            g, i = np.int64(f), np.int64(k)
            if faces[g, i] >= 0:
                continue
            while faces[g, i] < 0:
                faces[g, i] = count
                g, i = partner[g, i], (partner_edge[g, i] + 1) % 3
            count += 1
    return faces, count


def set_apart(
    points: FloatArray, tetrahedra: IntArray, origin: IntArray, faces: IntArray, own: IntArray
) -> FloatArray:
    """Positions of the vertices, copies of one point moved into their own inside.

    What moves a copy is around it, so that a part of the surface that is made alone has the same
    positions.
    """
    positions = points[origin]
    copies = np.bincount(origin, minlength=len(points))[origin] > 1
    if not copies.any():
        return positions
    touched = copies[faces].any(axis=1)
    centre = points[tetrahedra[own[touched]]].mean(axis=1)
    total = np.zeros_like(positions)
    number = np.zeros(len(positions))
    for k in range(3):
        np.add.at(total, faces[touched, k], centre)
        np.add.at(number, faces[touched, k], 1.0)
    positions[copies] = _moved(positions[copies], total[copies] / number[copies, None])
    return positions


def _moved(positions: FloatArray, targets: FloatArray) -> FloatArray:
    """Move positions a little towards targets, at least so far that single precision shows it."""
    step = targets - positions
    length = np.linalg.norm(step, axis=1, keepdims=True)
    least = _APART_FLOAT32 * np.abs(positions).max(axis=1, keepdims=True)
    return np.asarray(positions + step * np.maximum(_APART, least / np.maximum(length, 1e-300)))


def shared_joints(
    faces: IntArray, partner: IntArray, partner_edge: IntArray
) -> tuple[IntArray, IntArray]:
    """Find the joints that connect two vertices which another joint connects too.

    Returns
    -------
    joints : ndarray of int64, shape (j,)
        `3 * face + edge` of each, as its first face knows it; rising.
    middle : ndarray of int64, shape (f, 3)
        Which of them lies between corner k and k + 1; -1 for none.
    """
    count, n = len(faces), int(faces.max(initial=-1)) + 1
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=2), axis=2)
    key = ends[..., 0] * n + ends[..., 1]
    mine = 3 * np.arange(count)[:, None] + np.arange(3)
    joint = np.minimum(mine, 3 * partner + partner_edge)  # one number for both sides
    keys, uses = np.unique(key[joint == mine], return_counts=True)
    split = np.isin(key, keys[uses > 1])
    joints, which = np.unique(joint[split], return_inverse=True)
    middle = np.full((count, 3), -1, dtype=np.int64)
    middle[split] = which
    return joints, middle


def middles(
    points: FloatArray, corners: IntArray, positions: FloatArray, faces: IntArray,
    partner: IntArray, joints: IntArray,
) -> FloatArray:  # fmt: skip
    """Positions in the middle of joints, moved towards the two faces that they join."""
    owner, edge = joints // 3, joints % 3
    a, b = positions[faces[owner, edge]], positions[faces[owner, (edge + 1) % 3]]
    across = partner[owner, edge]
    target = (points[corners[owner]].mean(axis=1) + points[corners[across]].mean(axis=1)) / 2
    return _moved((a + b) / 2, target)


def split_faces(faces: IntArray, middle: IntArray, first_centre: int) -> IntArray:
    """Give each face as triangles around a vertex in its middle.

    Parameters
    ----------
    faces : ndarray of int64, shape (m, 3)
    middle : ndarray of int64, shape (m, 3)
        Vertex on the edge from corner k to k + 1, -1 for none.
    first_centre : int
        Vertex in the middle of the first face; the others follow.

    Examples
    --------
    >>> split_faces(np.array([[0, 1, 2]]), np.array([[3, -1, -1]]), 4).tolist()
    [[2, 0, 4], [0, 3, 4], [3, 1, 4], [1, 2, 4]]
    """
    ring = np.stack([faces, middle], axis=2).reshape(-1, 6)
    before = np.roll(ring, 1, axis=1)
    before = np.where(before < 0, np.roll(ring, 2, axis=1), before)
    centre = np.broadcast_to(first_centre + np.arange(len(faces))[:, None], ring.shape)
    return np.stack([before, ring, centre], axis=2)[ring >= 0]

"""How a closed surface bends, as a tensor in the axes of space, from the angles at its edges."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["bending", "face_normals", "face_pairs"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def face_pairs(faces: IntArray) -> IntArray:
    """Give the two vertices of every edge and the two faces beside it, shape (e, 4).

    The first face runs from the first vertex to the second.
    """
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    key = np.minimum(start, end) * (int(faces.max()) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable").reshape(-1, 2)
    first, second = order[:, 0], order[:, 1]
    return np.stack([start[first], end[first], first // 3, second // 3], axis=1)


def bending(vertices: FloatArray, faces: IntArray, pairs: IntArray) -> FloatArray:
    """Integrate the curvature around each vertex along the axes of space, shape (v, 3), nm.

    Column k is ``integral of S_kk dA`` over a third of the faces around the vertex, with S the
    shape operator as a 3 x 3 matrix (S n = 0; positive where the surface is convex): each edge
    adds its angle times its length across itself (Cohen-Steiner and Morvan 2003). The sum of the
    columns is the integral of both principal curvatures.

    Examples
    --------
    >>> import trimesh
    >>> ball = trimesh.creation.icosphere(4, radius=50)
    >>> faces = ball.faces.astype(np.int64)
    >>> found = bending(ball.vertices, faces, face_pairs(faces))
    >>> found.sum(axis=0).round(-1).tolist()     # 2 / r * 4 pi r^2 / 3 along each axis
    [420.0, 420.0, 420.0]
    """
    flat = np.ascontiguousarray(vertices, dtype=np.float64)
    return np.asarray(_bending(flat, pairs, face_normals(flat, faces)))


def face_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Unit normals of faces, shape (m, 3); zero for a face without area."""
    return np.asarray(_face_normals(np.ascontiguousarray(vertices, dtype=np.float64), faces))


@njit(cache=True)
def _face_normals(vertices, faces):
    normals = np.zeros((faces.shape[0], 3))
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        square = 0.0
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            normals[f, k] = (vertices[b, i] - vertices[a, i]) * (
                vertices[c, j] - vertices[a, j]
            ) - (vertices[b, j] - vertices[a, j]) * (vertices[c, i] - vertices[a, i])
            square += normals[f, k] ** 2
        for k in range(3):
            normals[f, k] /= max(np.sqrt(square), 1e-300)
    return normals


@njit(cache=True)
def _bending(vertices, pairs, normals):
    result = np.zeros((vertices.shape[0], 3))
    edge, middle = np.empty(3), np.empty(3)
    for e in range(pairs.shape[0]):
        a, b, f, g = pairs[e]
        length = cosine = sine = size = 0.0
        for k in range(3):
            edge[k] = vertices[b, k] - vertices[a, k]
            length += edge[k] ** 2
            cosine += normals[f, k] * normals[g, k]
            middle[k] = normals[f, k] + normals[g, k]
            size += middle[k] ** 2
        length = np.sqrt(length)
        if length == 0.0 or size < 1e-12:
            continue
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            sine += (normals[f, i] * normals[g, j] - normals[f, j] * normals[g, i]) * edge[k]
        angle = np.arctan2(sine / length, cosine)
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            across = (middle[i] * edge[j] - middle[j] * edge[i]) ** 2 / (size * length**2)
            part = angle * length * across / 2
            result[a, k] += part
            result[b, k] += part
    return result

"""Collapses and flips of edges that keep a surface a closed manifold."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.lean import lean

__all__ = ["collapse", "flip"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A face must not turn by more than this (cosine) when one of its corners moves.
_TURN = 0.5
# Faces after a flip may leave the direction of those before by this (cosine).
_FLAT = 0.8


def collapse(
    vertices: FloatArray, faces: IntArray, shortest: float, longest: float
) -> tuple[FloatArray, IntArray]:
    """Join the ends of short edges, the shortest first, none beside another; vertices stay listed.

    Only where both ends have exactly the two opposite corners as common neighbours (else the
    surface would pinch), no face turns over and no edge becomes longer than the longest.
    """
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    length = np.linalg.norm(vertices[start] - vertices[end], axis=1)
    half = np.flatnonzero((start < end) & (length < shortest))
    half = half[np.argsort(length[half], kind="stable")]
    offsets, around = _around(faces, len(vertices))
    moved, changed = vertices.copy(), faces.copy()
    keep = _collapse(moved, changed, half, offsets, around, float(longest))
    return moved, changed[keep]


def flip(vertices: FloatArray, faces: IntArray) -> IntArray:
    """Flip edges where vertices come nearer to six neighbours; one pass, none beside another."""
    n = len(vertices)
    degree = np.bincount(faces.ravel(), minlength=n)
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    key = np.minimum(start, end) * n + np.maximum(start, end)
    pairs = np.argsort(key, kind="stable").reshape(-1, 2)
    offsets, around = _around(faces, n)
    changed = faces.copy()
    _flip(vertices, changed, pairs, degree.astype(np.int64), offsets, around)
    return changed


def _around(faces: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Faces around each vertex, one after the other, and where those of a vertex begin."""
    order = np.argsort(faces.ravel(), kind="stable") // 3
    counts = np.bincount(faces.ravel(), minlength=n)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), order.astype(np.int64)


@lean
def _normal(vertices, a, b, c, room, row):
    size = 0.0
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        room[row, k] = (vertices[b, i] - vertices[a, i]) * (vertices[c, j] - vertices[a, j]) - (
            vertices[b, j] - vertices[a, j]
        ) * (vertices[c, i] - vertices[a, i])
        size += room[row, k] ** 2
    return np.sqrt(size)


@lean
def _common(faces, offsets, around, a, b, number, locked, mark):
    """Count the vertices beside both ends of an edge; -1 where something within reach changed.

    The lists around would be wrong there.
    """
    common = 0
    for end in range(2):
        v = a if end == 0 else b
        for place in range(offsets[v], offsets[v + 1]):
            for i in range(3):
                w = faces[around[place], i]
                if locked[w]:
                    return -1
                if w in (a, b):
                    continue
                if end == 0:
                    mark[w] = number
                elif mark[w] == number:
                    common += 1
                    mark[w] = -1
    return common


@lean
def _is_fine(vertices, faces, offsets, around, a, b, longest, room):
    """Tell whether no face turns over and no edge gets too long when the ends meet halfway.

    `room` takes the normals before and after, then where both ends are.
    """
    for j in range(3):
        room[2, j], room[3, j] = vertices[a, j], vertices[b, j]
    fine = True
    for end in range(2):
        v, other = (a, b) if end == 0 else (b, a)
        for place in range(offsets[v], offsets[v + 1]):
            face = around[place]
            p, q, r = faces[face, 0], faces[face, 1], faces[face, 2]
            if p == other or q == other or r == other:
                continue
            was = _normal(vertices, p, q, r, room, 0)
            for j in range(3):
                vertices[v, j] = (room[2, j] + room[3, j]) / 2
            now = _normal(vertices, p, q, r, room, 1)
            for w in (p, q, r):
                if w != v:
                    span = 0.0
                    for j in range(3):
                        span += (vertices[w, j] - vertices[v, j]) ** 2
                    fine &= span <= longest * longest
            for j in range(3):
                vertices[v, j] = room[2 + end, j]
            dot = room[0, 0] * room[1, 0] + room[0, 1] * room[1, 1] + room[0, 2] * room[1, 2]
            fine &= not (now == 0.0 or (was > 0.0 and dot < _TURN * was * now))
    return fine


@lean
def _merge(vertices, faces, offsets, around, a, b, locked, keep):
    """Let the ends of an edge meet halfway: all that was at b is at a."""
    for j in range(3):
        vertices[a, j] = (vertices[a, j] + vertices[b, j]) / 2
    for end in range(2):
        v = a if end == 0 else b
        for place in range(offsets[v], offsets[v + 1]):
            for i in range(3):
                locked[faces[around[place], i]] = True
    for place in range(offsets[b], offsets[b + 1]):
        g = around[place]
        if faces[g, 0] == a or faces[g, 1] == a or faces[g, 2] == a:
            keep[g] = False
            continue
        for i in range(3):
            if faces[g, i] == b:
                faces[g, i] = a


@njit(cache=True)
def _collapse(vertices, faces, half, offsets, around, longest):
    locked = np.zeros(vertices.shape[0], dtype=np.bool_)
    keep = np.ones(faces.shape[0], dtype=np.bool_)
    mark = np.full(vertices.shape[0], -1, dtype=np.int64)
    room = np.empty((4, 3))
    for number in range(half.shape[0]):
        f, k = half[number] // 3, half[number] % 3
        a, b = faces[f, k], faces[f, (k + 1) % 3]
        if locked[a] or locked[b]:
            continue
        if _common(faces, offsets, around, a, b, number, locked, mark) != 2:
            continue
        if offsets[a + 1] - offsets[a] + offsets[b + 1] - offsets[b] < 10:
            continue  # what is left would be too pointed, or a tetrahedron
        if _is_fine(vertices, faces, offsets, around, a, b, longest, room):
            _merge(vertices, faces, offsets, around, a, b, locked, keep)
    return keep


@njit(cache=True)
def _flip(vertices, faces, pairs, degree, offsets, around):
    used = np.zeros(faces.shape[0], dtype=np.bool_)
    touched = np.zeros(vertices.shape[0], dtype=np.bool_)
    normals = np.empty((4, 3))
    one, two, new_one, new_two = normals[0], normals[1], normals[2], normals[3]
    for e in range(pairs.shape[0]):
        f, k = pairs[e, 0] // 3, pairs[e, 0] % 3
        g, i = pairs[e, 1] // 3, pairs[e, 1] % 3
        if used[f] or used[g]:
            continue
        a, b, c = faces[f, k], faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
        d = faces[g, (i + 2) % 3]
        if c == d or touched[a] or touched[b] or touched[c] or touched[d]:
            continue
        gain = 0
        for place in range(4):
            v = (a, b, c, d)[place]
            change = -1 if place < 2 else 1
            gain += (degree[v] - 6) ** 2 - (degree[v] + change - 6) ** 2
        if gain <= 0 or degree[a] <= 3 or degree[b] <= 3:
            continue
        joined = False
        for place in range(offsets[c], offsets[c + 1]):
            for j in range(3):
                if faces[around[place], j] == d:
                    joined = True
        if joined:
            continue
        s, t = _normal(vertices, a, b, c, normals, 0), _normal(vertices, b, a, d, normals, 1)
        u, w = _normal(vertices, c, d, b, normals, 2), _normal(vertices, d, c, a, normals, 3)
        if u == 0.0 or w == 0.0:
            continue
        for j in range(3):
            one[j] = one[j] / max(s, 1e-300) + two[j] / max(t, 1e-300)
        size = np.sqrt(one[0] ** 2 + one[1] ** 2 + one[2] ** 2)
        least = min(np.dot(one, new_one) / u, np.dot(one, new_two) / w) / max(size, 1e-300)
        if least < _FLAT:
            continue
        faces[f, 0], faces[f, 1], faces[f, 2] = c, d, b
        faces[g, 0], faces[g, 1], faces[g, 2] = d, c, a
        used[f] = used[g] = True
        degree[a] -= 1
        degree[b] -= 1
        degree[c] += 1
        degree[d] += 1
        touched[a] = touched[b] = touched[c] = touched[d] = True

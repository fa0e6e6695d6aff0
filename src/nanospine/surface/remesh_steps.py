"""Collapses and flips of edges that keep a surface a closed manifold."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

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


@njit(cache=True)
def _normal(vertices, a, b, c, out):
    size = 0.0
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        out[k] = (vertices[b, i] - vertices[a, i]) * (vertices[c, j] - vertices[a, j]) - (
            vertices[b, j] - vertices[a, j]
        ) * (vertices[c, i] - vertices[a, i])
        size += out[k] ** 2
    return np.sqrt(size)


@njit(cache=True)
def _collapse(vertices, faces, half, offsets, around, longest):
    locked = np.zeros(vertices.shape[0], dtype=np.bool_)
    keep = np.ones(faces.shape[0], dtype=np.bool_)
    mark = np.full(vertices.shape[0], -1, dtype=np.int64)
    before, after, old = np.empty(3), np.empty(3), np.empty((2, 3))
    for number in range(half.shape[0]):
        f, k = half[number] // 3, half[number] % 3
        a, b = faces[f, k], faces[f, (k + 1) % 3]
        if locked[a] or locked[b]:
            continue
        # nothing within reach may have changed: the lists around would be wrong
        free = True
        common = 0
        for end in range(2):
            v = a if end == 0 else b
            for place in range(offsets[v], offsets[v + 1]):
                for i in range(3):
                    w = faces[around[place], i]
                    if locked[w]:
                        free = False
                    if w in (a, b):
                        continue
                    if end == 0:
                        mark[w] = number
                    elif mark[w] == number:
                        common += 1
                        mark[w] = -1
        if not free or common != 2:
            continue
        if offsets[a + 1] - offsets[a] + offsets[b + 1] - offsets[b] < 10:
            continue  # what is left would be too pointed, or a tetrahedron
        fine = True
        for j in range(3):
            old[0, j], old[1, j] = vertices[a, j], vertices[b, j]
        for end in range(2):
            v, other = (a, b) if end == 0 else (b, a)
            for place in range(offsets[v], offsets[v + 1]):
                p, q, r = faces[around[place]]
                if p == other or q == other or r == other:
                    continue
                was = _normal(vertices, p, q, r, before)
                for j in range(3):
                    vertices[v, j] = (old[0, j] + old[1, j]) / 2
                now = _normal(vertices, p, q, r, after)
                for w in (p, q, r):
                    if w != v:
                        span = 0.0
                        for j in range(3):
                            span += (vertices[w, j] - vertices[v, j]) ** 2
                        if span > longest * longest:
                            fine = False
                for j in range(3):
                    vertices[v, j] = old[end, j]
                dot = before[0] * after[0] + before[1] * after[1] + before[2] * after[2]
                if now == 0.0 or (was > 0.0 and dot < _TURN * was * now):
                    fine = False
        if not fine:
            continue
        for j in range(3):
            vertices[a, j] = (old[0, j] + old[1, j]) / 2
        for end in range(2):
            v = a if end == 0 else b
            for place in range(offsets[v], offsets[v + 1]):
                for i in range(3):
                    locked[faces[around[place], i]] = True
        for place in range(offsets[b], offsets[b + 1]):
            g = around[place]
            has = False
            for i in range(3):
                if faces[g, i] == a:
                    has = True
            if has:
                keep[g] = False
            else:
                for i in range(3):
                    if faces[g, i] == b:
                        faces[g, i] = a
    return keep


@njit(cache=True)
def _flip(vertices, faces, pairs, degree, offsets, around):
    used = np.zeros(faces.shape[0], dtype=np.bool_)
    touched = np.zeros(vertices.shape[0], dtype=np.bool_)
    one, two, new_one, new_two = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
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
        s, t = _normal(vertices, a, b, c, one), _normal(vertices, b, a, d, two)
        u, w = _normal(vertices, c, d, b, new_one), _normal(vertices, d, c, a, new_two)
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

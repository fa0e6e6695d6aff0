"""Bodies that grow tetrahedron by tetrahedron: their number, volume and Euler characteristic."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
from numba import njit

from nanospine.core.lean import lean

__all__ = ["changes", "grow", "start"]

# Tetrahedra looked at around vertices, for each added on average, after which it is given up.
_PATIENCE = 200
# Bodies of a smaller part of the largest one's volume are flat ones of cospherical points.
_FLAT = 1e-12


@njit(cache=True)
def start(points, inside, own, corners, partner, faces, count):
    """Give the bodies of a set from the joined facets of its boundary.

    Every body has one boundary, because what is outside hangs together. Gives for tetrahedra at the
    boundary the representative of their body (`parent`, as in union and find; -1 elsewhere), the
    representatives, and the Euler characteristic and volume at them, (m,).
    """
    m = inside.shape[0]
    parent = np.full(m, -1, dtype=np.int32)
    euler = np.zeros(m, dtype=np.int32)
    volume = np.zeros(m)
    bodies = np.empty(own.shape[0], dtype=np.int32)
    n_bodies = 0
    seen = np.zeros(own.shape[0], dtype=np.bool_)
    fan_seen = np.zeros(count, dtype=np.bool_)
    stack = np.empty(own.shape[0], dtype=np.int32)
    for first in range(own.shape[0]):
        if seen[first]:
            continue
        body = own[first]
        bodies[n_bodies] = body
        n_bodies += 1
        seen[first] = True
        stack[0] = first
        size = 1
        n_faces, n_vertices = 0, 0
        a = points[corners[first, 0]]
        while size > 0:
            size -= 1
            f = stack[size]
            n_faces += 1
            parent[own[f]] = body
            for k in range(3):
                if not fan_seen[faces[f, k]]:
                    fan_seen[faces[f, k]] = True
                    n_vertices += 1
                if not seen[partner[f, k]]:
                    seen[partner[f, k]] = True
                    stack[size] = partner[f, k]
                    size += 1
            p, q, r = corners[f, 0], corners[f, 1], corners[f, 2]
            for k in range(3):
                i, j = (k + 1) % 3, (k + 2) % 3
                minor = (points[q, i] - a[i]) * (points[r, j] - a[j]) - (points[q, j] - a[j]) * (
                    points[r, i] - a[i]
                )
                volume[body] += (points[p, k] - a[k]) * minor / 6.0
        # closed surface: 3 edges to 2 faces; the solid has half its characteristic
        euler[body] = (n_vertices - n_faces // 2) // 2
    return parent, bodies[:n_bodies].copy(), euler, volume


@njit(cache=True)
def changes(tetrahedra, neighbors, depth, low, high):
    """Change of the Euler characteristic when each tetrahedron above `low` up to `high` is added.

    To all that come before it: of lower depth, or of the same and a lower number. That is its own
    facets, edges and corners, which are new or not, so that tetrahedra can be looked at in the
    order in which they lie in memory. Gives also whether the work was worth its end.
    """
    m = depth.shape[0]
    result = np.zeros(m, dtype=np.int8)
    mark = np.zeros(m, dtype=np.int32)
    queue = np.empty(64, dtype=np.int32)
    closed = np.zeros((4, 4), dtype=np.bool_)
    beside = np.zeros(4, dtype=np.bool_)
    effort = np.zeros(2, dtype=np.int64)  # stamp of the last search, and steps of all
    for t in range(m):
        if not low < depth[t] <= high:
            continue
        change = -3
        for j in range(4):
            beside[j] = _is_before(depth, neighbors[t, j], t)
            if beside[j]:
                change += 2
        corners, queue = _corners(
            tetrahedra, neighbors, depth, t, closed, beside, mark, queue, effort
        )
        result[t] = change + corners
        if effort[1] > _PATIENCE * (t + 100_000):
            return result, False
    return result, True


@njit(cache=True)
def grow(
    neighbors, volumes, change, added, ends, inside, parent, bodies, euler, volume, fraction
):  # fmt: skip
    """Add tetrahedra; give volume, number of bodies and handles at each of the ends.

    `inside`, `parent`, `euler` and `volume` are changed.
    """
    n_bodies = bodies.shape[0]
    representatives = np.empty(n_bodies + added.shape[0], dtype=np.int32)
    representatives[:n_bodies] = bodies
    rows = np.zeros((ends.shape[0], 3))
    done = 0
    for row in range(ends.shape[0]):
        # between two ends any order will do: that of memory
        for t in np.sort(added[done : ends[row]]):
            root = np.int64(-1)
            for j in range(4):
                other = neighbors[t, j]
                if other < 0 or not inside[other]:
                    continue
                found = _find(parent, other)
                if root >= 0 and root != found:
                    parent[found] = root
                    euler[root] += euler[found]
                    volume[root] += volume[found]
                else:
                    root = found
            inside[t] = True
            if root < 0:
                root = np.int64(t)
                representatives[n_bodies] = t
                n_bodies += 1
                volume[t] = 0.0
                euler[t] = 0
            parent[t] = root
            euler[root] += change[t]
            volume[root] += volumes[t]
        done = ends[row]
        largest = 0.0
        kept = 0
        for i in range(n_bodies):
            body = representatives[i]
            if parent[body] == body:
                representatives[kept] = body
                kept += 1
                largest = max(largest, volume[body])
        n_bodies = kept
        for i in range(n_bodies):
            body = representatives[i]
            if volume[body] >= fraction * largest and volume[body] > _FLAT * largest:
                rows[row, 0] += volume[body]
                rows[row, 1] += 1
                rows[row, 2] += 1 - euler[body]
    return rows


@lean
def _is_before(depth, other, t):
    """Tell whether another one is there before this is added."""
    if other < 0:
        return False
    return depth[other] < depth[t] or (depth[other] == depth[t] and other < t)


@lean
def _find(parent, t):
    root = np.int64(t)
    while parent[root] != root:
        root = np.int64(parent[root])
    while parent[t] != root:
        parent[t], t = root, parent[t]
    return root


@njit(cache=True)
def _corners(tetrahedra, neighbors, depth, t, closed, beside, mark, queue, effort):
    """Change of (parts of the set at corners) - (edges that get inside) by a new tetrahedron."""
    change = 0
    closed[:] = False
    for i in range(4):
        for j in range(i + 1, 4):
            # the edge that the facets i and j share; it gets inside when all around it is
            if beside[i] and beside[j] and _is_closed(tetrahedra, neighbors, depth, t, i, j):
                closed[i, j] = closed[j, i] = True
                change -= 1
    for v in range(4):
        count = 0
        for j in range(4):
            if j != v and beside[j]:
                count += 1
        if count == 0:
            change += 1
        elif count > 1:
            joined = 0
            for i in range(4):
                for j in range(i + 1, 4):
                    if i != v and j != v and closed[i, j]:
                        joined += 1
            # three facets hang together by any two of the edges between them
            if joined < count - 1:
                apart, queue = _parts_at(
                    tetrahedra, neighbors, depth, t, v, beside, mark, queue, effort
                )
                change += 1 - apart
    return change, queue


@lean
def _is_closed(tetrahedra, neighbors, depth, t, i, j):
    """Tell whether all others around the edge without corners i and j are before t."""
    a = b = np.int64(-1)
    for k in range(4):
        if k != i and k != j:
            a, b = tetrahedra[t, k], a
    # through facet i; corner j of it stays
    behind = tetrahedra[t, j]
    at = neighbors[t, i]
    while at != t:
        if not _is_before(depth, at, t):
            return False
        leave, ahead = 0, 0
        for k in range(4):
            vertex = tetrahedra[at, k]
            if vertex == behind:
                leave = k
            elif vertex != a and vertex != b:
                ahead = k
        behind = tetrahedra[at, ahead]
        at = neighbors[at, leave]
    return True


@njit(cache=True)
def _parts_at(tetrahedra, neighbors, depth, t, v, beside, mark, queue, effort):
    """Count the parts of the set at a corner of t that t has facets with."""
    vertex = tetrahedra[t, v]
    parts = 0
    effort[0] += 1
    stamp = effort[0]
    for j in range(4):
        if j == v or not beside[j] or mark[neighbors[t, j]] == stamp:
            continue
        parts += 1
        queue[0] = neighbors[t, j]
        mark[queue[0]] = stamp
        size = 1
        while size > 0:
            size -= 1
            at = queue[size]
            effort[1] += 1
            if size + 4 > queue.shape[0]:
                longer = np.empty(2 * queue.shape[0], dtype=np.int32)
                longer[:size] = queue[:size]
                queue = longer
            for k in range(4):
                other = neighbors[at, k]
                if (
                    tetrahedra[at, k] != vertex
                    and _is_before(depth, other, t)
                    and mark[other] != stamp
                ):
                    mark[other] = stamp
                    queue[size] = other
                    size += 1
    return parts, queue

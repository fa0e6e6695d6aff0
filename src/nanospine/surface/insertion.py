"""Delaunay tetrahedra by inserting one point after the other (Bowyer 1981, Watson 1981).

Strategy: points come in an order in which neighbours in space are neighbours in time, so that the
walk to the next point is short and what it touches is in the cache. Tetrahedra are rows of flat
arrays; a facet is named 4 * tetrahedron + place of the vertex opposite to it, and `facing` gives
for each facet its other name. One more vertex at infinity closes the hull, so that there is no
outside. For each point: walk to the tetrahedron around it, gather all whose sphere it is in (the
cavity), and join the facets of the cavity to the point.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
from numba import njit

from nanospine.core.lean import keeping, lean
from nanospine.surface.predicates import insphere, orient3d
from nanospine.surface.rows import FREE, four

__all__ = ["DONE", "FULL", "STACK", "insert"]

# What `insert` says when it stops.
DONE, FULL, STACK = 0, 1, 2

# Vertices around a cavity are numbered anew, so that a pair of them fits into a small table.
_LOCAL = 64


@lean
def _side_of_hull(points, a, b, c, d, new):
    """Tell whether a point lies outside of a hull facet, whose fourth vertex is at infinity."""
    if a < 0:
        return orient3d(points, new, b, c, d), 0
    if b < 0:
        return orient3d(points, a, new, c, d), 1
    if c < 0:
        return orient3d(points, a, b, new, d), 2
    return orient3d(points, a, b, c, new), 3


@lean
def _conflict(points, corners, facing, mark, now, t, new):
    """Tell whether the new point is in the sphere of a tetrahedron."""
    a, b, c, d = four(corners, 4 * t)
    if (a | b | c | d) >= 0:
        return insphere(points, a, b, c, d, new) > 0
    # The sphere of a hull facet is the half space outside; on its plane, the facet's own circle,
    # which is that of the sphere of the tetrahedron behind it.
    side, place = _side_of_hull(points, a, b, c, d, new)
    if side != 0:
        return side > 0
    behind = facing[4 * t + place] >> 2
    if mark[behind] == now:
        return True
    if mark[behind] == now + 1:
        return False
    a, b, c, d = four(corners, 4 * behind)
    return insphere(points, a, b, c, d, new) > 0


@lean
def _is_foreign(side, mine, a, b, c, d):
    """Tell whether a tetrahedron has a vertex that belongs to another thread."""
    return (
        (a >= 0 and side[a] != mine)
        or (b >= 0 and side[b] != mine)
        or (c >= 0 and side[c] != mine)
        or (d >= 0 and side[d] != mine)
    )


@lean
def _walk(points, corners, facing, t, new, turn, side, mine):
    """Walk from a tetrahedron towards the new point; give the one around it, or one outside.

    -1 when the walk leaves what belongs to this thread.
    """
    came = -1
    while True:
        base = 4 * t
        a, b, c, d = four(corners, base)
        if mine >= 0 and _is_foreign(side, mine, a, b, c, d):
            return -1, turn
        if (a | b | c | d) < 0:
            where, place = _side_of_hull(points, a, b, c, d, new)
            if where > 0:
                return t, turn
            entry = facing[base + place]
            t = np.int64(entry >> 2)
            came = entry & 3
            continue
        # Facets are tried from a place that changes: in a fixed order walks can run in circles.
        turn = (turn * 1103515245 + 12345) & 0x7FFFFFFF
        moved = False
        for step in range(4):
            k = ((turn >> 16) + step) & 3
            if k == came:
                continue
            if k == 0:
                where = orient3d(points, new, b, c, d)
            elif k == 1:
                where = orient3d(points, a, new, c, d)
            elif k == 2:
                where = orient3d(points, a, b, new, d)
            else:
                where = orient3d(points, a, b, c, new)
            if where < 0:
                entry = facing[base + k]
                t = np.int64(entry >> 2)
                came = entry & 3
                moved = True
                break
        if not moved:
            return t, turn


@lean
def _dig(points, corners, facing, mark, now, t, new, side, mine, stack, cavity, rim):
    """Gather the tetrahedra whose spheres the point is in, and the facets around them.

    Gives the numbers of both; -1 when the scratch is too small, -2 when another thread's
    tetrahedra are among them or beside them. A row of `rim` is a facet as three vertices that make
    a positive tetrahedron with the point, and its name from outside.
    """
    mark[t] = now
    stack[0] = t
    n_stack, n_cavity, n_rim = 1, 0, 0
    while n_stack > 0:
        n_stack -= 1
        t = np.int64(stack[n_stack])
        if n_cavity >= cavity.size or n_stack + 4 >= stack.size or n_rim + 4 >= rim.shape[0]:
            return -1, -1
        cavity[n_cavity] = t
        n_cavity += 1
        base = 4 * t
        for i in range(4):
            outside = facing[base + i]
            other = np.int64(outside >> 2)
            seen = mark[other]
            if seen == now:
                continue
            if seen != now + 1:
                if mine >= 0:
                    a, b, c, d = four(corners, 4 * other)
                    if _is_foreign(side, mine, a, b, c, d):
                        return -2, -2
                if _conflict(points, corners, facing, mark, now, other, new):
                    mark[other] = now
                    stack[n_stack] = other
                    n_stack += 1
                    continue
                mark[other] = now + 1
            if i == 0:
                x, y, z = corners[base + 1], corners[base + 3], corners[base + 2]
            elif i == 1:
                x, y, z = corners[base], corners[base + 2], corners[base + 3]
            elif i == 2:
                x, y, z = corners[base], corners[base + 3], corners[base + 1]
            else:
                x, y, z = corners[base], corners[base + 1], corners[base + 2]
            rim[n_rim, 0] = x
            rim[n_rim, 1] = y
            rim[n_rim, 2] = z
            rim[n_rim, 3] = outside
            n_rim += 1
    return n_cavity, n_rim


@keeping
def _join_by_hash(corners, facing, made, n_made, n):
    """Join new tetrahedra to each other where the cavity has many vertices."""
    size = 16
    while size < 8 * n_made:
        size *= 2
    keys = np.full(size, -1, dtype=np.int64)
    values = np.empty(size, dtype=np.int64)
    for turn in range(2):
        for m in range(n_made):
            base = 4 * np.int64(made[m])
            for j in range(3):
                head = np.int64(corners[base + (j + 2) % 3]) + 1
                tail = np.int64(corners[base + (j + 1) % 3]) + 1
                if turn == 1:
                    head, tail = tail, head
                key = head * (n + 1) + tail
                slot = ((key * 0x9E3779B97F4A7C1) >> 24) & (size - 1)
                while keys[slot] != -1 and keys[slot] != key:
                    slot = (slot + 1) & (size - 1)
                if turn == 0:
                    keys[slot] = key
                    values[slot] = base + j
                else:
                    facing[base + j] = values[slot]


@lean
def _number(local, vertex, stamp, n_local):
    """Give a vertex around the cavity its number, when it has none yet."""
    found = local[vertex]
    if found >= stamp:
        return found, n_local
    local[vertex] = stamp + n_local
    return stamp + n_local, min(n_local + 1, _LOCAL - 1)


@lean
def _fill(
    corners, facing, mark, new, cavity, n_cavity, rim, n_rim, made, free, n_free, n_used,
    local, stamp, table, pairs,
):  # fmt: skip
    """Join the facets around a cavity to the new point; give the rows in use and those free.

    Rows for the new tetrahedra: those of the cavity, then free ones, then new ones. Each edge
    around the cavity is met once in each direction, which joins the two beside it.
    """
    n_local = 0
    for m in range(n_rim):
        if m < n_cavity:
            t = np.int64(cavity[m])
        elif n_free > 0:
            n_free -= 1
            t = np.int64(free[n_free])
        else:
            t = np.int64(n_used)
            n_used += 1
        mark[t] = 0
        made[m] = t
        base = 4 * t
        x, y, z, outside = rim[m, 0], rim[m, 1], rim[m, 2], rim[m, 3]
        corners[base] = x
        corners[base + 1] = y
        corners[base + 2] = z
        corners[base + 3] = new
        facing[base + 3] = outside
        facing[outside] = base + 3
        i, n_local = _number(local, x, stamp, n_local)
        j, n_local = _number(local, y, stamp, n_local)
        k, n_local = _number(local, z, stamp, n_local)
        i, j, k = i - stamp, j - stamp, k - stamp
        table[_LOCAL * k + j] = base
        table[_LOCAL * i + k] = base + 1
        table[_LOCAL * j + i] = base + 2
        pairs[3 * m] = _LOCAL * j + k
        pairs[3 * m + 1] = _LOCAL * k + i
        pairs[3 * m + 2] = _LOCAL * i + j
    if n_local == _LOCAL - 1:
        _join_by_hash(corners, facing, made, n_rim, local.size)
    else:
        for m in range(n_rim):
            base = 4 * np.int64(made[m])
            facing[base] = table[pairs[3 * m]]
            facing[base + 1] = table[pairs[3 * m + 1]]
            facing[base + 2] = table[pairs[3 * m + 2]]
    for m in range(n_rim, n_cavity):
        corners[4 * np.int64(cavity[m])] = FREE
        free[n_free] = cavity[m]
        n_free += 1
    return n_used, n_free


@njit(cache=True, nogil=True)
def insert(points, todo, corners, facing, mark, free, state, side, mine, later, scratch, rim):
    """Insert points one after the other.

    Parameters
    ----------
    points : float64 (n, 4)
        Three coordinates; the fourth column only makes a point fill half a cache line.
    todo : int64 (k,)
        Points to insert, in this order.
    corners, facing : int32 (4 * capacity,)
        Vertices of tetrahedra (INFINITY; FREE in rows that are free), names of facets.
    mark : int32 (capacity,)
        2 * stamp for those in the last cavity, one more for those seen and left.
    free : int32 (size,)
        Rows that became free.
    state : int64 (7,)
        Place in `todo`, rows in use, their limit, number of free rows, where the walk begins,
        stamp, number of points for later. Kept up to date.
    side : int8 (n,)
        The thread that each point belongs to.
    mine : int
        This thread; -1 when there is only one. Two threads never touch the same tetrahedron: one
        with vertices of several threads is left alone, and points that need it are for later.
    later : int64 (k,)
        Gets the points for later.
    scratch, rim : int32 (3, size), (size, 4)
        Scratch.

    Returns
    -------
    int
        DONE; FULL: the arrays hold no more; STACK: the scratch is too small. Nothing of the next
        point was inserted then; call again with larger arrays.
    """
    n = points.shape[0]
    local = np.zeros(n + 1, dtype=np.int64)  # of a vertex: _LOCAL * stamp + its number
    table = np.empty(_LOCAL * _LOCAL, dtype=np.int32)
    pairs = np.empty(rim.shape[0] * 3, dtype=np.int32)
    stack, cavity, made = scratch[0], scratch[1], scratch[2]
    place, n_used, limit, n_free = state[0], state[1], state[2], state[3]
    hint, count, n_later = state[4], state[5], state[6]
    turn = 42
    why = DONE
    while place < todo.size:
        new = todo[place]
        count += 1
        t, turn = _walk(points, corners, facing, hint, new, turn, side, mine)
        n_cavity = n_rim = -2
        if t >= 0:
            n_cavity, n_rim = _dig(
                points, corners, facing, mark, 2 * count, t, new, side, mine, stack, cavity, rim
            )
        if n_cavity == -2:
            later[n_later] = new
            n_later += 1
            place += 1
            continue
        if n_cavity == -1:
            why = STACK
            break
        if n_used + n_rim > limit:
            why = FULL
            break
        n_used, n_free = _fill(
            corners, facing, mark, new, cavity, n_cavity, rim, n_rim, made, free, n_free, n_used,
            local, _LOCAL * count, table, pairs,
        )  # fmt: skip
        hint = np.int64(made[0])
        place += 1
    state[0], state[1], state[3] = place, n_used, n_free
    state[4], state[5], state[6] = hint, count, n_later
    return why

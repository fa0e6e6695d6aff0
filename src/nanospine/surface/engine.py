"""Our Delaunay engine: order, first tetrahedron, insertion (in threads), and what users get of it.

Strategy for threads: the first rounds of points are inserted alone. The rest is cut into slabs of
equal numbers, one for each thread. A tetrahedron whose vertices are all of one slab is its
thread's own; the others are left alone, so that no two threads ever touch the same. Points that
would need such a tetrahedron are inserted at the end, alone again. So that they are few, the points
next to the cuts come first: the tetrahedra across the cuts are small then. The triangulation does
not depend on the order of insertion, so nothing of this can be seen in it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.surface.insertion import DONE, FULL, insert
from nanospine.surface.order import insertion_order
from nanospine.surface.rows import (
    copy_neighbors,
    copy_tetrahedra,
    first_four,
    number_finite,
    shift,
    start,
)

__all__ = ["tetrahedralize"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# There are at most 6.8 tetrahedra to a point in what microscopes see; memory that is not
# used costs nothing.
_ROWS_PER_POINT = 9
_SCRATCH = 4096
# Below this many points a second thread does not pay.
_FEWEST_PER_THREAD = 50_000
# Next to a cut, so many times n^(2/3) points come before the threads: some layers of points.
_SEAM = 3.0
_LARGEST = 200_000_000


@dataclass
class _Arrays:
    """The arrays that all threads share."""

    points: FloatArray
    corners: npt.NDArray[np.int32]
    facing: npt.NDArray[np.int32]
    mark: npt.NDArray[np.int32]
    side: npt.NDArray[np.int8]

    @classmethod
    def of(cls, points: FloatArray, capacity: int) -> _Arrays:
        return cls(
            points,
            np.empty(4 * capacity, dtype=np.int32),
            np.empty(4 * capacity, dtype=np.int32),
            np.zeros(capacity, dtype=np.int32),
            np.zeros(len(points), dtype=np.int8),
        )

    @property
    def capacity(self) -> int:
        return len(self.mark)

    def grow(self) -> None:
        more = self.capacity // 2 + 1000
        self.corners = np.concatenate([self.corners, np.empty(4 * more, dtype=np.int32)])
        self.facing = np.concatenate([self.facing, np.empty(4 * more, dtype=np.int32)])
        self.mark = np.concatenate([self.mark, np.zeros(more, dtype=np.int32)])


@dataclass
class _Worker:
    """One who inserts: its rows, what it set free, and the points that it leaves for later."""

    first_row: int
    limit: int
    state: IntArray
    mine: int = -1
    free: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    later: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    scratch_size: int = _SCRATCH

    def run(self, arrays: _Arrays, todo: IntArray) -> IntArray:
        """Insert points; give those that are left for later."""
        self.later = np.empty(len(todo), dtype=np.int64)
        self.state[0] = self.state[6] = 0
        while True:
            self.state[2] = self.limit
            scratch = np.empty((3, self.scratch_size), dtype=np.int32)
            rim = np.empty((self.scratch_size, 4), dtype=np.int32)
            if len(self.free) < self.state[3] + self.scratch_size:
                more = np.empty(2 * self.scratch_size + 2 * len(self.free), dtype=np.int32)
                more[: self.state[3]] = self.free[: self.state[3]]
                self.free = more
            why = insert(
                arrays.points, todo, arrays.corners, arrays.facing, arrays.mark, self.free,
                self.state, arrays.side, self.mine, self.later, scratch, rim,
            )  # fmt: skip
            if why == DONE:
                return self.later[: self.state[6]]
            if why == FULL and self.mine >= 0:
                # Rows of the others lie behind these: what is left is done alone, at the end.
                return np.concatenate([self.later[: self.state[6]], todo[self.state[0] :]])
            if why == FULL:
                arrays.grow()
                self.limit = arrays.capacity
            else:
                self.scratch_size *= 2


def tetrahedralize(
    points: FloatArray, along: IntArray, *, threads: int | None = None
) -> tuple[IntArray, IntArray]:
    """Triangulate 3-D points.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
    along : ndarray of int64, shape (k,)
        Those to be inserted, along a curve; no two of them equal.
    threads : int, optional
        As many as there are processors, where it pays.

    Returns
    -------
    tetrahedra, neighbors : ndarray of int64, shape (m, 4)
        Positively oriented; column j is the neighbour opposite vertex j, -1 outside.

    Raises
    ------
    GeometryError
        When all points lie on one plane.
    """
    n = len(along)
    if n > _LARGEST:
        raise GeometryError(
            f"delaunay: {n} points; at most {_LARGEST} fit into one triangulation. Work in tiles."
        )
    order, last = insertion_order(points, along)
    inserted = _scaled(points, order)
    four = first_four(inserted)
    if four[-1] < 0:
        raise GeometryError(f"delaunay: all {n} points lie on one plane.")
    for place, found in enumerate(np.sort(four).tolist()):  # sorted: none is moved twice
        order[[place, found]] = order[[found, place]]
        inserted[[place, found]] = inserted[[found, place]]
    arrays = _Arrays.of(inserted, _ROWS_PER_POINT * n + 1000)
    del inserted
    used = start(arrays.points, arrays.corners, arrays.facing)
    first = _Worker(0, arrays.capacity, np.array([0, used, 0, 0, 0, 0, 0], dtype=np.int64))
    workers = [first]
    asked = threads or _n_processors()
    n_threads = min(asked, (n - last) // _FEWEST_PER_THREAD, 127)
    if n_threads < 2:
        first.run(arrays, np.arange(4, n, dtype=np.int64))
    else:
        first.run(arrays, np.arange(4, last, dtype=np.int64))
        workers += _in_threads(arrays, first, np.arange(max(last, 4), n, dtype=np.int64), n_threads)
    used = [(item.first_row, int(item.state[1])) for item in workers]
    return _finished(arrays, used, order, asked)


def _n_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def _scaled(points: FloatArray, order: IntArray) -> FloatArray:
    """Give points in order, in rows of four numbers, times a power of two.

    One that makes coordinates whole, when there is one: nothing is rounded by it and no sign
    changes, but predicates are exact sooner on whole numbers.
    """
    result = np.zeros((len(order), 4))
    result[:, :3] = points[order]
    sample = result[:: max(1, len(result) // 1000)]
    for part in (sample, result):
        mantissa, exponent = np.frexp(part[part != 0])
        whole = (mantissa * 2.0**53).astype(np.int64)
        lowest = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
        finest = int((exponent - 53 + lowest).min(initial=1000))
        if abs(finest) > 60 or np.abs(part).max() > 2.0 ** (40 + finest):
            return result
    result *= 2.0**-finest
    return result


def _in_threads(arrays: _Arrays, first: _Worker, todo: IntArray, n_threads: int) -> list[_Worker]:
    """Insert points in threads, and those that are left for later alone."""
    axis = int(np.argmax(np.ptp(arrays.points[:, :3], axis=0)))
    along = arrays.points[:, axis]
    cuts = np.quantile(along[todo[:: max(1, len(todo) // 100_000)]],
                       np.arange(1, n_threads) / n_threads)  # fmt: skip
    arrays.side = np.searchsorted(cuts, along, side="right").astype(np.int8)
    seam = _next_to(cuts, along[todo])
    first.run(arrays, todo[seam])
    todo = todo[~seam]
    parts = [todo[arrays.side[todo] == number] for number in range(n_threads)]
    used, stamp = int(first.state[1]), int(first.state[5])
    room = (arrays.capacity - used) // n_threads
    hints = _own_tetrahedra(arrays, used, n_threads)
    workers = []
    for number in range(n_threads):
        begin = used + number * room
        state = np.array([0, begin, 0, 0, hints[number], stamp, 0], dtype=np.int64)
        workers.append(_Worker(begin, begin + room, state, number))
    active = [item for item in workers if item.state[4] >= 0]
    idle = [parts[item.mine] for item in workers if item.state[4] < 0]
    with ThreadPoolExecutor(n_threads) as pool:
        left = list(pool.map(lambda item: item.run(arrays, parts[item.mine]), active))
    alone = workers[-1]
    alone.mine = -1
    alone.limit = arrays.capacity
    alone.state[4] = next((int(item.state[4]) for item in active), int(first.state[4]))
    alone.state[5] = max(int(item.state[5]) for item in workers)
    alone.run(arrays, np.concatenate([*left, *idle]))
    return workers


def _next_to(cuts: FloatArray, along: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which points are next to a cut."""
    seam = np.zeros(len(along), dtype=np.bool_)
    wanted = min(int(_SEAM * len(along) ** (2 / 3)), len(along) - 1)
    for cut in cuts:
        distance = np.abs(along - cut)
        seam |= distance <= np.partition(distance, wanted)[wanted]
    return seam


def _own_tetrahedra(arrays: _Arrays, used: int, n_threads: int) -> list[int]:
    """Find for each thread a tetrahedron of its own where its walk can begin; -1 for none."""
    corners = arrays.corners[: 4 * used].reshape(-1, 4)
    finite = np.array((corners >= 0).all(axis=1), dtype=np.bool_)
    sides = arrays.side[np.where(finite[:, None], corners, 0)]
    same = finite & np.array((sides == sides[:, :1]).all(axis=1), dtype=np.bool_)
    result = []
    for number in range(n_threads):
        rows = np.flatnonzero(same & (sides[:, 0] == number))
        result.append(int(rows[len(rows) // 2]) if len(rows) else -1)
    return result


def _finished(
    arrays: _Arrays, used: list[tuple[int, int]], order: IntArray, threads: int
) -> tuple[IntArray, IntArray]:
    """Leave out free rows and those at infinity, and give points their own numbers."""
    parts = [
        (int(begin), int(end))
        for first, last in used
        for begin, end in pairwise(np.linspace(first, last, threads + 1).astype(np.int64))
    ]
    # What is not needed any more is given back first: where memory is fresh from the system, its
    # pages cost as much as what is written to them.
    arrays.points, arrays.side = np.empty((0, 4)), np.empty(0, dtype=np.int8)
    corners, facing, mark = arrays.corners, arrays.facing, arrays.mark
    with ThreadPoolExecutor(threads) as pool:
        # Marks are not needed any more: their rows take the new numbers.
        counts = list(pool.map(lambda part: number_finite(corners, mark, *part), parts))
        starts = np.concatenate([[0], np.cumsum(counts)])
        list(pool.map(lambda part, first: shift(mark, *part, first), parts, starts))
        tetrahedra = np.empty((int(starts[-1]), 4), dtype=np.int64)
        list(pool.map(lambda part: copy_tetrahedra(corners, mark, *part, order, tetrahedra), parts))
        arrays.corners = corners = np.empty(0, dtype=np.int32)
        neighbors = np.empty((int(starts[-1]), 4), dtype=np.int64)
        list(pool.map(lambda part: copy_neighbors(facing, mark, *part, neighbors), parts))
    return tetrahedra, neighbors

"""Clusters out of a spanning tree, as HDBSCAN chooses them.

Cutting the longest edges of the tree one after the other splits the points. A part of fewer than
`least` points falls off as noise; where both parts are larger, two clusters are born. A cluster
lives from the density (1 / length) of its birth to that of its end; its stability is the sum of
how long each of its points stayed in it. Those clusters are kept whose stability exceeds that of
all that come out of them (excess of mass).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["stable_clusters"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_NOISE = -1


def stable_clusters(
    a: IntArray, b: IntArray, length: FloatArray, least: int, epsilon: float = 0.0
) -> IntArray:
    """Give the cluster of each point, -1 for noise, numbered from 0 without gaps.

    Parameters
    ----------
    a, b : ndarray of int64, shape (n - 1,)
        Points that the edges of a spanning tree join.
    length : ndarray, shape (n - 1,)
        Their lengths, ascending.
    least : int
        Fewest points of a cluster.
    epsilon : float
        Clusters that parted at less than this length are not parted.

    Notes
    -----
    Campello, Moulavi and Sander (2013), doi:10.1007/978-3-642-37456-2_14; `epsilon` after Malzer
    and Baum (2020), doi:10.1109/MFI49285.2020.9235263. The whole is never one cluster.

    Examples
    --------
    >>> a = np.array([0, 1, 3, 4, 2])
    >>> stable_clusters(a, a + 1, np.array([1.0, 1, 1, 1, 9]), 2).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    n = len(a) + 1
    # Points that coincide have an end of life nevertheless.
    density = 1 / np.maximum(length, np.finfo(np.float64).tiny)
    left, right, size = _linkage(a, b)
    point_cluster, parent, birth, stability = _condense(left, right, size, density, least, n)
    chosen = _most_stable(parent, stability)
    if epsilon > 0 and len(parent) > 1:
        chosen = _merged_below(parent, 1 / birth[1:], chosen, epsilon)
    number = np.cumsum(chosen) - 1
    label = np.full(len(parent), _NOISE, dtype=np.int64)
    for cluster in range(1, len(parent)):  # parents come before children
        label[cluster] = number[cluster] if chosen[cluster] else label[parent[cluster]]
    return label[point_cluster]


@njit(cache=True)
def _linkage(a: IntArray, b: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Give for each edge the nodes that it joins (points, then n + earlier edge) and its size."""
    m = len(a)
    n = m + 1
    root = np.arange(n + m)
    left, right, size = np.empty(m, np.int64), np.empty(m, np.int64), np.empty(m, np.int64)
    for edge in range(m):
        for side in range(2):
            node = a[edge] if side == 0 else b[edge]
            top = node
            while root[top] != top:
                top = root[top]
            while root[node] != top:
                root[node], node = top, root[node]
            if side == 0:
                left[edge] = top
            else:
                right[edge] = top
        root[left[edge]] = root[right[edge]] = n + edge
        size[edge] = 0
        for top in (left[edge], right[edge]):
            size[edge] += 1 if top < n else size[top - n]
    return left, right, size


@njit(cache=True)
def _condense(
    left: IntArray, right: IntArray, size: IntArray, density: FloatArray, least: int, n: int
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Give the cluster that each point fell out of; parent, birth and stability of each."""
    m = n - 1
    most = 2 * (n // max(least, 1)) + 3
    parent, birth = np.full(most, -1, np.int64), np.zeros(most)
    stability = np.zeros(most)
    of = np.zeros(n + m, np.int64)
    fallen = np.zeros(n + m, np.bool_)
    count = 1
    for edge in range(m - 1, -1, -1):
        node = n + edge
        cluster = of[node]
        low, high = left[edge], right[edge]
        if fallen[node]:
            of[low] = of[high] = cluster
            fallen[low] = fallen[high] = True
            continue
        n_low = 1 if low < n else size[low - n]
        n_high = 1 if high < n else size[high - n]
        splits = n_low >= least and n_high >= least
        lived = density[edge] - birth[cluster]
        for child, number in ((low, n_low), (high, n_high)):
            of[child] = cluster
            if splits:
                parent[count], birth[count], of[child] = cluster, density[edge], count
                count += 1
            elif number < least:
                fallen[child] = True
            if splits or number < least:
                stability[cluster] += lived * number
    return of[:n].copy(), parent[:count].copy(), birth[:count].copy(), stability[:count].copy()


def _most_stable(parent: IntArray, stability: FloatArray) -> BoolArray:
    """Choose clusters by excess of mass; the first, of all points, is never chosen."""
    count = len(parent)
    best, below = stability.copy(), np.zeros(count)
    keeps = np.zeros(count, dtype=bool)
    for cluster in range(count - 1, 0, -1):  # children come after parents
        keeps[cluster] = not below[cluster] > best[cluster]
        if not keeps[cluster]:
            best[cluster] = below[cluster]
        below[parent[cluster]] += best[cluster]
    covered = np.zeros(count, dtype=bool)
    for cluster in range(1, count):
        covered[cluster] = covered[parent[cluster]] or keeps[parent[cluster]]
    return keeps & ~covered


def _merged_below(
    parent: IntArray, parted_at: FloatArray, chosen: BoolArray, epsilon: float
) -> BoolArray:
    """Replace clusters that parted below `epsilon` by the one they parted from."""
    born = np.concatenate([[np.inf], parted_at])
    result = np.zeros(len(parent), dtype=bool)
    for cluster in np.flatnonzero(chosen):
        node = int(cluster)
        if born[node] < epsilon:
            while parent[node] != 0:
                node = int(parent[node])
                if born[node] > epsilon:
                    break
        result[node] = True
    return result

"""Boxes around the triangles of a surface, in a tree that is made anew as fast as it is used.

Strategy: faces are sorted along a Hilbert curve through their middles; the leaves are runs of up to
two of them and the tree above is complete (children of node i are 2i + 1 and 2i + 2), so that
making it is one sort and one pass. When vertices move a little, the pass alone is enough.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.surface.order import hilbert_keys

__all__ = ["boxes_of", "corners_of", "faces_along_curve"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LEAF = 2
_BITS = 12


def faces_along_curve(vertices: FloatArray, faces: IntArray) -> IntArray:
    """Sort faces along a curve, so that those near each other have numbers near each other."""
    middles = vertices[faces].mean(axis=1)
    low = middles.min(axis=0)
    extent = float((middles.max(axis=0) - low).max())
    if extent == 0.0:
        return np.arange(len(faces))
    keys = hilbert_keys(middles, low, ((1 << _BITS) - 1) / extent, _BITS)
    return np.argsort(keys, kind="stable")


def corners_of(vertices: FloatArray, faces: IntArray, origin: FloatArray) -> FloatArray:
    """Corners of the faces, (m, 3, 3), counted from the origin: one row is read at once."""
    return np.ascontiguousarray((vertices - origin)[faces])


@njit(cache=True)
def boxes_of(corners):
    """Give the boxes (low, high) of all nodes, shape (2 leaves - 1, 6), of faces along a curve."""
    m = corners.shape[0]
    leaves = 1
    while leaves * _LEAF < m:
        leaves *= 2
    boxes = np.empty((2 * leaves - 1, 6))
    for leaf in range(leaves):
        node = leaves - 1 + leaf
        for k in range(3):
            low, high = np.inf, -np.inf
            for slot in range(leaf * m // leaves, (leaf + 1) * m // leaves):
                for i in range(3):
                    low = min(low, corners[slot, i, k])
                    high = max(high, corners[slot, i, k])
            boxes[node, k], boxes[node, 3 + k] = low, high
    for node in range(leaves - 2, -1, -1):
        for k in range(3):
            boxes[node, k] = min(boxes[2 * node + 1, k], boxes[2 * node + 2, k])
            boxes[node, 3 + k] = max(boxes[2 * node + 1, 3 + k], boxes[2 * node + 2, 3 + k])
    return boxes

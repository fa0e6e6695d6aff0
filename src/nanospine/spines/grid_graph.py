"""Voxels and their neighbours as a graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = ["grid_graph"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def grid_graph(
    voxels: IntArray, cost: FloatArray, shape: tuple[int, ...], voxel_nm: float
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Give two graphs over voxels with 26 neighbours: plain lengths, and lengths times cost."""
    index = np.full(shape, -1, dtype=np.int64)
    index[tuple(voxels.T)] = np.arange(len(voxels))
    padded = np.pad(index, 1, constant_values=-1)
    rows, columns, lengths = [], [], []
    offsets = np.argwhere(np.ones((3, 3, 3), dtype=bool)) - 1
    for offset in offsets[14:]:
        other = padded[tuple((voxels + offset + 1).T)]
        here = np.flatnonzero(other >= 0)
        rows.append(here)
        columns.append(other[here])
        lengths.append(np.full(len(here), np.linalg.norm(offset) * voxel_nm))
    row, column, length = map(np.concatenate, (rows, columns, lengths))
    size = (len(voxels), len(voxels))
    plain = sparse.csr_matrix((length, (row, column)), shape=size)
    weighted = sparse.csr_matrix((length * (cost[row] + cost[column]) / 2, (row, column)), size)
    return plain, weighted

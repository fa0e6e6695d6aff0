"""Sparse matrices over the edges of one surface: where their entries are is found once."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import sparse

__all__ = ["Stencil", "entries_at"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.integer]

# Triangles are not taken to be flatter than this: twice the area over the squares of the sides.
_SLIVER = 0.02


@dataclass(frozen=True)
class Stencil:
    """The entries of matrices with one for each vertex and one each way for each edge.

    The vertices may move, and the matrices change with them; the entries stay where they are.

    Attributes
    ----------
    faces : ndarray of int64, shape (m, 3)
    rows, columns : ndarray of int
        As `indptr` and sorted `indices` of a csr_matrix.
    diagonal : ndarray of int, shape (v,)
        Which entry is that of each vertex.
    corners : ndarray of int, shape (m, 9)
        Which entries are those of the pairs of corners of each face: 0 0, 0 1, 0 2, 1 0 ...
    """

    faces: IntArray
    rows: IndexArray
    columns: IndexArray
    diagonal: IndexArray
    corners: IndexArray

    @classmethod
    def of(cls, n_vertices: int, faces: IntArray) -> Stencil:
        """Find where the entries are."""
        faces = np.ascontiguousarray(faces, dtype=np.int64)
        rows, columns = _entries(n_vertices, faces)
        if len(columns) <= np.iinfo(np.int32).max:  # as scipy would, which else copies them
            rows, columns = rows.astype(np.int32), columns.astype(np.int32)
        every = np.arange(n_vertices)
        diagonal = entries_at(every, every, rows, columns)
        corners = np.empty((len(faces), 9), dtype=rows.dtype)
        for i in range(3):
            for j in range(3):
                corners[:, 3 * i + j] = entries_at(faces[:, i], faces[:, j], rows, columns)
        return cls(faces, rows, columns, diagonal, corners)

    def matrix(self, data: FloatArray) -> sparse.csr_matrix:
        """Give the matrix with these entries; it shares their places."""
        matrix = sparse.csr_matrix((data, self.columns, self.rows), shape=(len(self.diagonal),) * 2)
        matrix.has_sorted_indices = True
        return matrix

    def plus_diagonal(self, matrix: sparse.csr_matrix, diagonal: FloatArray) -> sparse.csr_matrix:
        """Add a diagonal to a matrix of these entries."""
        data = matrix.data.copy()
        data[self.diagonal] += diagonal
        return self.matrix(data)

    def laplacian(
        self, vertices: FloatArray, weight: FloatArray | None = None
    ) -> sparse.csr_matrix:
        """Matrix L with h' L h = integral of weight |grad h|^2, for h linear on each triangle.

        Where carving drew a thin neck out, its triangles are long: with one weight for all edges
        the neck would be three times as stiff along itself as the rest.

        Examples
        --------
        >>> import trimesh
        >>> ball = trimesh.creation.icosphere(3, radius=50)
        >>> stencil = Stencil.of(len(ball.vertices), ball.faces)
        >>> x = ball.vertices[:, 0]
        >>> energy = x @ stencil.laplacian(ball.vertices) @ x
        >>> round(float(energy / ball.area), 2)      # |grad x|^2 is 2 / 3 on average
        0.67
        """
        data = np.zeros(len(self.columns))
        weight = np.ones(len(vertices)) if weight is None else weight
        _add_gradients(np.ascontiguousarray(vertices), self.faces, self.corners, weight, data)
        return self.matrix(data)

    def mean_of_neighbours(self) -> sparse.csr_matrix:
        """Matrix that gives each vertex the mean of its neighbours; zero where there are none."""
        data = np.ones(len(self.columns))
        data[self.diagonal] = 0.0
        neighbours = np.diff(self.rows) - 1
        return self.matrix(data / np.repeat(np.maximum(neighbours, 1), neighbours + 1))


@njit(cache=True)
def _entries(n, faces):
    """Each vertex and its neighbours in order: where those of each begin, and all of them."""
    begin = np.zeros(n + 1, dtype=np.int64)
    for f in range(faces.shape[0]):
        for k in range(3):
            begin[faces[f, k] + 1] += 2
    begin[1:] += 1  # itself
    begin = np.cumsum(begin)
    last = begin[:-1].copy()
    columns = np.empty(begin[-1], dtype=np.int64)
    for i in range(n):
        columns[last[i]] = i
        last[i] += 1
    for f in range(faces.shape[0]):
        for k in range(3):
            i = faces[f, k]
            for step in range(1, 3):
                columns[last[i]] = faces[f, (k + step) % 3]
                last[i] += 1
    rows = np.zeros(n + 1, dtype=np.int64)
    kept = 0
    for i in range(n):
        around = np.sort(columns[begin[i] : begin[i + 1]])
        for j in range(len(around)):
            if j == 0 or around[j] != around[j - 1]:
                columns[kept] = around[j]
                kept += 1
        rows[i + 1] = kept
    return rows, columns[:kept].copy()


@njit(cache=True)
def entries_at(row, column, rows, columns):
    """Which entries of a sparse matrix are those of these rows and columns; all must be there."""
    found = np.empty(len(row), dtype=rows.dtype)
    for i in range(len(row)):
        place = rows[row[i]]
        while columns[place] != column[i]:
            place += 1
        found[i] = place
    return found


@njit(cache=True)
def _add_gradients(vertices, faces, corners, weight, data):
    side = np.empty((3, 3))
    for f in range(faces.shape[0]):
        squares = 0.0
        for k in range(3):
            a, b = faces[f, (k + 1) % 3], faces[f, (k + 2) % 3]
            for axis in range(3):
                side[k, axis] = vertices[b, axis] - vertices[a, axis]
                squares += side[k, axis] ** 2
        doubled = 0.0
        for axis in range(3):
            i, j = (axis + 1) % 3, (axis + 2) % 3
            doubled += (side[0, i] * side[1, j] - side[0, j] * side[1, i]) ** 2
        doubled = max(np.sqrt(doubled), _SLIVER * squares + 1e-300)
        mean = (weight[faces[f, 0]] + weight[faces[f, 1]] + weight[faces[f, 2]]) / 3.0
        factor = max(mean, 1e-9) / (2.0 * doubled)
        for i in range(3):
            for j in range(3):
                part = 0.0
                for axis in range(3):
                    part += side[i, axis] * side[j, axis]
                data[corners[f, 3 * i + j]] += factor * part

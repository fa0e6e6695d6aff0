"""The smooth offset of a surface that fits what was measured over it, by least squares."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import sparse
from scipy.sparse.linalg import splu

from nanospine.surface.feet import Feet
from nanospine.surface.stencil import Stencil, entries_at

__all__ = ["smooth_offset", "solve"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]

# Parts of the surface that no localization is near to stay where they are.
_HOLD = 1e-6
# The residual that is left, as a fraction of the right-hand side; steps before a direct solution.
_TOLERANCE = 1e-11
_STEPS = 1000


def smooth_offset(
    feet: Feet,
    near: BoolArray,
    weight: FloatArray,
    stencil: Stencil,
    penalty: sparse.csr_matrix,
    force: FloatArray | None = None,
) -> FloatArray:
    """Solve for the offset of the vertices, twice: the second time without the outliers.

    The offset h minimises ``sum_i w_i (s_i - h(foot i))^2 + h' penalty h - 2 force' h``, with the
    given weights w_i and then these times Tukey's. The matrix is diagonally strong, so that
    conjugate gradients take some tens of steps.

    Parameters
    ----------
    feet : Feet
        Signed distances s_i and the feet.
    near : ndarray of bool, shape (n,)
        Which of them count.
    weight : ndarray, shape (n,)
        How much; 0 for those that do not.
    stencil : Stencil
        Of `feet.faces`.
    penalty : csr_matrix, shape (v, v)
        With its entries.
    force : ndarray, shape (v,), optional
        What else pulls at the vertices.
    """
    rows, columns, diagonal = stencil.rows, stencil.columns, stencil.diagonal
    faces = feet.faces
    trust = weight.copy()
    offset = np.zeros(penalty.shape[0])
    for _ in range(2):
        data = penalty.data.copy()
        data[diagonal] += _HOLD
        right = _gather(
            faces, feet.face, feet.weights, feet.signed_nm, trust, stencil.corners, data,
            offset,
        )  # fmt: skip
        if force is not None:
            right += force
        offset = _solved(rows, columns, data, diagonal, right[None], offset[None], _TOLERANCE)[0]
        rest = _rest(faces, feet.face, feet.weights, feet.signed_nm, offset, near)
        scale = 1.4826 * float(np.median(np.abs(rest))) if len(rest) else 0.0
        trust[near] = (
            weight[near] * np.maximum(1.0 - (rest / max(4.0 * scale, 1e-9)) ** 2, 0.0) ** 2
        )
    return np.asarray(offset)


def solve(matrix: sparse.csr_matrix, right: FloatArray, tolerance: float) -> FloatArray:
    """Solve with a symmetric positive matrix that has an entry everywhere on its diagonal.

    Of several right-hand sides, shape (n, k), each has its solution in a column.
    """
    matrix = matrix if matrix.has_sorted_indices else matrix.sorted_indices()
    rows, columns = matrix.indptr, matrix.indices
    every = np.arange(matrix.shape[0])
    diagonal = entries_at(every, every, rows, columns)
    several = np.ascontiguousarray(right.reshape(len(right), -1).T, dtype=np.float64)
    start = np.zeros(several.shape)
    solved = _solved(rows, columns, matrix.data, diagonal, several, start, tolerance)
    return np.asarray(solved.T.reshape(right.shape))


def _solved(
    rows: IndexArray,
    columns: IndexArray,
    data: FloatArray,
    diagonal: IndexArray,
    right: FloatArray,
    start: FloatArray,
    tolerance: float,
) -> FloatArray:
    """Conjugate gradients; a direct solution where they take too many steps; shape (k, n)."""
    solved, done = _conjugate(rows, columns, data, diagonal, right, start, _STEPS, tolerance)
    if not done.all():
        matrix = sparse.csc_matrix((data, columns, rows), shape=(len(diagonal),) * 2)  # symmetric
        solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        solved[~done] = solver.solve(right[~done].T).T
    return np.asarray(solved)


@njit(cache=True)
def _gather(faces, face, weights, signed, trust, place, data, offset):
    """Add the squares to the data of the matrix; give the right-hand side."""
    right = np.zeros(offset.shape[0])
    for i in range(face.shape[0]):
        if trust[i] == 0.0:
            continue
        f = face[i]
        for j in range(3):
            part = trust[i] * weights[i, j]
            right[faces[f, j]] += part * signed[i]
            for k in range(3):
                data[place[f, 3 * j + k]] += part * weights[i, k]
    return right


@njit(cache=True)
def _rest(faces, face, weights, signed, offset, near):
    """What is left of the distances that count."""
    rest = np.empty(near.sum())
    count = 0
    for i in range(face.shape[0]):
        if near[i]:
            value = signed[i]
            for j in range(3):
                value -= weights[i, j] * offset[faces[face[i], j]]
            rest[count] = value
            count += 1
    return rest


@njit(cache=True)
def _times(rows, columns, data, vectors, results, begin, end):
    """Rows of products with several vectors (k, n); the matrix is read once for every three."""
    k = len(results)
    first = 0
    while k - first >= 3:
        a, b, c = vectors[first], vectors[first + 1], vectors[first + 2]
        for i in range(begin, end):
            one, two, three = 0.0, 0.0, 0.0
            for place in range(rows[i], rows[i + 1]):
                value, at = data[place], columns[place]
                one += value * a[at]
                two += value * b[at]
                three += value * c[at]
            results[first, i], results[first + 1, i], results[first + 2, i] = one, two, three
        first += 3
    for j in range(first, k):
        vector, result = vectors[j], results[j]
        for i in range(begin, end):
            total = 0.0
            for place in range(rows[i], rows[i + 1]):
                total += data[place] * vector[columns[place]]
            result[i] = total


@njit(cache=True)
def _conjugate(rows, columns, data, diagonal, right, guess, steps, tolerance):
    """Conjugate gradients, scaled by the diagonal, for right-hand sides (k, n) at once.

    Gives the solutions, and which of them are some. Bodies that no entry joins are solved one
    after the other: each stays in the cache, and none waits for the slowest.
    """
    k, n = right.shape
    solution = guess.copy()
    rest, direction, product = np.empty((k, n)), np.empty((k, n)), np.empty((k, n))
    scale = 1.0 / data[diagonal]
    done = np.ones(k, dtype=np.bool_)
    begin, furthest = 0, 0
    for i in range(n):
        for place in range(rows[i], rows[i + 1]):
            furthest = max(furthest, columns[place])
        if furthest <= i:
            _times(rows, columns, data, solution, product, begin, i + 1)
            done &= _of_body(
                rows, columns, data, scale, right, solution, rest, direction, product,
                begin, i + 1, steps, tolerance,
            )  # fmt: skip
            begin = furthest = i + 1
    return solution, done


@njit(cache=True)
def _of_body(
    rows, columns, data, scale, right, solution, rest, direction, product, begin, end, steps,
    tolerance,
):  # fmt: skip
    """Solve rows from begin to end; each side goes its own way, and rests when it has arrived."""
    k = len(right)
    along, least = np.zeros(k), np.zeros(k)
    for j in range(k):
        r, d, b, p = rest[j], direction[j], right[j], product[j]
        for i in range(begin, end):
            r[i] = b[i] - p[i]
            d[i] = scale[i] * r[i]
            along[j] += r[i] * d[i]
            least[j] += b[i] * b[i] * scale[i]
    least *= tolerance * tolerance
    for _ in range(steps):
        if (along <= least).all():
            break
        _times(rows, columns, data, direction, product, begin, end)
        for j in range(k):
            if along[j] <= least[j]:
                continue
            x, r, d, p = solution[j], rest[j], direction[j], product[j]
            bent, new = 0.0, 0.0
            for i in range(begin, end):
                bent += d[i] * p[i]
            step = along[j] / bent
            for i in range(begin, end):
                x[i] += step * d[i]
                r[i] -= step * p[i]
                new += r[i] * r[i] * scale[i]
            ratio = new / along[j]
            for i in range(begin, end):
                d[i] = scale[i] * r[i] + ratio * d[i]
            along[j] = new
    return along <= least

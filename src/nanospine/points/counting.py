"""Sorting of rows by small whole numbers, compiled: the cost of a row does not grow with them."""

from __future__ import annotations

# numba needs no annotations
# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["frame_order", "rows_by_key"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def rows_by_key(keys: IntArray) -> tuple[IntArray, IntArray] | None:
    """Sort rows by their keys, keeping their order; give the rows and where each key begins.

    Parameters
    ----------
    keys : ndarray of int64, shape (n,)

    Returns
    -------
    tuple of ndarray of int64, or None
        Rows, shape (n,), and the first place of each key that occurs; None where the keys lie so
        far apart that counting them would need more memory than sorting.

    Examples
    --------
    >>> rows_by_key(np.array([7, 5, 7, 5, 9]))
    (array([1, 3, 0, 2, 4]), array([0, 2, 4]))
    """
    if len(keys) == 0:
        return None
    low, high = int(keys.min()), int(keys.max())
    if high - low > 4 * len(keys) + 1000:
        return None
    rows, starts = _count_and_place(np.ascontiguousarray(keys), low, high - low + 1)
    return rows, starts[:-1][np.diff(starts) > 0]


def frame_order(begins: IntArray, x: FloatArray) -> IntArray:
    """Sort the places of each frame by x.

    Parameters
    ----------
    begins : ndarray of int64
        Where each frame begins.
    x : ndarray, shape (n,)
        By frame.

    Examples
    --------
    >>> frame_order(np.array([0, 2]), np.array([5.0, 1, 8, 4]))
    array([1, 0, 3, 2])
    """
    return _sort_runs(np.append(begins, len(x)), np.ascontiguousarray(x))


@njit(cache=True)
def _count_and_place(keys, low, n_keys):  # pragma: no cover
    starts = np.zeros(n_keys + 1, np.int64)
    for key in keys:
        starts[key - low + 1] += 1
    for k in range(n_keys):
        starts[k + 1] += starts[k]
    place = starts.copy()
    rows = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        k = keys[i] - low
        rows[place[k]] = i
        place[k] += 1
    return rows, starts


@njit(cache=True)
def _sort_runs(ends, x):  # pragma: no cover
    order = np.empty(len(x), np.int64)
    for f in range(len(ends) - 1):
        low, high = ends[f], ends[f + 1]
        order[low:high] = low + np.argsort(x[low:high], kind="mergesort")
    return order

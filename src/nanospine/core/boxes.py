"""Boxes that touch a box, found without looking through all of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Boxes"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Boxes:
    """Boxes with sides along the axes, sorted once along the one that they spread most along.

    Parameters
    ----------
    low, high : ndarray, shape (n, d)
        Corners; points are boxes whose corners are the same.
    axes : tuple of int, optional
        Those that may be sorted along; all by default.

    Examples
    --------
    >>> low = np.array([[0.0, 0], [5, 0], [9, 0]])
    >>> Boxes(low, low + 2).touching(np.array([6.0, 1]), np.array([9.0, 1]))
    array([1, 2])
    """

    def __init__(
        self, low: FloatArray, high: FloatArray, axes: tuple[int, ...] | None = None
    ) -> None:
        self.low, self.high = low, high
        spread = np.ptp(low, axis=0) if len(low) else np.zeros(low.shape[1])
        self._axis = max(axes or range(low.shape[1]), key=lambda axis: float(spread[axis]))
        self._order = np.argsort(low[:, self._axis], kind="stable")
        self._first = low[self._order, self._axis]
        self._longest = float((high - low)[:, self._axis].max(initial=0.0))

    def touching(self, low: FloatArray, high: FloatArray) -> IntArray:
        """Give the rows of those that reach into a box or touch it, rising."""
        reach = np.nextafter(low[self._axis] - self._longest, -np.inf)
        begin = np.searchsorted(self._first, reach, side="left")
        end = np.searchsorted(self._first, high[self._axis], side="right")
        rows = np.sort(self._order[begin:end])
        inside = (self.low[rows] <= high) & (self.high[rows] >= low)
        return np.asarray(rows[inside.all(axis=1)])

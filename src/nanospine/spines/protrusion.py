"""A part of the surface that stands out of the shaft."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Gap", "Protrusion"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Gap:
    """The way over a gap in the envelope, where a neck is too sparse to see.

    Attributes
    ----------
    path_nm : ndarray, shape (k, 3)
        From the near side to the head.
    n_localizations : int
        Beside the path; those of one molecule count once.
    start, end : int
        Vertices of the mesh at its two ends.
    from_nm : float
        Distance of the near side from the base of the spine; 0 where that is the shaft.
    """

    path_nm: FloatArray
    n_localizations: int
    start: int
    end: int
    from_nm: float = 0.0

    @property
    def length_nm(self) -> float:
        """Length of the path."""
        return float(np.linalg.norm(np.diff(self.path_nm, axis=0), axis=1).sum())


@dataclass(frozen=True, eq=False)
class Protrusion:
    """One spine on the surface.

    Attributes
    ----------
    vertices : ndarray of int, shape (n,)
        Vertices of the mesh that belong to it.
    distance_nm : ndarray, shape (n,)
        Distance of those vertices from its base along the surface, and over the gap.
    heads : tuple of ndarray of int
        For each head the vertices (positions in `vertices`) nearer to its tip than to where it
        joins another head; one head for a spine that does not branch.
    gaps : tuple of Gap
        Where the envelope is interrupted between the shaft and the head; mostly none.
    """

    vertices: IntArray
    distance_nm: FloatArray
    heads: tuple[IntArray, ...]
    gaps: tuple[Gap, ...] = ()

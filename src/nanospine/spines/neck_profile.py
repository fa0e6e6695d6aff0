"""What is measured of a neck: its diameter along the centreline, and its narrowest place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Constriction", "NeckProfile"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Constriction:
    """The narrowest place of a neck: diameter with 95 % interval, and where it is, nm.

    `n_molecules` support it: those on the stretch of neck that is fitted as one.
    """

    diameter_nm: float
    low_nm: float
    high_nm: float
    position_nm: float
    n_molecules: int


@dataclass(frozen=True, eq=False)
class NeckProfile:
    """Diameter along a centreline from base to tip.

    Attributes
    ----------
    position_nm, diameter_nm, low_nm, high_nm : ndarray, shape (k,)
        Arc length, diameter and its 95 % interval; NaN where too few molecules support it.
    n_molecules : ndarray of int, shape (k,)
        Molecules in the window of each position.
    constriction : Constriction or None
        None when the neck is not measurable.
    measurable : bool
    reason : str
        Why not, or a caveat; empty when all is well.
    """

    position_nm: FloatArray
    diameter_nm: FloatArray
    low_nm: FloatArray
    high_nm: FloatArray
    n_molecules: IntArray
    constriction: Constriction | None
    measurable: bool
    reason: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Give the profile as a table, one row per position."""
        return pd.DataFrame(
            {
                "position_nm": self.position_nm,
                "diameter_nm": self.diameter_nm,
                "low_nm": self.low_nm,
                "high_nm": self.high_nm,
                "n_molecules": self.n_molecules,
            }
        )

"""A summary function of distance (K, L, g, G, ...) beside what it is without structure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.region import Region

__all__ = ["SummaryFunction"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SummaryFunction:
    """Values of a summary function at each radius.

    Attributes
    ----------
    name : str
        `K`, `L`, `H`, `g`, `G`, `F` or `J`; with `_cross` for two patterns.
    radii_nm : ndarray, shape (m,)
        Distances, nanometres.
    values : ndarray, shape (m,)
        Estimate. K is in nm² (2-D) or nm³ (3-D), L and H in nm, the others have no unit.
        NaN where the data do not tell it; the notes say why.
    theory : ndarray, shape (m,)
        The value of complete spatial randomness.
    correction : str
        Edge correction.
    n_points, n_other : int
        Points that were used; `n_other` is 0 for one pattern.
    region : Region
        Where the points could have been seen.
    notes : tuple of str
        What a reader must know: an assumed region, radii that are too large, points outside.
    """

    name: str
    radii_nm: FloatArray
    values: FloatArray = field(repr=False)
    theory: FloatArray = field(repr=False)
    correction: str
    n_points: int
    n_other: int
    region: Region
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give a row per radius: `radius_nm`, the function by its name, `theory`."""
        columns: dict[str, Any] = {
            "radius_nm": self.radii_nm, self.name: self.values, "theory": self.theory,
        }  # fmt: skip
        return pd.DataFrame(columns)

"""G and F of patterns whose density is uneven: neighbours count less where they are many anyway."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.statistics.pair_sums import PairWeights, pair_sums

__all__ = ["checked_border", "uneven_law"]

FloatArray = npt.NDArray[np.float64]

# Where the intensity is lowest a neighbour counts whole: the logarithm of next to nothing.
_LEAST = 1e-280


def checked_border(correction: str) -> str:
    """Check that the edge correction is one that goes with an intensity."""
    if correction not in ("km", "border"):
        raise ConfigError(
            "correction: with an intensity, points near the boundary are left out ('border'); "
            f"found {correction!r}."
        )
    return "border"


def uneven_law(
    at_nm: FloatArray,
    depth_nm: FloatArray,
    searched_nm: FloatArray,
    inverse: FloatArray,
    radii_nm: FloatArray,
    *,
    own: bool,
) -> tuple[FloatArray, float]:
    """Give 1 less the mean of `prod (1 - lowest / lambda(y))` over the points y within r.

    Of the places that are at least r deep in the region (van Lieshout, Statistica Neerlandica 65
    (2011) 183). With a constant intensity the product is 0 as soon as there is a neighbour.

    Parameters
    ----------
    at_nm, depth_nm : ndarray, shapes (n, d), (n,)
        Places or points, and their distance to the boundary.
    searched_nm, inverse : ndarray, shapes (m, d), (m,)
        Points that are looked for, and one over the intensity at each.
    radii_nm : ndarray, shape (k,)
        Ascending radii.
    own : bool
        The places are the points that are looked for, which do not count for themselves.

    Returns
    -------
    values : ndarray, shape (k,)
        NaN where no place is deep enough.
    lowest : float
        The lowest intensity.
    """
    logs = np.log(np.maximum(1 - inverse / inverse.max(), _LEAST))
    sums = pair_sums(
        at_nm, radii_nm, PairWeights(), marks=np.ones(len(at_nm)), other_nm=searched_nm,
        other_marks=logs, local=True,
    )[:, 0]  # fmt: skip
    if own:
        sums = sums - logs[:, None]
    deep = depth_nm[:, None] >= radii_nm
    count = deep.sum(axis=0)
    empty = np.where(deep, np.exp(np.minimum(sums, 0.0)), 0.0).sum(axis=0)
    values = np.full(len(radii_nm), np.nan)
    np.divide(empty, count, out=values, where=count > 0)
    return 1 - values, float(1 / inverse.max())

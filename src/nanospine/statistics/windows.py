"""How a window corrects for what it does not show: what each pair of points counts for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Box, Region
from nanospine.statistics.covariance_tables import BOX
from nanospine.statistics.pair_sums import PairWeights

__all__ = ["Correction", "Window", "checked_correction", "window"]

FloatArray = npt.NDArray[np.float64]
Correction = Literal["none", "border", "translation", "isotropic", "periodic"]


@dataclass(frozen=True, eq=False)
class Window:
    """A region together with an edge correction.

    Attributes
    ----------
    region : Region
        Where points could have been seen.
    correction : str
        Name of the correction.
    limit_nm : float
        Radii at or beyond this one cannot be corrected.
    reason : str
        Why.
    weights : PairWeights
        What a pair counts for; `size / weights` is near 1 at short distances.
    period_nm : ndarray or None
        Corners of a periodic box.
    """

    region: Region
    correction: str
    limit_nm: float
    reason: str
    weights: PairWeights = field(default_factory=PairWeights, repr=False)
    period_nm: FloatArray | None = field(default=None, repr=False)


def checked_correction(correction: str) -> str:
    """Check the name of an edge correction."""
    if correction not in get_args(Correction):
        raise ConfigError(
            f"correction: one of {', '.join(get_args(Correction))} was expected, found "
            f"{correction!r}."
        )
    return correction


def window(region: Region, correction: str, radius_nm: float) -> Window:  # noqa: ARG001
    """Prepare the edge correction of a region for distances up to `radius_nm`."""
    checked_correction(correction)
    if region.size <= 0:
        raise GeometryError(
            f"region: an {'area' if region.dimension == 2 else 'volume'} above 0 was expected; all "
            "points lie on one line or plane. Say where they could have been seen: region=..."
        )
    if correction in ("none", "border"):
        return Window(region, correction, np.inf, "")
    if isinstance(region, Box):
        sides = region.high_nm - region.low_nm
        short = float(sides.min())
        if correction == "periodic":
            return Window(
                region, correction, short / 2, "half the shortest side of the box",
                period_nm=region.bounds_nm,
            )  # fmt: skip
        if correction == "translation":
            params = np.ones(8)
            params[: len(sides)] = sides
            return Window(
                region, correction, short, "the shortest side of the box",
                PairWeights(BOX, params),
            )  # fmt: skip
    if correction == "periodic":
        raise ConfigError(
            f"correction: periodic needs a box, the region is a {type(region).__name__}; "
            "translation takes any region."
        )
    raise ConfigError(f"correction: {correction} is not known for a {type(region).__name__}.")

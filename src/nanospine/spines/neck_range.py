"""Where along a spine its neck may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NeckRange", "neck_range"]

FloatArray = npt.NDArray[np.float64]

# The neck lies where the radius is below this many times the smallest: there it is fitted again.
_NECK_WIDENING = 1.6
_CORE_WIDENING = 1.15
_LARGEST_SLACK = 0.15
# The ends of the stretch are sought this far beyond.
_MARGIN_NM = 40.0
_NECK_SMOOTHING_NM = 30.0


@dataclass(frozen=True)
class NeckRange:
    """The stretch that may be neck, its narrowest place, and the part as narrow as that."""

    low: float
    high: float
    narrowest: float
    core: tuple[float, float]


def neck_range(
    position: FloatArray,
    diameter: FloatArray,
    log_error: FloatArray,
    search: tuple[float, float] | None,
    length: float,
) -> NeckRange | None:
    """Find the stretch around the narrowest place that may be neck, and the narrowest place.

    The profile is smoothed over 60 nm first, by the weight of its errors: a noisy dip is not the
    narrowest place, and a noisy bump does not end the neck.
    """
    low, high = search if search is not None else _search_range(position, diameter, length)
    known = np.isfinite(diameter)
    sought = (position >= low) & (position <= high)
    at = np.flatnonzero(known if search is None else known & sought)
    sought = sought[at]
    if not sought.any():
        return None
    weight = np.where(known, 1.0 / np.maximum(log_error, 1e-3) ** 2, 0.0)
    near = np.exp(-0.5 * ((position[at, None] - position[None]) / _NECK_SMOOTHING_NM) ** 2) * weight
    smooth = near @ np.log(np.where(known, diameter, 1.0)) / near.sum(axis=1)
    best = int(np.where(sought, smooth, np.inf).argmin())
    error = np.sqrt((near**2 / np.maximum(weight, 1e-9)).sum(axis=1)) / near.sum(axis=1)
    slack = 2.0 * np.minimum(error, _LARGEST_SLACK)
    # The head, whose errors are small, shows in the smooth profile before it begins.
    either = np.minimum(smooth, np.log(diameter[at]))
    limit = smooth[best] + slack
    first, last = _around(best, either <= limit + np.log(_NECK_WIDENING))
    core = position[at[list(_around(best, either <= limit + np.log(_CORE_WIDENING)))]]
    # The ends are sought beyond, but no further than molecules go: where there are none any
    # course of the radius is as likely.
    end = float(position[at[np.flatnonzero(sought)[-1]]])
    begin = max(float(position[at[first]]) - _MARGIN_NM, float(position[at[0]]))
    end = min(float(position[at[last]]) + _MARGIN_NM, end)
    return NeckRange(begin, end, float(position[at[best]]), (float(core[0]), float(core[1])))


def _around(place: int, narrow: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """First and last of the run of true values that a place is in."""
    first = last = place
    while first > 0 and narrow[first - 1]:
        first -= 1
    while last + 1 < len(narrow) and narrow[last + 1]:
        last += 1
    return first, last


def _search_range(position: FloatArray, diameter: FloatArray, length: float) -> tuple[float, float]:
    """From 10 % of the length to the widest place of the farther 60 %."""
    far = np.where(position >= 0.4 * length, diameter, np.nan)
    if not np.isfinite(far).any():
        return 0.1 * length, 0.9 * length
    widest = float(position[np.nanargmax(far)])
    return 0.1 * length, float(np.clip(widest, 0.5 * length, 0.9 * length))

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
# The least that a head is wider than the neck, and a tube than its end that closes.
_HEAD_WIDENING, _CLOSING = 1.25, 1.1
# The ends of the stretch are sought this far beyond.
_MARGIN_NM = 40.0
_NECK_SMOOTHING_NM = 30.0


@dataclass(frozen=True)
class NeckRange:
    """The stretch that may be neck, its narrowest place, and the part as narrow as that.

    The narrowest place was sought from `sought[0]` to `sought[1]`.
    """

    low: float
    high: float
    narrowest: float
    sought: tuple[float, float]
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
    known = np.isfinite(diameter)
    at = np.flatnonzero(known)
    weight = np.where(known, 1.0 / np.maximum(log_error, 1e-3) ** 2, 0.0)
    near = np.exp(-0.5 * ((position[at, None] - position[None]) / _NECK_SMOOTHING_NM) ** 2) * weight
    smooth = near @ np.log(np.where(known, diameter, 1.0)) / near.sum(axis=1)
    error = np.sqrt((near**2 / np.maximum(weight, 1e-9)).sum(axis=1)) / near.sum(axis=1)
    low, high, headless = (
        (*search, False)
        if search is not None
        else _search_range(position[at], diameter[at], smooth, error, length)
    )
    sought = (position[at] >= low) & (position[at] <= high)
    if search is not None:
        at, smooth, error, sought = at[sought], smooth[sought], error[sought], sought[sought]
    if not sought.any():
        return None
    best = int(np.where(sought, smooth, np.inf).argmin())
    slack = 2.0 * np.minimum(error, _LARGEST_SLACK)
    # The head, whose errors are small, shows in the smooth profile before it begins.
    either = np.minimum(smooth, np.log(diameter[at]))
    limit = smooth[best] + slack
    first, last = _around(best, either <= limit + np.log(_NECK_WIDENING))
    core = position[at[list(_around(best, either <= limit + np.log(_CORE_WIDENING)))]]
    # The ends are sought beyond, but no further than molecules go: where there are none any
    # course of the radius is as likely.
    beyond = position[at] > high
    closes = smooth + slack < smooth[best] - np.log(_CLOSING)
    to_the_end = headless and not (beyond & closes).any()
    end = float(position[at[-1 if to_the_end else np.flatnonzero(sought)[-1]]])
    begin = max(float(position[at[first]]) - _MARGIN_NM, float(position[at[0]]))
    end = min(float(position[at[last]]) + _MARGIN_NM, end)
    narrow = (float(core[0]), float(core[1]))
    return NeckRange(begin, end, float(position[at[best]]), (low, high), narrow)


def _around(place: int, narrow: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """First and last of the run of true values that a place is in."""
    first = last = place
    while first > 0 and narrow[first - 1]:
        first -= 1
    while last + 1 < len(narrow) and narrow[last + 1]:
        last += 1
    return first, last


def _search_range(
    position: FloatArray, diameter: FloatArray, smooth: FloatArray, error: FloatArray, length: float
) -> tuple[float, float, bool]:
    """From 10 % of the length to the widest place of the farther 60 %, if that is a head.

    Without a head to where the tip begins to close, a radius before the end. The third value says
    that there is none.
    """
    low, high = 0.1 * length, 0.9 * length
    far = np.flatnonzero(position >= 0.4 * length)
    if not len(far):
        return low, high, False
    widest = far[diameter[far].argmax()]
    before = smooth[(position >= low) & (position <= position[widest])]
    # The widest place of an even tube is anywhere: what lies beyond it is as good a neck.
    headless = (
        before.min(initial=np.inf) + np.log(_HEAD_WIDENING) + 2.0 * error[widest] > smooth[widest]
    )
    end = length - 0.5 * float(np.exp(smooth[widest])) if headless else float(position[widest])
    return low, float(np.clip(end, 0.5 * length, high)), bool(headless)

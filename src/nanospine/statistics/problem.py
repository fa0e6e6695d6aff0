"""One or two patterns in a window, and the sums over their pairs that every function is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.region import Box, Region
from nanospine.statistics.isotropic import isotropic_sums
from nanospine.statistics.pair_sums import pair_sums
from nanospine.statistics.pairs import box_translation_sums, pair_counts
from nanospine.statistics.patterns import (
    Pattern,
    Points,
    beyond_note,
    checked_radii,
    pattern,
    shared_region,
)
from nanospine.statistics.windows import Window, checked_correction, window

__all__ = ["Intensity", "Problem", "edge_sums", "inverse_intensity", "prepare"]

FloatArray = npt.NDArray[np.float64]
Intensity = float | npt.ArrayLike | Callable[[FloatArray], npt.ArrayLike]


@dataclass(frozen=True, eq=False)
class Problem:
    """What is asked of one or two patterns.

    Attributes
    ----------
    a : Pattern
        Points that look around themselves.
    b : Pattern or None
        Points that are looked for; None for those of `a` itself.
    radii_nm : ndarray
        Checked radii.
    window : Window
        The region with its edge correction.
    u, v : ndarray or None
        One over the intensity at each point of a and b (of a, when there is no b).
    reach_nm : float
        How far beyond the radii pairs count.
    notes : tuple of str
        Of the patterns.
    """

    a: Pattern
    b: Pattern | None
    radii_nm: FloatArray
    window: Window
    u: FloatArray | None
    v: FloatArray | None
    reach_nm: float
    notes: tuple[str, ...]

    @property
    def size(self) -> float:
        """Area or volume of the region."""
        return self.window.region.size

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return self.window.region.dimension

    @property
    def pairs(self) -> float:
        """Number of ordered pairs, n (n - 1) or n m."""
        n = float(len(self.a))
        return n * (n - 1) if self.b is None else n * len(self.b)

    @property
    def suffix(self) -> str:
        """What is appended to the name of the function."""
        return ("" if self.b is None else "_cross") + ("" if self.u is None else "_inhom")

    def limited(self, values: FloatArray) -> tuple[str, ...]:
        """Give the notes, with one on the radii that have no value."""
        missing = int(np.isnan(values).sum())
        if not missing:
            return (*self.notes, *beyond_note(self.radii_nm, self.window.region))
        if self.window.correction == "border":
            why = "no point lies so far from the boundary"
        else:
            why = (
                f"{self.window.correction} needs distances below {self.window.limit_nm:.4g} nm, "
                f"{self.window.reason}"
            )
        return (*self.notes, f"{missing} of {len(values)} radii have no value: {why}")


def prepare(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None,
    correction: str,
    other: Points | None,
    intensity: Intensity | None = None,
    other_intensity: Intensity | None = None,
    reach: Callable[[int, Region], float] | None = None,
) -> Problem:
    """Check the input and build the window.

    `reach(number of points that are looked for, region)` tells how far beyond the
    radii pairs count, nm.
    """
    radii = checked_radii(radii_nm)
    checked_correction(correction)
    b = None
    if other is None:
        if other_intensity is not None:
            raise ConfigError("other_intensity: there is no second pattern; give other=... too.")
        a = pattern(points, region, least=2)
    else:
        region = shared_region(points, other, region)
        a = pattern(points, region)
        b = pattern(other, region, name="other")
        if (intensity is None) != (other_intensity is None):
            raise ConfigError(
                "intensity and other_intensity: both were expected, or none; a constant is a "
                "number of points per nm² or nm³."
            )
    notes = a.notes if b is None else tuple(dict.fromkeys((*a.notes, *b.notes)))
    u = inverse_intensity(intensity, a, points, "intensity")
    v = u
    if b is not None and other is not None:
        v = inverse_intensity(other_intensity, b, other, "other_intensity")
    further = 0.0 if reach is None else reach(len(a if b is None else b), a.region)
    return Problem(
        a, b, radii, window(a.region, correction, float(radii[-1]) + further), u, v, further, notes
    )


def inverse_intensity(
    intensity: Intensity | None, held: Pattern, points: Points, name: str
) -> FloatArray | None:
    """Give one over the intensity at the points inside the region."""
    if intensity is None:
        return None
    total = len(points)  # type: ignore[arg-type]
    given = intensity(held.points_nm) if callable(intensity) else intensity
    values = np.asarray(given, dtype=np.float64)
    if values.shape == ():
        values = np.full(len(held), float(values))
    elif not callable(intensity) and values.shape == (total,):
        values = values[held.rows]
    if values.shape != (len(held),):
        raise ConfigError(
            f"{name}: a number, a function of positions, or a value for each of the {total} points "
            f"was expected, found shape {np.shape(given)}."
        )
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ConfigError(
            f"{name}: points per nm² or nm³, all above 0, were expected; the lowest is "
            f"{values.min():.4g}."
        )
    return 1.0 / values


def edge_sums(
    problem: Problem,
    radii_nm: FloatArray,
    *,
    local: bool = False,
    powers: tuple[int, ...] = (0,),
    threads: int | None = None,
) -> FloatArray:
    """Sum `u_i v_j e_ij d^p` over pairs at most each radius apart, e the edge correction.

    Gives shape (n or 1, powers, m). Radii must be below the limit of the window. For border,
    which is no matter of single pairs, e is 1.
    """
    a, b = problem.a.points_nm, None if problem.b is None else problem.b.points_nm
    held, region = problem.window, problem.window.region
    correction = held.correction
    u, v = problem.u, problem.v
    plain = u is None and not local and powers == (0,)
    if correction == "isotropic" and held.pieces is not None:
        return isotropic_sums(
            region, held.pieces, a, radii_nm, marks=u, other_nm=b, other_marks=v, local=local,
            powers=powers, threads=threads,
        )  # fmt: skip
    if plain and correction == "translation" and isinstance(region, Box):
        sides = region.high_nm - region.low_nm
        sums = box_translation_sums(a, radii_nm, sides, other_nm=b, threads=threads)
        return (region.size * sums)[None, None]
    if plain and correction in ("none", "periodic"):
        counts = pair_counts(a, radii_nm, other_nm=b, period_nm=held.period_nm, threads=threads)
        return counts.astype(np.float64)[None, None]
    sums = pair_sums(
        a, radii_nm, held.weights, marks=u, other_nm=b, other_marks=v, period_nm=held.period_nm,
        local=local, powers=powers, threads=threads,
    )  # fmt: skip
    return sums * region.size if correction in ("translation", "rigid") else sums

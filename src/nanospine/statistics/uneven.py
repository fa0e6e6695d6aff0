"""Points without interaction whose density is uneven: a null model for thick and thin places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.region import Region
from nanospine.statistics.null_model import Simulated
from nanospine.statistics.patterns import Pattern, Points, pattern

__all__ = ["UnevenRandomness"]

FloatArray = npt.NDArray[np.float64]

# Places among which an intensity chooses, for each point, and at least.
_PLACES, _LEAST_PLACES = 20, 20_000
_TRIES = 30


@dataclass(frozen=True, eq=False)
class UnevenRandomness:
    """As many points as there are, independent, with a density that goes up and down.

    For data that are uneven for a reason of no interest: a cell thicker in its middle, labelling
    that does not reach everywhere. What is found beyond is structure at shorter distances.

    Parameters
    ----------
    bandwidth_nm : float, optional
        The density is that of points smoothed by a Gaussian of this standard deviation, with the
        mass that would fall outside the region kept inside (Diggle 1985). Take it well above the
        distances of interest: what is as wide as the kernel is taken for unevenness.
    source : Localizations or array_like, optional
        Points to smooth, such as another channel; default: those that are drawn anew.
    intensity : callable, optional
        Instead of a bandwidth: a function of positions (k, d) that gives a density in any unit.
        Points are chosen by it among 20 times as many places.
    move : {"other", "points", "both"}
        Which of two patterns is drawn anew.

    Examples
    --------
    >>> from nanospine import Box, null_patterns
    >>> square = Box((0, 0), (1000, 1000))
    >>> rising = UnevenRandomness(intensity=lambda xy: xy[:, 0])
    >>> drawn = next(null_patterns(square.sample_nm(3000, 1), rising, 1, region=square))
    >>> bool(abs(drawn.points_nm[:, 0].mean() - 667) < 20)
    True
    """

    bandwidth_nm: float | None = None
    source: Points | None = field(default=None, repr=False)
    intensity: Callable[[FloatArray], npt.ArrayLike] | None = None
    move: Literal["points", "other", "both"] = "other"

    def __post_init__(self) -> None:
        if (self.bandwidth_nm is None) == (self.intensity is None):
            raise ConfigError(
                "UnevenRandomness: either bandwidth_nm, of the kernel that smooths the points, or "
                "intensity, a function of positions, was expected."
            )
        width = self.bandwidth_nm
        if width is not None and not (np.isfinite(width) and width > 0):
            raise ConfigError(
                f"UnevenRandomness: a bandwidth above 0 nm was expected, found {width}."
            )
        if self.intensity is not None and self.source is not None:
            raise ConfigError(
                "UnevenRandomness: source is smoothed; it does not go with intensity."
            )

    @property
    def name(self) -> str:
        """What results call it."""
        if self.bandwidth_nm is None:
            return "uneven density, given"
        return f"uneven density, smoothed by {self.bandwidth_nm:g} nm"

    def draw(
        self, points: Pattern, other: Pattern | None, generator: np.random.Generator
    ) -> Simulated:
        """Draw once."""
        first, second = points.points_nm, None if other is None else other.points_nm
        if other is None or self.move in ("points", "both"):
            first = self._drawn(points, generator)
        if other is not None and self.move in ("other", "both"):
            second = self._drawn(other, generator)
        return Simulated(first, second, points.region)

    def _drawn(self, moved: Pattern, generator: np.random.Generator) -> FloatArray:
        if self.intensity is not None:
            return _chosen(self.intensity, moved.region, len(moved), generator)
        centres = moved.points_nm
        if self.source is not None:
            centres = pattern(self.source, moved.region, name="source").points_nm
        assert self.bandwidth_nm is not None
        return _smoothed(centres, self.bandwidth_nm, moved.region, len(moved), generator)


def _smoothed(
    centres: FloatArray, width: float, region: Region, n: int, generator: np.random.Generator
) -> FloatArray:
    """Draw from the sum of Gaussians about the centres, each cut off by the region."""
    result = centres[generator.integers(len(centres), size=n)]
    todo = np.arange(n)
    for _ in range(_TRIES):
        if not len(todo):
            return result
        trial = result[todo] + generator.normal(0, width, (len(todo), region.dimension))
        inside = region.contains(trial)
        # A place that is found is no centre any more: the others keep theirs.
        found, todo = todo[inside], todo[~inside]
        result[found] = trial[inside]
    if len(todo):
        # Little of the kernel lies inside, as about the tip of a spine: choose among places there.
        places = region.sample_nm(_LEAST_PLACES, generator)
        for row in todo:
            far = ((places - result[row]) ** 2).sum(axis=1) / (2 * width**2)
            weight = np.exp(far.min() - far)
            result[row] = places[generator.choice(len(places), p=weight / weight.sum())]
    return result


def _chosen(
    intensity: Callable[[FloatArray], npt.ArrayLike],
    region: Region,
    n: int,
    generator: np.random.Generator,
) -> FloatArray:
    places = region.sample_nm(max(_PLACES * n, _LEAST_PLACES), generator)
    density = np.asarray(intensity(places), dtype=np.float64)
    good = density.shape == (len(places),) and bool(np.isfinite(density).all())
    if not good or (density < 0).any() or (density > 0).sum() < n:
        raise ConfigError(
            "UnevenRandomness: intensity must give one finite number per place, none negative and "
            f"enough above 0, found shape {density.shape}."
        )
    rows = generator.choice(len(places), n, replace=False, p=density / density.sum())
    return places[rows]

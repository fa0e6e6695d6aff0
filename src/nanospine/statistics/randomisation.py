"""Null models: what patterns would look like if nothing but chance had placed them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.region import Region
from nanospine.statistics.null_model import NullModel, Simulated, spawned
from nanospine.statistics.patterns import Pattern, Points, pattern, shared_region
from nanospine.statistics.shifted_clusters import ShiftedClusters
from nanospine.statistics.shifts import shifted

__all__ = [
    "CompleteRandomness",
    "FixedPatterns",
    "NullModel",
    "RandomLabelling",
    "RandomShift",
    "ShiftedClusters",
    "Simulated",
    "null_model",
    "null_patterns",
    "spawned",
]

FloatArray = npt.NDArray[np.float64]
Move = Literal["points", "other", "both"]


@dataclass(frozen=True)
class CompleteRandomness:
    """As many points as there are, uniform and independent in the region or in a part of it.

    Parameters
    ----------
    within : Region, optional
        Where to place them: a mask, the mesh of a dendrite. Default: the whole region.
    move : {"other", "points", "both"}
        Which of two patterns is drawn anew. "other" keeps the first where it is and asks whether
        the second ignores it, whatever the structure of the first.

    Examples
    --------
    >>> from nanospine import Box
    >>> square = Box((0, 0), (100, 100))
    >>> drawn = next(null_patterns([[1, 2], [3, 4]], CompleteRandomness(), 1, region=square))
    >>> drawn.points_nm.shape
    (2, 2)
    """

    within: Region | None = None
    move: Move = "other"

    @property
    def name(self) -> str:
        """What results call it."""
        return "csr" if self.within is None else "csr within a mask"

    def draw(
        self, points: Pattern, other: Pattern | None, generator: np.random.Generator
    ) -> Simulated:
        """Draw once."""
        place = points.region if self.within is None else self.within
        first, second = points.points_nm, None if other is None else other.points_nm
        if other is None or self.move in ("points", "both"):
            first = place.sample_nm(len(points), generator)
        if other is not None and self.move in ("other", "both"):
            second = place.sample_nm(len(other), generator)
        return Simulated(first, second, points.region)


@dataclass(frozen=True)
class RandomLabelling:
    """All positions stay; which of them belong to which of the two patterns is shuffled.

    Examples
    --------
    >>> from nanospine import Box
    >>> drawn = next(null_patterns([[1, 2], [3, 4]], RandomLabelling(), 1, other=[[5, 6]],
    ...                            region=Box((0, 0), (9, 9))))
    >>> sorted(np.vstack([drawn.points_nm, drawn.other_nm])[:, 0].tolist())
    [1.0, 3.0, 5.0]
    """

    @property
    def name(self) -> str:
        """What results call it."""
        return "random labelling"

    def draw(
        self, points: Pattern, other: Pattern | None, generator: np.random.Generator
    ) -> Simulated:
        """Draw once."""
        if other is None:
            raise ConfigError("random labelling shuffles two patterns; give the second as other.")
        pooled = np.concatenate([points.points_nm, other.points_nm])
        pooled = pooled[generator.permutation(len(pooled))]
        return Simulated(pooled[: len(points)], pooled[len(points) :], points.region)


@dataclass(frozen=True)
class RandomShift:
    """The second pattern moves as a whole, so that its own structure stays.

    In a box it is wrapped around the walls (a toroidal shift). In another region it is shifted by
    at most `max_shift_nm` in any direction, and the two are compared in what region and shifted
    region share: the points outside that part are left out of that simulation, and so is the part
    of the region. That part is smaller, so the simulations vary more than the data: p-values are
    too careful rather than too bold. Masks shift by whole voxels. A mesh is not cut: there a shift
    is drawn again until every point stays inside.

    With one pattern only there is nothing to compare its shift with, and that is refused.

    Parameters
    ----------
    max_shift_nm : float, optional
        Default: a quarter of the smallest extent of the region. Not used in boxes.
    least_shared : float
        Smallest part of the region that a shift must leave.

    Examples
    --------
    >>> from nanospine import Box
    >>> drawn = next(null_patterns([[1, 2]], RandomShift(), 1, other=[[5, 6], [8, 6]],
    ...                            region=Box((0, 0), (9, 9))))
    >>> float(np.ptp(drawn.other_nm[:, 1]))
    0.0
    """

    max_shift_nm: float | None = None
    least_shared: float = 0.5

    @property
    def name(self) -> str:
        """What results call it."""
        return "random shift"

    def draw(
        self, points: Pattern, other: Pattern | None, generator: np.random.Generator
    ) -> Simulated:
        """Draw once."""
        if other is None:
            raise ConfigError("a random shift moves one of two patterns; give the second as other.")
        first, second, region = shifted(
            points.points_nm, other.points_nm, points.region, generator,
            self.max_shift_nm, self.least_shared,
        )  # fmt: skip
        return Simulated(first, second, region)


@dataclass(frozen=True, eq=False)
class FixedPatterns:
    """Patterns simulated elsewhere, one for each simulation.

    With two patterns they stand for the second one.

    Parameters
    ----------
    patterns_nm : sequence of array_like, shape (n, d)
        Positions, nm.
    """

    patterns_nm: tuple[npt.ArrayLike, ...]

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{len(self.patterns_nm)} given patterns"

    def take(self, number: int, points: Pattern, other: Pattern | None) -> Simulated:
        """Give pattern `number`."""
        given = pattern(
            self.patterns_nm[number], points.region, name=f"simulated pattern {number}"
        ).points_nm
        if other is None:
            return Simulated(given, None, points.region)
        return Simulated(points.points_nm, given, points.region)

    def draw(
        self, points: Pattern, other: Pattern | None, generator: np.random.Generator
    ) -> Simulated:
        """Give one of the patterns by chance."""
        return self.take(int(generator.integers(len(self.patterns_nm))), points, other)


_MODELS = {
    "csr": CompleteRandomness,
    "labelling": RandomLabelling,
    "shift": RandomShift,
}


def null_model(null: str | NullModel) -> NullModel:
    """Give the null model of a name: "csr", "labelling", "shift"; a model is given back.

    Examples
    --------
    >>> null_model("csr")
    CompleteRandomness(within=None, move='other')
    """
    if isinstance(null, str):
        if null in _MODELS:
            return _MODELS[null]()
        raise ConfigError(
            f"null: one of {', '.join(_MODELS)}, or a null model such as ShiftedClusters(labels), "
            f"was expected, found {null!r}."
        )
    if isinstance(null, NullModel):
        return null
    raise ConfigError(
        f"null: the name of a null model or a model was expected, found {type(null).__name__}."
    )


def null_patterns(
    points: Points,
    null: str | NullModel = "csr",
    n: int = 199,
    *,
    other: Points | None = None,
    region: Region | None = None,
    seed: int = 0,
) -> Iterator[Simulated]:
    """Draw patterns of a null model, each with a seed of its own.

    Parameters
    ----------
    points : Localizations or array_like, shape (m, 2) or (m, 3)
        Nanometres.
    null : str or NullModel
        "csr": uniform in the region; "labelling": the labels of two patterns shuffled; "shift":
        the second pattern moved as a whole; or a model with its own options, such as
        :class:`CompleteRandomness`, :class:`RandomShift`, :class:`ShiftedClusters`,
        :class:`nanospine.UnevenRandomness`.
    n : int
        Draws.
    other : Localizations or array_like, optional
        Second pattern.
    region : Region, optional
        Default: that of the localizations, or the bounding box.
    seed : int
        Draw k is the same for the same seed, whatever `n` is and however many are drawn at once.

    Yields
    ------
    Simulated
        Points, the second pattern, and their region.

    Raises
    ------
    ConfigError
        For an unknown null model, or one that needs two patterns and got one.
    GeometryError, TooFewPointsError
        For points that are not finite, of another dimension, or none inside the region.

    Examples
    --------
    >>> from nanospine import Box
    >>> a, b = null_patterns([[1, 2], [3, 4]], n=2, region=Box((0, 0), (9, 9)))
    >>> bool((a.points_nm == b.points_nm).any())
    False
    """
    model = null_model(null)
    if other is None:
        first, second = pattern(points, region), None
    else:
        window = shared_region(points, other, region)
        first, second = pattern(points, window), pattern(other, window, name="other")
    for sequence in spawned(seed, n):
        yield model.draw(first, second, np.random.default_rng(sequence))

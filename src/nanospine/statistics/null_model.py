"""What a null model is: something that draws patterns by chance, each draw with its own seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nanospine.core.region import Region
from nanospine.statistics.patterns import Pattern

__all__ = ["NullModel", "Simulated", "spawned"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Simulated:
    """One draw of a null model.

    Attributes
    ----------
    points_nm : ndarray, shape (n, d)
        Positions, nm.
    other_nm : ndarray, shape (m, d), optional
        Those of the second pattern, where there is one.
    region : Region
        Where they could have been: the region of the data, or the part of it that a shift leaves.
    """

    points_nm: FloatArray = field(repr=False)
    other_nm: FloatArray | None = field(repr=False)
    region: Region


@runtime_checkable
class NullModel(Protocol):
    """What draws patterns by chance. Any frozen object with these two members will do."""

    @property
    def name(self) -> str:
        """What results call it."""

    def draw(
        self, points: Pattern, other: Pattern | None, generator: np.random.Generator
    ) -> Simulated:
        """Draw once."""


def spawned(seed: int | None, n: int) -> list[np.random.SeedSequence]:
    """Give an independent seed for each simulation: the same ones for the same `seed`."""
    return np.random.SeedSequence(seed).spawn(n)

"""What every region can do: its size, what it contains, how far its boundary is, samples of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError

__all__ = ["Region"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Points drawn per missing point of a rejection sampler, and how often it may come back empty.
_REJECTION_ROUNDS = 10_000


class Region(ABC):
    """A region of the plane (nm, area in nm²) or of space (nm, volume in nm³)."""

    assumed: bool = False

    @property
    @abstractmethod
    def dimension(self) -> int:
        """2 for a region of the plane, 3 for one of space."""

    @property
    @abstractmethod
    def size(self) -> float:
        """Area in nm² (2-D) or volume in nm³ (3-D)."""

    @property
    @abstractmethod
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner, shape (2, dimension), nanometres."""

    @abstractmethod
    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies in the region (its boundary included), shape (n,)."""

    @abstractmethod
    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance of each point to the nearest boundary, shape (n,), nm, never negative."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Give the region as plain data that :func:`region_from_dict` reads."""

    def sample_nm(self, n: int, seed: int | np.random.Generator | None = None) -> FloatArray:
        """Draw `n` points uniformly in the region, shape (n, dimension), nanometres."""
        generator = np.random.default_rng(seed)
        low, high = self.bounds_nm
        fraction = max(self.size / float(np.prod(high - low)), 1e-4)
        found: list[FloatArray] = []
        missing = n
        for _ in range(_REJECTION_ROUNDS):
            if missing <= 0:
                break
            count = int(missing / fraction * 1.1) + 16
            points = generator.uniform(low, high, (min(count, 2_000_000), self.dimension))
            points = points[self.contains(points)][:missing]
            missing -= len(points)
            found.append(points)
        else:
            raise GeometryError(f"{type(self).__name__}: no point could be drawn inside it.")
        return np.concatenate(found) if found else np.zeros((0, self.dimension))

    def _points(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Check points of shape (n, >= dimension) and give their first `dimension` columns."""
        points = np.asarray(xyz_nm, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] < self.dimension or points.shape[1] > 3:
            raise GeometryError(
                f"{type(self).__name__}: points of shape (n, {self.dimension}) were expected, "
                f"found {points.shape}."
            )
        return points[:, : self.dimension]

"""The null model that moves each cluster as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Region
from nanospine.statistics.null_model import Simulated
from nanospine.statistics.patterns import Pattern

__all__ = ["ShiftedClusters"]

FloatArray = npt.NDArray[np.float64]

# Places tried for a cluster before it is said not to fit.
_TRIES = 2_000


@dataclass(frozen=True, eq=False)
class ShiftedClusters:
    """Each cluster moves as a whole to a uniform place where all of it lies in the region.

    The clusters keep their shape, number and size; what chance decides is where they are. Points
    without a cluster are placed uniformly, one by one. Clusters may overlap.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Cluster of each point of the pattern that moves (of `other` where there is one), in the
        order of the input; -1 for none. `Clusters.labels` is such an array.
    rotate : bool
        Turn each cluster at random about its centre (in the plane; about any axis in 3-D).

    Examples
    --------
    >>> from nanospine import Box, null_patterns
    >>> model = ShiftedClusters([0, 0, -1])
    >>> drawn = next(null_patterns([[1, 1], [1, 3], [7, 7]], model, 1,
    ...                            region=Box((0, 0), (9, 9))))
    >>> (drawn.points_nm[1] - drawn.points_nm[0]).tolist()
    [0.0, 2.0]
    """

    labels: npt.ArrayLike
    rotate: bool = False

    @property
    def name(self) -> str:
        """What results call it."""
        return "shifted clusters"

    def draw(
        self, points: Pattern, other: Pattern | None, generator: np.random.Generator
    ) -> Simulated:
        """Draw once."""
        moved = points if other is None else other
        labels = self._labels(int(moved.rows[-1]) + 1)[moved.rows]
        placed = np.empty_like(moved.points_nm)
        for label in np.unique(labels[labels >= 0]):
            chosen = labels == label
            placed[chosen] = self._placed(moved.points_nm[chosen], moved.region, generator)
        alone = labels < 0
        placed[alone] = moved.region.sample_nm(int(alone.sum()), generator)
        if other is None:
            return Simulated(placed, None, points.region)
        return Simulated(points.points_nm, placed, points.region)

    def _labels(self, least: int) -> npt.NDArray[np.int64]:
        labels = np.asarray(self.labels)
        whole = labels.dtype.kind in "iu" or (
            labels.dtype.kind == "f" and bool((labels == np.round(labels)).all())
        )
        if labels.ndim != 1 or not whole or len(labels) < least:
            raise ConfigError(
                f"labels: a whole number for each of at least {least} points was expected, found "
                f"{labels.dtype} of shape {labels.shape}."
            )
        return labels.astype(np.int64)

    def _placed(
        self, members: FloatArray, region: Region, generator: np.random.Generator
    ) -> FloatArray:
        low, high = region.bounds_nm
        shape = members - members.mean(axis=0)
        for _ in range(_TRIES):
            turned = shape @ _rotation(shape.shape[1], generator).T if self.rotate else shape
            # The box of places where the cluster does not stick out of the region's own box.
            least, most = low - turned.min(axis=0), high - turned.max(axis=0)
            if (most < least).any():
                if self.rotate:
                    continue
                break
            there = turned + generator.uniform(least, most)
            if region.contains(there).all():
                return there
        raise GeometryError(
            f"shifted clusters: a cluster of {len(members)} points, "
            f"{np.ptp(members, axis=0).max():.4g} nm wide, found no place inside the region in "
            f"{_TRIES} tries; the region is {(high - low).min():.4g} nm across. Split such "
            "clusters, or use 'csr'."
        )


def _rotation(dimension: int, generator: np.random.Generator) -> FloatArray:
    if dimension == 2:
        angle = generator.uniform(0, 2 * np.pi)
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.random(rng=generator).as_matrix())

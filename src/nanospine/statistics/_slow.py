"""The same statistics in the plainest way, pair by pair: what the fast ones are tested against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.region import Box, Mask, Polygon, Prism, Region

__all__ = ["circle_share", "pair_counts", "pair_table", "ripley_k", "set_covariance"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def pair_table(
    points: FloatArray, other: FloatArray | None = None, period: FloatArray | None = None
) -> tuple[IntArray, IntArray, FloatArray]:
    """Give i, j and the displacement of every ordered pair (i != j of one pattern)."""
    second = points if other is None else other
    i, j = np.meshgrid(np.arange(len(points)), np.arange(len(second)), indexing="ij")
    keep = (i != j) if other is None else np.ones(i.shape, dtype=bool)
    i, j = i[keep], j[keep]
    shift = second[j] - points[i]
    if period is not None:
        side = period[1] - period[0]
        shift = shift - side * np.round(shift / side)
    return i.astype(np.int64), j.astype(np.int64), shift


def pair_counts(
    points: FloatArray,
    radii: FloatArray,
    other: FloatArray | None = None,
    period: FloatArray | None = None,
) -> IntArray:
    """Count ordered pairs at most each radius apart."""
    shift = pair_table(points, other, period)[2]
    square = shift[:, 0] * shift[:, 0]
    for axis in range(1, shift.shape[1]):
        square = square + shift[:, axis] * shift[:, axis]
    return np.array([(square <= r * r).sum() for r in radii], dtype=np.int64)


def set_covariance(region: Region, shift: FloatArray) -> float:
    """Size of what the region shares with itself moved: by shapely, or voxel by voxel."""
    if isinstance(region, Box):
        return float(np.prod(np.maximum(region.high_nm - region.low_nm - np.abs(shift), 0)))
    if isinstance(region, Prism):
        height = region.z_high_nm - region.z_low_nm
        return set_covariance(region.polygon, shift[:2]) * max(height - abs(float(shift[2])), 0.0)
    if isinstance(region, Polygon):
        from shapely.affinity import translate

        moved = translate(region.shape, float(shift[0]), float(shift[1]))
        return float(region.shape.intersection(moved).area)
    if isinstance(region, Mask):
        places = np.argwhere(region.data) * region.voxel_nm
        apart = np.abs(places[:, None] - places[None] + shift[::-1])
        return float(np.prod(np.maximum(region.voxel_nm - apart, 0), axis=2).sum())
    raise TypeError(type(region).__name__)


def circle_share(region: Region, point: FloatArray, radius: float, samples: int = 200_000) -> float:
    """Share of the circle or sphere about a point that the region contains, by samples."""
    place = np.arange(samples) + 0.5
    if region.dimension == 2:
        angle = 2 * np.pi * place / samples
        units = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        z = 1 - 2 * place / samples
        angle = place * np.pi * (3 - np.sqrt(5))
        ring = np.sqrt(1 - z**2)
        units = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    return float(region.contains(point + radius * units).mean())


def ripley_k(
    points: FloatArray, radii: FloatArray, region: Region, other: FloatArray | None = None
) -> FloatArray:
    """K with translation correction, one pair after the other."""
    _, _, shift = pair_table(points, other)
    distance = np.linalg.norm(shift, axis=1)
    near = distance <= radii[-1]
    weight = np.array([1 / set_covariance(region, h) for h in shift[near]])
    sums = np.array([weight[distance[near] <= r].sum() for r in radii])
    pairs = len(points) * (len(points) - 1 if other is None else len(other))
    return np.asarray(region.size**2 / pairs * sums)

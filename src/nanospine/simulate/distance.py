"""Signed distances to tubes and balls, and their smooth union."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

__all__ = ["Ball", "Tube", "radii_across", "smooth_union"]

FloatArray = npt.NDArray[np.float64]

SignedDistance = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Ball:
    """A ball; distance is exact."""

    centre_nm: FloatArray
    radius_nm: float

    def signed_distance_nm(self, xyz_nm: FloatArray) -> FloatArray:
        """Distance to the surface, negative inside."""
        return np.asarray(np.linalg.norm(xyz_nm - self.centre_nm, axis=1) - self.radius_nm)

    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner."""
        return np.stack([self.centre_nm - self.radius_nm, self.centre_nm + self.radius_nm])


@dataclass(frozen=True, eq=False)
class Tube:
    """A tube of given radius around a path, its ends rounded.

    The distance is to the nearest point of the path less the radius there: exact where the
    radius is constant, and of the right sign everywhere.
    """

    path_nm: FloatArray
    radius_nm: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", cKDTree(self.path_nm))

    def signed_distance_nm(self, xyz_nm: FloatArray) -> FloatArray:
        """Distance to the surface, negative inside."""
        tree: cKDTree = self._tree  # type: ignore[attr-defined]
        _, near = tree.query(xyz_nm)
        last = len(self.path_nm) - 1
        best = np.full(len(xyz_nm), np.inf)
        for first in (np.maximum(near - 1, 0), np.minimum(near, last - 1)):
            a, b = self.path_nm[first], self.path_nm[first + 1]
            along = np.einsum("ij,ij->i", xyz_nm - a, b - a)
            part = np.clip(along / np.einsum("ij,ij->i", b - a, b - a), 0.0, 1.0)
            radius = self.radius_nm[first] * (1 - part) + self.radius_nm[first + 1] * part
            distance = np.linalg.norm(xyz_nm - a - part[:, None] * (b - a), axis=1) - radius
            best = np.minimum(best, distance)
        return best

    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner."""
        reach = self.radius_nm.max()
        return np.stack([self.path_nm.min(axis=0) - reach, self.path_nm.max(axis=0) + reach])


def smooth_union(a: FloatArray, b: FloatArray, width_nm: float) -> FloatArray:
    """Union of two signed distances with a rounded inner edge.

    The polynomial smooth minimum min(a, b) - h² w / 4 with h = max(w - |a - b|, 0) / w: where
    the two distances differ by more than the width w it is the plain union, so that a planted
    neck diameter holds away from its joints.

    Examples
    --------
    >>> smooth_union(np.array([0.0, 0.0]), np.array([100.0, 0.0]), 40.0)
    array([  0., -10.])
    """
    blend = np.maximum(width_nm - np.abs(a - b), 0.0) / width_nm
    return np.asarray(np.minimum(a, b) - blend**2 * width_nm / 4)


def radii_across(
    distance: SignedDistance,
    path_nm: FloatArray,
    tangent: FloatArray,
    reach_nm: float,
    angles: int = 32,
) -> FloatArray:
    """Distance from each point of a path to the surface, in the plane across it, shape (k, angles).

    Rays are marched in small steps to the first change of sign, then bisected to 0.01 nm.
    NaN where a ray does not leave the shape within `reach_nm`.
    """
    helper = np.where(np.abs(tangent[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    normal = np.cross(tangent, helper)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    binormal = np.cross(tangent, normal)
    turn = np.arange(angles) * 2 * np.pi / angles
    across = np.cos(turn)[:, None] * normal[:, None] + np.sin(turn)[:, None] * binormal[:, None]
    origin = np.repeat(path_nm, angles, axis=0)
    direction = across.reshape(-1, 3)
    low = np.zeros(len(origin))
    high = np.full(len(origin), np.nan)
    active = np.arange(len(origin))
    for r in np.arange(5.0, reach_nm + 5.0, 5.0):
        outside = distance(origin[active] + r * direction[active]) > 0
        high[active[outside]] = r
        active = active[~outside]
        low[active] = r
        if len(active) == 0:
            break
    for _ in range(9):
        middle = (low + high) / 2
        here = np.isfinite(middle)
        inside = np.zeros(len(middle), dtype=bool)
        inside[here] = distance(origin[here] + middle[here, None] * direction[here]) <= 0
        low = np.where(inside, middle, low)
        high = np.where(inside, high, middle)
    return ((low + high) / 2).reshape(len(path_nm), angles)

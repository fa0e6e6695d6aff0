"""Points seen from a centreline: how far along it, and where across it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from nanospine.core.errors import GeometryError
from nanospine.spines.shaft import frames, smooth_path

__all__ = ["Across", "arc_length_nm", "look_across", "recentred"]

FloatArray = npt.NDArray[np.float64]

_STEP_NM = 10.0
# A centreline that jitters from step to step would make the neck look long and thin.
_SMOOTHING_NM = 60.0


@dataclass(frozen=True, eq=False)
class Across:
    """Points in the frame of a centreline.

    Attributes
    ----------
    position_nm : ndarray, shape (n,)
        Arc length of the nearest point of the centreline; beyond its ends it goes on straight.
    uv_nm : ndarray, shape (n, 2)
        Offset from the centreline in the plane across it.
    covariance_nm2 : ndarray, shape (n, 3)
        Localization error in that plane: uu, uv, vv.
    along_nm2 : ndarray, shape (n,)
        Localization error along the centreline.
    length_nm : float
        Length of the centreline.
    """

    position_nm: FloatArray
    uv_nm: FloatArray
    covariance_nm2: FloatArray
    along_nm2: FloatArray
    length_nm: float


def arc_length_nm(path_nm: FloatArray) -> FloatArray:
    """Arc length at each point of a path, shape (k,), from 0."""
    step = np.linalg.norm(np.diff(path_nm, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(step)])


def look_across(
    xyz_nm: FloatArray,
    centreline_nm: FloatArray,
    precision_nm: FloatArray,
    *,
    smoothing_nm: float = _SMOOTHING_NM,
) -> Across:
    """Describe points by their place along and across a centreline.

    Parameters
    ----------
    xyz_nm, precision_nm : ndarray, shape (n, 3)
    centreline_nm : ndarray, shape (k, 3)
    smoothing_nm : float
        Standard deviation of the Gaussian that smooths the centreline first.
    """
    path = smooth_path(centreline_nm, _STEP_NM, smoothing_nm)
    if len(path) < 2:
        raise GeometryError("centreline_nm: all points are equal; a line was expected.")
    tangent, normal, binormal = frames(path)
    arc = arc_length_nm(path)
    _, near = cKDTree(path).query(xyz_nm)
    offset = xyz_nm - path[near]
    along = np.einsum("ij,ij->i", offset, tangent[near])
    u = np.einsum("ij,ij->i", offset, normal[near])
    v = np.einsum("ij,ij->i", offset, binormal[near])
    variance = precision_nm**2
    covariance = np.stack(
        [
            (variance * normal[near] ** 2).sum(axis=1),
            (variance * normal[near] * binormal[near]).sum(axis=1),
            (variance * binormal[near] ** 2).sum(axis=1),
        ],
        axis=1,
    )
    lengthwise = (variance * tangent[near] ** 2).sum(axis=1)
    return Across(
        arc[near] + along, np.stack([u, v], axis=1), covariance, lengthwise, float(arc[-1])
    )


def recentred(
    centreline_nm: FloatArray,
    centre_nm: Callable[[FloatArray], FloatArray],
    low: float,
    high: float,
    smoothing_nm: float,
) -> tuple[FloatArray, FloatArray]:
    """Move part of a centreline to where the centre was found, and smooth it.

    Distances to a line that wobbles are shorter than to a smooth one: the points find the part
    of it that is nearest. So the second look is from the fitted centre.

    Parameters
    ----------
    centreline_nm : ndarray, shape (k, 3)
        The line of :func:`look_across`, before its smoothing.
    centre_nm : callable
        Offset (n, 2) of the centre at positions (n,) along that line.
    low, high : float
        Part of the line to keep.
    smoothing_nm : float

    Returns
    -------
    line_nm : ndarray, shape (m, 3)
    position_nm : ndarray, shape (m,)
        Arc length of its points on the original line.
    """
    path = smooth_path(centreline_nm, _STEP_NM, _SMOOTHING_NM)
    _, normal, binormal = frames(path)
    arc = arc_length_nm(path)
    keep = (arc >= low) & (arc <= high)
    if keep.sum() < 3:
        keep = np.ones(len(arc), dtype=bool)
    offset = centre_nm(arc[keep])
    moved = path[keep] + offset[:, :1] * normal[keep] + offset[:, 1:] * binormal[keep]
    pad = min(int(np.ceil(3 * smoothing_nm / _STEP_NM)), len(moved) - 1)
    sigma = min(smoothing_nm / _STEP_NM, len(moved) / 3)
    # Continued through the ends as a point reflection about a line fitted there, not about one
    # noisy end point: the end of the line must not turn with it.
    return _smoothed(moved, sigma, pad), arc[keep]


def _smoothed(points: FloatArray, sigma: float, pad: int) -> FloatArray:
    """Smooth a line, its ends continued straight."""
    index = np.arange(len(points), dtype=np.float64)
    size = min(len(points), max(2 * pad // 3, 3))
    before = np.stack([np.polyval(np.polyfit(index[:size], c[:size], 1), np.arange(-pad, 0.0))
                       for c in points.T], axis=1)  # fmt: skip
    after = np.stack(
        [
            np.polyval(np.polyfit(index[-size:], c[-size:], 1), index[-1] + np.arange(1.0, pad + 1))
            for c in points.T
        ],
        axis=1,
    )
    whole = np.concatenate([before, points, after])
    smooth = gaussian_filter1d(whole, sigma, axis=0)
    return np.asarray(smooth[pad : pad + len(points)])

"""Points seen from a centreline: how far along it, and where across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nanospine.core.errors import GeometryError
from nanospine.spines.shaft import frames, smooth_path

__all__ = ["Across", "arc_length_nm", "look_across"]

FloatArray = npt.NDArray[np.float64]

_STEP_NM = 10.0
# A centreline that jitters from step to step would make the neck look long and thin.
_SMOOTHING_NM = 30.0


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


def look_across(xyz_nm: FloatArray, centreline_nm: FloatArray, precision_nm: FloatArray) -> Across:
    """Describe points by their place along and across a centreline.

    Parameters
    ----------
    xyz_nm, precision_nm : ndarray, shape (n, 3)
    centreline_nm : ndarray, shape (k, 3)
    """
    path = smooth_path(centreline_nm, _STEP_NM, _SMOOTHING_NM)
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

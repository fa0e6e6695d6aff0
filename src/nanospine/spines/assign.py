"""Which localization belongs to which part of the envelope."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.spatial import cKDTree

from nanospine.core.triangles import TriangleTree
from nanospine.spines.model import BACKGROUND

__all__ = ["assign_localizations"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A localization this far outside the envelope, in units of its own noise, is background.
_MOST_SIGMAS = 3.0
_LEAST_REACH_NM = 60.0


def assign_localizations(
    xyz_nm: FloatArray,
    mesh: trimesh.Trimesh,
    vertex_spine: IntArray,
    precision_nm: FloatArray | None,
) -> IntArray:
    """Give each localization the label of the nearest vertex, or -2 when it is away from all.

    A localization belongs to the envelope when it is inside, or outside by at most 60 nm or
    three times its own largest precision, whichever is more.

    Parameters
    ----------
    xyz_nm : ndarray, shape (n, 3)
        Localizations.
    mesh : trimesh.Trimesh
        The envelope.
    vertex_spine : ndarray of int, shape (n_vertices,)
        Label of each vertex.
    precision_nm : ndarray, shape (n, 3), or None
        Localization precision.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    result = np.full(len(xyz_nm), BACKGROUND, dtype=np.int64)
    if len(xyz_nm) == 0:
        return result
    distance, nearest = cKDTree(np.asarray(mesh.vertices)).query(xyz_nm)
    reach = np.full(len(xyz_nm), _LEAST_REACH_NM)
    if precision_nm is not None:
        reach = np.maximum(reach, _MOST_SIGMAS * np.nan_to_num(precision_nm).max(axis=1))
    # Vertices are farther apart than localizations are from the surface: only those in doubt
    # are compared with the surface itself.
    near = distance <= reach
    doubt = np.flatnonzero(~near)
    tree = TriangleTree(mesh.vertices, mesh.faces)
    near[doubt] = tree.signed_distance(xyz_nm[doubt]) <= reach[doubt]
    result[near] = vertex_spine[nearest[near]]
    return result

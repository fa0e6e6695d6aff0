"""Surfaces that are drawn out along one direction, as light microscopes draw them out in depth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import ndimage

from nanospine.spines.shaft import frames, longest_path, ray_directions, ray_lengths
from nanospine.spines.solid import make_solid

__all__ = ["squeeze_of"]

FloatArray = npt.NDArray[np.float64]

# A shaft twice as thick in one direction all along is drawn out; flat ones in tissue are less so,
# and flat here, round there, in a direction that turns.
_LEAST, _LEAST_HERE = 2.0, 1.5
# What remains after one correction, because the way through a ribbon runs askew in it, is
# corrected again from this on.
_LEAST_LEFT, _ROUNDS = 1.25, 3
_VOXEL_NM = 80.0
_SHORTEST_NM = 3000.0
_REACH = 12.0
# Cross-sections too nearly along the direction say nothing of it (cosine).
_MOST_ALONG = 0.6
_WINDOW = 19
# A straight ribbon that leans does not tell along which direction it was drawn out: within 30
# degrees (cosine) of the optical axis it is that.
_OPTICAL = 0.866


def squeeze_of(mesh: trimesh.Trimesh) -> FloatArray | None:
    """Give the linear map that makes a shaft round which is drawn out along one direction.

    A light microscope blurs three to five times more along its optical axis than across: in a
    surface around its image a dendrite is a ribbon, micrometres high and half a micrometre wide,
    and so are its spines. Nothing about such a ribbon is a distance to an axis. Measured are the
    second moments of the cross-sections along the longest thick path; the direction d in which
    they are largest all together (z where it is near), and the ratio s of the widths along d and
    across, median over the path. The map shortens d by s.

    Parameters
    ----------
    mesh : trimesh.Trimesh
        One closed body, nm.

    Returns
    -------
    ndarray, shape (3, 3), or None
        None where a shaft is not twice as thick along one direction, or is not 3 um long.

    Examples
    --------
    >>> ribbon = trimesh.creation.capsule(height=6000, radius=300).subdivide_to_size(300)
    >>> turn = trimesh.transformations.rotation_matrix(np.pi / 2, [0, 1, 0])
    >>> ribbon = ribbon.apply_transform(turn).apply_scale([1.0, 1.0, 4.0])
    >>> squeeze = squeeze_of(ribbon)
    >>> squeeze is not None and bool(np.allclose(squeeze, np.diag([1, 1, 0.25]), atol=0.05))
    True
    """
    squeeze = np.eye(3)
    for least in (_LEAST, *[_LEAST_LEFT] * (_ROUNDS - 1)):
        vertices = np.asarray(mesh.vertices) @ squeeze.T
        found = _drawn_out(trimesh.Trimesh(vertices, mesh.faces, process=False))
        if found is None:
            break
        direction, ratio = found
        middle, low = float(np.median(ratio)), float(np.quantile(ratio, 0.1))
        if middle < least or low < min(_LEAST_HERE, least):
            break
        squeeze = (np.eye(3) + (1 / middle - 1) * np.outer(direction, direction)) @ squeeze
    return None if (squeeze == np.eye(3)).all() else squeeze


def _drawn_out(mesh: trimesh.Trimesh) -> tuple[FloatArray, FloatArray] | None:
    """Direction in which the cross-sections are largest, and how much so in each."""
    solid = make_solid(mesh, _VOXEL_NM)
    found = longest_path(solid)
    if found is None or len(found[0]) < 8:
        return None
    points, typical = found
    tangent, normal, binormal = frames(points)
    if np.linalg.norm(np.diff(points, axis=0), axis=1).sum() < _SHORTEST_NM:
        return None
    exits = ray_lengths(points, normal, binormal, solid, _REACH * typical)
    exits = ndimage.percentile_filter(exits, 40, size=(_WINDOW, 1), mode="nearest")  # no spines
    toward = ray_directions(normal, binormal)
    moment = np.einsum("ka,kai,kaj->kij", exits**4, toward, toward)
    moment /= np.maximum((exits**2).sum(axis=1), 1e-12)[:, None, None]
    share = moment / np.maximum(np.trace(moment, axis1=1, axis2=2), 1e-12)[:, None, None]
    direction = np.linalg.eigh(share.sum(axis=0))[1][:, -1]
    if abs(direction[2]) > _OPTICAL:
        direction = np.array([0.0, 0.0, 1.0])
    seen = np.abs(tangent @ direction) < _MOST_ALONG
    if 2 * seen.sum() < len(seen):
        return None
    lean = tangent[seen] @ direction
    across = np.cross(tangent[seen], direction)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    upward = np.cross(across, tangent[seen])
    along = np.einsum("ki,kij,kj->k", upward, moment[seen], upward)
    wide = np.einsum("ki,kij,kj->k", across, moment[seen], across)
    # A round tube that leans by theta once it is drawn out s times has a cross-section
    # sqrt(s^2 cos^2 theta + sin^2 theta) times as wide in one direction as in the other.
    ratio = (along / np.maximum(wide, 1e-12) - lean**2) / (1 - lean**2)
    return direction, np.sqrt(np.maximum(ratio, 0.0))

"""The surface of a signed distance as a watertight mesh."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import trimesh
from skimage.measure import marching_cubes

from nanospine.core.errors import GeometryError

__all__ = ["mesh_of"]

FloatArray = npt.NDArray[np.float64]

_COARSE = 8  # fine voxels along the edge of a coarse one


class _HasDistance(Protocol):
    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner."""

    def signed_distance_nm(self, xyz_nm: FloatArray) -> FloatArray:
        """Distance to the surface, negative inside."""

    def distance_and_gradient(self, xyz_nm: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distance, and its gradient."""


def mesh_of(shape: _HasDistance, voxel_nm: float) -> trimesh.Trimesh:
    """Mesh the zero level of a signed distance by marching cubes.

    Strategy: the distance is evaluated on a coarse grid first, then on the fine grid only in
    coarse cells that the surface can pass through; elsewhere the coarse value has the right sign.
    The vertices are then moved onto the surface by three Newton steps along the gradient.
    """
    low, high = shape.bounds_nm
    low, high = low - 6 * voxel_nm, high + 6 * voxel_nm
    block = _COARSE * voxel_nm
    cells = np.ceil((high - low) / block).astype(np.int64)
    corners = np.stack(np.meshgrid(*[np.arange(n) for n in cells], indexing="ij"), -1).reshape(
        -1, 3
    )
    centres = low + (corners + 0.5) * block
    # The distance is a lower bound only up to the curvature of tubes: keep a margin.
    coarse = shape.signed_distance_nm(centres)
    near = np.abs(coarse) < 0.5 * np.sqrt(3) * block + 3 * voxel_nm
    values = np.repeat(
        np.repeat(np.repeat(coarse.reshape(cells), _COARSE, 0), _COARSE, 1), _COARSE, 2
    ).astype(np.float32)
    step = np.arange(_COARSE)
    inner = np.stack(np.meshgrid(step, step, step, indexing="ij"), -1).reshape(-1, 3)
    for start in range(0, int(near.sum()), 400):
        chosen = corners[near][start : start + 400]
        index = (chosen[:, None] * _COARSE + inner).reshape(-1, 3)
        fine = shape.signed_distance_nm(low + (index + 0.5) * voxel_nm)
        values[tuple(index.T)] = fine
    if not values.min() < 0 < values.max():
        raise GeometryError("mesh_of: the shape has no surface inside its bounds.")
    vertices, faces, _, _ = marching_cubes(values, 0.0)
    xyz = low + (vertices.astype(np.float64) + 0.5) * voxel_nm
    for _ in range(3):
        xyz = xyz - _newton_step(shape, xyz)
    mesh = trimesh.Trimesh(xyz, faces, process=False)
    if mesh.volume < 0:
        mesh.invert()
    parts = mesh.split(only_watertight=True)
    return max(parts, key=lambda part: float(part.volume)) if len(parts) > 1 else mesh


def _newton_step(shape: _HasDistance, xyz: FloatArray) -> FloatArray:
    here, gradient = shape.distance_and_gradient(xyz)
    square = np.maximum((gradient**2).sum(axis=1), 0.25)
    # At the crease of a fork the gradient jumps: never step farther than the mesh is fine.
    return np.clip(here / square, -5.0, 5.0)[:, None] * gradient

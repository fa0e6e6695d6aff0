"""The inside of one closed body as a signed distance on a coarse grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import ndimage

from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.rasterize import mesh_to_mask

__all__ = ["Solid", "make_solid"]

FloatArray = npt.NDArray[np.float64]

_FINEST_NM = 40.0
_COARSEST_NM = 80.0
_MOST_VOXELS = 2.5e7


@dataclass(frozen=True, eq=False)
class Solid:
    """Signed distance to the surface of a body on a grid, nanometres, positive inside."""

    grid: VoxelGrid

    @property
    def voxel_nm(self) -> float:
        """Edge length of a voxel."""
        return float(self.grid.voxel_nm[0])

    def depth_at_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Signed distance at positions, interpolated linearly; far outside beyond the grid."""
        index = self.grid.to_index(xyz_nm)
        return np.asarray(
            ndimage.map_coordinates(
                self.grid.data, index.T, order=1, mode="constant", cval=-_COARSEST_NM
            ),
            dtype=np.float64,
        )


def make_solid(mesh: trimesh.Trimesh, least_voxel_nm: float = _FINEST_NM) -> Solid:
    """Fill a closed body with voxels of 40 (or more) to 80 nm, as fine as its bounding box allows.

    Cavities are filled: a hole inside a dendrite is an organelle or a gap of the labelling.
    """
    voxel_nm = float(
        np.clip((np.prod(mesh.extents) / _MOST_VOXELS) ** (1 / 3), least_voxel_nm, _COARSEST_NM)
    )
    mask = mesh_to_mask(mesh, voxel_nm)
    inside = ndimage.binary_fill_holes(mask.data)
    depth = ndimage.distance_transform_edt(inside).astype(np.float32)
    depth -= ndimage.distance_transform_edt(~inside).astype(np.float32)
    # A voxel beside the surface is half a voxel away from it and has a distance of a whole one.
    depth -= np.sign(depth) * np.float32(0.5)
    return Solid(mask.with_data(depth * np.float32(voxel_nm)))

"""Moving, turning and stretching observed regions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.region import Box, Mask, MeshRegion, Polygon, Prism, Region

__all__ = ["transform_region"]

FloatArray = npt.NDArray[np.float64]


def transform_region(
    region: Region, matrix: FloatArray, offset_nm: FloatArray
) -> tuple[Region | None, list[str]]:
    """Give the region under `matrix @ x + offset`, or None and a note where no kind can hold it.

    A transform of the plane acts on x and y of a region of space; a transform of space whose z
    stays apart acts on a region of the plane.

    Examples
    --------
    >>> transform_region(Box((0, 0), (2, 1)), np.eye(2), np.array([5.0, 0]))[0].bounds_nm.tolist()
    [[5.0, 0.0], [7.0, 1.0]]
    """
    full, shift = np.eye(3), np.zeros(3)
    d = len(offset_nm)
    full[:d, :d], shift[:d] = matrix, offset_nm
    k = region.dimension
    straight = bool(np.allclose(full, np.eye(3), atol=1e-12))
    upright = bool(np.allclose([*full[2, :2], *full[:2, 2]], 0, atol=1e-9)) and full[2, 2] > 0
    if straight and isinstance(region, Box):
        return Box(region.low_nm + shift[:k], region.high_nm + shift[:k]), []
    if straight and isinstance(region, Mask):
        origin = region.origin_nm + shift[:k][::-1]
        return Mask(region.data, region.voxel_nm, origin), []
    if isinstance(region, Box) and k == 3 and not upright:
        region = _box_mesh(region)
    if isinstance(region, MeshRegion):
        mesh = region.mesh.copy()
        mesh.vertices = mesh.vertices @ full.T + shift
        if mesh.volume < 0:
            mesh.invert()
        return MeshRegion(mesh), []
    if upright and isinstance(region, Box | Polygon | Prism):
        return _upright(region, full, shift), []
    kind = type(region).__name__
    return None, [f"the region ({kind}) cannot be turned; the bounding box is assumed instead"]


def _upright(region: Box | Polygon | Prism, full: FloatArray, shift: FloatArray) -> Region:
    if isinstance(region, Polygon):
        return _polygon(region, full, shift)
    if isinstance(region, Prism):
        polygon = region.polygon
        low, high = region.z_low_nm, region.z_high_nm
    else:
        (x0, y0), (x1, y1) = region.low_nm[:2], region.high_nm[:2]
        polygon = Polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
        if region.dimension == 2:
            return _polygon(polygon, full, shift)
        low, high = float(region.low_nm[2]), float(region.high_nm[2])
    scale, rise = float(full[2, 2]), float(shift[2])
    return Prism(_polygon(polygon, full, shift), low * scale + rise, high * scale + rise)


def _polygon(polygon: Polygon, full: FloatArray, shift: FloatArray) -> Polygon:
    def moved(ring: FloatArray) -> FloatArray:
        return ring @ full[:2, :2].T + shift[:2]

    return polygon.moved(moved)


def _box_mesh(box: Box) -> MeshRegion:
    import trimesh

    mesh = trimesh.creation.box(bounds=np.stack([box.low_nm, box.high_nm]))
    return MeshRegion(mesh)

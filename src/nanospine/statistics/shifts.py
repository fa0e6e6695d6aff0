"""One pattern moved as a whole against another: around a box, or in what both regions share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Box, Mask, MeshRegion, Polygon, Prism, Region

__all__ = ["shared_part", "shift_by_chance", "shifted"]

FloatArray = npt.NDArray[np.float64]

# Shifts that are drawn before none is said to be possible.
_TRIES = 2_000


def shifted(
    fixed_nm: FloatArray,
    moved_nm: FloatArray,
    region: Region,
    generator: np.random.Generator,
    max_shift_nm: float | None,
    least_shared: float,
) -> tuple[FloatArray, FloatArray, Region]:
    """Shift `moved_nm` at random; give both patterns and the region in which they compare.

    Raises
    ------
    GeometryError
        When no shift leaves enough of the region.
    """
    low, high = region.bounds_nm
    if isinstance(region, Box):
        shift = generator.uniform(0.0, high - low)
        return fixed_nm, low + np.mod(moved_nm - low + shift, high - low), region
    reach = float((high - low).min()) / 4 if max_shift_nm is None else max_shift_nm
    if not 0 < reach < np.inf:
        raise ConfigError(f"max_shift_nm: a positive length was expected, found {max_shift_nm}.")
    cut = isinstance(region, Polygon | Prism | Mask)
    for _ in range(_TRIES):
        shift = shift_by_chance(reach, region, generator)
        if not cut:
            if region.contains(moved_nm + shift).all():
                return fixed_nm, moved_nm + shift, region
            continue
        part = shared_part(region, shift)
        if part is None or part.size < least_shared * region.size:
            continue
        first = fixed_nm[part.contains(fixed_nm)]
        second = (moved_nm + shift)[part.contains(moved_nm + shift)]
        if len(first) and len(second):
            return first, second, part
    instead = "a mask instead of the mesh, " if isinstance(region, MeshRegion) else ""
    raise GeometryError(
        f"random shift: none of {_TRIES} shifts by up to {reach:.4g} nm left enough of the "
        f"{type(region).__name__} and its points; give a smaller max_shift_nm, "
        f"{instead}or use 'csr' or ShiftedClusters."
    )


def shared_part(region: Region, shift_nm: FloatArray) -> Region | None:
    """Give what a region and the shifted region share.

    None for a mesh, which is not cut, and where nothing is left.

    Examples
    --------
    >>> triangle = Polygon([(0, 0), (4, 0), (0, 4)])
    >>> part = shared_part(triangle, np.array([1.0, 0.0]))
    >>> part.size
    4.5
    """
    if isinstance(region, Polygon):
        return _shared_polygon(region, shift_nm)
    if isinstance(region, Prism):
        base = _shared_polygon(region.polygon, shift_nm[:2])
        low = region.z_low_nm + max(float(shift_nm[2]), 0.0)
        high = region.z_high_nm + min(float(shift_nm[2]), 0.0)
        return None if base is None or low >= high else Prism(base, low, high)
    if isinstance(region, Mask):
        return _shared_mask(region, shift_nm)
    return None


def shift_by_chance(reach: float, region: Region, generator: np.random.Generator) -> FloatArray:
    """Draw a shift uniformly in a ball; in whole voxels for a mask, so that its part is a mask."""
    d = region.dimension
    direction = generator.normal(size=d)
    direction /= np.linalg.norm(direction)
    shift = direction * reach * generator.uniform() ** (1 / d)
    if isinstance(region, Mask):
        voxel = region.voxel_nm[::-1]
        shift = np.round(shift / voxel) * voxel
    return np.asarray(shift)


def _shared_polygon(polygon: Polygon, shift_nm: FloatArray) -> Polygon | None:
    import shapely

    moved = shapely.transform(polygon.shape, lambda corners: corners + shift_nm)
    both = polygon.shape.intersection(moved)
    return Polygon.from_shape(both) if both.area > 0 else None


def _shared_mask(mask: Mask, shift_nm: FloatArray) -> Mask | None:
    steps = np.round(shift_nm[::-1] / mask.voxel_nm).astype(np.int64)
    if (np.abs(steps) >= mask.data.shape).any():
        return None
    moved = np.zeros_like(mask.data)
    to = tuple(slice(max(s, 0), n + min(s, 0)) for s, n in zip(steps, mask.data.shape, strict=True))
    of = tuple(
        slice(max(-s, 0), n - max(s, 0)) for s, n in zip(steps, mask.data.shape, strict=True)
    )
    moved[to] = mask.data[of]
    both = mask.data & moved
    return Mask(both, mask.voxel_nm, mask.origin_nm) if both.any() else None

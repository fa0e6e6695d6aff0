"""What segmenters share: lengths in nm on unequal voxels, components, holes, and their result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.grid import VoxelGrid

__all__ = [
    "BACKGROUND",
    "DENDRITE",
    "OBJECT",
    "SHAFT",
    "SPINE",
    "Segmentation",
    "as_mask",
    "closed",
    "components",
    "distance_nm",
    "drop_small",
    "fill_holes",
    "foreground",
    "parts",
    "protrusions",
    "smoothed",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
LabelArray = npt.NDArray[np.int32]

#: Roles of labels. `dendrite` is shaft and spines undivided, `object` a thing of unknown kind.
BACKGROUND, SHAFT, SPINE, DENDRITE, OBJECT = "background", "shaft", "spine", "dendrite", "object"


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a segmenter gives: labels, the role of each label, and remarks.

    Attributes
    ----------
    labels : ndarray of int32, shape (nz, ny, nx)
        0 is background.
    roles : dict
        From label to role.
    notes : tuple of str
        What was dropped or decided on the way.
    """

    labels: LabelArray
    roles: dict[int, str]
    notes: tuple[str, ...] = field(default=())


def foreground(mask: BoolArray, *notes: str) -> Segmentation:
    """Give a mask as label 1 with the role `dendrite`."""
    return Segmentation(mask.astype(np.int32), {0: BACKGROUND, 1: DENDRITE}, notes)


def parts(shaft: BoolArray, spines: LabelArray, *notes: str) -> Segmentation:
    """Give a shaft as label 1 and spines (1, 2, ... in `spines`) as labels 2, 3, ..."""
    labels = np.where(spines > 0, spines + 1, shaft.astype(np.int32)).astype(np.int32)
    roles = {0: BACKGROUND, 1: SHAFT} | {n + 2: SPINE for n in range(int(spines.max(initial=0)))}
    return Segmentation(labels, roles, notes)


def smoothed(data: npt.NDArray[Any], voxel_nm: FloatArray, sigma_nm: float) -> FloatArray:
    """Give the data as floats, smoothed by a Gaussian that is round in nanometres."""
    values = np.asarray(data, dtype=np.float64)
    if not np.isfinite(values).all():
        raise GeometryError("segment: the grid holds values that are not finite numbers.")
    if sigma_nm < 0:
        raise ConfigError(f"segment: sigma_nm of 0 or more was expected, found {sigma_nm}.")
    if sigma_nm == 0:
        return values
    return np.asarray(ndimage.gaussian_filter(values, sigma_nm / voxel_nm, mode="nearest"))


def distance_nm(mask: BoolArray, voxel_nm: FloatArray) -> FloatArray:
    """Give the distance of each voxel in the mask to the nearest one outside; 0 outside.

    The edge of the grid is no surface: a shaft that leaves the grid does not end there.
    """
    if mask.all():
        return np.full(mask.shape, float(np.linalg.norm(voxel_nm * np.array(mask.shape))))
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=voxel_nm))


def components(mask: BoolArray, connectivity: int = 26) -> LabelArray:
    """Number the connected components 1, 2, ... from large to small (ties: first met)."""
    orders = {6: 1, 18: 2, 26: 3}
    if connectivity not in orders:
        raise ConfigError(
            f"segment: connectivity of 6, 18 or 26 was expected, found {connectivity}."
        )
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(3, orders[connectivity]))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    rank = np.zeros(count + 1, dtype=np.int32)
    rank[1 + np.argsort(-sizes, kind="stable")] = np.arange(1, count + 1)
    return np.asarray(rank[labels], dtype=np.int32)


def drop_small(
    mask: BoolArray, voxel_nm: FloatArray, min_volume_nm3: float, connectivity: int = 26
) -> tuple[BoolArray, int]:
    """Give the mask without components below a volume, and how many those were."""
    labels = components(mask, connectivity)
    volumes = np.bincount(labels.ravel())[1:] * float(np.prod(voxel_nm))
    keep = np.concatenate([[False], volumes >= min_volume_nm3])
    return np.asarray(keep[labels]), int((~keep[1:]).sum())


def closed(mask: BoolArray, voxel_nm: FloatArray, radius_nm: float) -> BoolArray:
    """Close gaps up to twice a radius: grown by an exact ball in nm and shrunk again.

    Examples
    --------
    >>> mask = np.ones((5, 5, 9), dtype=bool)
    >>> mask[:, :, 4] = False
    >>> bool(closed(mask, np.array([50.0, 50.0, 50.0]), 60.0).all())
    True
    """
    if radius_nm < 0:
        raise ConfigError(f"segment: close_nm of 0 or more was expected, found {radius_nm}.")
    if radius_nm == 0 or not mask.any():
        return mask
    pad = [(int(n), int(n)) for n in np.ceil(radius_nm / voxel_nm).astype(int) + 1]
    # Beyond the grid things go on: what leaves it is not shrunk there.
    wide = np.pad(mask, pad, mode="edge")
    grown = ndimage.distance_transform_edt(~wide, sampling=voxel_nm) <= radius_nm
    shrunk = distance_nm(grown, voxel_nm) > radius_nm
    inner = tuple(slice(a, n - b) for (a, b), n in zip(pad, wide.shape, strict=True))
    return np.asarray(shrunk[inner] | mask)


def fill_holes(mask: BoolArray, how: str) -> BoolArray:
    """Fill holes: `volume` needs a closed shell, `planes` only closed outlines along any axis."""
    if how == "none":
        return mask
    if how == "volume":
        return np.asarray(ndimage.binary_fill_holes(mask))
    if how != "planes":
        raise ConfigError(f"segment: fill of none, volume or planes was expected, found {how!r}.")
    filled = mask.copy()
    flat = ndimage.generate_binary_structure(2, 1)
    for axis in range(3):
        structure = np.expand_dims(flat, axis)
        filled |= ndimage.binary_fill_holes(mask, structure=structure)
    return filled


def as_mask(grid: VoxelGrid, binarize: str, options: dict[str, Any] | None = None) -> BoolArray:
    """Give the mask of a grid: boolean data as they are, others by a segmenter of intensities.

    Raises
    ------
    GeometryError
        When nothing is in the mask.
    """
    if grid.data.dtype == np.bool_ and not options:
        mask = grid.data
    else:
        from nanospine.voxels.segment import run_segmenter

        mask = run_segmenter(grid, binarize, options or {}).labels > 0
    if not mask.any():
        raise GeometryError("segment: nothing in the grid is above the threshold.")
    return mask


def protrusions(
    mask: BoolArray,
    shaft: BoolArray,
    voxel_nm: FloatArray,
    *,
    min_height_nm: float,
    min_volume_nm3: float,
    shell_nm: float,
) -> tuple[LabelArray, int]:
    """Number what sticks out of a shaft: 1, 2, ... from large to small; also count what fell away.

    Voxels farther than `shell_nm` from the shaft are cores; components of cores that rise to
    `min_height_nm` and hold `min_volume_nm3` are spines, which take back the shell below them as
    far as it is nearer than 1.5 shells. Everything else belongs to the shaft.
    """
    away = np.asarray(ndimage.distance_transform_edt(~shaft, sampling=voxel_nm))
    core = components(mask & (away > shell_nm))
    count = int(core.max(initial=0))
    if count == 0:
        return core, 0
    index = np.arange(1, count + 1)
    height = np.asarray(ndimage.maximum(away, core, index))
    volume = np.bincount(core.ravel(), minlength=count + 1)[1:] * float(np.prod(voxel_nm))
    keep = (height >= min_height_nm) & (volume >= min_volume_nm3)
    number = np.zeros(count + 1, dtype=np.int32)
    number[1:][keep] = np.arange(1, int(keep.sum()) + 1)
    spines = number[core]
    if not keep.any():
        return spines, count
    gap, nearest = ndimage.distance_transform_edt(
        spines == 0, sampling=voxel_nm, return_indices=True
    )
    below = mask & ~shaft & (spines == 0) & (gap <= 1.5 * shell_nm)
    spines[below] = spines[tuple(axis[below] for axis in nearest)]
    return spines, int((~keep).sum())

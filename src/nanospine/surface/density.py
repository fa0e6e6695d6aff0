"""A surface of equal density: localizations smoothed on a grid, and marching cubes."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError

__all__ = ["density_surface"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Voxels over the width of the kernel.
_VOXEL = 0.4
_MOST_VOXELS = 2**27
_MARGIN = 4.0
# Share of the usual density at the localizations where the surface is laid.
_LEVELS = {"membrane": 0.3, "filled": 0.5}


def density_surface(
    points: FloatArray,
    *,
    kernel_nm: float,
    label: Literal["membrane", "filled"],
    noise_nm: float = 0.0,
) -> tuple[FloatArray, IntArray, tuple[str, ...]]:
    """Lay a closed surface through voxels of equal density.

    The density is the sum of Gaussians of standard deviation h (`kernel_nm`). A label that fills
    the volume falls to half of its density at the boundary: the surface is laid at half the median
    density of the localizations. A membrane has its density on itself, exp(-d² / (2 s²)) at the
    distance d with s² = h² + `noise_nm`²: what is above 0.3 of the median density, and what it
    encloses, is taken, and shrunk by the distance at which a membrane falls to that.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Positions in nanometres.
    kernel_nm : float
        Standard deviation of the kernel; gaps wider than about 3 of them open a membrane.
    label : {"membrane", "filled"}
        What the localizations mark.
    noise_nm : float
        Localization precision.

    Returns
    -------
    vertices, faces : ndarray, shape (v, 3) and (f, 3)
        All bodies, closed, outward.
    notes : tuple of str
        What a reader must know.

    Raises
    ------
    GeometryError
        When the grid would have more than 2^27 voxels; when nothing is above the level.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ball = rng.normal(size=(20_000, 3))
    >>> ball *= 300 / np.linalg.norm(ball, axis=1, keepdims=True)
    >>> vertices, faces, _ = density_surface(ball, kernel_nm=20.0, label="membrane")
    >>> round(float(np.linalg.norm(vertices, axis=1).mean()), -1)
    300.0
    """
    from scipy.ndimage import (
        binary_fill_holes,
        distance_transform_edt,
        gaussian_filter,
        map_coordinates,
    )
    from skimage.measure import marching_cubes

    voxel = _VOXEL * kernel_nm
    low = points.min(axis=0) - _MARGIN * kernel_nm
    shape = np.ceil((np.ptp(points, axis=0) + 2 * _MARGIN * kernel_nm) / voxel).astype(int) + 1
    if np.prod(shape.astype(np.float64)) > _MOST_VOXELS:
        raise GeometryError(
            f"envelope: {' x '.join(map(str, shape))} voxels of {voxel:.3g} nm do not fit in "
            "memory; give a larger alpha_nm, crop (nanospine.keep_box), or take method='carve'."
        )
    cells = np.floor((points - low) / voxel).astype(np.int64)
    flat = np.ravel_multi_index(tuple(cells.T), tuple(shape.tolist()))
    counts = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.float32)
    density = gaussian_filter(counts, kernel_nm / voxel, mode="constant", truncate=_MARGIN)
    at_points = map_coordinates(density, ((points - low) / voxel - 0.5).T, order=1)
    level = _LEVELS[label] * float(np.median(at_points))
    if not (density > level).any():
        raise GeometryError("envelope: no voxel is dense enough; give a larger alpha_nm.")
    field = density - np.float32(level)
    if label == "membrane":
        solid = binary_fill_holes(field > 0)
        depth = distance_transform_edt(solid) - distance_transform_edt(~solid)
        shrink = np.sqrt(-2 * np.log(_LEVELS[label])) * np.hypot(kernel_nm, noise_nm)
        # voxels are whole: smoothing by one of them takes the stairs off
        field = gaussian_filter(depth.astype(np.float32), 1.0) - np.float32(shrink / voxel)
        if not (field > 0).any():
            raise GeometryError(
                "envelope: the label encloses nothing at this kernel; give another alpha_nm, or "
                "label='filled'."
            )
    field = np.pad(field, 1, constant_values=float(min(field.min(), -1.0)))
    vertices, faces, _, _ = marching_cubes(field, 0.0, gradient_direction="ascent")
    notes = (f"density: kernel {kernel_nm:.3g} nm, voxels of {voxel:.3g} nm",)
    return (vertices - 0.5) * voxel + low, faces.astype(np.int64), notes

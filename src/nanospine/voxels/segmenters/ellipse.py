"""The shaft as a swept ellipse: what sticks out of it are spines."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BoolArray,
    FloatArray,
    Segmentation,
    as_mask,
    parts,
    protrusions,
)
from nanospine.voxels.segmenters.skeleton import backbone, skeleton_tree

__all__ = ["ellipse"]

_ANGLES = 48
_ROUNDS = 6


def ellipse(
    grid: VoxelGrid,
    *,
    step_nm: float = 100.0,
    smooth_nm: float = 300.0,
    window_nm: float = 1500.0,
    discard: float = 1.3,
    grow: float = 1.05,
    min_height_nm: float = 200.0,
    min_volume_nm3: float = 3e6,
    shell_nm: float = 80.0,
    min_elongation: float = 0.0,
    binarize: str = "otsu",
    binarize_options: dict[str, Any] | None = None,
) -> Segmentation:
    """Separate shaft and spines: elliptical cross-sections are fitted to the shaft and swept.

    Along the smoothed axis (backbone of the skeleton), rays in the plane across it find the
    surface. An ellipse, 1 / r² = a + b cos 2t + c sin 2t around its centre, is fitted to them by
    least squares; rays longer than `discard` times it run into a spine and are left out, again and
    again. Radii are then median-filtered along the axis, and what lies outside the swept solid,
    high and large enough, is a spine.

    Parameters
    ----------
    grid : VoxelGrid
        A boolean mask, or intensities.
    step_nm : float
        Between cross-sections.
    smooth_nm : float
        Gaussian smoothing of the axis.
    window_nm : float
        Of the median along the axis.
    discard : float
        See above.
    grow : float
        Factor on the fitted radii.
    min_height_nm, min_volume_nm3, shell_nm : float
        As for :func:`opening`.
    min_elongation : float
        Least ratio of a spine's height to the diameter of the ball of its volume.
    binarize, binarize_options
        Method and options that make the mask of intensities.

    Notes
    -----
    After the published description of Kashiwagi et al. 2019 (Nat. Commun. 10, 1285): elliptical
    cross-sections, protrusions filtered by volume or elongation. No numbered algorithm could be
    read, so the fit, its robustness and the filters are this program's.
    """
    mask = as_mask(grid, binarize, binarize_options)
    axis, first, second = _frames(mask, grid.voxel_nm, step_nm, smooth_nm)
    centre, radius = _fitted(mask, grid.voxel_nm, axis, first, second, discard)
    width = max(int(window_nm / step_nm) // 2 * 2 + 1, 3)
    radius = grow * ndimage.median_filter(radius, size=(width, 1), mode="nearest")
    centre = ndimage.median_filter(centre, size=(width, 1), mode="nearest")
    solid = _swept(mask, grid.voxel_nm, axis, first, second, centre, radius)
    spines, dropped = protrusions(
        mask,
        solid,
        grid.voxel_nm,
        min_height_nm=min_height_nm,
        min_volume_nm3=min_volume_nm3,
        shell_nm=shell_nm,
    )
    if min_elongation > 0:
        away = ndimage.distance_transform_edt(~solid, sampling=grid.voxel_nm)
        for number in range(1, int(spines.max(initial=0)) + 1):
            own = spines == number
            ball = 2 * (own.sum() * float(np.prod(grid.voxel_nm)) * 3 / (4 * np.pi)) ** (1 / 3)
            if away[own].max() < min_elongation * ball:
                spines[own] = 0
                dropped += 1
        _, rank = np.unique(spines, return_inverse=True)
        spines = rank.reshape(mask.shape).astype(np.int32)
    return parts(
        mask & (spines == 0),
        spines,
        f"{len(axis)} cross-sections; {dropped} protrusions too low, small or round were left "
        "with the shaft",
    )


def _frames(
    mask: BoolArray, voxel_nm: FloatArray, step_nm: float, smooth_nm: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points along the smoothed axis (nm, z y x) and two directions across it that do not twist."""
    tree = skeleton_tree(mask, voxel_nm)
    path = tree.nodes[backbone(tree)] * voxel_nm
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0.0, arc[-1], max(int(arc[-1] / step_nm), 2) + 1)
    axis = np.column_stack([np.interp(even, arc, path[:, i]) for i in range(3)])
    # What is smoothed is the departure from the chord: smoothing would draw the ends inwards.
    chord = np.linspace(axis[0], axis[-1], len(axis))
    bend = ndimage.gaussian_filter1d(axis - chord, smooth_nm / step_nm, axis=0, mode="nearest")
    axis = np.asarray(chord + bend)
    along = np.gradient(axis, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    first = np.zeros_like(axis)
    start = np.eye(3)[np.argmin(np.abs(along[0]))]
    for i, tangent in enumerate(along):
        side = start - (start @ tangent) * tangent
        start = side / np.linalg.norm(side)
        first[i] = start
    return axis, first, np.cross(along, first)


def _fitted(
    mask: BoolArray,
    voxel_nm: FloatArray,
    axis: FloatArray,
    first: FloatArray,
    second: FloatArray,
    discard: float,
) -> tuple[FloatArray, FloatArray]:
    """Centre in the plane, shape (n, 2), and radius at each angle, shape (n, angles)."""
    angle = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    turn = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    base = np.stack([np.ones(_ANGLES), np.cos(2 * angle), np.sin(2 * angle)], axis=1)
    step = 0.5 * float(voxel_nm.min())
    reach = np.arange(0.0, 3000.0, step)
    soft = mask.astype(np.float32)
    centres, radii = np.zeros((len(axis), 2)), np.zeros((len(axis), _ANGLES))
    for i in range(len(axis)):
        centre = np.zeros(2)
        fit = np.zeros(_ANGLES)
        for _ in range(_ROUNDS):
            middle = axis[i] + centre[0] * first[i] + centre[1] * second[i]
            ways = turn @ np.stack([first[i], second[i]])
            at = (middle + reach[:, None, None] * ways) / voxel_nm
            inside = ndimage.map_coordinates(soft, at.reshape(-1, 3).T, order=1, cval=0.0)
            out = inside.reshape(len(reach), _ANGLES) < 0.5
            length = np.where(out.any(axis=0), out.argmax(axis=0), len(reach)) * step
            # The surface lies between the last step inside and the first outside.
            length = np.maximum(length - 0.5 * step, step)
            fit = _ellipse_radii(length, base, discard)
            good = length <= discard * fit
            points = turn * np.minimum(length, fit)[:, None]
            shift = points[good].mean(axis=0) if good.any() else np.zeros(2)
            centre = centre + shift
            if np.linalg.norm(shift) < 0.5 * step:
                break
        centres[i], radii[i] = centre, fit
    return centres, radii


def _ellipse_radii(length: FloatArray, base: FloatArray, discard: float) -> FloatArray:
    """Fit 1 / r² = a + b cos 2t + c sin 2t without the rays that are too long."""
    fit = np.full(len(length), float(np.median(length)))
    for _ in range(_ROUNDS):
        good = length <= discard * fit
        if good.sum() < 8:
            break
        # Weighted so that errors of r, and not of 1 / r², count alike.
        weight = length[good] ** 3
        answer = np.linalg.lstsq(
            base[good] * weight[:, None], weight / length[good] ** 2, rcond=None
        )[0]
        inverse = base @ answer
        limit = 1.0 / (2.0 * float(np.median(length))) ** 2
        new = 1.0 / np.sqrt(np.maximum(inverse, limit))
        if np.allclose(new, fit, rtol=1e-3):
            return np.asarray(new)
        fit = new
    return fit


def _swept(
    mask: BoolArray,
    voxel_nm: FloatArray,
    axis: FloatArray,
    first: FloatArray,
    second: FloatArray,
    centre: FloatArray,
    radius: FloatArray,
) -> BoolArray:
    """Voxels of the mask inside the ellipse of the cross-section next to them."""
    where = np.argwhere(mask)
    place = where * voxel_nm
    middle = axis + centre[:, :1] * first + centre[:, 1:] * second
    _, near = cKDTree(middle).query(place)
    offset = place - middle[near]
    u = np.einsum("ij,ij->i", offset, first[near])
    v = np.einsum("ij,ij->i", offset, second[near])
    step = np.arctan2(v, u) % (2 * np.pi) * _ANGLES / (2 * np.pi)
    low = np.floor(step).astype(np.int64) % _ANGLES
    part = step - np.floor(step)
    limit = radius[near, low] * (1 - part) + radius[near, (low + 1) % _ANGLES] * part
    solid = np.zeros(mask.shape, dtype=bool)
    # Beyond the ends of the axis distance along it counts too: the end is rounded.
    solid[tuple(where.T)] = np.linalg.norm(offset, axis=1) <= np.where(
        (near == 0) | (near == len(axis) - 1), limit, np.inf
    )
    solid[tuple(where.T)] &= np.hypot(u, v) <= limit
    return solid

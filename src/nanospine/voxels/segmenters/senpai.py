"""SENPAI: k-means on brightness and second derivatives, and parcels by watershed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import (
    BACKGROUND,
    DENDRITE,
    BoolArray,
    FloatArray,
    LabelArray,
    Segmentation,
    components,
    drop_small,
    foreground,
    smoothed,
)

__all__ = ["parcellate", "senpai"]

_BITS = 8
# Voxels on which the centres are fitted: more of them do not move the centres.
_MOST_FITTED = 200_000


def senpai(
    grid: VoxelGrid,
    *,
    sigmas_nm: tuple[float, ...] = (0.0,),
    classes: int | None = 6,
    replicates: int = 10,
    median: bool = False,
    floor: float = 0.02,
    bright: float = 0.55,
    fill: bool = True,
    min_volume_nm3: float = 5e6,
    seed: int = 0,
) -> Segmentation:
    """Segment by k-means on brightness and the second derivatives along z, y and x.

    Bright ridges and blobs have negative second derivatives. Of the classes, ordered by
    brightness, those above the last one whose mean second derivatives are not all negative are
    foreground; to them are added all voxels brighter than `bright` of the full range.

    Parameters
    ----------
    grid : VoxelGrid
        Scaled to 0..255 first.
    sigmas_nm : tuple of float
        One or more smoothings; their results are united.
    classes : int, optional
        Of k-means. None takes the smallest number from 2 to 10 with which three classes or more
        curve upwards in three quarters of their voxels along some axis, and every axis has one.
    replicates : int
        Of k-means: starts, of which the best is taken.
    median : bool
        A 3 x 3 x 3 median before.
    floor : float
        Only voxels above this fraction of the full range take part.
    bright : float
        See above.
    fill : bool
        Holes in each plane of z.
    min_volume_nm3 : float
        Smaller components are dropped.
    seed : int
        Of k-means.

    Notes
    -----
    Cauzzo et al. 2022, SENPAI. As there, derivatives are per voxel and not scaled to the
    brightness, which therefore counts little, and unequal voxels weight the axes unequally. Unlike
    there, centres are fitted on at most 200,000 voxels, drawn by the seed.
    """
    if not sigmas_nm or (classes is not None and classes < 2):
        raise ConfigError("segment: senpai: one sigma or more and 2 classes or more were expected.")
    image = smoothed(grid.data, grid.voxel_nm, 0.0)
    span = float(image.max() - image.min())
    if span == 0:
        return foreground(np.zeros(grid.shape, dtype=bool), "all values are equal")
    full = 2.0**_BITS
    image = (image - image.min()) * ((full - 1) / span)
    if median:
        image = np.asarray(ndimage.median_filter(image, size=3, mode="nearest"))
    mask = np.zeros(grid.shape, dtype=bool)
    for sigma in sigmas_nm:
        mask |= _ridges(
            smoothed(image, grid.voxel_nm, sigma), floor * full, classes, replicates, seed
        )
    mask |= image > bright * full
    if fill:
        plane = ndimage.generate_binary_structure(2, 1)[None]
        mask |= ndimage.binary_fill_holes(mask, structure=plane)
    mask, dropped = drop_small(mask, grid.voxel_nm, min_volume_nm3)
    return foreground(mask, f"{dropped} components below {min_volume_nm3:g} nm3 dropped")


def _ridges(
    image: FloatArray, floor: float, classes: int | None, replicates: int, seed: int
) -> BoolArray:
    """Voxels of the classes above the last one that is not convex along all axes."""
    where = image >= floor
    second = [_sobel_twice(image, axis) for axis in range(3)]
    table = np.stack([image[where], *[item[where] for item in second]], axis=1)
    result = np.zeros(image.shape, dtype=bool)
    if len(np.unique(table[:, 0])) < (classes or 10):
        return result
    draw = np.random.default_rng(seed)
    fitted = table
    if len(table) > _MOST_FITTED:
        fitted = table[np.sort(draw.choice(len(table), _MOST_FITTED, replace=False))]
    kind, count = _classified(table, fitted, classes, replicates, seed)
    means = np.stack([table[kind == k].mean(axis=0) for k in range(count)])
    order = np.argsort(means[:, 0])
    convex = (means[order, 1:] < 0).all(axis=1)
    last = np.flatnonzero(~convex)
    good = order[last[-1] + 1 :] if len(last) else order
    result[where] = np.isin(kind, good)
    return result


def _classified(
    table: FloatArray, fitted: FloatArray, classes: int | None, replicates: int, seed: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Class of each row, and how many classes there are."""
    from sklearn.cluster import KMeans

    kind = np.zeros(len(table), dtype=np.int64)
    for count in range(2, 11) if classes is None else [classes]:
        model = KMeans(count, n_init=replicates, max_iter=1000, random_state=seed).fit(fitted)
        kind = np.asarray(model.predict(table), dtype=np.int64)
        upward = np.stack([(table[kind == k, 1:] > 0).mean(axis=0) for k in range(count)]) > 0.75
        if upward.any(axis=1).sum() >= 3 and upward.any(axis=0).all():
            return kind, count
    return kind, 10 if classes is None else classes


def _sobel_twice(image: FloatArray, axis: int) -> FloatArray:
    """Second derivative: MATLAB's 3-D Sobel filter applied twice, edges repeated."""
    plane = np.array([[1.0, 3.0, 1.0], [3.0, 6.0, 3.0], [1.0, 3.0, 1.0]])
    kernel = np.stack([-plane, np.zeros((3, 3)), plane])
    kernel = np.moveaxis(kernel, 0, axis)
    once = ndimage.correlate(image, kernel, mode="nearest")
    return np.asarray(ndimage.correlate(once, kernel, mode="nearest"))


def parcellate(
    grid: VoxelGrid,
    mask: npt.ArrayLike,
    seeds_xyz_nm: npt.ArrayLike | None = None,
    *,
    min_core_nm3: float = 3e7,
    erode_nm: float | None = None,
) -> Segmentation:
    """Divide a mask among cells, or its loose parts among branches, by watershed of brightness.

    Parameters
    ----------
    grid : VoxelGrid
        The image.
    mask : array_like of bool, shape of the grid
        What is divided.
    seeds_xyz_nm : array_like, shape (n, 3), optional
        One point in each cell body: parcels 1, 2, ... in this order, of which only the largest
        connected part is kept. Without seeds the cores of branches are the seeds, what is left of
        the mask after erosion in parts of at least `min_core_nm3`; all of the mask, spines that
        touch nothing too, goes to the branch whose basin it lies in.
    min_core_nm3, erode_nm : float
        See above; the erosion is one voxel by default.

    Returns
    -------
    Segmentation
        Parcels with the role `dendrite`. Give `parcellate(...).labels` a grid by
        ``ns.segment(grid, lambda grid: parcellate(grid, mask))``.

    Raises
    ------
    GeometryError
        When a seed lies outside the mask, or there is no core.

    Notes
    -----
    SENPAI's separator and spinecatch. The latter numbers basins in 8 bits and overflows above 255;
    here numbers are 32 bits. Ridges between basins are given to a basin instead of to none.
    """
    from skimage.segmentation import watershed

    inside = np.asarray(mask, dtype=bool)
    image = np.asarray(ndimage.median_filter(smoothed(grid.data, grid.voxel_nm, 0.0), size=3))
    height = image.max() + 1.0 - image
    if seeds_xyz_nm is not None:
        markers = _seed_markers(grid, inside, seeds_xyz_nm)
        basins = watershed(height, markers, mask=inside, connectivity=3).astype(np.int32)
        labels = _largest_parts(basins)
    else:
        step = float(grid.voxel_nm.max()) if erode_nm is None else erode_nm
        depth = ndimage.distance_transform_edt(inside, sampling=grid.voxel_nm)
        core, _ = drop_small(depth > step, grid.voxel_nm, min_core_nm3, 6)
        if not core.any():
            raise GeometryError(
                f"parcellate: no core of {min_core_nm3:g} nm3 is left after erosion by {step:g} nm."
            )
        labels = watershed(height, components(core, 6), connectivity=3).astype(np.int32)
        labels[~inside] = 0
    roles = {0: BACKGROUND} | {int(n): DENDRITE for n in np.unique(labels) if n}
    return Segmentation(labels, roles)


def _seed_markers(grid: VoxelGrid, inside: BoolArray, seeds: npt.ArrayLike) -> LabelArray:
    index = np.floor(grid.to_index(seeds) + 0.5).astype(np.int64)
    markers = np.zeros(grid.shape, dtype=np.int32)
    for number, place in enumerate(index, start=1):
        fits = bool(((place >= 0) & (place < grid.shape)).all()) and inside[tuple(place)]
        if not fits:
            raise GeometryError(f"parcellate: seed {number} lies outside the mask.")
        markers[tuple(place)] = number
    return markers


def _largest_parts(basins: LabelArray) -> LabelArray:
    """Keep of each label its largest part that is connected through faces."""
    result = np.zeros_like(basins)
    for number, box in enumerate(ndimage.find_objects(basins), start=1):
        if box is not None:
            result[box][components(basins[box] == number, 6) == 1] = number
    return result

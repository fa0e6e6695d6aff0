"""Pairs of image and labels from simulated dendrites, for training and for testing segmenters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import ConfigError
from nanospine.voxels.grid import VoxelGrid

if TYPE_CHECKING:
    from nanospine.simulate.shapes import Shape

__all__ = ["VolumePair", "simulated_pair", "truth_labels"]

FloatArray = npt.NDArray[np.float64]

_MARGIN_NM = 200.0
# Distances are computed for so many voxels at a time.
_BLOCK = 200_000
_COARSE = 4


@dataclass(frozen=True, eq=False)
class VolumePair:
    """An image and its true labels on the same voxels.

    Attributes
    ----------
    image : VoxelGrid
        Counts of localizations (float32), or fluorescence.
    labels : VoxelGrid
        int32: 0 background, 1 shaft, 2 and more the spines in the order of the truth.
    seed : int
        What it was drawn from.
    """

    image: VoxelGrid
    labels: VoxelGrid
    seed: int

    @property
    def mask(self) -> VoxelGrid:
        """True in the dendrite: shaft and spines."""
        return self.labels.with_data(self.labels.data > 0)


def truth_labels(shape: Shape, grid: VoxelGrid) -> npt.NDArray[np.int32]:
    """Label each voxel of a grid by what its centre lies in.

    Returns
    -------
    ndarray of int32
        0 outside, 1 in the shaft, 2 and more in the planted spines. A voxel belongs to a spine
        when it is outside the tube of the shaft; where spines touch, to the nearer one.

    Examples
    --------
    >>> from nanospine.simulate import spine
    >>> shape = spine("mushroom", seed=1)
    >>> grid = VoxelGrid(np.zeros((20, 50, 40)), 80.0, (-700, -2000, 0))
    >>> np.unique(truth_labels(shape, grid)).tolist()
    [0, 1, 2]
    """
    labels = np.zeros(grid.data.size, dtype=np.int32)
    near_surface = np.flatnonzero(_maybe_inside(shape, grid))
    for start in range(0, len(near_surface), _BLOCK):
        flat = near_surface[start : start + _BLOCK]
        index = np.stack(np.unravel_index(flat, grid.shape), axis=1)
        xyz = grid.to_xyz_nm(index)
        inside = np.flatnonzero(shape.signed_distance_nm(xyz) < 0)
        if len(inside) == 0:
            continue
        near = xyz[inside]
        kind = np.ones(len(near), dtype=np.int32)
        if shape.planted:
            spines = np.stack([item.signed_distance_nm(near) for item in shape.planted])
            outside = shape.shaft.signed_distance_nm(near) > 0
            kind[outside] = 2 + spines[:, outside].argmin(axis=0)
        labels[flat[inside]] = kind
    return labels.reshape(grid.shape)


def _maybe_inside(shape: Shape, grid: VoxelGrid) -> npt.NDArray[np.bool_]:
    """False in blocks of voxels whose middle is farther outside than any of their voxels is away.

    The distance of a shape is a close lower bound, so that half as much again is left as slack.
    """
    coarse = -(-np.array(grid.shape) // _COARSE)
    middle = np.stack(np.meshgrid(*[np.arange(n) for n in coarse], indexing="ij"), axis=-1)
    index = middle.reshape(-1, 3) * _COARSE + (_COARSE - 1) / 2
    reach = 0.75 * _COARSE * float(np.linalg.norm(grid.voxel_nm))
    close = (shape.signed_distance_nm(grid.to_xyz_nm(index)) < reach).reshape(coarse)
    for axis in range(3):
        close = close.repeat(_COARSE, axis=axis)
    return np.ascontiguousarray(close[tuple(slice(n) for n in grid.shape)]).ravel()


def simulated_pair(
    seed: int,
    *,
    mode: str = "counts",
    length_nm: float = 5000.0,
    voxel_nm: float | tuple[float, float, float] = 40.0,
    shape: Shape | None = None,
    label: str = "membrane",
    density_per_um2: float | None = None,
    psf_nm: float = 60.0,
) -> VolumePair:
    """Simulate a dendrite and give it as voxels with the truth.

    Parameters
    ----------
    seed : int
        Everything not given is drawn from it: calibre, spines, density, precision, background.
    mode : str
        `counts` of localizations on the label, or `filled`: the volume as a cytosolic dye and a
        light microscope would show it (blurred by `psf_nm`, with Poisson noise).
    length_nm : float
        Of the dendrite.
    voxel_nm : float or tuple of float
        Edge of the voxels, or z, y, x.
    shape : Shape, optional
        Taken instead of a random dendrite.
    label : str
        membrane or filled, for `counts`.
    density_per_um2 : float, optional
        Of fluorophores on the membrane; drawn from 300 to 2000 when not given.
    psf_nm : float
        Standard deviation of the blur of `filled`.

    Returns
    -------
    VolumePair

    Examples
    --------
    >>> pair = simulated_pair(3, length_nm=2000, voxel_nm=80)
    >>> pair.image.shape == pair.labels.shape
    True
    """
    from nanospine.simulate.dendrites import dendrite
    from nanospine.simulate.labelling import localize

    if mode not in ("counts", "filled"):
        raise ConfigError(f"simulated_pair: mode of counts or filled was expected, found {mode!r}.")
    draw = np.random.default_rng([seed, 8])
    density = float(np.exp(draw.uniform(np.log(300), np.log(2000))))
    density = density if density_per_um2 is None else density_per_um2
    shaft_nm, per_um = float(draw.uniform(500, 1100)), float(draw.uniform(0.8, 1.8))
    precision, background = float(draw.uniform(5, 20)), float(draw.uniform(0.01, 0.08))
    if shape is None:
        shape = dendrite(
            length_nm, spines_per_um=per_um, shaft_diameter_nm=shaft_nm, seed=seed, voxel_nm=30.0
        )
    low, high = shape.bounds_nm
    low, high = low - _MARGIN_NM, high + _MARGIN_NM
    voxel = np.broadcast_to(np.asarray(voxel_nm, dtype=np.float64), (3,))
    size = np.maximum(np.ceil((high - low)[::-1] / voxel).astype(int), 8)
    empty = VoxelGrid(np.zeros(tuple(size), dtype=np.float32), voxel, low[::-1] + voxel / 2)
    labels = truth_labels(shape, empty)
    if mode == "filled":
        signal = ndimage.gaussian_filter((labels > 0).astype(np.float64), psf_nm / voxel)
        counts = draw.poisson(2.0 + 100.0 * signal).astype(np.float32)
    else:
        # The mesh alone: with the shape the truth of every spine would be measured as well.
        locs = localize(
            shape.mesh,
            label=label,
            density_per_um2=density,
            precision_xy_nm=precision,
            precision_z_nm=2 * precision,
            background_fraction=background,
            seed=seed,
        )
        counts = count_image(locs.xyz_nm, empty)
    return VolumePair(empty.with_data(counts), empty.with_data(labels), seed)


def count_image(xyz_nm: FloatArray, grid: VoxelGrid) -> npt.NDArray[np.float32]:
    """Count points in the voxels of a grid; points beyond it are left out."""
    index = np.floor(grid.to_index(xyz_nm) + 0.5).astype(np.int64)
    index = index[((index >= 0) & (index < grid.shape)).all(axis=1)]
    flat = np.ravel_multi_index(tuple(index.T), grid.shape)
    counts = np.bincount(flat, minlength=int(np.prod(grid.shape)))
    return counts.reshape(grid.shape).astype(np.float32)

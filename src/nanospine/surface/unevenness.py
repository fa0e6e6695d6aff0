"""How dense the label is from place to place, and which localizations belong to no label.

Strategy: space is cut into voxels, and three voxels a side make a cell. What counts is how many
voxels of a cell and of its 26 neighbours hold localizations, not how many localizations: the
repeats of one molecule lie in one or two voxels. Voxels are made as small as leaves a localization
in the usual place some occupied ones around it; where the label is sparser, coarser ones are taken.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["label_scale", "scattered", "usual_voxel_nm"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Occupied voxels in the cell of the usual localization, of 9 that a sheet can have.
_IN_CELL = 5
# Occupied voxels in 27 cells that measure a density; fewer ask for coarser voxels.
_ENOUGH = 30
# A group of cells with fewer occupied voxels is no label.
_FEW = 10
# Fewer localizations than this tell nothing of what is usual.
_LEAST = 500
# Of so many localizations this part may be scattered; else nothing is: the label is that sparse.
_MOST = 0.5
# Differences up to the first factor are chance, or the shape of the sample; beyond the second none.
_CHANCE, _SURE = 1.35, 1.75
# Beyond this factor the scale does not follow the density. What is sparser than usual is hard to
# tell from background, around which larger spheres would make bodies.
_FINEST_SCALE = 1.0 / 3.0
# Most cells along an axis: their numbers must not overflow.
_FINEST = 2**20
# Coarse voxels are judged by some so many of the points.
_FEW_POINTS = 50_000


class _Cells(NamedTuple):
    """Occupied cells of three voxels a side."""

    voxel_nm: float
    #: number of each cell, rising
    key: IntArray
    #: occupied voxels in each
    occupied: IntArray
    #: the cell of each localization
    of: IntArray
    #: cells along z, and along y and z
    strides: tuple[int, int]


def scattered(
    points: FloatArray, noise_nm: float = 0.0, usual_nm: float | None = None
) -> BoolArray:
    """Tell which localizations lie apart from all label, shape (n,).

    Cells that touch make groups; localizations in a group of fewer than 10 occupied voxels are
    scattered. Background close to the label hangs together with it, and is not told apart.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Nanometres.
    noise_nm : float
        Precision: voxels are not finer than half of it.
    usual_nm : float, optional
        What :func:`usual_voxel_nm` gave for them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ball = rng.normal(size=(4000, 3))
    >>> ball *= 300 / np.linalg.norm(ball, axis=1, keepdims=True)
    >>> background = rng.uniform(-1000, 1000, (100, 3))
    >>> found = scattered(np.concatenate([ball, background]))
    >>> int(found[:4000].sum()), bool(found[4000:].mean() > 0.8)
    (0, True)
    """
    nothing = np.zeros(len(points), dtype=bool)
    if len(points) < _LEAST:
        return nothing
    # a step finer than for densities: less background reaches the label
    usual_nm = usual_voxel_nm(points) if usual_nm is None else usual_nm
    cells = _cells(points, max(usual_nm / np.sqrt(2.0), 0.5 * noise_nm), _bounds(points))
    part = _parts(cells.key, *cells.strides)
    few = np.bincount(part, cells.occupied)[part] < _FEW
    found = few[cells.of]
    return found if found.mean() <= _MOST else nothing


def label_scale(
    points: FloatArray, label: str, noise_nm: float = 0.0, usual_nm: float | None = None
) -> FloatArray:
    """Give how far apart the label is at each localization, over what is usual; shape (n,).

    The spacing is the side of 27 cells over the root (square root of a membrane, cube root of a
    volume) of the number of occupied voxels in them, at the densest of the cells around.
    Differences below a factor of 1.35 are taken for chance (1 is given), those above 1.75 are not,
    down to a third; what is sparser than usual is left at 1, as it is hard to tell from background.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Nanometres.
    label : {"membrane", "filled"}
    noise_nm : float
        Precision: voxels are not finer than half of it, or the tails of the noise would count as a
        sparser label.
    usual_nm : float, optional
        What :func:`usual_voxel_nm` gave for them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sheet = rng.uniform(0, 1000, (40_000, 3)) * [2, 1, 0.01]
    >>> sheet = sheet[(sheet[:, 0] > 1900) | (rng.random(40_000) < 0.15)]
    >>> scale = label_scale(sheet, "membrane")
    >>> np.round([np.median(scale[sheet[:, 0] < 1800]), np.median(scale[sheet[:, 0] > 1950])], 1)
    array([1. , 0.4])
    """
    if len(points) < _LEAST:
        return np.ones(len(points))
    usual_nm = max(usual_voxel_nm(points) if usual_nm is None else usual_nm, 0.5 * noise_nm)
    bounds = _bounds(points)
    power = 2.0 if label == "membrane" else 3.0
    spacing = np.full(len(points), np.nan)
    for factor in (0.5, 1.0, 2.0, 4.0):
        if factor * usual_nm < 0.5 * noise_nm:
            continue
        cells = _cells(points, factor * usual_nm, bounds)
        # the densest of the cells around: noise's tails and background beside a label are as
        # dense as the label
        total = _around(cells.key, cells.occupied, *cells.strides, False)
        total = _around(cells.key, total, *cells.strides, True)[cells.of]
        new = np.isnan(spacing) & ((total >= _ENOUGH) | (factor == 4.0))
        spacing[new] = 9.0 * cells.voxel_nm / total[new] ** (1.0 / power)
    off = np.log(spacing / np.median(spacing))
    sure = (np.abs(off) - np.log(_CHANCE)) / np.log(_SURE / _CHANCE)
    scale = np.exp(off * np.clip(sure, 0.0, 1.0))
    return np.asarray(np.clip(scale, _FINEST_SCALE, 1.0))


def usual_voxel_nm(points: FloatArray) -> float:
    """Give the side of the finest voxels, by steps of the root of two, that are occupied enough."""
    bounds = _bounds(points)
    widest = float((bounds[1] - bounds[0]).max())
    voxel_nm = widest / 12.0 or 1.0
    if len(points) > 2 * _FEW_POINTS:
        # where some of the points occupy enough, all do
        some = np.ascontiguousarray(points[:: len(points) // _FEW_POINTS])
        voxel_nm = _finest(some, bounds, voxel_nm, coarse=True)
    return _finest(points, bounds, voxel_nm, coarse=False)


def _finest(
    points: FloatArray, bounds: tuple[FloatArray, FloatArray], voxel_nm: float, *, coarse: bool
) -> float:
    """Make voxels finer while they stay occupied enough; coarse: while steps of two can be made."""
    widest = float((bounds[1] - bounds[0]).max())
    occupied = _occupied_about(points, voxel_nm, bounds)
    while True:
        # while voxels are fully occupied they can shrink by more than a step
        step = 2.0 if occupied > 4 * _IN_CELL else np.sqrt(2.0)
        finer = voxel_nm / step
        if (coarse and step < 2.0) or widest > _FINEST * finer:
            return voxel_nm
        occupied = _occupied_about(points, finer, bounds)
        if occupied < _IN_CELL:
            return voxel_nm
        voxel_nm = finer


def _occupied_about(
    points: FloatArray, voxel_nm: float, bounds: tuple[FloatArray, FloatArray]
) -> float:
    """Occupied voxels in the cell of the usual localization."""
    cells = _cells(points, voxel_nm, bounds)
    return float(np.median(cells.occupied[cells.of]))


def _bounds(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    # column by column: along the short axis numpy takes ten times as long
    columns = [np.ascontiguousarray(column) for column in points.T]
    return np.array([c.min() for c in columns]), np.array([c.max() for c in columns])


def _cells(points: FloatArray, voxel_nm: float, bounds: tuple[FloatArray, FloatArray]) -> _Cells:
    low, high = bounds
    # one empty cell on every side, so that neighbours are neighbours by number
    size = (np.floor((high - low) / voxel_nm).astype(np.int64) + 9) // 3 + 1
    strides = (int(size[2]), int(size[1] * size[2]))
    voxel, cell = _numbers(points, low, voxel_nm, *strides)
    order = np.argsort(voxel, kind="stable")
    key, count, of = _occupied(voxel[order], cell[order], order)
    return _Cells(voxel_nm, key, count, of, strides)


@njit(cache=True)
def _numbers(points, low, voxel_nm, along_z, along_yz):
    """Number of the cell, and of the voxel so that those of a cell follow each other."""
    n = points.shape[0]
    voxels = np.empty(n, dtype=np.int64)
    cells = np.empty(n, dtype=np.int64)
    for i in range(n):
        x = np.int64((points[i, 0] - low[0]) / voxel_nm) + 3
        y = np.int64((points[i, 1] - low[1]) / voxel_nm) + 3
        z = np.int64((points[i, 2] - low[2]) / voxel_nm) + 3
        cells[i] = (x // 3) * along_yz + (y // 3) * along_z + z // 3
        voxels[i] = cells[i] * 27 + (x % 3) * 9 + (y % 3) * 3 + z % 3
    return voxels, cells


@njit(cache=True)
def _occupied(voxel, cell, order):
    """Cells in rising order, their occupied voxels, and the cell of every localization."""
    n = voxel.shape[0]
    key = np.empty(n, dtype=np.int64)
    count = np.zeros(n, dtype=np.int64)
    of = np.empty(n, dtype=np.int64)
    last = -1
    for i in range(n):
        if i == 0 or cell[i] != cell[i - 1]:
            last += 1
            key[last] = cell[i]
        if i == 0 or voxel[i] != voxel[i - 1]:
            count[last] += 1
        of[order[i]] = last
    return key[: last + 1].copy(), count[: last + 1].copy(), of


@njit(cache=True)
def _around(key, count, along_z, along_yz, largest):
    """Sum of the counts in each cell and its 26 neighbours, or the largest of them."""
    n = key.shape[0]
    found = np.zeros(n, dtype=np.int64)
    for dx in range(-1, 2):
        for dy in range(-1, 2):
            at = 0  # keys rise, and so do those of the neighbours: one walk along the list
            for c in range(n):
                first = key[c] + dx * along_yz + dy * along_z - 1
                while at < n and key[at] < first:
                    at += 1
                other = at
                while other < n and key[other] <= first + 2:
                    found[c] = max(found[c], count[other]) if largest else found[c] + count[other]
                    other += 1
    return found


@njit(cache=True)
def _root(parent, c):
    while parent[c] != c:
        parent[c] = parent[parent[c]]
        c = parent[c]
    return c


@njit(cache=True)
def _parts(key, along_z, along_yz):
    """Number the groups of cells that touch in a face, an edge or a corner."""
    n = key.shape[0]
    parent = np.arange(n)
    for dx in range(-1, 1):
        for dy in range(-1, 2):
            at = 0
            for c in range(n):
                first = key[c] + dx * along_yz + dy * along_z - 1
                while at < n and key[at] < first:
                    at += 1
                other = at
                while other < n and key[other] <= first + 2:
                    a, b = _root(parent, c), _root(parent, other)
                    parent[max(a, b)] = min(a, b)
                    other += 1
    for c in range(n):
        parent[c] = _root(parent, c)
    return parent

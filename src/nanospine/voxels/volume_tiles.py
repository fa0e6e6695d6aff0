"""Fields larger than memory, tile by tile into OME-Zarr."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.files_zarr import (
    block_means,
    coarser,
    describe,
    level_entry,
    new_array,
    open_group,
)
from nanospine.voxels.sidecar import Sidecar, save_sidecar
from nanospine.voxels.volume_files import new_folder
from nanospine.voxels.voxelize import VoxelTile

__all__ = ["write_volume_tiles"]

IntArray = npt.NDArray[np.int64]

_SLAB_BYTES = 256_000_000
_BLOCK = (128, 256, 256)  # of a level; eight times as many voxels of the one before


def write_volume_tiles(
    tiles: Iterable[VoxelTile], path: str | os.PathLike[str], *, version: str = "0.5"
) -> Path:
    """Write the tiles of a field to OME-Zarr, with its pyramid and its sidecar.

    The files are those that :func:`write_volume` writes of the whole field, but no more than a tile
    is held in memory. Chunks without a localization take no space.

    Parameters
    ----------
    tiles : iterable of VoxelTile
        Of one field, all of it, as :func:`voxel_tiles` gives them.
    path : path-like
        Ends in .zarr.
    version : str
        Of NGFF: 0.5 or 0.4.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ConfigError
        When zarr is not installed, or the name is not that of a zarr.
    GeometryError
        When there are no tiles, or they do not make up one field.
    WriteError
        When the folder cannot be written.

    Examples
    --------
    With the extra `volumes` (OME-Zarr is written by zarr)::

        tiles = voxel_tiles(locs, 10.0, tile=(128, 128, 128))
        write_volume_tiles(tiles, "cell.ome.zarr")
        grid = read_volume("cell.ome.zarr")
    """
    place = Path(path)
    if place.suffix != ".zarr" or version not in ("0.5", "0.4"):
        raise ConfigError(
            "write_volume_tiles: a name that ends in .zarr, and version 0.5 or 0.4, were expected, "
            f"found {place.name} and {version}."
        )
    rest = iter(tiles)
    first = next(rest, None)
    if first is None:
        raise GeometryError("write_volume_tiles: there are no tiles.")
    voxel = first.grid.voxel_nm
    origin = first.grid.origin_nm - np.array(first.start) * voxel
    with new_folder(place) as temporary:
        group = open_group(temporary, version)
        finest = _finest(group, itertools.chain([first], rest), version)
        datasets, factors, shift = [level_entry(0, voxel, origin)], np.ones(3), np.zeros(3)
        level = finest
        while (step := coarser(level.shape)) is not None:
            shift = shift + factors * (step - 1) / 2
            factors = factors * step
            number = len(datasets)
            level = _next_level(group, number, level, step, version)
            datasets.append(level_entry(number, voxel * factors, origin + voxel * shift))
        describe(group, place.name, datasets, version)
        digest, kind, shape = _digest(finest), str(finest.dtype), tuple(finest.shape)
    save_sidecar(place, Sidecar(shape, voxel, origin, digest), kind)
    return place


def _finest(group: Any, tiles: Iterator[VoxelTile], version: str) -> Any:
    """Write tiles into the finest level, and see that they fill it."""
    array, filled = None, 0
    for tile in tiles:
        data = tile.grid.data
        if data.dtype.kind == "b":
            data = data.astype(np.uint8)
        if array is None:
            shape = tile.field_shape
            planes = max(_SLAB_BYTES // (shape[1] * shape[2] * data.dtype.itemsize), 1)
            # The digest reads whole planes: chunks as thick as memory allows, whole in every tile
            thick = min(128, 1 << (planes.bit_length() - 1))
            array = new_array(group, 0, shape, data.dtype, version, thick)
        if tuple(array.shape) != tile.field_shape:
            raise GeometryError(
                f"write_volume_tiles: tiles of one field of {tuple(array.shape)} voxels were "
                f"expected, found one of {tile.field_shape}."
            )
        if data.any():
            array[tile.slices] = data
        filled += data.size
    assert array is not None
    if filled != math.prod(array.shape):
        raise GeometryError(
            f"write_volume_tiles: tiles for {math.prod(array.shape)} voxels were expected, found "
            f"{filled}."
        )
    return array


def _next_level(group: Any, number: int, fine: Any, step: IntArray, version: str) -> Any:
    """Means of blocks of the level before, a block at a time."""
    shape = tuple(-(-size // int(n)) for size, n in zip(fine.shape, step, strict=True))
    array = new_array(group, number, shape, fine.dtype, version)
    starts = [range(0, size, most) for size, most in zip(shape, _BLOCK, strict=True)]
    for corner in itertools.product(*starts):
        ends = [min(c + most, size) for c, most, size in zip(corner, _BLOCK, shape, strict=True)]
        source = tuple(
            slice(c * int(n), min(e * int(n), size))
            for c, e, n, size in zip(corner, ends, step, fine.shape, strict=True)
        )
        part = np.asarray(fine[source])
        if part.any():
            array[tuple(map(slice, corner, ends))] = block_means(part, step)
    return array


def _digest(array: Any) -> str:
    """The digest that :func:`array_sha256` gives of the whole, slab by slab."""
    found = hashlib.sha256()
    planes = array.chunks[0]
    for z in range(0, array.shape[0], planes):
        slab = np.asarray(array[z : z + planes])
        little = np.ascontiguousarray(slab, dtype=slab.dtype.newbyteorder("<"))
        found.update(little.view(np.uint8).reshape(-1).data)
    return found.hexdigest()

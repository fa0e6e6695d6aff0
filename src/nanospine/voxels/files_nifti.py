"""NIfTI-1, and NIfTI-2 where the single precision of NIfTI-1 cannot hold the origin."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, ReadError, WriteError
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.raw_volume import RawVolume, check_declared

__all__ = ["read_nifti", "write_nifti"]

_NM = {"micron": 1e3, "mm": 1e6, "meter": 1e9}
_WORST = 0.002  # voxels, that rounding to single precision may move a corner


def write_nifti(path: Path, volume: RawVolume) -> npt.NDArray[Any]:
    """Write NIfTI in µm; give the array as it was stored.

    x, y, z are NIfTI's right, anterior, superior; ITK shows x and y with the other sign.
    """
    nibabel = _nibabel()
    data = volume.data
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif data.dtype.kind in "iu" and data.dtype.itemsize == 8:
        if int(data.max(initial=0)) > np.iinfo(np.int32).max or int(data.min(initial=0)) < -(2**31):
            raise WriteError(f"{path}: NIfTI is written with whole numbers of 32 bits.")
        data = data.astype(np.int32)
    affine = VoxelGrid(data, *volume.geometry).affine / 1e3
    affine[3, 3] = 1.0
    last = np.array(data.shape[::-1]) - 1
    single = affine.astype(np.float32).astype(np.float64)
    move = np.abs((single - affine)[:3, 3]) + np.abs(np.diag(single - affine)[:3]) * last
    kind = (
        nibabel.Nifti1Image if (move / np.diag(affine)[:3]).max() < _WORST else nibabel.Nifti2Image
    )
    image = kind(data.T, affine)
    image.header.set_xyzt_units("micron")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nibabel.save(image, path)
    return data


def read_nifti(path: Path) -> RawVolume:
    """Read NIfTI-1 or -2; axes that are turned or mirrored are refused."""
    nibabel = _nibabel()
    try:
        image = nibabel.load(path)
        # Voxels as stored where the file has no scaling: labels stay whole numbers.
        check_declared(image.shape, image.get_data_dtype().itemsize, path)
        data = np.asarray(image.dataobj)
        unit = image.header.get_xyzt_units()[0]
        affine = np.asarray(image.affine, dtype=np.float64)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise ReadError(f"{path}: cannot be read as NIfTI: {error}.") from error
    if data.ndim != 3:
        raise ReadError(f"{path}: three axes were expected, found shape {data.shape}.")
    matrix = affine[:3, :3]
    if (
        np.abs(matrix - np.diag(np.diag(matrix))).max() > 1e-6 * np.abs(matrix).max()
        or (np.diag(matrix) <= 0).any()
    ):
        raise ReadError(f"{path}: axes that are turned or mirrored are not supported.")
    if unit not in _NM:
        return RawVolume(np.ascontiguousarray(data.T))
    scale = _NM[unit]
    voxel, origin = np.diag(matrix)[::-1] * scale, affine[2::-1, 3] * scale
    return RawVolume(np.ascontiguousarray(data.T), voxel.copy(), origin.copy())


def _nibabel() -> Any:
    try:
        return importlib.import_module("nibabel")
    except ImportError as error:
        raise ConfigError("NIfTI: nibabel is not installed; install nanospine[volumes].") from error

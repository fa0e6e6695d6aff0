"""OME-Zarr (NGFF 0.5 and 0.4): arrays by zarr, the metadata written here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, ReadError
from nanospine.voxels.raw_volume import RawVolume

__all__ = ["read_ome_zarr", "write_ome_zarr"]

_NM = {"nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6, "meter": 1e9, "angstrom": 0.1}


def write_ome_zarr(path: Path, volume: RawVolume, *, version: str = "0.5") -> npt.NDArray[Any]:
    """Write a folder of OME-Zarr with one level; give the array as it was stored.

    Scale and translation are in nm; the translation is the centre of voxel 0, as NGFF has it.
    """
    zarr = _zarr()
    data = volume.data.astype(np.uint8) if volume.data.dtype.kind == "b" else volume.data
    voxel, origin = volume.geometry
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    chunks = tuple(min(size, 128) for size in data.shape)
    options: dict[str, Any] = (
        {} if version == "0.5" else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    )
    if version == "0.5":
        options["dimension_names"] = ["z", "y", "x"]
    array = group.create_array("0", shape=data.shape, dtype=data.dtype, chunks=chunks, **options)
    array[...] = data
    multiscale = {
        "name": path.name.removesuffix(".zarr").removesuffix(".ome"),
        "axes": [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": voxel.tolist()},
                    {"type": "translation", "translation": origin.tolist()},
                ],
            }
        ],
    }
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    else:
        group.attrs["multiscales"] = [{**multiscale, "version": "0.4"}]
    return data


def read_ome_zarr(path: Path, channel: int | None = None) -> RawVolume:
    """Read the finest level of an image of OME-Zarr 0.4 or 0.5."""
    zarr = _zarr()
    try:
        group = zarr.open_group(path, mode="r")
        attributes = dict(group.attrs)
        multiscale = attributes.get("ome", attributes)["multiscales"][0]
        level = multiscale["datasets"][0]
        data = np.asarray(group[level["path"]][...])
        names = [axis["name"] for axis in multiscale["axes"]]
        units = [axis.get("unit", "") for axis in multiscale["axes"]]
        scale, shift = np.ones(len(names)), np.zeros(len(names))
        steps = level["coordinateTransformations"] + multiscale.get("coordinateTransformations", [])
        for step in steps:
            if step["type"] == "scale":
                scale, shift = scale * step["scale"], shift * step["scale"]
            elif step["type"] == "translation":
                shift = shift + step["translation"]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ReadError(f"{path}: cannot be read as OME-Zarr: {error!r}.") from error
    for axis in reversed(range(len(names))):
        if names[axis] not in ("z", "y", "x"):
            if data.shape[axis] > 1 and channel is None:
                raise ReadError(f"{path}: axis {names[axis]} has {data.shape[axis]} entries; "
                                "give channel=0, 1, ...")  # fmt: skip
            data = np.take(data, channel or 0, axis=axis)
    keep = [names.index(name) for name in "zyx" if name in names]
    if len(keep) != 3 or data.ndim != 3:
        raise ReadError(f"{path}: axes z, y and x were expected, found {names}.")
    factors = [_NM.get(units[axis], np.nan) for axis in keep]
    voxel, origin = scale[keep] * factors, shift[keep] * factors
    known = bool(np.isfinite(voxel).all())
    return RawVolume(data, voxel if known else None, origin if known else None)


def _zarr() -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise ConfigError("OME-Zarr: zarr is not installed; install nanospine[volumes].") from error

"""Imaris 5.5 files (HDF5), experimental: written by the published layout, not opened in Imaris."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError, WriteError
from nanospine.io.safe_files import open_source
from nanospine.io.safe_hdf5 import open_hdf5
from nanospine.voxels.raw_volume import RawVolume, check_declared

__all__ = ["read_ims", "write_ims"]

_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "mm": 1e6, "m": 1e9}
_ENDS = ("Min", "Max")


def write_ims(path: Path, volume: RawVolume) -> npt.NDArray[Any]:
    """Write one level, channel and time point, in µm; give the array as it was stored.

    Imaris keeps the outer faces of the volume, half a voxel beyond the centres of the outermost
    voxels.
    """
    import h5py

    data = _storable(volume.data, path)
    voxel, origin = (item / 1e3 for item in volume.geometry)
    low, high = origin - voxel / 2, origin + voxel * (np.array(data.shape) - 0.5)
    with h5py.File(path, "w") as out:
        for name, value in (
            ("ImarisDataSet", "ImarisDataSet"), ("ImarisVersion", "5.5.0"),
            ("DataSetDirectoryName", "DataSet"), ("DataSetInfoDirectoryName", "DataSetInfo"),
            ("ThumbnailDirectoryName", "Thumbnail"),
        ):  # fmt: skip
            out.attrs[name] = _characters(value)
        out.attrs["NumberOfDataSets"] = np.array([1], dtype=np.uint32)
        channel = out.create_group("DataSet/ResolutionLevel 0/TimePoint 0/Channel 0")
        chunks = tuple(min(n, 64) for n in data.shape)
        channel.create_dataset("Data", data=data, chunks=chunks, compression="gzip")
        top = float(data.max(initial=0)) or 1.0
        histogram, _ = np.histogram(data, bins=256, range=(0.0, top))
        channel.create_dataset("Histogram", data=histogram.astype(np.uint64))
        channel.attrs["HistogramMin"] = _characters("0.000")
        channel.attrs["HistogramMax"] = _characters(f"{top:.3f}")
        image = out.create_group("DataSetInfo/Image")
        for axis, name in enumerate("ZYX"):
            channel.attrs[f"ImageSize{name}"] = _characters(str(data.shape[axis]))
            image.attrs[name] = _characters(str(data.shape[axis]))
            image.attrs[f"ExtMin{2 - axis}"] = _characters(repr(float(low[axis])))
            image.attrs[f"ExtMax{2 - axis}"] = _characters(repr(float(high[axis])))
        image.attrs["Unit"] = _characters("um")
        info = out.create_group("DataSetInfo/Channel 0")
        info.attrs["Name"], info.attrs["Color"] = _characters("Channel 0"), _characters("1 1 1")
        info.attrs["ColorRange"] = _characters(f"0.000 {top:.3f}")
        time = out.create_group("DataSetInfo/TimeInfo")
        time.attrs["DatasetTimePoints"] = time.attrs["FileTimePoints"] = _characters("1")
        time.attrs["TimePoint1"] = _characters("2000-01-01 00:00:00.000")
    return data


def read_ims(path: Path, channel: int | None = None) -> RawVolume:
    """Read the finest level of one channel, first time point."""
    time = "DataSet/ResolutionLevel 0/TimePoint 0"
    with open_hdf5(open_source(path)) as held:
        if len(held.names(time)) > 1 and channel is None:
            raise ReadError(f"{path}: {len(held.names(time))} channels; give channel=0, 1, ...")
        group = f"{time}/Channel {channel or 0}"
        kind = held.dtype(f"{group}/Data")
        check_declared(held.shape(f"{group}/Data") or (), kind.itemsize if kind else 1, path)
        data = held.array(f"{group}/Data")
        image = {
            name: _text(held.attribute("DataSetInfo/Image", name))
            for name in ("X", "Y", "Z", "Unit", *(f"Ext{end}{n}" for end in _ENDS for n in "012"))
        }
        # Blocks are padded: what is the image is said beside it.
        said = [_text(held.attribute(group, f"ImageSize{n}")) or image[n] for n in "ZYX"]
    try:
        size = [int(n) for n in said]
        low, high = (
            np.array([float(image[f"Ext{end}{axis}"]) for axis in (2, 1, 0)]) for end in _ENDS
        )
    except ValueError as error:
        raise ReadError(f"{path}: cannot be read as an Imaris file: {error}.") from error
    if data.ndim != 3 or min(size) < 1 or any(a > b for a, b in zip(size, data.shape, strict=True)):
        raise ReadError(
            f"{path}: says an image of {size} voxels and holds {list(data.shape)}; the file is "
            "damaged. Export it again."
        )
    data = data[: size[0], : size[1], : size[2]].copy()
    voxel = (high - low) / np.array(data.shape) * _NM.get(image["Unit"], np.nan)
    if not np.isfinite(voxel).all():
        return RawVolume(data)
    return RawVolume(data, voxel, low * _NM[image["Unit"]] + voxel / 2)


def _storable(data: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    """Imaris has uint8, uint16, uint32 and float32."""
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if data.dtype.kind == "f":
        return data.astype(np.float32)
    if int(data.min(initial=0)) < 0 or int(data.max(initial=0)) > 2**32 - 1:
        raise WriteError(f"{path}: Imaris files hold whole numbers from 0 to 4294967295.")
    return data.astype(np.min_scalar_type(int(data.max(initial=0))))


def _characters(text: str) -> npt.NDArray[Any]:
    return np.array(list(text), dtype="S1")


def _text(value: Any) -> str:
    """Characters, one by one or as one text; empty where there are none."""
    return "".join(value) if isinstance(value, list | str) else ""

"""ImageJ TIFF and OME-TIFF: voxel size and origin in the places that those programs read."""

from __future__ import annotations

import importlib
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, ReadError, WriteError
from nanospine.core.tiff_pages import check_strips, check_tiff_pages
from nanospine.voxels.raw_volume import RawVolume, check_declared

__all__ = ["need_tifffile", "pixels_per_um", "read_tiff", "write_imagej", "write_ome_tiff"]

_NM = {
    "nm": 1.0, "nanometer": 1.0, "um": 1e3, "µm": 1e3, "μm": 1e3, "\\u00b5m": 1e3, "micron": 1e3,
    "microns": 1e3, "micrometer": 1e3, "mm": 1e6, "cm": 1e7, "m": 1e9, "inch": 2.54e7,
}  # fmt: skip


def need_tifffile(what: str) -> Any:
    """Load tifffile, or say how to get it."""
    try:
        return importlib.import_module("tifffile")
    except ImportError as error:
        raise ConfigError(
            f"{what}: tifffile is not installed; install nanospine[volumes]."
        ) from error


def pixels_per_um(voxel_nm: npt.ArrayLike) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give pixels per micrometre along x and y as the nearest fractions of 32 bits.

    Only the newest tifffile finds the nearest one to a floating-point number.

    Examples
    --------
    >>> pixels_per_um([33.3, 10.7, 11.9])     # voxels along z, y and x
    ((10000, 119), (10000, 107))
    """
    most = 2**32 - 1
    found = []
    for nm in np.asarray(voxel_nm, dtype=np.float64)[:0:-1]:
        per_um = 1000 / Fraction(float(nm))
        small = per_um.limit_denominator(max(min(most, int(most / per_um)), 1))
        found.append((min(max(small.numerator, 1), most), small.denominator))
    return found[0], found[1]


def write_imagej(path: Path, volume: RawVolume) -> npt.NDArray[Any]:
    """Write an ImageJ stack; give the array as it was stored (uint8, uint16 or float32).

    The origin goes where ImageJ keeps it: in voxels, x = (i - xorigin) * width.
    """
    data = _for_imagej(volume.data, path)
    voxel, first = volume.geometry
    um = voxel / 1e3
    origin = -first / voxel
    need_tifffile("ImageJ TIFF").imwrite(
        path,
        data,
        imagej=True,
        photometric="minisblack",  # three or four columns are no colours
        resolution=pixels_per_um(voxel),
        metadata={
            "axes": "ZYX",
            "spacing": float(um[0]),
            "unit": "micron",
            "xorigin": float(origin[2]),
            "yorigin": float(origin[1]),
            "zorigin": float(origin[0]),
        },
    )
    return data


def write_ome_tiff(path: Path, volume: RawVolume) -> npt.NDArray[Any]:
    """Write OME-TIFF, the position of each plane included; give the array as it was stored."""
    data = volume.data
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    if data.dtype.itemsize == 8 and data.dtype.kind in "iu":
        data = _narrowed(data, path)
    um, at = (item / 1e3 for item in volume.geometry)
    planes = data.shape[0]
    metadata: dict[str, Any] = {"axes": "ZYX", "Plane": {}}
    for axis, name in enumerate("ZYX"):
        metadata[f"PhysicalSize{name}"] = float(um[axis])
        metadata[f"PhysicalSize{name}Unit"] = "µm"
        place = at[axis] + (um[axis] * np.arange(planes) if name == "Z" else np.zeros(planes))
        metadata["Plane"][f"Position{name}"] = place.tolist()
        metadata["Plane"][f"Position{name}Unit"] = ["µm"] * planes
    need_tifffile("OME-TIFF").imwrite(
        path, data, ome=True, photometric="minisblack", metadata=metadata
    )
    return data


def read_tiff(path: Path, channel: int | None = None) -> RawVolume:
    """Read a stack of any TIFF; geometry from ImageJ's or OME's metadata, if it has them."""
    tifffile = need_tifffile("TIFF")
    try:
        check_tiff_pages(path)
        with tifffile.TiffFile(path) as tif:
            series = tif.series[0]
            check_declared(series.shape, series.dtype.itemsize, path)
            check_strips(series, path)
            data = _as_zyx(series.asarray(), series.axes, channel, path)
            geometry = _ome(tif) if tif.is_ome else _imagej(tif) if tif.is_imagej else None
    except (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError) as error:
        raise ReadError(f"{path}: cannot be read as TIFF: {error}.") from error
    voxel, origin = geometry or (None, None)
    return RawVolume(data, voxel, origin)


def _as_zyx(data: npt.NDArray[Any], axes: str, channel: int | None, path: Path) -> npt.NDArray[Any]:
    """Bring any series to z, y, x; other axes need to be chosen from."""
    names = list(axes.upper())
    for other in [name for name in names if name in "CST" and names.count(name) == 1]:
        axis = names.index(other)
        if data.shape[axis] > 1 and (channel is None or other == "T"):
            raise ReadError(
                f"{path}: one channel was expected, found axes {axes} of shape {data.shape}; "
                "give channel=0, 1, ... (or one time point in a file of its own)."
            )
        data = np.take(data, (channel or 0) if other != "T" else 0, axis=axis)
        names.pop(axis)
    if data.ndim == 2:
        data = data[None]
    if data.ndim != 3:
        raise ReadError(f"{path}: a stack (z, y, x) was expected, found {axes} {data.shape}.")
    return data


def _imagej(tif: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    meta = tif.imagej_metadata or {}
    scale = _NM.get(str(meta.get("unit", "")).strip())
    tags = tif.pages[0].tags
    if scale is None or "XResolution" not in tags or "YResolution" not in tags:
        return None
    per_x, per_y = (tags[name].value for name in ("XResolution", "YResolution"))
    if not (per_x[0] and per_y[0]):
        return None
    depth = float(meta.get("spacing", per_x[1] / per_x[0]))
    voxel = np.array([depth, per_y[1] / per_y[0], per_x[1] / per_x[0]]) * scale
    first = np.array([float(meta.get(f"{axis}origin", 0.0)) for axis in "zyx"])
    return voxel, -first * voxel


def _ome(tif: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    root = ElementTree.fromstring(tif.ome_metadata)
    pixels = next((item for item in root.iter() if item.tag.endswith("}Pixels")), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    plane = next((item for item in pixels if item.tag.endswith("}Plane")), None)
    voxel, origin = np.zeros(3), np.zeros(3)
    for axis, name in enumerate("ZYX"):
        size = float(pixels.get(f"PhysicalSize{name}", pixels.attrib["PhysicalSizeX"]))
        voxel[axis] = size * _NM.get(pixels.get(f"PhysicalSize{name}Unit", "µm"), np.nan)
        if plane is not None and f"Position{name}" in plane.attrib:
            unit = _NM.get(plane.get(f"Position{name}Unit", "µm"), np.nan)
            origin[axis] = float(plane.attrib[f"Position{name}"]) * unit
    return (voxel, origin) if np.isfinite(voxel).all() and np.isfinite(origin).all() else None


def _for_imagej(data: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    """Give values in a type that ImageJ has, without changing any."""
    if data.dtype.kind in "b" or data.dtype in (np.uint8, np.uint16):
        return data.astype(np.uint8) if data.dtype.kind == "b" else data
    if data.dtype.kind in "iu":
        low, high = int(data.min(initial=0)), int(data.max(initial=0))
        if low >= 0 and high <= 65535:
            return data.astype(np.uint16)
        if max(-low, high) <= 2**24:
            return data.astype(np.float32)
        raise WriteError(
            f"{path}: ImageJ TIFF holds whole numbers to 65535 (as float32 to 16777216), found "
            f"{high}; write OME-TIFF (.ome.tif)."
        )
    return data.astype(np.float32)


def _narrowed(data: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    low, high = int(data.min(initial=0)), int(data.max(initial=0))
    for kind in (np.int32, np.uint32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return data.astype(kind)
    raise WriteError(f"{path}: OME-TIFF holds whole numbers of 32 bits, found {high}.")

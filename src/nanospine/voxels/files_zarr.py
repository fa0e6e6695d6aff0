"""OME-Zarr (NGFF 0.5 and 0.4): arrays by zarr, the metadata and the pyramid written here."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, ReadError, UnsafeFileError
from nanospine.core.files import read_json
from nanospine.voxels.raw_volume import RawVolume, check_declared

__all__ = [
    "block_means", "coarser", "describe", "level_entry", "new_array", "open_group", "read_ome_zarr",
    "write_ome_zarr",
]  # fmt: skip

_LARGEST = 256  # voxels along an axis of the coarsest level
_NM = {"nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6, "meter": 1e9, "angstrom": 0.1}


def write_ome_zarr(
    path: Path, volume: RawVolume, name: str, *, version: str = "0.5"
) -> npt.NDArray[Any]:
    """Write a folder of OME-Zarr with a pyramid; give the finest array as it was stored.

    Scale and translation are in nm; the translation is the centre of voxel 0, as NGFF has it.
    Levels follow while an axis is longer than 256 voxels: of intensities means of blocks, of labels
    every second voxel, since a mean of labels is none.
    """
    data = volume.data.astype(np.uint8) if volume.data.dtype.kind == "b" else volume.data
    voxel, origin = volume.geometry
    group = open_group(path, version)
    datasets = []
    levels = _pyramid(data, labels=data.dtype.kind in "iu" and bool(volume.roles))
    for number, (level, factors, shift) in enumerate(levels):
        array = new_array(group, number, level.shape, level.dtype, version)
        array[...] = level
        datasets.append(level_entry(number, voxel * factors, origin + voxel * shift))
    describe(group, name, datasets, version)
    return data


def open_group(path: Path, version: str) -> Any:
    """Make a group of the zarr format that a version of NGFF is written in."""
    return _zarr().open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)


def new_array(
    group: Any,
    number: int,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    version: str,
    most_planes: int = 128,
) -> Any:
    """Make the array of a level, in chunks of at most 128 voxels along an axis."""
    options: dict[str, Any] = (
        {"dimension_names": ["z", "y", "x"]}
        if version == "0.5"
        else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    )
    chunks = tuple(
        min(size, most) for size, most in zip(shape, (most_planes, 128, 128), strict=True)
    )
    return group.create_array(str(number), shape=shape, dtype=dtype, chunks=chunks, **options)


def level_entry(
    number: int, voxel_nm: npt.NDArray[np.float64], origin_nm: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """Say where a level lies: size of its voxels, centre of its voxel 0."""
    steps = [
        {"type": "scale", "scale": voxel_nm.tolist()},
        {"type": "translation", "translation": origin_nm.tolist()},
    ]
    return {"path": str(number), "coordinateTransformations": steps}


def describe(group: Any, name: str, datasets: list[dict[str, Any]], version: str) -> None:
    """Write what NGFF wants to know of a pyramid."""
    multiscale = {
        "name": name.removesuffix(".zarr").removesuffix(".ome"),
        "axes": [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"],
        "datasets": datasets,
    }
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    else:
        group.attrs["multiscales"] = [{**multiscale, "version": "0.4"}]


def _pyramid(
    data: npt.NDArray[Any], *, labels: bool
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Levels with their factors z, y, x and the shift of the centre of voxel 0, in fine voxels."""
    factors, shift = np.ones(3), np.zeros(3)
    yield data, factors, shift
    while (step := coarser(data.shape)) is not None:
        if labels:
            data = np.ascontiguousarray(data[:: step[0], :: step[1], :: step[2]])
        else:
            shift = shift + factors * (step - 1) / 2
            data = block_means(data, step)
        factors = factors * step
        yield data, factors, shift


def coarser(shape: tuple[int, ...]) -> npt.NDArray[np.int64] | None:
    """Voxels of a level along z, y, x that one of the next covers; None where it is the last.

    Axes that are short already stay as they are; a last odd voxel has its block alone.
    """
    if max(shape) <= _LARGEST:
        return None
    return np.where(np.array(shape) > _LARGEST // 2, 2, 1).astype(np.int64)


def block_means(data: npt.NDArray[Any], step: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Means of blocks in the type of the data; a last odd plane is repeated."""
    odd = [(0, size % int(n)) for size, n in zip(data.shape, step, strict=True)]
    pairs = [
        part
        for size, n, (_, extra) in zip(data.shape, step, odd, strict=True)
        for part in ((size + extra) // int(n), int(n))
    ]
    mean = np.pad(data, odd, mode="edge").reshape(pairs).mean(axis=(1, 3, 5), dtype=np.float64)
    return np.asarray(np.rint(mean) if data.dtype.kind in "iu" else mean).astype(data.dtype)


def read_ome_zarr(path: Path, channel: int | None = None) -> RawVolume:
    """Read the finest level of an image of OME-Zarr 0.4 or 0.5."""
    zarr = _zarr()
    _refuse_pickles(path)
    try:
        group = zarr.open_group(path, mode="r")
        attributes = dict(group.attrs)
        multiscale = attributes.get("ome", attributes)["multiscales"][0]
        level = multiscale["datasets"][0]
        array = group[level["path"]]
        check_declared(array.shape, array.dtype.itemsize, path)
        data = np.asarray(array[...])
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


def _refuse_pickles(path: Path) -> None:
    """Refuse a store that names pickle as a codec: some versions of zarr would unpickle chunks."""
    for name in (".zarray", ".zmetadata", "zarr.json"):
        for file in path.rglob(name):
            try:
                words = _words(read_json(file))
            except (OSError, ValueError, RecursionError) as error:
                raise ReadError(f"{file}: cannot be read: {error}.") from error
            if any(word.lower().endswith("pickle") for word in words):
                raise UnsafeFileError(
                    f"{path}: its chunks are Python pickles, which can run code; they are not read."
                )


def _words(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for item in content.values() if isinstance(content, dict) else content:
            yield from _words(item)


def _zarr() -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise ConfigError("OME-Zarr: zarr is not installed; install nanospine[volumes].") from error

"""Volumes to files and back: the sidecar decides where voxels are, metadata must agree."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError, NanospineError, ReadError, WriteError
from nanospine.core.files import atomic_path
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.raw_volume import RawVolume, check_declared
from nanospine.voxels.sidecar import array_sha256, read_sidecar, sidecar_path, write_sidecar

__all__ = ["VOLUME_FORMATS", "read_labels", "read_volume", "write_volume"]

#: Formats by suffix; the longest that fits counts.
VOLUME_FORMATS: dict[str, str] = {
    ".ome.tif": "ome-tiff", ".ome.tiff": "ome-tiff", ".tif": "imagej", ".tiff": "imagej",
    ".npz": "npz", ".ome.zarr": "ome-zarr", ".zarr": "ome-zarr", ".seg.nrrd": "seg.nrrd",
    ".nrrd": "nrrd", ".nii": "nifti", ".nii.gz": "nifti", ".ims": "ims",
}  # fmt: skip


def write_volume(
    grid: VoxelGrid | LabelGrid,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    sidecar: bool = True,
) -> Path:
    """Write voxels or labels, with their place, to a file that raster tools open.

    Parameters
    ----------
    grid : VoxelGrid or LabelGrid
    path : path-like
        The suffix gives the format: .ome.tif, .tif (ImageJ), .npz, .zarr (OME-Zarr), .nrrd,
        .seg.nrrd (3D Slicer), .nii, .nii.gz, .ims (experimental).
    format : str, optional
        imagej, ome-tiff, npz, ome-zarr (0.5), ome-zarr-0.4, nrrd, seg.nrrd, nifti, ims; or nnunet:
        then `path` is a folder and the case's name, as in ``imagesTs/dendrite``.
    sidecar : bool
        Write ``NAME.nanospine.json`` beside it: geometry and sha256 of the stored array.

    Returns
    -------
    pathlib.Path
        Of the volume.

    Raises
    ------
    ConfigError
        When the format is unknown or its library is missing.
    WriteError
        When the file cannot be written, or the format cannot hold the values.

    Examples
    --------
    >>> import tempfile
    >>> grid = VoxelGrid(np.arange(24.0).reshape(2, 3, 4), (50, 20, 20), (1e8, -5, 7.25))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     back = read_volume(write_volume(grid, f"{folder}/cell.npz"))
    >>> back.origin_nm.tolist(), bool((back.data == grid.data).all())
    ([100000000.0, -5.0, 7.25], True)
    """
    place = Path(path)
    kind = _format_of(place, format)
    if kind == "nnunet":
        from nanospine.voxels.deep_folders import write_case

        whole = grid.grid if isinstance(grid, LabelGrid) else grid
        return write_case(whole, place.parent, place.name)
    data = grid.labels if isinstance(grid, LabelGrid) else grid.data
    roles = grid.roles if isinstance(grid, LabelGrid) else {}
    volume = RawVolume(np.asarray(data), grid.voxel_nm, grid.origin_nm, roles)
    if kind.startswith("ome-zarr"):
        stored = _write_folder(place, volume, "0.4" if kind.endswith("0.4") else "0.5")
    else:
        with atomic_path(place) as temporary:
            # Libraries choose by the whole suffix, of which the temporary name has the last part.
            named = temporary.with_name(temporary.stem + "".join(place.suffixes[-2:]))
            try:
                stored = _write(kind, named, volume)
                named.rename(temporary)
            finally:
                if named != temporary:
                    named.unlink(missing_ok=True)
    if sidecar:
        write_sidecar(place, stored, grid)
    return place


def read_volume(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    sidecar: str | os.PathLike[str] | None = None,
    metadata: Literal["check", "ignore"] = "check",
    voxel_nm: npt.ArrayLike | None = None,
    origin_nm: npt.ArrayLike = (0.0, 0.0, 0.0),
    channel: int | None = None,
) -> VoxelGrid:
    """Read voxels with their place.

    The sidecar, if there is one, decides where the voxels are; the file's own metadata are compared
    with it, for tools lose and damage them.

    Parameters
    ----------
    path : path-like
        See :func:`write_volume`.
    format : str, optional
    sidecar : path-like, optional
        Sidecar of the volume that the tool was given; that of `path` itself when left out.
    metadata : str
        `check` refuses a file whose own metadata place a corner 0.01 voxels or more from where
        the sidecar has it; `ignore` does not look at them.
    voxel_nm, origin_nm : array_like, optional
        Edge lengths and centre of voxel 0, z, y, x, for files without both. Files that have a
        place refuse another.
    channel : int, optional
        Which one to read of several.

    Returns
    -------
    VoxelGrid
        `notes` say where the geometry comes from, and whether the voxels are those written.

    Raises
    ------
    ReadError
        When the file is missing or damaged.
    GeometryError
        When shape or metadata disagree with the sidecar, or the place is unknown.
    """
    return _read(Path(path), format, sidecar, metadata, voxel_nm, origin_nm, channel)[0]


def read_labels(
    path: str | os.PathLike[str],
    *,
    roles: dict[int, str] | None = None,
    **options: Any,
) -> LabelGrid:
    """Read labels with their place, such as those of a tool that was given a volume.

    Parameters
    ----------
    path : path-like
    roles : dict, optional
        From label to role; those of the sidecar or file, else `object`.
    **options
        Of :func:`read_volume`.

    Returns
    -------
    LabelGrid

    Raises
    ------
    GeometryError
        As :func:`read_volume`, and when values are not whole numbers of 0 or more.
    """
    known = ("format", "sidecar", "metadata", "voxel_nm", "origin_nm", "channel")
    wrong = sorted(set(options) - set(known))
    if wrong:
        raise ConfigError(
            f"read_labels: no option {', '.join(wrong)}; options: {', '.join(known)}."
        )
    given = {"metadata": "check", "origin_nm": (0.0, 0.0, 0.0)} | options
    grid, own = _read(Path(path), *(given.get(name) for name in known))
    from nanospine.voxels.transfer import as_labels

    labels = as_labels(grid).data
    present = [int(label) for label in np.unique(labels) if label]
    named = (roles or own) or {}
    return LabelGrid(
        labels,
        grid.voxel_nm,
        grid.origin_nm,
        {0: "background"} | {label: named.get(label, "object") for label in present},
    )


def _read(
    place: Path,
    format: str | None,
    sidecar: Any,
    metadata: Any,
    voxel_nm: Any,
    origin_nm: Any,
    channel: int | None,
) -> tuple[VoxelGrid, dict[int, str]]:
    if metadata not in ("check", "ignore"):
        raise ConfigError(f"read_volume: metadata of check or ignore expected, found {metadata!r}.")
    kind = _format_of(place, format)
    if not place.exists():
        raise ReadError(f"{place}: there is no such file.")
    raw = _read_raw(kind, place, channel)
    beside = sidecar_path(place) if sidecar is None else Path(sidecar)
    if sidecar is not None or beside.is_file():
        known = read_sidecar(beside)
        known.check_shape(raw.data.shape, str(place))
        if metadata == "check" and raw.voxel_nm is not None and raw.origin_nm is not None:
            own = VoxelGrid(raw.data, raw.voxel_nm, raw.origin_nm)
            known.check_geometry(own, str(place))
        same = array_sha256(raw.data) == known.sha256
        notes: tuple[str, ...] = (f"geometry from {beside.name}",)
        if not same:
            notes += ("the voxels are not those that were written with the sidecar",)
        grid = VoxelGrid(raw.data, known.voxel_nm, known.origin_nm, notes)
        return grid, known.roles or raw.roles
    if raw.voxel_nm is not None and metadata == "check":
        if voxel_nm is not None:
            raise GeometryError(
                f"{place}: has voxels of {raw.voxel_nm.tolist()} nm (z, y, x) by its own metadata; "
                "leave voxel_nm out, or read with metadata='ignore'."
            )
        origin = np.zeros(3) if raw.origin_nm is None else raw.origin_nm
        return VoxelGrid(raw.data, raw.voxel_nm, origin, ("geometry from the file",)), raw.roles
    if voxel_nm is None:
        raise GeometryError(
            f"{place}: neither a sidecar nor the file say how large voxels are; give voxel_nm "
            "(z, y, x) and origin_nm, or the sidecar of the volume that the tool was given."
        )
    place_nm = np.asarray(origin_nm, dtype=np.float64)
    return VoxelGrid(raw.data, np.asarray(voxel_nm), place_nm, ("geometry as given",)), raw.roles


def _format_of(path: Path, format: str | None) -> str:
    known = sorted({*VOLUME_FORMATS.values(), "ome-zarr-0.4", "nnunet"})
    if format is not None:
        if format not in known:
            raise ConfigError(
                f"volume format {format!r} is not known; formats: {', '.join(known)}."
            )
        return format
    name = path.name.lower()
    for suffix in sorted(VOLUME_FORMATS, key=len, reverse=True):
        if name.endswith(suffix):
            return VOLUME_FORMATS[suffix]
    raise ConfigError(
        f"{path.name}: a suffix of {', '.join(VOLUME_FORMATS)} was expected, or a format."
    )


def _write(kind: str, path: Path, volume: RawVolume) -> npt.NDArray[Any]:
    from nanospine.voxels import files_ims, files_nifti, files_nrrd, files_tiff

    if kind == "imagej":
        return files_tiff.write_imagej(path, volume)
    if kind == "ome-tiff":
        return files_tiff.write_ome_tiff(path, volume)
    if kind in ("nrrd", "seg.nrrd"):
        return files_nrrd.write_nrrd(path, volume, segments=kind == "seg.nrrd")
    if kind == "nifti":
        return files_nifti.write_nifti(path, volume)
    if kind == "ims":
        return files_ims.write_ims(path, volume)
    voxel, origin = volume.geometry
    with path.open("wb") as out:
        np.savez_compressed(
            out,
            data=volume.data,
            voxel_nm=voxel,
            origin_nm=origin,
            label=np.array(list(volume.roles), dtype=np.int64),
            role=np.array(list(volume.roles.values()), dtype=np.str_),
        )
    return volume.data


def _write_folder(place: Path, volume: RawVolume, version: str) -> npt.NDArray[Any]:
    """Write OME-Zarr beside its place, and put it there when it is whole."""
    from nanospine.voxels.files_zarr import write_ome_zarr

    with new_folder(place) as temporary:
        return write_ome_zarr(temporary, volume, place.name, version=version)


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Give the name of a folder of zarr to write into; put in place when it is whole."""
    if place.exists() and not ((place / "zarr.json").exists() or (place / ".zgroup").exists()):
        raise WriteError(f"{place}: exists and is no zarr; name another folder.")
    if not place.parent.is_dir():
        raise WriteError(f"{place}: the folder {place.parent} does not exist; make it first.")
    temporary = place.with_name(f".{place.name}.part{os.getpid()}")
    try:
        yield temporary
        if place.exists():
            shutil.rmtree(place)
        temporary.rename(place)
    except OSError as error:
        raise WriteError(f"{place}: cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read_raw(kind: str, path: Path, channel: int | None) -> RawVolume:
    """Read a file by its format; six libraries meet bytes that nobody foresaw."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), _quiet():
            warnings.simplefilter("ignore")
            raw = _read_kind(kind, path, channel)
    except NanospineError:
        raise
    except MemoryError as error:
        raise ReadError(f"{path}: declares more voxels than memory holds.") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(
            f"{path}: cannot be read as {kind}: {reason}; it is damaged or of another format."
        ) from error
    if raw.data.dtype.kind not in "buif":
        raise ReadError(f"{path}: numbers were expected as voxels, found {raw.data.dtype}.")
    for name, value in (("voxel size", raw.voxel_nm), ("origin", raw.origin_nm)):
        if value is None:
            continue
        # Whole numbers of some hundred digits are objects to numpy.
        number = value.dtype.kind in "fiu"
        if not number or value.shape != (3,) or not np.isfinite(value).all():
            raise ReadError(f"{path}: its {name} of three numbers was expected, found {value}.")
    return raw


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries log of a damaged file to themselves: one error says what is wrong."""
    logs = [logging.getLogger(name) for name in ("tifffile", "nibabel.global")]
    was = [log.disabled for log in logs]
    try:
        for log in logs:
            log.disabled = True
        yield
    finally:
        for log, value in zip(logs, was, strict=True):
            log.disabled = value


def _read_kind(kind: str, path: Path, channel: int | None) -> RawVolume:
    from nanospine.voxels import files_ims, files_nifti, files_nrrd, files_tiff, files_zarr

    if kind in ("imagej", "ome-tiff", "nnunet"):
        return files_tiff.read_tiff(path, channel)
    if kind.startswith("ome-zarr"):
        return files_zarr.read_ome_zarr(path, channel)
    if kind in ("nrrd", "seg.nrrd"):
        return files_nrrd.read_nrrd(path)
    if kind == "nifti":
        return files_nifti.read_nifti(path)
    if kind == "ims":
        return files_ims.read_ims(path, channel)
    return _read_npz(path)


def _read_npz(path: Path) -> RawVolume:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as held:
            names = set(held.files)
            if "data" not in names:
                raise ReadError(f"{path}: an array 'data' was expected, found {sorted(names)}.")
            check_declared([held.zip.getinfo("data.npy").file_size], 1, path)
            data = held["data"]
            place = [
                np.asarray(held[name], dtype=np.float64) if name in names else None
                for name in ("voxel_nm", "origin_nm")
            ]
            labels = held["label"].tolist() if "label" in names else []
            roles = held["role"].tolist() if "role" in names else []
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path}: cannot be read as npz: {error}.") from error
    if data.ndim != 3:
        raise ReadError(f"{path}: an array (z, y, x) was expected, found shape {data.shape}.")
    return RawVolume(data, place[0], place[1], dict(zip(labels, roles, strict=False)))

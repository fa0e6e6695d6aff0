"""Picasso: HDF5 with a table `/locs` in camera pixels, and a yaml file with the pixel size.

Layouts: compound data set (Picasso itself), and the fixed and table groups that pandas `to_hdf`
writes; all are read with h5py. The yaml is decoded inertly; from Picasso 0.11 the same metadata
may stand in the file as `/metadata`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError, SchemaError
from nanospine.io.registry import register
from nanospine.io.safe_decode import LONGEST_YAML_BYTES, json_from, load_yaml, yaml_top_level
from nanospine.io.safe_files import Source
from nanospine.io.safe_hdf5 import Hdf5, hdf5_names, open_hdf5
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.units import FileUnitsError

__all__ = ["read_picasso"]

_PIXEL_KEYS = ("Pixelsize", "Camera.Pixelsize", "Pixel size", "Pixel Size")
_RENAMED = {
    "photons": "photons", "bg": "background_photons", "frame": "frame",
    "n": "n_localizations", "n_locs": "n_localizations", "group": "group",
}  # fmt: skip
#: Columns in camera pixels -> canonical name; z and its precision are in nanometres.
_PIXEL_COLUMNS = {
    "x": "x_nm", "y": "y_nm", "sx": "sigma_x_nm", "sy": "sigma_y_nm",
    "lpx": "precision_x_nm", "lpy": "precision_y_nm", "std_x": "std_x_nm", "std_y": "std_y_nm",
}  # fmt: skip
_MAP_SIGNS = frozenset({"std_frame", "std_x", "n_events", "n_locs", "convexhull"})


def _recognise(source: Source) -> float:
    names = hdf5_names(source)
    if "/locs" not in names:
        return 0.0
    try:
        with open_hdf5(source) as file:
            fields = set((file.dtype("/locs") or np.dtype([])).names or ())
    except ReadError:
        return 0.8
    if {"x", "y"} <= fields:
        return 0.95
    return 0.9 if "/locs/table" in names or "/locs/axis0" in names else 0.5


@register(
    name="picasso",
    title="Picasso HDF5",
    suffixes=(".hdf5",),
    recognise=_recognise,
)
def read_picasso(source: Source, options: ReadOptions) -> ReadTable:
    """Read a Picasso file; positions x pixel size, z as it is (nm).

    Raises
    ------
    FileUnitsError
        When no pixel size is known, or the metadata name several: all are in one message.
    """
    where = source.path.name
    notes: list[str] = []
    with open_hdf5(source) as file:
        fields = _fields(file)
        embedded = file.text("/metadata") or file.attribute("/locs", "metadata")
    metadata = _metadata(source, embedded, notes)
    pixel = _pixel_size(metadata, options, where, notes)
    columns: dict[str, Any] = {}
    is_map = len(_MAP_SIGNS & fields.keys()) >= 2
    for name, values in fields.items():
        if name in _PIXEL_COLUMNS:
            size = pixel[1] if name.endswith("y") else pixel[0]
            columns[_PIXEL_COLUMNS[name]] = values.astype(np.float64) * size
        elif name in ("z", "lpz"):
            # Maps of molecules (RESI, G5M) keep z in pixels, localizations in nanometres.
            factor = pixel[0] if is_map else 1.0
            columns[{"z": "z_nm", "lpz": "precision_z_nm"}[name]] = values * factor
        else:
            columns[_RENAMED.get(name, name)] = values
    if is_map:
        notes.append(
            "a map of molecules: one row is a molecule, frame is the mean of its localizations"
        )
        if "z" in fields:
            notes.append("z of the map is in camera pixels (Picasso's documentation): scaled")
    details: dict[str, Any] = {"pixel_size_used_nm": list(pixel), "frame_base": 0}
    recorded = _positive(metadata[0].get("Frames")) if metadata else None
    if recorded is not None:
        details["n_frames"] = int(recorded)
    return ReadTable(columns, [*source.notes, *notes], details)


def _fields(file: Hdf5) -> dict[str, npt.NDArray[Any]]:
    if file.is_dataset("/locs"):
        table = file.array("/locs")
        return _columns_of(table, file.where)
    if file.is_dataset("/locs/table"):
        return _table_group(file)
    return _fixed_group(file)


def _columns_of(table: npt.NDArray[Any], where: str) -> dict[str, npt.NDArray[Any]]:
    if table.dtype.names is None or table.ndim != 1:
        raise SchemaError(
            f"{where}: /locs: one row per localization with named columns was expected, found "
            f"shape {table.shape} of {table.dtype}."
        )
    if not {"x", "y"} <= set(table.dtype.names):
        raise SchemaError(
            f"{where}: /locs: columns x and y were expected, found {', '.join(table.dtype.names)}."
        )
    return {name: table[name] for name in table.dtype.names if table[name].ndim == 1}


def _table_group(file: Hdf5) -> dict[str, npt.NDArray[Any]]:
    """Columns of a PyTables table that pandas wrote: plain ones, or blocks of equal type."""
    table = file.array("/locs/table")
    if table.dtype.names is None:
        raise SchemaError(f"{file.where}: /locs/table: named columns were expected.")
    columns: dict[str, npt.NDArray[Any]] = {}
    for name in table.dtype.names:
        values = table[name]
        if name == "index":
            continue
        if values.ndim == 1 and not name.startswith("values_block"):
            columns[name] = values
            continue
        labels = _pickled_names(file.attribute("/locs/table", f"{name}_kind"))
        if labels is None or len(labels) != values.reshape(len(values), -1).shape[1]:
            raise SchemaError(
                f"{file.where}: /locs/table/{name}: the names of its columns cannot be read. Save "
                "it again with Picasso, or with to_hdf(..., data_columns=True)."
            )
        columns.update(zip(labels, values.reshape(len(values), -1).T, strict=True))
    return columns


def _pickled_names(text: Any) -> list[str] | None:
    """Read the strings of a protocol-0 pickle of a list of strings, without unpickling.

    pandas keeps column names this way: `(lp0\\nVx\\np1\\naVy\\np2\\na.`; a line that starts with
    V or aV is a string, everything else is bookkeeping. Nothing is executed.
    """
    if not isinstance(text, str) or not text.startswith("(lp"):
        return None
    names = []
    for line in text.split("\n"):
        for opcode in ("aV", "V"):
            if line.startswith(opcode):
                names.append(line[len(opcode) :])
                break
    return names


def _fixed_group(file: Hdf5) -> dict[str, npt.NDArray[Any]]:
    """Columns of a fixed group of pandas: blocks of values and their names."""
    columns: dict[str, npt.NDArray[Any]] = {}
    for number in range(64):
        base = f"/locs/block{number}"
        if not file.is_dataset(f"{base}_values"):
            break
        values = file.array(f"{base}_values")
        labels = [
            item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
            for item in file.array(f"{base}_items").tolist()
        ]
        if values.ndim != 2 or values.shape[1] != len(labels):
            raise SchemaError(
                f"{file.where}: {base}_values: {len(labels)} columns were expected, found shape "
                f"{values.shape}."
            )
        columns.update(zip(labels, values.T, strict=True))
    if not {"x", "y"} <= columns.keys():
        raise SchemaError(
            f"{file.where}: /locs: columns x and y were expected, found "
            f"{', '.join(columns) or 'none'}."
        )
    return columns


def _metadata(source: Source, embedded: Any, notes: list[str]) -> list[dict[str, Any]]:
    """Give the documents of the yaml beside the file, or of the file itself."""
    stem = PurePosixPath(source.name).stem
    side = source.sidecar(f"{stem}.yaml", f"{source.path.stem}.yaml", f"{stem}.yml")
    documents: list[Any] = []
    if side is not None:
        name, data = side
        if len(data) > LONGEST_YAML_BYTES:
            documents = list(yaml_top_level(data))
            notes.append(f"of {name} ({len(data)} bytes) only the plain entries were read")
        else:
            documents = load_yaml(data, name)
    elif isinstance(embedded, str):
        found = json_from(embedded.encode(), source.path.name)
        documents = found if isinstance(found, list) else [found]
    else:
        notes.append("no yaml stands beside the file")
    return [item for item in documents if isinstance(item, dict)]


def _pixel_size(
    metadata: list[dict[str, Any]], options: ReadOptions, where: str, notes: list[str]
) -> tuple[float, float]:
    """Give the pixel size that the caller said, or the one that the metadata agree on."""
    found: list[tuple[str, float]] = []
    for number, document in enumerate(metadata, start=1):
        for key in _PIXEL_KEYS:
            size = _positive(document.get(key))
            if size is not None:
                found.append((f"{key} in part {number} of the metadata", size))
    sizes = {size for _, size in found}
    if options.pixel_size_nm is not None:
        told = options.pixel_size_nm
        if found and sizes != {told[0]}:
            listed = ", ".join(f"{size:g} nm ({place})" for place, size in found)
            notes.append(f"pixel size {told[0]:g} nm as the caller said; the metadata say {listed}")
        return told
    if len(sizes) > 1:
        listed = ", ".join(f"{size:g} nm ({place})" for place, size in found)
        raise FileUnitsError(
            f"{where}: the metadata name different pixel sizes: {listed}. Pass the right one: "
            "pixel_size_nm=... (command line: --pixel-size-nm)."
        )
    if not sizes:
        raise FileUnitsError(
            f"{where}: positions are in camera pixels and no pixel size was found (key Pixelsize "
            "in the yaml beside the file). Pass pixel_size_nm=... (command line: --pixel-size-nm)."
        )
    size = sizes.pop()
    notes.append(f"pixel size {size:g} nm from {found[0][0]}")
    return size, size


def _positive(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) and number > 0 else None

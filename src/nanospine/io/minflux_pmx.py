"""pyMINFLUX `.pmx` (HDF5), versions 1 to 3: the processed table, or the raw rows on request.

/paraview/dataframe is in nanometres with filters applied and z scaled by
/parameters/z_scaling_factor; /raw holds Imspector's rows in metres, not scaled.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import SchemaError
from nanospine.io.minflux_m2205 import from_structured
from nanospine.io.minflux_m2410 import from_rows
from nanospine.io.registry import register
from nanospine.io.safe_files import Source
from nanospine.io.safe_hdf5 import Hdf5, hdf5_names, open_hdf5
from nanospine.io.table import ReadOptions, ReadTable, drop_flat_z

__all__ = ["read_pmx", "read_pmx_raw"]

_RENAMED = {
    "tid": "trace", "tim": "time_s", "x": "x_nm", "y": "y_nm", "z": "z_nm", "efo": "efo_hz",
    "cfr": "cfr", "eco": "eco", "dcr": "dcr", "fluo": "channel", "fbg": "background_hz",
}  # fmt: skip


@register(
    name="pmx",
    title="pyMINFLUX .pmx",
    suffixes=(".pmx",),
    recognise=lambda source: (
        0.97
        if "/parameters" in (names := hdf5_names(source))
        and {"/paraview/dataframe", "/raw/npy", "/raw/df"} & names
        else 0.0
    ),
)
def read_pmx(source: Source, options: ReadOptions) -> ReadTable:
    """Read the processed table: filters applied, z scaled once.

    A `z_scale` that differs from the factor in the file replaces it; z is never scaled twice.
    """
    with open_hdf5(source) as file:
        if not file.is_dataset("/paraview/dataframe"):
            return _raw(file, options)
        fields = _named_columns(file, "/paraview/dataframe")
        applied = _number(file, "/parameters/z_scaling_factor", 1.0)
        version = file.attribute("/", "file_version")
        names = _fluorophore_names(file)
    columns = {_RENAMED.get(name, name): values for name, values in fields.items()}
    notes = ["the processed table of pyMINFLUX; format='pmx-raw' reads the raw rows"]
    details: dict[str, Any] = {"file_version": version, "z_scale": applied}
    if "z_nm" in columns and options.z_scale is not None and applied > 0:
        columns["z_nm"] = columns["z_nm"] * (options.z_scale / applied)
        details["z_scale"] = options.z_scale
        notes.append(f"z was scaled by {applied:g} in the file and is now by {options.z_scale:g}")
    drop_flat_z(columns, notes, 1.0)
    _name_channels(columns, names)
    return ReadTable(columns, notes, details)


@register(
    name="pmx-raw",
    title="pyMINFLUX .pmx, raw rows",
    suffixes=(".pmx",),
    recognise=lambda source: 0.5 if {"/raw/npy", "/raw/df"} & hdf5_names(source) else 0.0,
)
def read_pmx_raw(source: Source, options: ReadOptions) -> ReadTable:
    """Read Imspector's rows as pyMINFLUX keeps them (metres, not scaled, not filtered)."""
    with open_hdf5(source) as file:
        return _raw(file, options)


def _raw(file: Hdf5, options: ReadOptions) -> ReadTable:
    if file.is_dataset("/raw/npy"):
        rows = file.array("/raw/npy")
        return from_structured(rows, options, f"{file.where}/raw/npy")
    fields = _named_columns(file, "/raw/df")
    if {"x", "y", "z"} <= fields.keys():
        fields["loc"] = np.column_stack([fields.pop(axis) for axis in "xyz"])
    return from_rows(fields, options, f"{file.where}/raw/df")


def _named_columns(file: Hdf5, path: str) -> dict[str, npt.NDArray[Any]]:
    values = file.array(path)
    names = file.attribute(path, "column_names")
    labels = [str(name) for name in names] if isinstance(names, list | np.ndarray) else []
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise SchemaError(
            f"{file.where}: {path}: {len(labels)} named columns were expected, found shape "
            f"{values.shape}."
        )
    return {name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(labels)}


def _number(file: Hdf5, path: str, default: float) -> float:
    if not file.is_dataset(path):
        return default
    value = np.asarray(file.array(path)).ravel()
    return float(value[0]) if value.size and np.isfinite(value[0]) else default


def _fluorophore_names(file: Hdf5) -> dict[int, str]:
    text = file.attribute("/parameters", "fluorophore_names")
    if not isinstance(text, str):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {int(key): str(name) for key, name in found.items() if str(key).isdigit()}


def _name_channels(columns: dict[str, Any], names: dict[int, str]) -> None:
    if "channel" not in columns:
        return
    numbers = np.asarray(columns["channel"], dtype=np.int64)
    text = {number: names.get(int(number), str(int(number))) for number in np.unique(numbers)}
    columns["channel"] = np.array([text[number] for number in numbers], dtype=object)

"""PYME: `.h5r` results (nested /FitResults), `.hdf` recipe outputs (flat tables). Nanometres."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from nanospine.core.errors import ReadError, SchemaError
from nanospine.io.registry import register
from nanospine.io.safe_files import Source
from nanospine.io.safe_hdf5 import hdf5_names, open_hdf5
from nanospine.io.table import ReadOptions, ReadTable, drop_flat_z

__all__ = ["read_pyme_h5r", "read_pyme_hdf"]

_RENAMED = {
    "x": "x_nm", "y": "y_nm", "z": "z_nm", "x0": "x_nm", "y0": "y_nm", "z0": "z_nm",
    "t": "frame", "tIndex": "frame", "nPhotons": "photons", "sig": "sigma_x_nm",
    "sigma": "sigma_x_nm", "sigmax": "sigma_x_nm", "sigmay": "sigma_y_nm",
    "error_x": "precision_x_nm", "error_y": "precision_y_nm", "error_z": "precision_z_nm",
    "probe": "channel", "clumpIndex": "trace", "clumpSize": "n_localizations",
}  # fmt: skip


@register(
    name="pyme-h5r",
    title="PYME .h5r",
    suffixes=(".h5r",),
    recognise=lambda source: 0.96 if "/FitResults" in hdf5_names(source) else 0.0,
)
def read_pyme_h5r(source: Source, options: ReadOptions) -> ReadTable:  # noqa: ARG001
    """Read /FitResults: fitResults/x0, y0, ... and fitError as precision; no drift is applied."""
    where = source.path.name
    with open_hdf5(source) as file:
        table = file.array("/FitResults").reshape(-1)
        has_drift = file.is_dataset("/DriftResults")
    names = table.dtype.names or ()
    if "fitResults" not in names or table.dtype["fitResults"].names is None:
        raise SchemaError(f"{where}: /FitResults with a nested fitResults was expected.")
    columns: dict[str, Any] = {}
    results = table["fitResults"]
    for name in results.dtype.names or ():
        if results[name].ndim == 1:
            columns[_RENAMED.get(name, name)] = results[name]
    if "fitError" in names:
        errors = table["fitError"]
        for axis in "xyz":
            if f"{axis}0" in (errors.dtype.names or ()):
                columns[f"precision_{axis}_nm"] = errors[f"{axis}0"]
    for name in names:
        if name not in ("fitResults", "fitError", "startParams") and table[name].ndim == 1:
            columns[_RENAMED.get(name, name)] = table[name]
    notes = ["/DriftResults is in the file and was not applied"] if has_drift else []
    return _finish(columns, notes, where)


def _table_with_x(source: Source) -> str | None:
    """Give the first flat table with columns x and y."""
    names = sorted(name for name in hdf5_names(source) if name.count("/") == 1)
    if not names or len(names) > 50:
        return None
    try:
        with open_hdf5(source) as file:
            for name in names:
                dtype = file.dtype(name)
                if dtype is not None and dtype.names and {"x", "y"} <= set(dtype.names):
                    return name
    except ReadError:
        return None
    return None


@register(
    name="pyme-hdf",
    title="PYME .hdf (recipe output)",
    suffixes=(".hdf",),
    recognise=lambda source: (
        0.7 if "/locs" not in hdf5_names(source) and _table_with_x(source) else 0.0
    ),
)
def read_pyme_hdf(source: Source, options: ReadOptions) -> ReadTable:  # noqa: ARG001
    """Read the first table of the file that has columns x and y."""
    where = source.path.name
    name = _table_with_x(source)
    if name is None:
        raise SchemaError(f"{where}: a table with columns x and y was expected, found none.")
    with open_hdf5(source) as file:
        table: npt.NDArray[Any] = file.array(name).reshape(-1)
    columns = {
        _RENAMED.get(field, field): table[field]
        for field in table.dtype.names or ()
        if table[field].ndim == 1 and table[field].dtype.kind in "iufb"
    }
    return _finish(columns, [f"read from the table {name}; positions are nm in PYME"], where)


def _finish(columns: dict[str, Any], notes: list[str], where: str) -> ReadTable:
    if not {"x_nm", "y_nm"} <= columns.keys():
        shown = ", ".join(list(columns)[:12])
        raise SchemaError(f"{where}: columns for x and y were expected, found {shown}.")
    if "sigma_x_nm" in columns:
        columns.setdefault("sigma_y_nm", columns["sigma_x_nm"])
    drop_flat_z(columns, notes)
    return ReadTable(columns, notes, {"frame_base": 0})

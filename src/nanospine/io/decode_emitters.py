"""DECODE emitter sets: HDF5 and csv. x and y in pixels or nm as the file says, z in nm."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import SchemaError
from nanospine.io.registry import register
from nanospine.io.safe_decode import json_from
from nanospine.io.safe_files import Source
from nanospine.io.safe_hdf5 import Hdf5, hdf5_names, open_hdf5
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table, sniff
from nanospine.io.units import FileUnitsError

__all__ = ["read_decode", "read_decode_csv"]

_AXES = "xyz"


@register(
    name="decode",
    title="DECODE emitters (HDF5)",
    suffixes=(".h5",),
    recognise=lambda source: 0.97 if {"/data/xyz", "/data/frame_ix"} <= hdf5_names(source) else 0.0,
)
def read_decode(source: Source, options: ReadOptions) -> ReadTable:
    """Read a DECODE emitter set; `xyz_sig` are standard deviations, `xyz_cr` variances.

    Frames count from 0; dimension 0 of DECODE is the first image axis and is x here.
    """
    with open_hdf5(source) as file:
        unit = file.attribute("/meta", "xy_unit")
        pixel = file.attribute("/meta", "px_size")
        names = file.names("/data")
        data = {name: file.array(f"/data/{name}") for name in names if _usable(file, name)}
    xyz = data.pop("xyz", np.zeros((0, 3)))
    if xyz.ndim != 2 or xyz.shape[1] not in (2, 3):
        raise SchemaError(f"{source.path.name}: /data/xyz of shape (n, 3) was expected.")
    factors = _factors(unit, pixel, options, source.path.name)
    columns = _vector_columns(xyz, factors, "{axis}_nm")
    sigma = data.pop("xyz_sig", None)
    bound = data.pop("xyz_cr", None)
    if sigma is None or len(sigma) != len(xyz):
        # Without fitted deviations the Cramér-Rao bound, a variance, is the next best.
        sigma = None if bound is None or len(bound) != len(xyz) else np.sqrt(bound)
    if sigma is not None:
        columns.update(_vector_columns(sigma, factors, "precision_{axis}_nm"))
    _add_scalars(columns, data, len(xyz))
    details = {"frame_base": 0, "xy_unit": unit, "pixel_size_used_nm": list(factors[:2])}
    return ReadTable(columns, details=details)


def _usable(file: Hdf5, name: str) -> bool:
    dtype = file.dtype(f"/data/{name}")
    return file.shape(f"/data/{name}") is not None and dtype is not None and dtype.kind in "iufb"


def _factors(unit: Any, pixel: Any, options: ReadOptions, where: str) -> tuple[float, float, float]:
    """Give nanometres per unit of x, y and z."""
    if unit == "nm":
        return 1.0, 1.0, 1.0
    if unit not in ("px", None):
        raise FileUnitsError(f"{where}: xy_unit px or nm was expected, found {unit!r}.")
    if options.pixel_size_nm is not None:
        return (*options.pixel_size_nm, 1.0)
    sizes = np.asarray(pixel, dtype=np.float64).ravel() if pixel is not None else np.zeros(0)
    if len(sizes) not in (1, 2) or not np.isfinite(sizes).all() or (sizes <= 0).any():
        raise FileUnitsError(
            f"{where}: positions are in camera pixels and px_size is missing. Pass "
            "pixel_size_nm=... (command line: --pixel-size-nm)."
        )
    return float(sizes[0]), float(sizes[-1]), 1.0


def _vector_columns(
    values: npt.NDArray[Any], factors: tuple[float, float, float], pattern: str
) -> dict[str, Any]:
    return {
        pattern.format(axis=axis): np.asarray(values[:, number], dtype=np.float64) * factor
        for number, (axis, factor) in enumerate(zip(_AXES, factors, strict=True))
        if number < values.shape[1]
    }


def _add_scalars(columns: dict[str, Any], data: dict[str, Any], n: int) -> None:
    renamed = {"frame_ix": "frame", "phot": "photons", "bg": "background_photons", "id": "id"}
    for name, values in data.items():
        if values.shape != (n,):
            continue
        if name == "id" and n and bool((values == -1).all()):
            continue  # nobody set it
        columns[renamed.get(name, name)] = values


def _recognise_csv(source: Source) -> float:
    table = sniff(source)
    if table is None or not any("DECODE" in line for line in table.comments):
        return 0.0
    return 0.97 if {"x", "y", "frame_ix"} <= set(table.lower) else 0.5


@register(
    name="decode-csv",
    title="DECODE emitters (csv)",
    suffixes=(".csv",),
    recognise=_recognise_csv,
)
def read_decode_csv(source: Source, options: ReadOptions) -> ReadTable:
    """Read a DECODE csv; unit and pixel size stand in the comment lines above the header."""
    table = need_table(source)
    meta: dict[str, Any] = {}
    for line in table.comments:
        if line.startswith("{"):
            text = re.sub(r"\bNaN\b", "null", line)
            found = json_from(text.encode(), source.path.name)
            meta.update(found if isinstance(found, dict) else {})
    parsed = parse(source, table)
    data = dict(parsed.columns)
    factors = _factors(meta.get("xy_unit"), meta.get("px_size"), options, source.path.name)
    columns: dict[str, Any] = {}
    for axis, factor in zip(_AXES, factors, strict=True):
        if axis in data:
            columns[f"{axis}_nm"] = data.pop(axis) * factor
        deviation, bound = data.pop(f"{axis}_sig", None), data.pop(f"{axis}_cr", None)
        if deviation is None or not np.isfinite(deviation).any():
            deviation = None if bound is None else np.sqrt(bound)
        if deviation is not None and np.isfinite(deviation).any():
            columns[f"precision_{axis}_nm"] = deviation * factor
    _add_scalars(columns, data, len(next(iter(parsed.columns.values()))))
    details = {"frame_base": 0, "xy_unit": meta.get("xy_unit")}
    return ReadTable(columns, parsed.notes, {**details, "pixel_size_used_nm": list(factors[:2])})

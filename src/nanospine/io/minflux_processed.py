"""Processed MINFLUX tables: structs of analysis scripts, csv of pyMINFLUX, npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from nanospine.core.errors import SchemaError
from nanospine.core.files import atomic_path
from nanospine.core.localizations import Localizations
from nanospine.io.minflux_m2205 import positions_nm
from nanospine.io.registry import register, register_writer
from nanospine.io.rules import Rule, apply_rules, label_keys
from nanospine.io.safe_decode import npy_from
from nanospine.io.safe_files import Source
from nanospine.io.safe_mat import is_mat, mat_names, mat_variables, rows_of
from nanospine.io.table import ReadOptions, ReadTable, drop_flat_z
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table, sniff
from nanospine.io.units import length_factors

__all__ = ["read_minflux_npz", "read_minflux_struct", "read_minflux_table"]

_RULES = {
    "tid": Rule("trace"), "tim": Rule("time_s"), "t": Rule("time_s"), "x": Rule("x_nm"),
    "y": Rule("y_nm"), "z": Rule("z_nm"), "efo": Rule("efo_hz"), "cfr": Rule("cfr"),
    "eco": Rule("eco"), "dcr": Rule("dcr"), "fbg": Rule("background_hz"), "fluo": Rule("channel"),
}  # fmt: skip


@register(
    name="minflux-table",
    title="MINFLUX, processed table (pyMINFLUX csv)",
    suffixes=(".csv",),
    recognise=lambda source: (
        0.95 if {"tid", "x", "y"} <= (keys := label_keys(source)) and {"tim", "t"} & keys else 0.0
    ),
)
def read_minflux_table(source: Source, options: ReadOptions) -> ReadTable:
    """Read a table tid, tim, x, y, z, ...: nanometres and seconds, as pyMINFLUX writes it.

    The labels carry no unit: nanometres are the convention of the program, `units=` overrules
    it, and positions that cannot be nanometres are refused.
    """
    parsed = parse(source, need_table(source))
    where = source.path.name
    columns = apply_rules(parsed.columns, _RULES, options, where)
    notes = parsed.notes
    if options.units is None:
        notes.append("positions are taken as nm, the convention of pyMINFLUX tables")
    else:
        factors = length_factors(options.units, options.pixel_size_nm, where)
        for name, factor in zip(("x_nm", "y_nm", "z_nm"), (*factors, factors[0]), strict=True):
            if name in columns:
                columns[name] = columns[name] * factor
    drop_flat_z(columns, notes)
    if "z_nm" in columns and options.z_scale is not None:
        columns["z_nm"] = columns["z_nm"] * options.z_scale
        notes.append(f"z scaled by {options.z_scale:g}; pyMINFLUX may have scaled it before")
    scale = options.z_scale if options.z_scale is not None else 1.0
    return ReadTable(columns, notes, {"z_scale": scale})


#: Columns of tables without a header, in metres, as analysis repositories publish them.
_HEADERLESS = ("tid", "tim", "x", "y", "z")
# No field of view is larger than this, and no nanometre or micrometre number is so small.
_LARGEST_M = 1e-2


def _recognise_headerless(source: Source) -> float:
    table = sniff(source)
    if table is None or table.has_header or len(table.names) != 5 or len(table.sample) < 3:
        return 0.0
    try:
        rows = np.array([[float(cell) for cell in row] for row in table.sample])
    except ValueError:
        return 0.0
    if rows.shape[1] != 5 or not np.isfinite(rows).all():
        return 0.0
    whole = bool((rows[:, 0] == np.rint(rows[:, 0])).all() and (rows[:, 0] >= 0).all())
    metres = bool((np.abs(rows[:, 2:]) < _LARGEST_M).all() and (rows[:, 2:4] != 0).all())
    return 0.6 if whole and metres and bool((np.diff(rows[:, 1]) != 0).any()) else 0.0


@register(
    name="minflux-headerless",
    title="MINFLUX, table without header (tid, t, x, y, z in m)",
    suffixes=(".csv", ".txt"),
    recognise=_recognise_headerless,
)
def read_minflux_headerless(source: Source, options: ReadOptions) -> ReadTable:
    """Read five columns tid, t, x, y, z in seconds and metres (or in `units`).

    Recognised by whole ids and positions below 1 cm, which only metres can be.
    """
    where = source.path.name
    table = need_table(source)
    if table.has_header or len(table.names) != len(_HEADERLESS):
        raise SchemaError(
            f"{where}: five columns of numbers (tid, t, x, y, z) without a header were expected."
        )
    parsed = parse(source, replace(table, names=_HEADERLESS, has_header=True))
    factors = length_factors(options.units or "m", options.pixel_size_nm, where)
    scale = options.z_scale if options.z_scale is not None else 1.0
    columns = apply_rules(parsed.columns, _RULES, options, where)
    for name, factor in (
        ("x_nm", factors[0]), ("y_nm", factors[1]), ("z_nm", factors[0] * scale),
    ):  # fmt: skip
        columns[name] = np.asarray(columns[name], dtype=np.float64) * factor
    notes = [
        *parsed.notes,
        "no header: read as tid, t, x, y, z in s and m",
    ]
    drop_flat_z(columns, notes)
    return ReadTable(columns, notes, {"z_scale": scale})


@register(
    name="minflux-struct",
    title="MINFLUX, processed struct (MATLAB)",
    suffixes=(".mat",),
    recognise=lambda source: 0.9 if is_mat(source) and {"minflux"} <= mat_names(source) else 0.0,
)
def read_minflux_struct(source: Source, options: ReadOptions) -> ReadTable:
    """Read a struct `minflux` with t (s), id, pos (n, 3) in nm, efo, efc, fbg."""
    where = source.path.name
    found = mat_variables(source, {"minflux"}).get("minflux")
    if not isinstance(found, dict):
        raise SchemaError(f"{where}: one struct minflux was expected.")
    times = rows_of(found.get("t"))
    n = len(times) if times is not None else None
    position = found.get("pos")
    if not isinstance(position, np.ndarray) or position.ndim != 2:
        raise SchemaError(f"{where}: minflux.pos of shape (n, 3) was expected.")
    if position.shape[1] not in (2, 3) or (n is not None and position.shape[0] != n):
        position = position.T
    if position.shape[1] not in (2, 3):
        raise SchemaError(f"{where}: minflux.pos of shape (n, 3) was expected, found "
                          f"{position.shape}.")  # fmt: skip
    n = len(position)
    scale = options.z_scale if options.z_scale is not None else 1.0
    notes = ["a processed struct: z may have been scaled before"]
    columns: dict[str, Any] = dict(positions_nm(position * 1e-9, scale, notes))
    for name, canonical in (("t", "time_s"), ("id", "trace"), ("efo", "efo_hz"),
                            ("efc", "efc_hz"), ("fbg", "background_hz")):  # fmt: skip
        values = rows_of(found.get(name))
        if values is not None and values.shape == (n,):
            columns[canonical] = values
    return ReadTable(columns, notes, {"z_scale": scale})


def _npz_names(source: Source) -> dict[str, str]:
    if source.kind != "zip":
        return {}
    return {name[:-4].lower(): name for name in source.members() if name.endswith(".npy")}


def _recognise_npz(source: Source) -> float:
    if source.kind != "zip":
        return 0.0
    return 0.9 if {"x", "y"} <= _npz_names(source).keys() else 0.0


@register(
    name="minflux-npz",
    title="MINFLUX, processed npz",
    suffixes=(".npz",),
    recognise=_recognise_npz,
)
def read_minflux_npz(source: Source, options: ReadOptions) -> ReadTable:
    """Read an npz with X, Y, Z, T, ECO, EFO, TID in metres (or in `units`)."""
    where = source.path.name
    names = _npz_names(source)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for key, name in names.items():
        arrays[key] = npy_from(source.member(name), f"{where}/{name}").reshape(-1)
    unit = options.units or "m"
    factors = length_factors(unit, options.pixel_size_nm, where)
    scale = options.z_scale if options.z_scale is not None else 1.0
    columns = apply_rules(
        {name: values for name, values in arrays.items() if len(values) == len(arrays["x"])},
        _RULES,
        options,
        where,
    )
    for name, factor in (
        ("x_nm", factors[0]), ("y_nm", factors[1]), ("z_nm", factors[0] * scale),
    ):  # fmt: skip
        if name in columns:
            columns[name] = np.asarray(columns[name], dtype=np.float64) * factor
    notes = [] if options.units else ["positions are taken as metres, the convention of such files"]
    return ReadTable(columns, notes, {"z_scale": scale})


@register_writer(name="minflux-table", suffix=".pmx.csv")
def write_minflux_table(locs: Localizations, path: Path) -> None:
    """Write tid, tim, x, y, z, efo, cfr, eco, dcr, dwell, fluo as pyMINFLUX exports them (nm, s).

    Columns that the table lacks are written as pyMINFLUX fills them: tid counts the rows, fluo
    is 1, the others are 0.
    """
    table = locs.table
    n = len(table)
    columns: dict[str, Any] = {}
    for label in ("tid", "tim", "x", "y", "z", "efo", "cfr", "eco", "dcr", "dwell", "fluo"):
        name = _RULES[label].name if label in _RULES else label
        if label == "fluo" and "channel" in table:
            columns[label] = table["channel"].cat.codes.to_numpy().astype(np.int64) + 1
        elif name in table:
            columns[label] = table[name].to_numpy()
        elif label == "tid":
            columns[label] = np.arange(n)
        else:
            columns[label] = np.full(n, 1 if label == "fluo" else 0)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pa_csv.write_csv(
            pa.table({label: pa.array(values) for label, values in columns.items()}),
            file,
            pa_csv.WriteOptions(quoting_style="none"),
        )

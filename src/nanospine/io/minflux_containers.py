"""MINFLUX rows in MATLAB, JSON and zarr containers, of both Imspector generations.

The fields are the same as in npy; this module brings them into one shape and hands them to
:func:`nanospine.io.minflux_m2205.from_iterations` or :func:`nanospine.io.minflux_m2410.from_rows`.
"""

from __future__ import annotations

import re
import zlib
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError, SchemaError, UnsafeFileError
from nanospine.io.blosc import decode_blosc
from nanospine.io.minflux_m2205 import from_iterations, from_structured, is_m2205
from nanospine.io.minflux_m2410 import from_rows, is_m2410_names
from nanospine.io.registry import register
from nanospine.io.rules import label_keys
from nanospine.io.safe_decode import json_from
from nanospine.io.safe_files import LIMITS, Source
from nanospine.io.safe_mat import is_mat, mat_names, mat_variables, rows_of
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table

__all__ = ["read_minflux_json", "read_minflux_mat", "read_minflux_zarr", "zarr_array"]

Fields = dict[str, npt.NDArray[Any]]


@register(
    name="minflux-mat",
    title="MINFLUX (MATLAB)",
    suffixes=(".mat",),
    recognise=lambda source: (
        0.97
        if is_mat(source)
        and (is_m2410_names(names := mat_names(source)) or {"itr", "tid"} <= names
             or {"loc", "tid", "tim"} <= names)
        else 0.0
    ),
)  # fmt: skip
def read_minflux_mat(source: Source, options: ReadOptions) -> ReadTable:
    """Read a MATLAB file of Imspector (v5, v7 or v7.3), m2205 or m2410."""
    where = source.path.name
    found = mat_variables(source)
    itr = found.pop("itr", None)
    n = _row_count(found, where)
    outer = _per_row(found, n)
    if isinstance(itr, dict):
        return _nested(itr, outer, n, options, where)
    if is_m2410_names({*outer, "itr"} if itr is not None else set(outer)):
        iteration = rows_of(itr, n)
        if iteration is not None:
            outer["itr"] = iteration
        return from_rows(outer, options, where)
    # Iterations unwrapped to the top level, as some scripts save them.
    return _nested(found, outer, n, options, where)


def _row_count(found: dict[str, Any], where: str) -> int:
    for name in ("tid", "tim", "vld"):
        values = rows_of(found.get(name))
        if values is not None and values.ndim == 1:
            return len(values)
    raise SchemaError(f"{where}: one of tid, tim or vld with a value per row was expected.")


def _per_row(found: dict[str, Any], n: int) -> Fields:
    arrays = {name: rows_of(values, n) for name, values in found.items()}
    return {
        name: values for name, values in arrays.items() if values is not None and len(values) == n
    }


def _nested(
    itr: dict[str, Any], outer: Fields, n: int, options: ReadOptions, where: str
) -> ReadTable:
    fields: Fields = {}
    for name, values in itr.items():
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb":
            continue
        array = _rows_first(values, n)
        if array is None:
            continue
        is_vector = name in ("loc", "lnc", "ext")
        if is_vector and array.ndim == 2 and array.shape[1] in (2, 3):
            array = array[:, None, :]  # one iteration
        if not is_vector and array.ndim == 1:
            array = array[:, None]
        fields[name] = array
    rows = {name: values for name, values in outer.items() if values.shape == (n,)}
    return from_iterations(fields, rows, options, where)


def _rows_first(values: npt.NDArray[Any], n: int) -> npt.NDArray[Any] | None:
    if values.shape[:1] == (n,):
        return values
    if values.shape[-1:] == (n,):
        return np.moveaxis(values, -1, 0)
    return values.reshape(-1) if values.size == n else None


def _json_start(source: Source) -> str:
    if source.kind != "text":
        return ""
    return source.head[:4096].decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")


def _recognise_json(source: Source) -> float:
    start = _json_start(source)
    if not start.startswith(("[", "{")):
        return 0.0
    return 0.95 if re.search(r'"(itr|tid|tim|loc)"\s*:', start) else 0.0


@register(
    name="minflux-json",
    title="MINFLUX (JSON)",
    suffixes=(".json",),
    recognise=_recognise_json,
)
def read_minflux_json(source: Source, options: ReadOptions) -> ReadTable:
    """Read MINFLUX JSON: records with a nested `itr` list, flat ones, or one row per iteration."""
    where = source.path.name
    found = json_from(source.read_bytes(), where)
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        if {"loc", "tid"} <= found.keys():
            columns = {name: value for name, value in found.items() if isinstance(value, list)}
            return _flat(
                {name: np.asarray(value) for name, value in columns.items()}, options, where
            )
        found = lists[0] if len(lists) == 1 else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise SchemaError(f"{where}: a list of records (tid, tim, loc, ...) was expected.")
    if not found:
        return ReadTable({"x_nm": np.zeros(0), "y_nm": np.zeros(0)})
    if isinstance(found[0].get("itr"), list):
        return _nested_json(found, options, where)
    return _flat(_columns(found, where, "record"), options, where)


def _columns(records: list[dict[str, Any]], where: str, what: str) -> Fields:
    """Turn records into arrays; a field must be in all of them, with one shape."""
    names = list(records[0])
    result: Fields = {}
    for name in names:
        values = [record.get(name) for record in records]
        if any(value is None for value in values):
            number = next(i for i, value in enumerate(values) if value is None)
            if name in ("loc", "tid", "tim", "itr"):
                raise SchemaError(f"{where}, {what} {number + 1}: the field {name} is missing.")
            values = [float("nan") if value is None else value for value in values]
        try:
            array = np.asarray(values)
        except ValueError:
            raise SchemaError(
                f"{where}: the field {name} has different lengths in different {what}s."
            ) from None
        if array.dtype.kind in "iufb":
            result[name] = array
        elif name in ("loc", "tid", "tim"):
            raise SchemaError(f"{where}: numbers were expected in the field {name}.")
    return result


def _nested_json(records: list[dict[str, Any]], options: ReadOptions, where: str) -> ReadTable:
    iterations = [record.get("itr") for record in records]
    n_iterations = {len(item) if isinstance(item, list) else -1 for item in iterations}
    if len(n_iterations) != 1 or min(n_iterations) < 1:
        raise SchemaError(f"{where}: every record must have the same number of iterations in itr.")
    count = n_iterations.pop()
    flat = [row for item in iterations if isinstance(item, list) for row in item]
    if not all(isinstance(row, dict) for row in flat):
        raise SchemaError(f"{where}: itr must be a list of records.")
    fields = {
        name: values.reshape(len(records), count, *values.shape[1:])
        for name, values in _columns(flat, where, "iteration").items()
    }
    outer = _columns(
        [{name: value for name, value in record.items() if name != "itr"} for record in records],
        where,
        "record",
    )
    return from_iterations(fields, outer, options, where)


def _flat(fields: Fields, options: ReadOptions, where: str) -> ReadTable:
    if is_m2410_names(set(fields)):
        return from_rows(fields, options, where)
    n = len(fields["loc"]) if "loc" in fields else 0
    if n == 0 or fields["loc"].ndim != 2:
        raise SchemaError(f"{where}: a field loc with 2 or 3 numbers per record was expected.")
    outer: Fields = {name: fields[name] for name in ("tid", "tim", "vld", "fluo") if name in fields}
    itr = {name: values for name, values in fields.items() if name not in outer}
    return _nested(itr, outer, n, options, where)


@register(
    name="minflux-iterations",
    title="MINFLUX, iterations as a table (EMBL viewer csv)",
    suffixes=(".csv",),
    recognise=lambda source: 0.96 if {"locx", "locy", "tid", "itr"} <= label_keys(source) else 0.0,
)
def read_minflux_iterations(source: Source, options: ReadOptions) -> ReadTable:
    """Read a table with loc_x, loc_y, loc_z (metres), itr, tid, vld, dcr_0, ...

    Without a column `fnl` the highest iteration is the localizing one.
    """
    where = source.path.name
    parsed = parse(source, need_table(source))
    fields = {name.strip().lower(): values for name, values in parsed.columns.items()}
    for name, values in fields.items():
        if values.dtype.kind not in "iufb":  # True and False in words
            fields[name] = np.array([str(cell).strip().lower() in ("true", "1") for cell in values])
    axes = [fields.pop(name) for name in ("loc_x", "loc_y", "loc_z") if name in fields]
    fields["loc"] = np.column_stack(axes)
    if "dcr_0" in fields:
        fields["dcr"] = fields["dcr_0"]
    notes = parsed.notes
    if "fnl" not in fields and len(fields["itr"]):
        last = np.nanmax(fields["itr"])
        fields["fnl"] = fields["itr"] == last
        notes.append(f"no column fnl: iteration {last:g}, the highest, is the localizing one")
    result = from_rows(fields, options, where)
    result.notes[:0] = notes
    return result


def _mfx_prefix(source: Source) -> str | None:
    """Give the path of the `mfx` array inside a zarr store (folder or zip).

    A folder that holds other things beside the store is no recording but a folder of files.
    """
    if source.kind not in ("folder", "zip"):
        return None
    names = source.members()
    found = [
        str(path.parent)
        for path in map(PurePosixPath, names)
        if path.name == ".zarray" and path.parent.name == "mfx"
    ]
    if not found:
        return None
    store = found[0].removesuffix("mfx")
    return found[0] if all(name.startswith(store) for name in names) else None


def _recognise_zarr(source: Source) -> float:
    try:
        return 0.97 if _mfx_prefix(source) is not None else 0.0
    except (ReadError, OSError):
        return 0.0


@register(
    name="minflux-zarr",
    title="MINFLUX (zarr store)",
    suffixes=(".zarr",),
    recognise=_recognise_zarr,
)
def read_minflux_zarr(source: Source, options: ReadOptions) -> ReadTable:
    """Read the `mfx` array of a zarr v2 store, a folder or a zip of it."""
    where = source.path.name
    prefix = _mfx_prefix(source)
    if prefix is None:
        raise SchemaError(f"{where}: a zarr v2 store with an array mfx was expected.")
    rows, missing = zarr_array(source, prefix)
    return from_zarr_rows(rows, missing, options, where)


def from_zarr_rows(
    rows: npt.NDArray[Any], missing: int, options: ReadOptions, where: str
) -> ReadTable:
    """Read the rows of an array `mfx` of either generation."""
    names = rows.dtype.names
    if names is None:
        raise SchemaError(f"{where}/mfx: named fields were expected, found {rows.dtype}.")
    rows = rows.reshape(-1)
    if is_m2205(rows.dtype):
        result = from_structured(rows, options, where)
    else:
        result = from_rows({name: rows[name] for name in names}, options, where)
    if missing:
        result.notes.append(f"{missing} chunks are missing in the store: their rows are empty")
    return result


def zarr_array(source: Source, prefix: str) -> tuple[npt.NDArray[Any], int]:
    """Decode one array of a zarr v2 store; give it and the number of missing chunks.

    Raises
    ------
    UnsafeFileError
        For object types, filters (pickle!), and sizes beyond the limits.
    ReadError
        For damaged chunks and codecs that are not known.
    """
    where = f"{source.path.name}/{prefix}"
    meta = json_from(source.member(f"{prefix}/.zarray"), where)
    if not isinstance(meta, dict) or meta.get("zarr_format") != 2:
        raise ReadError(f"{where}: zarr format 2 was expected.")
    if meta.get("filters"):
        raise UnsafeFileError(f"{where}: zarr filters are not run; store the array without them.")
    dtype = np.lib.format.descr_to_dtype(_descr(meta["dtype"]))
    shape, chunks = _sizes(meta, "shape"), _sizes(meta, "chunks")
    if dtype.hasobject:
        raise UnsafeFileError(f"{where}: holds Python objects; only numbers are read.")
    if len(shape) != 1 or len(chunks) != 1 or chunks[0] < 1:
        raise ReadError(f"{where}: a one-dimensional array was expected, found shape {shape}.")
    stored = [name for name in source.members() if name.startswith(f"{prefix}/")]
    largest = max(LIMITS.free_bytes, len(stored) * (64 << 20))
    if max(shape[0], chunks[0]) * dtype.itemsize > min(largest, LIMITS.decoded_bytes):
        raise UnsafeFileError(f"{where}: declares {shape[0]} rows; that is refused.")
    array = np.zeros(shape[0], dtype)
    missing = 0
    for number in range(-(-shape[0] // chunks[0])):
        name = f"{prefix}/{number}"
        if name not in stored:
            missing += 1
            continue
        data = _chunk(
            source.member(name), meta.get("compressor"), chunks[0] * dtype.itemsize, where
        )
        rows = np.frombuffer(data, dtype)
        start = number * chunks[0]
        count = min(chunks[0], shape[0] - start)
        if len(rows) < count:
            raise ReadError(f"{where}: chunk {number} is cut short.")
        array[start : start + count] = rows[:count]
    return array, missing


def _sizes(meta: dict[str, Any], key: str) -> tuple[int, ...]:
    values = meta.get(key)
    if not isinstance(values, list) or not all(
        isinstance(item, int) and 0 <= item < 2**40 for item in values
    ):
        raise ReadError(f"zarr: {key} {str(values)[:40]!r} is not a list of sizes.")
    return tuple(values)


def _descr(entry: Any) -> Any:
    """Turn the JSON lists of a structured dtype into the tuples that numpy expects."""
    if isinstance(entry, str):
        return entry
    return [
        (str(item[0]), _descr(item[1]), *((tuple(item[2]),) if len(item) > 2 else ()))
        for item in entry
    ]


def _chunk(data: bytes, compressor: Any, n_bytes: int, where: str) -> bytes:
    if compressor is None:
        return data
    kind = compressor.get("id") if isinstance(compressor, dict) else None
    if kind == "blosc":
        return decode_blosc(data, n_bytes, where)
    if kind in ("zlib", "gzip"):
        return zlib.decompressobj(47).decompress(data, n_bytes)
    raise ReadError(f"{where}: is packed with {kind!r}; blosc, zlib, gzip or none are read.")

"""locan `.asdf`: a yaml tree with column names and one binary block of float32 or float64.

Only what locan writes is read: inline blocks, plain or zlib-packed; yaml is decoded inertly.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError, SchemaError, UnsafeFileError
from nanospine.io.names import map_columns
from nanospine.io.registry import register
from nanospine.io.safe_decode import json_from, load_yaml
from nanospine.io.safe_files import LIMITS, Source
from nanospine.io.table import ReadOptions, ReadTable

__all__ = ["read_locan_asdf"]

# Functions of locan whose files are always in nanometres (its DECODE loader leaves pixels).
_NM_LOADERS = re.compile(r"load_(rapidSTORM|Elyra|thunderstorm|Nanoimager|SMAP)\w*_file", re.I)
_BLOCK = b"\xd3BLK"
_KINDS = {"float32": "f4", "float64": "f8", "int32": "i4", "int64": "i8", "uint32": "u4",
          "int16": "i2", "uint16": "u2", "int8": "i1", "uint8": "u1", "uint64": "u8"}  # fmt: skip


@register(
    name="asdf",
    title="locan asdf",
    suffixes=(".asdf",),
    recognise=lambda source: 0.95 if source.kind == "asdf" else 0.0,
)
def read_locan_asdf(source: Source, options: ReadOptions) -> ReadTable:
    """Read the table `data` with the names `columns`.

    Units come from locan's metadata where they are there; otherwise they are asked for.
    """
    where = source.path.name
    data = source.read_bytes()
    end = data.find(b"\n...")
    if end < 0:
        raise ReadError(f"{where}: the yaml tree has no end; the file is cut short.")
    documents = load_yaml(data[:end], where)
    tree = documents[0] if documents and isinstance(documents[0], dict) else {}
    names = tree.get("columns")
    array = tree.get("data")
    if not isinstance(names, list) or not isinstance(array, dict):
        raise SchemaError(f"{where}: columns and data, as locan writes them, were expected.")
    values = _array(data, data.find(_BLOCK, end), array, where)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise SchemaError(
            f"{where}: {len(names)} columns were expected, found shape {values.shape}."
        )
    columns = {str(name): values[:, i].astype(np.float64) for i, name in enumerate(names)}
    units = _units(tree.get("meta"), where)
    notes: list[str] = []
    program = _NM_LOADERS.search(str(tree.get("meta"))) if not units else None
    if program is not None and options.units is None:
        options = replace(options, units="nm")
        notes.append(f"positions are nm: locan read them with {program[0]}, which gives nm")
    labelled = {
        f"{name} [{units[name]}]" if units.get(name) else name: column
        for name, column in columns.items()
    }
    mapped = map_columns(labelled, options, where)
    return ReadTable(mapped.columns, notes or mapped.notes)


def _units(meta: Any, where: str) -> dict[str, str]:
    """Give the units of locan's metadata (JSON text with `unit: [{property, unit}]`)."""
    if not isinstance(meta, str):
        return {}
    try:
        found = json_from(meta.encode(), where)
    except ReadError:
        return {}
    listed = found.get("unit") if isinstance(found, dict) else None
    return {
        str(item["property"]): str(item["unit"])
        for item in listed or []
        if isinstance(item, dict) and {"property", "unit"} <= item.keys()
    }


def _array(data: bytes, start: int, array: dict[str, Any], where: str) -> npt.NDArray[Any]:
    if array.get("source") != 0 or start < 0:
        raise ReadError(f"{where}: the numbers must be in the first block of the file itself.")
    kind = _KINDS.get(str(array.get("datatype")))
    order = ">" if array.get("byteorder") == "big" else "<"
    shape = array.get("shape")
    if kind is None or not isinstance(shape, list) or len(shape) != 2:
        raise SchemaError(f"{where}: a table of numbers was expected, found {array.get('shape')}.")
    dtype = np.dtype(order + kind)
    block = _block(data, start, where)
    sizes = [int(size) for size in shape]
    strides = [int(step) for step in array.get("strides") or (sizes[1] * dtype.itemsize,
                                                             dtype.itemsize)]  # fmt: skip
    offset = int(array.get("offset", 0))
    n_expected = sizes[0] * sizes[1] * dtype.itemsize
    if min(sizes) < 0 or min(*strides, offset) < 0 or n_expected > len(block):
        raise ReadError(f"{where}: the block is shorter than the table; the file is cut short.")
    reach = offset + sum(max(size - 1, 0) * step for size, step in zip(sizes, strides, strict=True))
    if n_expected and reach + dtype.itemsize > len(block):
        raise ReadError(f"{where}: the table reaches beyond its block; the file is damaged.")
    view = np.ndarray(sizes, dtype, buffer=block, offset=offset, strides=strides)
    return view.copy()


def _block(data: bytes, start: int, where: str) -> bytes:
    if start + 54 > len(data):
        raise ReadError(f"{where}: the binary block is cut short.")
    (header,) = struct.unpack_from(">H", data, start + 4)
    packing = data[start + 10 : start + 14]
    _allocated, used, size = struct.unpack_from(">QQQ", data, start + 14)
    begin = start + 6 + header
    packed = data[begin : begin + used]
    if len(packed) < used:
        raise ReadError(f"{where}: the binary block is cut short.")
    if packing == b"\x00\x00\x00\x00":
        return packed
    if packing != b"zlib":
        raise ReadError(f"{where}: is packed with {packing!r}; save it without or with zlib.")
    if size > LIMITS.allowed(len(packed)):
        raise UnsafeFileError(f"{where}: a block declares {size} bytes; that is refused.")
    return zlib.decompressobj().decompress(packed, size)

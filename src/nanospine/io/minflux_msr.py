"""Abberior `.msr` files whose payload is MINFLUX: OBF stacks that hold a zarr store.

OBF: headers of stacks in a chain (Imspector documentation, "The OBF File Format"). A MINFLUX stack
is bytes that start with MFXDTA: a list of named records, the zarr v2 store under `zarr/`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from nanospine.core.errors import ReadError, SchemaError, UnsafeFileError
from nanospine.io.minflux_containers import from_zarr_rows, zarr_array
from nanospine.io.registry import register
from nanospine.io.safe_files import LIMITS, Source
from nanospine.io.table import ReadOptions, ReadTable

__all__ = ["read_minflux_msr"]

_FILE_MAGIC = b"OMAS_BF\n\xff\xff"
_STACK_MAGIC = b"OMAS_BF_STACK\n\xff\xff"
_PAYLOAD_MAGIC = b"MFXDTA"
# magic, version, rank, 15 sizes, 15 lengths, 15 offsets, type, packing, level, name and
# description lengths, reserved, bytes on disk, next stack; packed without gaps.
_STACK_HEADER = struct.Struct("<16s2I15I15d15d5I3Q")
_LONGEST_NAME = 1024


@register(
    name="minflux-msr",
    title="MINFLUX (Imspector .msr)",
    suffixes=(".msr", ".obf"),
    recognise=lambda source: 0.95 if source.kind == "msr" else 0.0,
)
def read_minflux_msr(source: Source, options: ReadOptions) -> ReadTable:
    """Read the MINFLUX data sets of an `.msr` file; several become channels.

    Raises
    ------
    SchemaError
        When the file holds images only.
    """
    where = source.path.name
    data = source.read_bytes()
    if not data.startswith(_FILE_MAGIC):
        raise ReadError(f"{where}: is not an OBF file.")
    tables: list[ReadTable] = []
    names: list[str] = []
    n_stacks = 0
    for name, payload in _stacks(data, where):
        n_stacks += 1
        if payload.startswith(_PAYLOAD_MAGIC):
            store = _zarr_store(payload, f"{where}/{name}")
            rows, missing = zarr_array(_as_source(source, store), "mfx")
            tables.append(from_zarr_rows(rows, missing, options, f"{where}/{name}"))
            names.append(name or f"minflux {len(tables)}")
    if not tables:
        raise SchemaError(
            f"{where}: holds {n_stacks} image stacks and no MINFLUX data that can be read; export "
            "the data from Imspector as npy, mat or zarr."
        )
    return _joined(tables, names)


def _stacks(data: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """Give name and bytes of each stack of 8-bit values; other types are images."""
    (position,) = struct.unpack_from("<Q", data, 14)
    seen: set[int] = set()
    while position:
        if position in seen or position + _STACK_HEADER.size > len(data):
            raise ReadError(f"{where}: the chain of stacks is broken; the file is cut short.")
        seen.add(position)
        fields = _STACK_HEADER.unpack_from(data, position)
        if fields[0] != _STACK_MAGIC:
            raise ReadError(f"{where}: a stack header was expected at byte {position}.")
        kind, packing, _level, name_bytes, text_bytes = fields[48:53]
        _reserved, on_disk, following = fields[53:56]
        begin = position + _STACK_HEADER.size
        name = data[begin : begin + min(name_bytes, _LONGEST_NAME)].decode("utf-8", "replace")
        begin += name_bytes + text_bytes
        if kind == 1:
            yield name, _payload(data[begin : begin + on_disk], packing, where)
        position = following


def _payload(packed: bytes, packing: int, where: str) -> bytes:
    """Give the bytes of a stack, whole only when they are MINFLUX."""
    if packing == 0:
        return packed if packed.startswith(_PAYLOAD_MAGIC) else b""
    if packing != 1:
        return b""
    try:
        head = zlib.decompressobj().decompress(packed, 16)
        if not head.startswith(_PAYLOAD_MAGIC):
            return b""
        budget = LIMITS.allowed(len(packed))
        whole = zlib.decompressobj().decompress(packed, budget + 1)
    except zlib.error as error:
        raise ReadError(f"{where}: a packed stack is damaged ({error}).") from None
    if len(whole) > budget:
        raise UnsafeFileError(f"{where}: a packed stack grows beyond {budget} bytes.")
    return whole


def _zarr_store(blob: bytes, where: str) -> dict[str, bytes]:
    """Give the files of the zarr store in a MFXDTA payload by their names.

    Records: length of the name (u64), name, 1 for a group or 0, then length (u64) and data.
    The separator is a backslash in version 2 and a slash in version 3.
    """
    position = 15  # magic, version, time
    while position < len(blob) and blob[position] == 0:
        position += 1
    store: dict[str, bytes] = {}
    while position + 9 <= len(blob):
        (length,) = struct.unpack_from("<Q", blob, position)
        position += 8
        if not 0 < length <= _LONGEST_NAME or position + length >= len(blob):
            break  # the payload is padded to a rectangle of pixels
        name = blob[position : position + length].decode("latin-1").replace("\\", "/")
        position += length + 1
        if blob[position - 1] == 1:
            continue
        if position + 8 > len(blob):
            raise ReadError(f"{where}: the MINFLUX records are cut short.")
        (size,) = struct.unpack_from("<Q", blob, position)
        position += 8
        if position + size > len(blob):
            raise ReadError(f"{where}: the MINFLUX record {name} is cut short.")
        if name.startswith("zarr/"):
            store[name.removeprefix("zarr/")] = blob[position : position + size]
        position += size
        if len(store) > LIMITS.members:
            raise UnsafeFileError(f"{where}: holds more than {LIMITS.members} records.")
    if "mfx/.zarray" not in store:
        raise SchemaError(f"{where}: a zarr store with an array mfx was expected.")
    return store


def _as_source(source: Source, store: dict[str, bytes]) -> Source:
    return Source(source.path, source.name, "store", source.size, b"", files=store)


def _joined(tables: list[ReadTable], names: list[str]) -> ReadTable:
    if len(tables) == 1:
        return tables[0]
    shared = [name for name in tables[0].columns if all(name in t.columns for t in tables)]
    columns = {name: np.concatenate([t.columns[name] for t in tables]) for name in shared}
    # Trace ids are unique within a data set only.
    offset = 0
    traces = []
    for table in tables:
        ids = np.asarray(table.columns["trace"], dtype=np.int64)
        traces.append(ids + offset)
        offset += int(ids.max()) + 1 if len(ids) else 0
    columns["trace"] = np.concatenate(traces)
    sizes = [len(table.columns["x_nm"]) for table in tables]
    columns["channel"] = np.repeat(np.array(names, dtype=object), sizes)
    notes = [f"{name}: {note}" for name, t in zip(names, tables, strict=True) for note in t.notes]
    notes.append("trace ids of the data sets were made unique by adding offsets")
    return ReadTable(columns, notes, tables[0].details)

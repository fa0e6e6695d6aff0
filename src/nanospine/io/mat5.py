"""MATLAB files of v5 to v7, decoded in Python: numbers, texts and structs, nothing else.

Why not scipy.io.loadmat: a damaged file makes it crash the process (seen with scipy 1.17). Here
every length is checked against what is there. Layout: "MAT-File Format", MathWorks, Level 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io.safe_archive import LIMITS

__all__ = ["mat5_names", "mat5_variables"]

_MATRIX, _COMPRESSED = 14, 15
#: Types of stored numbers.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
           13: "u8", 16: "u1", 17: "u2", 18: "u4"}  # fmt: skip
#: Classes of numeric arrays.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8",
            15: "u8"}  # fmt: skip
_STRUCT, _CHAR = 2, 4
_COMPLEX = 0x0800
_DEEPEST = 8
_MOST_STRUCTS = 1000
_HEAD_BYTES = 8192


class _Damaged(Exception):
    """A length or type that cannot be."""


def mat5_names(data: bytes) -> set[str]:
    """Give the names of the variables; of damaged ones none."""
    names = set()
    try:
        order = _order(data)
        for kind, body in _top_level(data, order):
            try:
                head = body[:_HEAD_BYTES]
                if kind == _COMPRESSED:
                    head = zlib.decompressobj().decompress(body, _HEAD_BYTES)[8:]
                names.add(_header(head, order)[2])
            except (_Damaged, zlib.error):
                continue
    except _Damaged:
        pass
    return names


def mat5_variables(data: bytes, wanted: set[str] | None, where: str) -> dict[str, Any]:
    """Give variables as arrays in MATLAB's orientation, str, or nested dictionaries.

    Objects, cells, sparse and complex arrays give None.

    Raises
    ------
    ReadError
        When the file is damaged or cut short.
    UnsafeFileError
        When packed variables grow beyond the limits.
    """
    found: dict[str, Any] = {}
    budget = LIMITS.allowed(len(data))
    try:
        order = _order(data)
        for kind, body in _top_level(data, order):
            if kind == _COMPRESSED:
                head = zlib.decompressobj().decompress(body, _HEAD_BYTES)
                if wanted is not None and _header(head[8:], order)[2] not in wanted:
                    continue
                body = zlib.decompressobj().decompress(body, budget + 1)
                budget -= len(body)
                if budget < 0:
                    raise UnsafeFileError(
                        f"{where}: its packed variables grow beyond the limit; this looks like a "
                        "decompression bomb."
                    )
                kind, body, _next = _element(body, 0, order)
            if kind != _MATRIX:
                continue
            name = _header(body, order)[2]
            if wanted is None or name in wanted:
                found[name] = _array(body, order, 0)
    except (_Damaged, zlib.error, struct.error, UnicodeError) as error:
        raise ReadError(
            f"{where}: the MATLAB file cannot be decoded ({error}); it is cut short or damaged."
        ) from None
    return found


def _order(data: bytes) -> str:
    mark = data[126:128]
    if mark not in (b"IM", b"MI"):
        raise _Damaged("no byte order in its header")
    return "<" if mark == b"IM" else ">"


def _top_level(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    position = 128
    while position + 8 <= len(data):
        kind, n_bytes = struct.unpack_from(f"{order}2I", data, position)
        body = data[position + 8 : position + 8 + n_bytes]
        if len(body) < n_bytes:
            raise _Damaged(f"a variable of {n_bytes} bytes is cut short")
        yield kind, body
        # Packed variables are not padded, others are multiples of 8 already.
        position += 8 + n_bytes


def _element(data: bytes, position: int, order: str) -> tuple[int, bytes, int]:
    """Give type, bytes and the position behind an element."""
    if position + 8 > len(data):
        raise _Damaged("an element is missing")
    kind, n_bytes = struct.unpack_from(f"{order}2I", data, position)
    if kind >> 16:  # up to four bytes stand in the tag itself
        n_bytes, kind = kind >> 16, kind & 0xFFFF
        if n_bytes > 4:
            raise _Damaged(f"a short element of {n_bytes} bytes")
        return kind, data[position + 4 : position + 4 + n_bytes], position + 8
    begin = position + 8
    body = data[begin : begin + n_bytes]
    if len(body) < n_bytes:
        raise _Damaged(f"an element of {n_bytes} bytes is cut short")
    return kind, body, begin + (n_bytes + 7) // 8 * 8


def _header(body: bytes, order: str) -> tuple[int, tuple[int, ...], str, int]:
    """Give flags, sizes, name of an array and the position of its data."""
    _kind, flags, position = _element(body, 0, order)
    if len(flags) < 8:
        raise _Damaged("an array without flags")
    (bits,) = struct.unpack_from(f"{order}I", flags)
    _kind, sizes, position = _element(body, position, order)
    shape = tuple(int(item) for item in np.frombuffer(sizes[: len(sizes) // 4 * 4], f"{order}i4"))
    if any(item < 0 for item in shape) or len(shape) > 8:
        raise _Damaged(f"an array of shape {shape[:8]}")
    _kind, name, position = _element(body, position, order)
    return bits, shape, name.decode("utf-8", "replace"), position


def _array(body: bytes, order: str, depth: int) -> Any:
    if not body:
        return np.zeros((0, 0))
    bits, shape, _name, position = _header(body, order)
    kind = bits & 0xFF
    count = 1
    for item in shape:
        count *= item
    if kind == _STRUCT and depth < _DEEPEST:
        return _struct(body, position, count, order, depth)
    if kind == _CHAR:
        return _text(body, position, order)
    if kind not in _CLASSES or bits & _COMPLEX:
        return None
    stored, data, _next = _element(body, position, order)
    if stored not in _STORED:
        raise _Damaged(f"numbers of type {stored}")
    values: npt.NDArray[Any] = np.frombuffer(data, dtype=order + _STORED[stored]) if (
        len(data) % np.dtype(_STORED[stored]).itemsize == 0
    ) else np.zeros(0)  # fmt: skip
    if values.size != count:
        raise _Damaged(f"{count} numbers expected, {values.size} found")
    return values.astype(_CLASSES[kind]).reshape(shape, order="F")


def _text(body: bytes, position: int, order: str) -> str:
    kind, data, _next = _element(body, position, order)
    codecs = {1: "latin-1", 2: "latin-1", 16: "utf-8"}
    wide = "utf-16-le" if order == "<" else "utf-16-be"
    return data.decode(codecs.get(kind, wide), "replace")


def _struct(body: bytes, position: int, count: int, order: str, depth: int) -> Any:
    _kind, width, position = _element(body, position, order)
    if len(width) < 4:
        raise _Damaged("a struct without names")
    (length,) = struct.unpack_from(f"{order}i", width)
    _kind, text, position = _element(body, position, order)
    if not 0 < length <= 1024:
        raise _Damaged(f"field names of {length} letters")
    names = [
        text[start : start + length].split(b"\x00", 1)[0].decode("utf-8", "replace")
        for start in range(0, len(text) - length + 1, length)
    ]
    records: list[dict[str, Any]] = []
    for _number in range(min(count, _MOST_STRUCTS)):
        record: dict[str, Any] = {}
        for name in names:
            kind, data, position = _element(body, position, order)
            record[name] = _array(data, order, depth + 1) if kind == _MATRIX else None
        records.append(record)
    return records[0] if count == 1 and records else records

"""Global heaps of HDF5 files, where texts of variable length lie, checked before they are read.

The HDF5 library (seen with 1.14) walks a heap object by object and comes back to the same place
for ever when a damaged object has the size 0 or one that overflows. Layout: HDF5 File Format
Specification, III.E "Global Heap".
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from nanospine.core.errors import ReadError
from nanospine.io.safe_files import Source

__all__ = ["check_text_heaps"]

_SIGNATURE = b"GCOL\x01"
_HEADER = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")
_SMALLEST = 4096
_BLOCK_BYTES = 4 << 20


def check_text_heaps(source: Source) -> None:
    """Walk every global heap of a file.

    Raises
    ------
    ReadError
        When an object reaches beyond its heap or has no size.
    """
    with source.open() as handle:
        start = 0
        overlap = b""
        while block := handle.read(_BLOCK_BYTES):
            data = overlap + block
            base = start - len(overlap)
            at = data.find(_SIGNATURE)
            while at >= 0:
                # Heaps begin at multiples of 8; elsewhere the letters are data.
                if (base + at) % 8 == 0:
                    handle.seek(base + at)
                    _walk(handle.read(_HEADER.size), handle.read, source)
                at = data.find(_SIGNATURE, at + 1)
            start += len(block)
            handle.seek(start)
            overlap = data[-(len(_SIGNATURE) - 1) :]


def _walk(header: bytes, read: Callable[[int], bytes], source: Source) -> None:
    if len(header) < _HEADER.size:
        return
    size = _HEADER.unpack(header)[2]
    if not _SMALLEST <= size <= source.size:
        return  # the library refuses these itself
    heap = header + read(size - _HEADER.size)
    position = _HEADER.size
    while position + _OBJECT.size <= len(heap):
        index, _count, length = _OBJECT.unpack_from(heap, position)
        # Object 0 is the free space, its length counts its own header.
        needed = length if index == 0 else _OBJECT.size + (length + 7) // 8 * 8
        if needed < _OBJECT.size or position + needed > size:
            raise ReadError(
                f"{source.path.name}: a heap of texts in the HDF5 file is damaged. Copy the file "
                "again."
            )
        position += needed

"""Global heaps of HDF5 files, where texts of variable length lie, checked before they are read.

The HDF5 library (seen with 1.14) walks a heap object by object and comes back to the same place
for ever when a damaged object has the size 0 or one that overflows. Layout: HDF5 File Format
Specification, III.E "Global Heap".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator

from nanospine.core.errors import ReadError
from nanospine.io.safe_files import Source

__all__ = ["check_text_heaps", "longest_text_claim"]

_SIGNATURE = b"GCOL\x01"
_HEADER = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")
_SMALLEST = 4096
_BLOCK_BYTES = 4 << 20
# Head of an attribute: version, flags, bytes of name, of type, of extent; of version 3 also the
# character set of the name (IV.A.2.m "The Attribute Message").
_ATTRIBUTE = struct.Struct("<BBHHH")
_LARGEST_HEAD = 3 << 16
_REFERENCE_BYTES = 16  # of a text of variable length: its bytes, its heap, its number in there
_VARIABLE_LENGTH = 9


def check_text_heaps(source: Source) -> None:
    """Walk every global heap of a file.

    Raises
    ------
    ReadError
        When an object reaches beyond its heap or has no size.
    """
    with source.open() as handle:
        for at in _places(source, _SIGNATURE):
            # Heaps begin at multiples of 8; elsewhere the letters are data.
            if at % 8 == 0:
                handle.seek(at)
                _walk(handle.read(_HEADER.size), handle.read, source)


def longest_text_claim(source: Source, name: str, held_bytes: int) -> int | None:
    """Bytes that the longest text of variable length claims in attributes of this name.

    The library makes room for what a reference to a text claims, up to 4 GB, before it looks
    whether the text is so long, and tells neither the claim nor where it lies: the heads of
    attributes are looked for by their name, and `held_bytes` of references behind each.

    Returns
    -------
    int or None
        None where no such attribute is found.
    """
    wanted = name.encode() + b"\0"
    longest = None
    with source.open() as handle:
        for at in _places(source, wanted):
            start = max(at - _ATTRIBUTE.size - 1, 0)
            handle.seek(start)
            block = handle.read(_LARGEST_HEAD + held_bytes)
            for version, head in ((1, at - 8), (2, at - 8), (3, at - 9)):
                if head < start or block[head - start] != version:
                    continue
                claim = _claim(block[head - start :], version, len(wanted))
                if claim is not None:
                    longest = max(claim, longest or 0)
    return longest


def _claim(attribute: bytes, version: int, name_bytes: int) -> int | None:
    """Longest claim of one attribute; None where these bytes are none, or not of texts."""
    _, flags, *sizes = _ATTRIBUTE.unpack_from(attribute)
    if sizes[0] != name_bytes or min(sizes) == 0:
        return None
    # Only the first version fills its parts up to whole words.
    name, kind, extent = ((n + 7) // 8 * 8 if version == 1 else n for n in sizes)
    at_kind = _ATTRIBUTE.size + (version == 3) + name
    at_extent = at_kind + kind
    data = attribute[at_extent + extent :]
    shape = attribute[at_extent : at_extent + sizes[2]]
    if len(shape) < 4:
        return None
    # A type that is shared (flag 1) is described elsewhere.
    if not flags & 1 and attribute[at_kind] & 15 != _VARIABLE_LENGTH:
        return None
    first = 8 if shape[0] == 1 else 4
    if len(shape) < first + 8 * shape[1]:
        return None
    count = math.prod(struct.unpack_from(f"<{shape[1]}Q", shape, first))
    references = data[: min(count, len(data)) * _REFERENCE_BYTES]
    claims = (references[k : k + 4] for k in range(0, len(references), _REFERENCE_BYTES))
    return max((int.from_bytes(claim, "little") for claim in claims), default=0)


def _places(source: Source, wanted: bytes) -> Iterator[int]:
    """Give every place where these bytes stand."""
    with source.open() as handle:
        start = 0
        overlap = b""
        while block := handle.read(_BLOCK_BYTES):
            data = overlap + block
            at = data.find(wanted)
            while at >= 0:
                yield start - len(overlap) + at
                at = data.find(wanted, at + 1)
            start += len(block)
            overlap = data[-(len(wanted) - 1) :]


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

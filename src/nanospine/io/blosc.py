"""Blosc 1 frames, as zarr stores of Imspector hold them, decoded without a further dependency.

Format: github.com/Blosc/c-blosc, README_CHUNK_FORMAT. pyarrow brings LZ4 and Zstandard.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from nanospine.core.errors import ReadError

__all__ = ["decode_blosc"]


def _lz4(data: bytes, n_bytes: int) -> bytes:
    return bytes(pa.Codec("lz4_raw").decompress(data, n_bytes, asbytes=True))


def _zstd(data: bytes, n_bytes: int) -> bytes:
    return bytes(pa.Codec("zstd").decompress(data, n_bytes, asbytes=True))


def _zlib(data: bytes, n_bytes: int) -> bytes:
    return zlib.decompressobj().decompress(data, n_bytes)


_CODECS: dict[int, Callable[[bytes, int], bytes]] = {1: _lz4, 3: _zlib, 4: _zstd}
_SHUFFLED, _COPIED, _BITSHUFFLED, _NOT_SPLIT = 0x1, 0x2, 0x4, 0x10


def decode_blosc(frame: bytes, largest: int, where: str) -> bytes:
    """Decode one Blosc 1 frame that may give at most `largest` bytes.

    Raises
    ------
    ReadError
        When the frame is damaged, larger, or packed with a codec that is not here.
    """
    if len(frame) < 16:
        raise ReadError(f"{where}: a Blosc frame is cut short.")
    flags, type_size = frame[2], max(frame[3], 1)
    n_bytes, block_size, packed = struct.unpack_from("<III", frame, 4)
    if n_bytes > largest or packed > len(frame):
        raise ReadError(f"{where}: a Blosc frame is damaged ({n_bytes} bytes declared).")
    if n_bytes == 0:
        return b""
    if flags & _COPIED:
        return frame[16 : 16 + n_bytes]
    if flags & _BITSHUFFLED or flags >> 5 not in _CODECS or block_size == 0:
        found = "bit shuffling" if flags & _BITSHUFFLED else f"codec {flags >> 5}"
        raise ReadError(
            f"{where}: is packed by Blosc with {found}, which is not read here. Save the array "
            "with lz4, zlib or zstd and byte shuffling or none."
        )
    codec = _CODECS[flags >> 5]
    n_blocks = -(-n_bytes // block_size)
    starts = struct.unpack_from(f"<{n_blocks}i", frame, 16)
    parts = []
    for number, start in enumerate(starts):
        size = min(block_size, n_bytes - number * block_size)
        last_short = size < block_size
        split = not (flags & _NOT_SPLIT) and not last_short and type_size <= 16
        split = split and block_size // type_size >= 128
        block = _decode_block(frame, start, size, type_size if split else 1, codec, where)
        parts.append(_unshuffle(block, type_size) if flags & _SHUFFLED else block)
    return b"".join(parts)


def _decode_block(
    frame: bytes, start: int, size: int, n_streams: int, codec: Callable[[bytes, int], bytes],
    where: str,
) -> bytes:  # fmt: skip
    streams = []
    wanted = size // n_streams
    position = start
    for _ in range(n_streams):
        if position < 16 or position + 4 > len(frame):
            raise ReadError(f"{where}: a Blosc frame is damaged.")
        (packed,) = struct.unpack_from("<i", frame, position)
        position += 4
        data = frame[position : position + packed]
        if packed <= 0 or len(data) < packed:
            raise ReadError(f"{where}: a Blosc frame is cut short.")
        position += packed
        # A stream that did not shrink is stored as it is.
        streams.append(data if packed == wanted else codec(data, wanted))
    return b"".join(streams)


def _unshuffle(block: bytes, type_size: int) -> bytes:
    """Undo the byte transposition; a remainder smaller than one item stays as it is."""
    if type_size <= 1:
        return block
    n_items = len(block) // type_size
    whole = n_items * type_size
    bytes_first = np.frombuffer(block[:whole], dtype=np.uint8).reshape(type_size, n_items)
    return bytes_first.T.tobytes() + block[whole:]

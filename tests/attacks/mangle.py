"""Ways in which files break, drawn at random."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

NUMBERS = (b"nan", b"1e309", b"-1", b"abc", b"", b"99999999999999999999", b"0x1", b"1,5", b"\x00",
           b"1e-320", b"[", b'"', b"-", b"inf", b"\xff\xfe")  # fmt: skip
EXTREMES = (0, 1, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 1 << 62)


def mutate(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """Change some bytes in one to three of the ways in which files break."""
    for _ in range(int(random.integers(1, 4))):
        if not data:
            return data
        way = MUTATIONS[int(random.integers(len(MUTATIONS)))]
        data = way(bytearray(data), other, random)
    return data


def place(data: bytearray, random: np.random.Generator) -> int:
    """Give a position; half of the time near the start, where headers are."""
    top = len(data) if random.random() < 0.5 else min(len(data), 600)
    return int(random.integers(max(top, 1)))


def flip_bits(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    for _ in range(int(random.integers(1, 17))):
        data[place(data, random) % len(data)] ^= 1 << int(random.integers(8))
    return bytes(data)


def truncate(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    return bytes(data[: place(data, random)])


def splice(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    start = int(random.integers(max(len(other), 1)))
    piece = other[start : start + int(random.integers(1, 400))]
    at = place(data, random)
    return bytes(data[:at] + piece + data[at:])


def cut_out(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    at = place(data, random)
    return bytes(data[:at] + data[at + int(random.integers(1, 200)) :])


def repeat(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    at = place(data, random)
    piece = data[at : at + int(random.integers(1, 300))]
    return bytes(data[:at] + piece * int(random.integers(2, 6)) + data[at:])


def overwrite(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    """Write an extreme whole number where a size may stand."""
    width = int(random.choice([1, 2, 4, 8]))
    value = EXTREMES[int(random.integers(len(EXTREMES)))] & ((1 << (8 * width)) - 1)
    at = place(data, random)
    data[at : at + width] = value.to_bytes(width, "little")
    return bytes(data)


def edit_header(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    """Swap two pieces of the first line, or change its separators."""
    line, newline, rest = bytes(data).partition(b"\n")
    mark = bytes([b",;\t "[int(random.integers(4))]])
    cells = line.split(mark)
    if len(cells) > 1:
        first, second = random.integers(len(cells), size=2)
        cells[int(first)] = cells[int(second)]
    joint = bytes([b",;\t "[int(random.integers(4))]]) if random.random() < 0.3 else mark
    return joint.join(cells) + newline + rest


def edit_number(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    at = place(data, random)
    piece = NUMBERS[int(random.integers(len(NUMBERS)))]
    end = at
    while end < len(data) and data[end] in b"0123456789.-+eE" and end < at + 30:
        end += 1
    return bytes(data[:at] + piece + data[end:])


def inside_zip(data: bytearray, other: bytes, random: np.random.Generator) -> bytes:
    """Change a file inside an archive and pack it again; a checksum would hide it otherwise."""
    if data[:2] != b"PK":
        return flip_bits(data, other, random)
    packed = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(packed, "w") as target:
            names = source.namelist()
            victim = names[int(random.integers(len(names)))]
            for name in names:
                inner = source.read(name)
                target.writestr(name, flip_bits(bytearray(inner), other, random)
                                if name == victim and inner else inner)  # fmt: skip
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, zlib.error, NotImplementedError,
            RuntimeError, OverflowError, struct.error):  # fmt: skip
        return bytes(data)  # damaged before
    return packed.getvalue()


MUTATIONS = (flip_bits, truncate, splice, cut_out, repeat, overwrite, edit_header, edit_number,
             inside_zip)  # fmt: skip


def save(
    content: bytes | dict[str, bytes], path: Path, other: bytes, random: np.random.Generator
) -> None:
    """Write a mutated file, or a folder of which one file is mutated."""
    if isinstance(content, bytes):
        path.write_bytes(mutate(content, other, random))
        return
    victim = sorted(content)[int(random.integers(len(content)))]
    for inner, data in content.items():
        target = path / inner
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(mutate(data, other, random) if inner == victim else data)

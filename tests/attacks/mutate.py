"""Mutated files: any bytes give Localizations or ReadError, within 2 GB and 20 s of CPU.

Run it alone for a long attack; a killed run goes on from its file of counts::

    python tests/attacks/mutate.py --n 1000000 --seed 0 --state counts.json

Two tables come of it: the reader that was at work (or none, when nothing recognised the content),
with what came out of it.
"""

from __future__ import annotations

import importlib.util
import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from engine import command, guarded

LARGEST_SAMPLE = 200_000
NOBODY = "(none recognises it)"
NUMBERS = (b"nan", b"1e309", b"-1", b"abc", b"", b"99999999999999999999", b"0x1", b"1,5", b"\x00",
           b"1e-320", b"[", b'"', b"-", b"inf", b"\xff\xfe")  # fmt: skip
EXTREMES = (0, 1, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 1 << 62)


def zoo() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "io" / "specimens.py"
    spec = importlib.util.spec_from_file_location("specimens_for_attacks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def corpus(
    largest: int = LARGEST_SAMPLE,
) -> list[tuple[str, bytes | dict[str, bytes], str, dict[str, object]]]:
    """Give (name, content, suffix, arguments): specimens of every format and the small samples."""
    result = []
    for name, make in sorted(zoo().MAKERS.items()):
        specimen = make(9)
        result.append((name, specimen.content, specimen.suffix, dict(specimen.arguments)))
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("NANOSPINE_SHARED_DATA", default)) / "localizations"
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in (".md", ".yaml"):
                data = path.read_bytes()
                if len(data) <= largest and "zarr" not in str(path):
                    result.append((path.name, data, path.suffix, {"units": "nm"}))
    return result


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


def case(number: int, seed: int, samples: list, folder: Path) -> tuple[str, Path, dict]:
    """Write the file of one case; the same for the same (seed, number)."""
    random = np.random.default_rng((seed, number))
    name, content, suffix, arguments = samples[int(random.integers(len(samples)))]
    _, other, _, _ = samples[int(random.integers(len(samples)))]
    foreign = other if isinstance(other, bytes) else b"{}"
    path = folder / f"case{suffix if random.random() < 0.8 else '.dat'}"
    if isinstance(content, bytes):
        path.write_bytes(mutate(content, foreign, random))
    else:
        victim = sorted(content)[int(random.integers(len(content)))]
        for inner, data in content.items():
            target = path / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(mutate(data, foreign, random) if inner == victim else data)
    if random.random() < 0.5:
        arguments = {**arguments, "units": "nm", "pixel_size_nm": 100.0}
    if random.random() < 0.45:
        arguments = {**arguments, "format": name} if name in zoo_names() else arguments
    return name, path, arguments


@cache
def zoo_names() -> set[str]:
    import nanospine as ns

    return {item.name for item in ns.formats() if item.can_read}


class Readers:
    """Attack on `nanospine.read`."""

    title = "reader"
    result = "localizations"
    refusal = "ReadError"

    def __init__(self, largest: int = LARGEST_SAMPLE) -> None:
        self.largest = largest
        self.at = ""

    def prepare(self) -> list[str]:
        import pandas as pd  # noqa: F401 - imported before the children are forked

        import nanospine as ns
        from nanospine.io import registry

        ns.formats()
        self.samples = corpus(self.largest)
        for name, entry in list(registry._READERS.items()):
            registry._READERS[name] = replace(entry, read=self._noting(name, entry.read))
        return [*sorted(registry._READERS), NOBODY]

    def _noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Note the reader at work, because an error does not say whose it is."""

        def read(*arguments: Any) -> Any:
            self.at = name
            return function(*arguments)

        return read

    def attack(self, number: int, seed: int, folder: Path) -> tuple[str, str, str]:
        import nanospine as ns
        from nanospine.core.errors import ReadError

        self.at = NOBODY
        name, path, arguments = case(number, seed, self.samples, folder)

        def call() -> str | None:
            locs = ns.read(path, **arguments)
            if not np.isfinite(locs.xyz_nm).all() or len(locs.table) != len(locs):
                return "positions that are not finite"
            return None

        _, outcome, fault = guarded(call, (ReadError,), name)
        return self.at, outcome, f"{fault} [{name}]" if fault else ""


if __name__ == "__main__":
    raise SystemExit(command(Readers()))

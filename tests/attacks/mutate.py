"""Mutated files: any bytes give Localizations or ReadError, within 2 GB and 20 s.

Run it alone for a long attack::

    python tests/attacks/mutate.py --n 20000 --seed 0

Strategy: every case follows from (seed, number) alone, so a failure is repeated by its number. A
parent hands blocks of cases to child processes, because a decoder in C may crash; the child
notes the case it is at, so that the parent can name it and go on behind it.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np

MEMORY_BYTES = 2 << 30
SECONDS = 20
LARGEST_SAMPLE = 200_000
BLOCK = 500
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


MUTATIONS = (flip_bits, truncate, splice, cut_out, repeat, overwrite, edit_header, edit_number)


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
    if random.random() < 0.3:
        arguments = {**arguments, "format": name} if name in zoo_names() else arguments
    return name, path, arguments


def zoo_names() -> set[str]:
    import nanospine as ns

    return {item.name for item in ns.formats() if item.can_read}


def attack(number: int, seed: int, samples: list) -> str | None:
    """Run one case; None when the outcome is one of the two allowed."""
    import nanospine as ns
    from nanospine.core.errors import ReadError

    with tempfile.TemporaryDirectory() as folder:
        name, path, arguments = case(number, seed, samples, Path(folder))
        try:
            locs = ns.read(path, **arguments)
        except ReadError as error:
            return None if str(error) else f"{number} {name}: an error without a message"
        except Exception as error:  # noqa: BLE001 - that is the point
            return f"{number} {name}: {type(error).__name__}: {str(error)[:200]}"
        if not np.isfinite(locs.xyz_nm).all() or len(locs.table) != len(locs):
            return f"{number} {name}: positions that are not finite"
        return None


class TooSlow(BaseException):
    """A case took longer than it may."""


def _too_slow(*_: object) -> None:
    raise TooSlow


def child(start: int, stop: int, seed: int, progress: Path, largest: int) -> None:
    """Run cases in this process under the limits; print what failed."""
    warnings.simplefilter("ignore")
    samples = corpus(largest)
    attack(10**9, seed, samples)  # everything is imported before memory is limited
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _too_slow)
    for number in range(start, stop):
        progress.write_text(str(number))
        signal.alarm(SECONDS)
        try:
            fault = attack(number, seed, samples)
        except TooSlow:
            fault = f"{number}: more than {SECONDS} s"
        finally:
            signal.alarm(0)
        if number % 50 == 0:
            gc.collect()  # where spoiled memory shows itself
        if fault is not None:
            print(fault, flush=True)  # noqa: T201


def watch(command: list[str], progress: Path) -> tuple[int | None, str, str]:
    """Run a child; end it when one case takes far longer than the alarm inside allows."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                if time.time() - progress.stat().st_mtime > 2 * SECONDS:
                    process.kill()
                    output, errors = process.communicate()
                    return None, output, errors
            else:
                return process.returncode, output, errors


def run(n: int, seed: int, first: int = 0, largest: int = LARGEST_SAMPLE) -> list[str]:
    """Attack with n cases in child processes; give the failures."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "at"
        start = first
        while start < first + n:
            stop = min(start + BLOCK, first + n)
            command = [sys.executable, __file__, "--child", str(start), str(stop),
                       "--seed", str(seed), "--progress", str(progress),
                       "--largest", str(largest)]  # fmt: skip
            progress.write_text(str(start))
            code, output, errors = watch(command, progress)
            faults += [line for line in output.splitlines() if line.strip()]
            if code == 0:
                start = stop
                continue
            at = int(progress.read_text() or start)
            what = "hangs in a library" if code is None else f"the process ended with {code}"
            faults.append(f"{at}: {what}: {errors[-300:]}")
            start = at + 1
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--largest", type=int, default=LARGEST_SAMPLE, help="bytes of a sample")
    parser.add_argument("--child", type=int, nargs=2)
    parser.add_argument("--progress", type=Path)
    options = parser.parse_args()
    if options.child:
        child(*options.child, options.seed, options.progress, options.largest)
        return 0
    begin = time.perf_counter()
    faults = run(options.n, options.seed, options.first, options.largest)
    print("\n".join(faults))  # noqa: T201
    seconds = time.perf_counter() - begin
    print(  # noqa: T201
        f"{options.n} mutated files, seed {options.seed}: {len(faults)} faults, {seconds:.0f} s"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())

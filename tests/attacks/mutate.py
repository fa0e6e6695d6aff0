"""Mutated files: any bytes give Localizations or ReadError, within 2 GB and 20 s of CPU.

Run it alone for a long attack; a killed run goes on from its file of counts::

    python tests/attacks/mutate.py --n 1000000 --seed 0 --state counts.json

Two tables come of it: the reader that was at work (or none, when nothing recognised the content),
with what came out of it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from engine import command, guarded
from mangle import save

LARGEST_SAMPLE = 200_000
NOBODY = "(none recognises it)"


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


def case(number: int, seed: int, samples: list, folder: Path) -> tuple[str, Path, dict]:
    """Write the file of one case; the same for the same (seed, number)."""
    random = np.random.default_rng((seed, number))
    name, content, suffix, arguments = samples[int(random.integers(len(samples)))]
    _, other, _, _ = samples[int(random.integers(len(samples)))]
    foreign = other if isinstance(other, bytes) else b"{}"
    path = folder / f"case{suffix if random.random() < 0.8 else '.dat'}"
    save(content, path, foreign, random)
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

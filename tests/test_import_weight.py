"""`import nanospine` is light: people import it in notebooks, and every command starts with it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

HEAVY = (
    "open3d", "PyQt5", "PyQt6", "PySide6", "qtpy", "vtk", "vtkmodules", "pyvista", "napari",
    "matplotlib", "numba", "trimesh", "sklearn", "skimage", "scipy", "torch",
)  # fmt: skip
PROGRAM = """
import json, sys, time
start = time.process_time()
import {module}
used = time.process_time() - start
print(json.dumps([used, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def import_in_new_process(module: str) -> tuple[float, set[str]]:
    """CPU seconds of an import in a fresh interpreter, and what it loaded."""
    program = PROGRAM.format(module=module)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    used, loaded = json.loads(done.stdout)
    return used, set(loaded)


def test_import_takes_under_half_a_second_of_cpu() -> None:
    # CPU time, and the median of several: a busy machine makes an import slow, not heavy.
    times = [import_in_new_process("nanospine")[0] for _ in range(3)]
    assert statistics.median(times) < 0.5


def test_import_loads_nothing_heavy() -> None:
    _, loaded = import_in_new_process("nanospine")
    assert loaded & set(HEAVY) == set()


def test_command_line_starts_without_the_heavy_libraries() -> None:
    _, loaded = import_in_new_process("nanospine.cli.app")
    assert loaded & (set(HEAVY) - {"scipy"}) == set()


def test_public_names_are_all_there() -> None:
    import nanospine as ns

    missing = [name for name in ns.__all__ if not hasattr(ns, name)]
    assert missing == []

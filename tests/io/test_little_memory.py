"""Small files are read within a small budget of memory: a limit is no size to make room for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys
from pathlib import Path
import nanospine as ns
ns.formats()
ns.read(sys.argv[1])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20),) * 2)
assert len(ns.read(sys.argv[1])) == 9
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits are of Linux")
@pytest.mark.parametrize("name", ["minflux-zarr", "parquet", "asdf", "smap"])
def test_a_small_file_needs_little_memory(name: str, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "specimens_of_little_memory", Path(__file__).with_name("specimens.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    path = module.MAKERS[name](9).save(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

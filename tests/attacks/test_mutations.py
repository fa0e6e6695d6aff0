"""A short attack in every test run; the long one is `python tests/attacks/mutate.py`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="the memory limit is set through /proc"
)


def test_mutated_files_give_localizations_or_a_read_error() -> None:
    path = Path(__file__).with_name("mutate.py")
    spec = importlib.util.spec_from_file_location("mutate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    n = int(os.environ.get("NANOSPINE_MUTATIONS", "500"))
    assert module.run(n, seed=1) == []

"""Short attacks in every test run; the long ones are run by hand: `python tests/attacks/...`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="the memory limit is set through /proc"
)
HERE = Path(__file__).parent


def attack(name: str, state: Path, n: int, seed: int = 1) -> subprocess.CompletedProcess[str]:
    """Run an attack in a process of its own: it limits memory and forks."""
    command = [sys.executable, str(HERE / name), "--n", str(n), "--seed", str(seed)]
    return subprocess.run(
        [*command, "--state", str(state)], capture_output=True, text=True, check=False
    )


def test_mutated_files_give_localizations_or_a_read_error(tmp_path: Path) -> None:
    n = int(os.environ.get("NANOSPINE_MUTATIONS", "500"))
    state = tmp_path / "counts.json"
    done = attack("mutate.py", state, n)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(state.read_text())
    assert counts["faults"] == []
    assert sum(sum(row) for row in counts["rows"].values()) == n
    # A run goes on where it ended, and counts what it had counted.
    assert attack("mutate.py", state, n + 20).returncode == 0
    again = json.loads(state.read_text())
    assert again["next"] == sum(sum(row) for row in again["rows"].values()) == n + 20


@pytest.mark.parametrize("name", ["settings.py", "meshes.py", "volumes.py", "models.py"])
def test_other_files_give_what_they_are_for_or_a_clear_error(name: str, tmp_path: Path) -> None:
    if name == "models.py":
        for library in ("onnx", "onnxruntime", "torch"):
            pytest.importorskip(library)
    done = attack(name, tmp_path / "counts.json", 200)
    assert done.returncode == 0, done.stdout + done.stderr

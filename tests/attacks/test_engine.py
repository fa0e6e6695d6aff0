"""The engine sees what it is for: crashes, hangs, memory, errors that are not allowed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="the memory limit is set through /proc"
)

PROGRAM = """
import ctypes, sys, time
import engine
engine.CPU_SECONDS, engine.WALL_SECONDS = 0.2, 4.0

class Faulty:
    title, result, refusal = "row", "a result", "ValueError"
    def prepare(self):
        return ["one"]
    def attack(self, number, seed, folder):
        def call():
            if number == 2:
                raise ValueError("said")
            if number == 3:
                raise ValueError
            if number == 4:
                raise KeyError("x")
            if number == 5:
                ctypes.string_at(0)
            if number == 6:
                bytearray(5 << 30)
            if number == 7:
                while True:
                    pass
            if number == 8:
                time.sleep(60)
            if number == 9:
                return "not finite"
        return engine.guarded(call, (ValueError,), "one")

raise SystemExit(engine.command(Faulty()))
"""


def test_every_kind_of_fault_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "counts.json"
    program = [sys.executable, "-c", PROGRAM, "--n", "12", "--state", str(state)]
    done = subprocess.run(
        program, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    counts = json.loads(state.read_text())
    assert counts["rows"] == {
        "one": [4, 1, 4],
        "(too slow)": [0, 0, 1],
        "(the process ended)": [0, 0, 2],
    }
    faults = {int(line.split()[0].strip(":")): line for line in counts["faults"]}
    assert sorted(faults) == [3, 4, 5, 6, 7, 8, 9]
    assert "without a message" in faults[3]
    assert "KeyError" in faults[4]
    assert f"ended with {-11}" in faults[5]
    assert "MemoryError" in faults[6]
    assert "CPU" in faults[7]
    assert "hangs" in faults[8]
    assert "not finite" in faults[9]

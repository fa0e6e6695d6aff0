"""Columns of linked tables stand in the same order in every process."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import numpy as np, nanospine as ns
locs = ns.from_arrays(np.zeros((6, 3)), frame=np.arange(6), photons=np.ones(6),
                      trace=np.arange(6) // 2, precision_nm=10.0)
print(list(ns.link_localizations(locs, 10.0).table.columns))
print(list(ns.aggregate_traces(locs, weight="none").table.columns))
"""


def test_columns_do_not_depend_on_the_hashes_of_a_process() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", CODE], env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(said) == 1

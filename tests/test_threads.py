"""The main results do not depend on the number of threads, nor on when they were computed.

The same input, settings and version give the same bytes on one platform, with one thread of
nanospine's own code or two. The linear algebra library is another matter: with several threads it
adds in another order, and what is fitted (neck diameters) moves by about a ten-thousandth. Within
`TOLERANCE` of it, and with the same counts and types, the results are the same; set
OPENBLAS_NUM_THREADS=1 for the same bytes.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WORK = Path(__file__).with_name("thread_work.py")
#: Largest relative difference between one thread of the linear algebra library and two.
TOLERANCE = {
    "envelope volume": 1e-9,
    "spine table": 1e-3,
    "K": 1e-12,
    "SODA coupled": 1e-9,
    "envelope of simulations": 1e-12,
    "voxels": 1e-12,
}
EXACT = ("envelope faces", "spine types", "delaunay", "delaunay tetrahedra", "linked rows")


@functools.cache
def results(threads: int, algebra: int) -> dict[str, Any]:
    # Hashes differ too: no result may hang on the order of a set.
    values = {
        "NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": algebra,
        "OPENBLAS_NUM_THREADS": algebra, "PYTHONHASHSEED": 10 * threads + algebra,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(WORK)], capture_output=True, text=True, check=False,
        env=os.environ | {name: str(value) for name, value in values.items()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.pop("threads") == threads
    return found


@pytest.mark.slow
def test_a_second_run_with_two_threads_gives_the_same_bytes() -> None:
    one, two = results(1, 1), results(2, 1)
    # As texts, so that NaN is NaN.
    assert [name for name in one if json.dumps(one[name]) != json.dumps(two[name])] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_counts_and_types_do_not_depend_on_linear_algebra(name: str) -> None:
    assert results(1, 1)[name] == results(1, 2)[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLERANCE)
def test_numbers_hardly_depend_on_linear_algebra(name: str) -> None:
    one, two = (np.asarray(results(1, algebra)[name], float) for algebra in (1, 2))
    np.testing.assert_allclose(one, two, rtol=TOLERANCE[name], atol=0, equal_nan=True)

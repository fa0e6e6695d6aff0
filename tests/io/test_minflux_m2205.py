"""MINFLUX m2205: localizing iteration, last measured cfr, metres, 2-D by extent, z scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanospine as ns

ITERATION = np.dtype(
    [("itr", "i4"), ("tic", "u8"), ("loc", "f8", (3,)), ("lnc", "f8", (3,)), ("eco", "i4"),
     ("ecc", "i4"), ("efo", "f8"), ("efc", "f8"), ("sta", "i4"), ("cfr", "f8"), ("dcr", "f8")]
)  # fmt: skip


def rows(n: int = 6, n_iterations: int = 4, z_m: float = 50e-9) -> np.ndarray[Any, Any]:
    kind = [("itr", ITERATION, (n_iterations,)), ("sqi", "u4"), ("tim", "f8"), ("tid", "i4"),
            ("vld", "?")]  # fmt: skip
    table = np.zeros(n, kind)
    loc = np.arange(n)[:, None] * np.array([1e-6, -2e-6, z_m])
    # A relocalization repeats only the last iterations: the first ones are NaN.
    table["itr"]["loc"][:, :-1] = np.nan
    table["itr"]["loc"][:, -1] = loc
    table["itr"]["efo"][:, -1] = 40_000 + np.arange(n)
    table["itr"]["eco"][:, -1] = 70
    table["itr"]["cfr"][:, 1] = 0.1 * np.arange(n)
    table["itr"]["dcr"][:, -1] = 0.5
    table["tim"] = np.arange(n) * 0.1
    table["tid"] = np.arange(n) // 2
    table["vld"] = True
    return table


def save(folder: Path, table: np.ndarray[Any, Any]) -> Path:
    path = folder / "a.npy"
    np.save(path, table)
    return path


def test_the_last_iteration_in_nanometres_and_the_last_measured_cfr(tmp_path: Path) -> None:
    locs = ns.read(save(tmp_path, rows()))
    np.testing.assert_allclose(locs.xyz_nm[2], [2000, -4000, 100])
    np.testing.assert_allclose(locs.table["cfr"], 0.1 * np.arange(6))
    assert locs.table["efo_hz"].iloc[3] == 40_003
    assert locs.table["trace"].tolist() == [0, 0, 1, 1, 2, 2]
    arguments = locs.history[-1]["arguments"]
    assert (arguments["iteration"], arguments["cfr_iteration"], arguments["z_scale"]) == (3, 1, 1.0)
    assert any("near 0.7 is usual" in note for note in locs.history[-1]["notes"])


def test_the_z_scale_is_explicit(tmp_path: Path) -> None:
    locs = ns.read(save(tmp_path, rows()), z_scale=0.7)
    np.testing.assert_allclose(locs.xyz_nm[2, 2], 70)
    assert locs.history[-1]["arguments"]["z_scale"] == 0.7
    assert "notes" not in locs.history[-1]


def test_two_dimensions_by_extent(tmp_path: Path) -> None:
    locs = ns.read(save(tmp_path, rows(z_m=5e-14)))
    assert locs.dimension == 2
    assert "z_nm" not in locs.table


def test_invalid_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    table = rows()
    table["vld"][[1, 4]] = False
    locs = ns.read(save(tmp_path, table))
    assert len(locs) == 4
    assert "2 of 6 rows left out: vld is False" in locs.history[-1]["notes"]
    table["vld"] = False
    assert len(ns.read(save(tmp_path, table))) == 0


@pytest.mark.parametrize("shape", [(6, 1), (1, 6)])
def test_column_and_row_vectors(tmp_path: Path, shape: tuple[int, int]) -> None:
    assert len(ns.read(save(tmp_path, rows().reshape(shape)))) == 6


@pytest.mark.parametrize(("name", "n", "dimension"), [("2D", 12580, 2), ("3D", 5812, 3)])
def test_sample_files(shared_data: Path, name: str, n: int, dimension: int) -> None:
    locs = ns.read(shared_data / f"localizations/pyminflux/{name}_ValidOnly.npy.zip")
    assert len(locs) == n
    assert locs.dimension == dimension
    assert np.ptp(locs.xyz_nm[:, 0]) > 1000

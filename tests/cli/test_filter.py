"""`nanospine filter` does the steps in their order and tells what each took."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    path = tmp_path / "cell.csv"
    body = rng.normal(0, 100, (500, 3))
    lone = rng.uniform(5000, 50000, (20, 3))
    ns.write(
        ns.from_arrays(np.vstack([body, lone]), photons=np.r_[np.full(500, 900.0), [100.0] * 20]),
        path,
    )
    return path


def test_steps_and_conditions(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.parquet"
    line = ["filter", str(table), str(out), "--json", "-w", "photons > 0", "-s", "drop_sparse 500"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert [step["operation"] for step in said["steps"]] == ["keep_where", "drop_sparse"]
    assert said["steps"][1]["removed"] == 20
    kept = ns.read(out)
    assert len(kept) == said["rows"] == 500
    assert [step["operation"] for step in kept.history][-3:] == [
        "keep_where",
        "drop_sparse",
        "read",
    ]
    shown = CliRunner().invoke(app, ["filter", str(table), "-s", "keep_range photons 500"])
    assert "20 (3.8 %)" in shown.stdout


def test_the_steps_are_listed() -> None:
    listed = CliRunner().invoke(app, ["filter", "--steps"]).stdout
    assert "drop_sparse radius_nm min_neighbours=3: Drop localizations" in listed


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ([], 2, "at least one --where or --step"),
        (["-s", "drop_spars 5"], 1, "did you mean 'drop_sparse'"),
        (["-w", "photon > 5"], 1, "Did you mean 'photons'"),
        (["-w", "photons > 5000"], 1, "no row of 520 fulfils"),
    ],
)
def test_faults_leave_no_file(
    table: Path, tmp_path: Path, more: list[str], code: int, said: str
) -> None:
    out = tmp_path / "clean.parquet"
    result = CliRunner().invoke(app, ["filter", str(table), str(out), *more])
    assert result.exit_code == code
    assert said in result.stderr
    assert not out.exists()

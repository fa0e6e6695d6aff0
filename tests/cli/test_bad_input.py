"""Bad input: exit code 1, one clear sentence on stderr, nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from nanospine.cli.app import app

Make = Callable[[Path], None]
HEADER = '"frame","x [nm]","y [nm]","z [nm]","intensity [photon]","uncertainty_xy [nm]"\n'


def table(path: Path, xyz: np.ndarray) -> None:
    rows = (f"1,{x},{y},{z},1000,10\n" for x, y, z in xyz)
    path.write_text(HEADER + "".join(rows))


def two_dimensional(path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = "".join(f"1,{x:.1f},{y:.1f},900,10\n" for x, y in rng.uniform(0, 5000, (500, 2)))
    path.write_text('"frame","x [nm]","y [nm]","intensity [photon]","uncertainty [nm]"\n' + rows)


def three_points(path: Path) -> None:
    table(path, np.array([[0, 0, 0], [900, 0, 10], [0, 800, 500]]))


def all_points_equal(path: Path) -> None:
    table(path, np.full((1000, 3), 250.5))


def points_on_a_line(path: Path) -> None:
    table(path, np.linspace(0, 5000, 1000)[:, None] * [1, 0.5, 0.25])


def only_nan_rows(path: Path) -> None:
    table(path, np.full((50, 3), np.nan))


def header_only(path: Path) -> None:
    path.write_text(HEADER)


def empty_file(path: Path) -> None:
    path.write_text("")


def missing_file(path: Path) -> None:
    pass


def directory(path: Path) -> None:
    path.mkdir()


def binary_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def prose(path: Path) -> None:
    path.write_text("Dear colleague,\nplease find the data attached.\n")


BAD: tuple[Make, ...] = (
    two_dimensional, three_points, all_points_equal, points_on_a_line, only_nan_rows, header_only,
    empty_file, missing_file, directory, binary_noise, prose,
)  # fmt: skip
# What the message must speak of, so that it is clear and not merely short.
SPEAKS_OF = {
    "two_dimensional": "2-D",
    "three_points": "3 ",
    "all_points_equal": "one point",
    "only_nan_rows": "finite",
    "empty_file": "empty",
    "missing_file": "no such file",
    "directory": "folder",
}


def refuse(result: Result, folder: Path, before: set[str]) -> str:
    """Assert that a command refused its input cleanly; give what it said."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("nanospine: error: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert {item.name for item in folder.iterdir()} == before
    return lines[0]


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_spines_refuses_bad_input_and_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "roi.csv"
    make(file)
    before = {item.name for item in tmp_path.iterdir()}
    result = CliRunner().invoke(app, ["spines", str(file), "-o", str(tmp_path / "out")])
    said = refuse(result, tmp_path, before)
    assert SPEAKS_OF.get(make.__name__, "") in said


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_run_refuses_bad_input_and_leaves_nothing(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "roi.csv")
    config = tmp_path / "config.toml"
    config.write_text('[input]\npath = "roi.csv"\n[output]\nfolder = "results"\n')
    before = {item.name for item in tmp_path.iterdir()}
    refuse(CliRunner().invoke(app, ["run", str(config)]), tmp_path, before)


def test_a_real_process_ends_with_code_1_and_one_line(tmp_path: Path) -> None:
    file = tmp_path / "roi.csv"
    three_points(file)
    done = subprocess.run(
        [sys.executable, "-m", "nanospine", "spines", str(file), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["roi.csv"]


def test_some_nan_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "roi.csv"
    xyz = np.random.default_rng(0).uniform(0, 1000, (20, 3))
    xyz[3] = np.nan
    table(file, xyz)
    result = CliRunner().invoke(app, ["inspect", str(file), "--json"])
    assert result.exit_code == 0
    assert '"rows": 19' in result.stdout
    assert "1 of 20 rows dropped" in result.stdout


def test_bare_columns_are_asked_for_their_unit(tmp_path: Path) -> None:
    file = tmp_path / "bare.csv"
    file.write_text("x,y,z\n1,2,3\n4000,5000,600\n100,9,80\n")
    before = {"bare.csv"}
    said = refuse(CliRunner().invoke(app, ["inspect", str(file)]), tmp_path, before)
    assert "--units nm" in said
    again = CliRunner().invoke(app, ["inspect", str(file), "--units", "nm"])
    assert again.exit_code == 0

"""The small verbs: inspect, convert, envelope, simulate, doctor, and the program itself."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trimesh
from typer.testing import CliRunner, Result

import nanospine as ns
from nanospine.cli.app import app
from nanospine.cli.doctor import _PURPOSES


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words: object) -> Any:
    """What a verb says in JSON."""
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def ball(tmp_path: Path) -> Path:
    """A hollow ball of radius 400 nm, as a ThunderSTORM table."""
    mesh = trimesh.creation.icosphere(radius=400.0)
    path = tmp_path / "ball.csv"
    locs = ns.simulate.localize(
        mesh, density_per_um2=800, precision_xy_nm=5, precision_z_nm=5, background_fraction=0
    )
    ns.write(locs, path)
    return path


def test_version_and_help_name_every_verb() -> None:
    assert call("--version").stdout == f"nanospine {ns.__version__}\n"
    shown = call("--help").stdout
    for verb in ("demo", "inspect", "convert", "envelope", "spines", "run", "simulate", "doctor"):
        assert verb in shown
        assert call(verb, "--help").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [("nonsense",), ("inspect",), ("inspect", "a", "--units", "furlong"), ("run",),
     ("spines", "a", "--alpha-nm", "-3"), ("spines", "a", "--precision-nm", "1,2"),
     ("simulate", "a.csv", "--mesh", "a.ply")],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_code_2(words: tuple[str, ...]) -> None:
    assert call(*words).exit_code == 2


def test_inspect_tells_format_units_and_extent(ball: Path) -> None:
    found = answer("inspect", ball)
    assert found["confidence"] > 0.5
    assert found["rows_in_file"] == found["rows"]
    assert {item["column"]: item["unit"] for item in found["columns"]}["x_nm"] == "nm"
    locs = ns.read(ball)
    assert found["format"] == "thunderstorm"
    assert found["rows"] == len(locs)
    assert found["dimension"] == 3
    np.testing.assert_allclose(found["extent_nm"], np.ptp(locs.xyz_nm, axis=0))
    assert found["precision_median_nm"][0] == pytest.approx(5, rel=0.1)
    assert found["region_assumed"]
    assert f"{len(locs)}" in call("inspect", ball).stdout


def test_convert_keeps_the_positions(ball: Path, tmp_path: Path) -> None:
    out = tmp_path / "ball.parquet"
    result = call("convert", ball, out)
    assert result.exit_code == 0
    assert result.stdout == ""
    np.testing.assert_array_equal(ns.read(out).xyz_nm, ns.read(ball).xyz_nm)


def test_convert_a_folder(ball: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "cell 2").mkdir(parents=True)
    bytes_ = ball.read_bytes()
    for name in ("a.csv", "a.txt", "cell 2/b.csv"):
        (folder / name).write_bytes(bytes_)
    (folder / "notes.md").write_text("no table")
    out = tmp_path / "out"
    result = call("convert", folder, out)
    assert result.exit_code == 0, result.stderr
    written = sorted(str(item.relative_to(out)) for item in out.rglob("*.*"))
    assert written == ["a.csv.parquet", "a.txt.parquet", "cell 2/b.parquet"]
    assert len(ns.read(out / "cell 2" / "b.parquet")) == len(ns.read(ball))
    assert "left out, no localizations were recognised in: notes.md" in result.stderr
    (folder / "bare.csv").write_text("x,y\n1,2\n3,4\n")
    again = call("convert", folder, out, "--to", "smlm")
    assert again.exit_code == 3
    assert "failed: bare.csv: no unit is given" in again.stderr
    assert "3 of 4 files" in again.stderr
    assert (out / "a.csv.smlm").is_file()


def test_convert_a_folder_refuses_what_makes_no_sense(ball: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert call("convert", empty, tmp_path / "out").exit_code == 1
    assert call("convert", empty, tmp_path / "out", "--to", "docx").exit_code == 2
    assert call("convert", ball.parent, ball).exit_code == 2


def test_convert_to_an_unknown_suffix_names_the_known_ones(ball: Path, tmp_path: Path) -> None:
    result = call("convert", ball, tmp_path / "ball.docx")
    assert result.exit_code == 1
    assert ".parquet" in result.stderr
    assert not (tmp_path / "ball.docx").exists()


def test_envelope_of_a_ball_has_its_volume(ball: Path, tmp_path: Path) -> None:
    out = tmp_path / "ball.ply"
    found = answer("envelope", ball, "-o", out)
    assert found["volume_nm3"] == pytest.approx(4 / 3 * np.pi * 400**3, rel=0.1)
    assert trimesh.load_mesh(out).is_watertight
    assert "µm³" in call("envelope", ball).stdout


def test_simulate_labels_a_mesh_in_its_unit(tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(radius=0.5)
    mesh.export(tmp_path / "ball.ply")
    out = tmp_path / "out.csv"
    words = ("simulate", out, "--mesh", tmp_path / "ball.ply", "--mesh-unit", "um", "--seed", 3)
    result = call(*words, "--background", 0, "--density", 300)
    assert result.exit_code == 0, result.stderr
    assert "closed" in result.stderr
    radius = np.linalg.norm(ns.read(out).xyz_nm, axis=1)
    assert np.median(radius) == pytest.approx(500, abs=10)
    first = out.read_bytes()
    assert call(*words, "--background", 0, "--density", 300).exit_code == 0
    assert out.read_bytes() == first


def test_simulate_fills_only_closed_meshes(tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(radius=500.0)
    trimesh.Trimesh(mesh.vertices, mesh.faces[10:], process=False).export(tmp_path / "open.ply")
    words = ("simulate", tmp_path / "out.csv", "--mesh", tmp_path / "open.ply", "--mesh-unit", "nm")
    filled = call(*words, "--label", "filled")
    assert filled.exit_code == 1
    assert not (tmp_path / "out.csv").exists()
    membrane = call(*words)
    assert membrane.exit_code == 0
    assert "not closed" in membrane.stderr


def test_simulate_writes_the_truth(tmp_path: Path) -> None:
    out, truth = tmp_path / "out.parquet", tmp_path / "truth.csv"
    words = ("--length-nm", 3000, "--types", "mushroom,stubby", "--density", 100)
    result = call("simulate", out, "--truth", truth, *words)
    assert result.exit_code == 0, result.stderr
    assert pd.read_csv(truth)["type"].tolist() == ["mushroom", "stubby"]


@pytest.mark.parametrize("content", [b"", b"ply\nformat ascii 1.0\n", b"\x00" * 100])
def test_simulate_refuses_what_is_no_mesh(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.ply").write_bytes(content)
    result = call(
        "simulate", tmp_path / "o.csv", "--mesh", tmp_path / "bad.ply", "--mesh-unit", "nm"
    )
    assert result.exit_code == 1
    assert "bad.ply" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_doctor_knows_every_extra_that_users_may_want() -> None:
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(_PURPOSES) == set(extras) - {"all", "test", "dev", "docs"}


def test_doctor_tells_versions_and_fixes() -> None:
    found = answer("doctor")
    assert found["missing"] == []
    assert found["too_old"] == {}
    assert found["libraries"]["numpy"] == np.__version__
    assert {"thunderstorm", "parquet"} <= set(found["reads"])
    shown = call("doctor").stdout
    assert "free memory" in shown
    for extra, packages in found["extras"].items():
        if None in packages.values():
            assert f"pip install 'nanospine[{extra}]'" in shown


def test_doctor_names_what_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"numpy": "1.26.4", "scipy": None}
    monkeypatch.setattr("nanospine.cli.doctor._version", lambda name: known.get(name, "9999.0"))
    result = call("doctor")
    assert result.exit_code == 1
    assert "missing: scipy" in result.stderr
    assert "too old: numpy 1.26.4, at least 2.0 is needed" in result.stderr

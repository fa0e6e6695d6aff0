"""`nanospine export` as a user calls it: every format appears, and is opened by other libraries."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import trimesh
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app
from nanospine.cli.export import FORMATS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    shape = ns.simulate.dendrite(2500, ["mushroom", "thin"], seed=3, voxel_nm=35)
    ns.write(ns.simulate.localize(shape, density_per_um2=250, seed=2), folder / "cell.parquet")
    words = ["spines", str(folder / "cell.parquet"), "-o", str(folder / "run")]
    assert CliRunner().invoke(app, words).exit_code == 0
    return folder


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_every_format_of_a_run(place):
    names = [name for name in FORMATS if name != "xlsx"]
    options = [word for name in names for word in ("--to", name)]
    result = call("export", place / "run", *options, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    folder = place / "run-export"
    assert {item.name for item in folder.iterdir()} >= {FORMATS[name][0] for name in names}
    assert len(told["files"]) == len(names)
    spines = pd.read_csv(place / "run" / "spines.csv")
    assert told["n_spines"] == len(spines)
    for suffix in ("ply", "stl", "obj", "off"):
        assert trimesh.load_mesh(folder / f"spines.{suffix}").is_watertight
    pd.testing.assert_frame_equal(pd.read_csv(folder / "spines.csv"), spines, check_dtype=False)
    with h5py.File(folder / "dendrite.h5") as file:
        assert len(file["edges/dendrite/spine_id"]) == len(spines)
    whole = ns.read(place / "run" / "localizations.parquet")
    for name in ("localizations.parquet", "localizations.csv", "localizations.hdf5"):
        again = ns.read(folder / name)
        # Picasso knows no positions below 0: its field begins elsewhere, which the file says
        shift = (again.xyz_nm - whole.xyz_nm)[0] if name.endswith("hdf5") else 0.0
        np.testing.assert_allclose(again.xyz_nm, whole.xyz_nm + shift, atol=0.01)
        if name.endswith("hdf5"):
            # The group that Picasso colours by: 0 elsewhere, 1 shaft, then the spines
            assert (again.table["group"] == whole.table["spine"] + 2).all()
        else:
            np.testing.assert_array_equal(again.table["spine"], whole.table["spine"])
    profiles = pd.read_csv(folder / "profiles.csv")
    stored = pd.read_parquet(place / "run" / "profiles.parquet")
    pd.testing.assert_frame_equal(profiles, stored, check_dtype=False)


def test_a_file_is_analysed_first(place):
    result = call("export", place / "cell.parquet", "-t", "swc", "-o", place / "other")
    assert result.exit_code == 0, result.output
    assert "unit micrometre" in (place / "other" / "dendrite.swc").read_text()
    assert "dendrite.swc" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("{}/run", "-t", "fbx"), 2, "not 'fbx'"),
        (("{}/run",), 2, "Missing option"),
        (("{}/nothing.csv", "-t", "ply"), 1, "nothing.csv"),
        (("{}/run", "-t", "ply", "-o", "{}/cell.parquet"), 1, "no folder to write to"),
    ],
    ids=["unknown format", "no format", "no file", "file in the way"],
)
def test_bad_calls(place, words, code, message):
    result = call("export", *(word.format(place) for word in words))
    assert result.exit_code == code
    assert message in result.stderr


def test_xlsx_without_openpyxl_is_said_before_the_work(place, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = call("export", place / "run", "-t", "xlsx", "-o", place / "x")
    assert result.exit_code == 1
    assert "openpyxl" in result.stderr
    assert not (place / "x").exists()

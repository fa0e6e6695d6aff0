"""From a table to a volume to labels and back to the table, by the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app

RUNNER = CliRunner()


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    a = rng.normal((0, 0, 0), 60, (3000, 3))
    b = rng.normal((900, 0, 0), 60, (3000, 3))
    path = tmp_path / "cells.parquet"
    ns.write(ns.from_arrays(np.concatenate([a, b]), precision_nm=(10, 10, 20)), path)
    return path


def run(*args):
    return RUNNER.invoke(app, [str(item) for item in args])


@pytest.mark.parametrize("name", ["x.tif", "x.ome.tif", "x.npz"])
def test_there_and_back(table, tmp_path, name):
    result = run("voxelize", table, "--voxel-nm", "40", "--mode", "gaussian", "-o", tmp_path / name,
                 "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["sum"] == pytest.approx(6000, rel=1e-5)
    back = tmp_path / "labelled.parquet"
    result = run("segment", tmp_path / name, "-o", tmp_path / f"labels_{name}", "--option",
                 "scale=all", "--points", table, "--points-out", back)  # fmt: skip
    assert result.exit_code == 0, result.output
    labels = ns.read(back).table["voxel_label"].to_numpy()
    assert len(labels) == 6000
    assert (labels >= 0).all()
    assert (labels > 0).mean() > 0.5
    found = ns.read_labels(tmp_path / f"labels_{name}")
    np.testing.assert_array_equal(ns.labels_to_points(found, ns.read(table)), labels)


def test_one_of_size_and_preset(table, tmp_path):
    assert run("voxelize", table, "-o", tmp_path / "x.tif").exit_code == 2
    both = run("voxelize", table, "-o", tmp_path / "x.tif", "--voxel-nm", 9, "--preset", "deepd3")
    assert both.exit_code == 2
    result = run("voxelize", table, "-o", tmp_path / "x.tif", "--preset", "none")
    assert result.exit_code == 1
    assert "presets: deepd3" in result.output


def test_a_volume_that_does_not_know_its_place(tmp_path):
    path = tmp_path / "bare.npz"
    np.savez(path, data=np.random.default_rng(0).random((8, 9, 10)))
    bare = run("segment", path, "-o", tmp_path / "l.tif")
    assert bare.exit_code == 1
    assert "neither a sidecar nor the file" in bare.output
    given = run("segment", path, "-o", tmp_path / "l.tif", "--voxel-nm", "50,20,20", "--json")
    assert given.exit_code == 0, given.output
    assert json.loads(given.stdout)["file"].endswith("l.tif")
    assert run("segment", path, "-o", tmp_path / "l.tif", "--option", "x").exit_code == 2

"""From a table to a volume to labels and back to the table, by the command line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import trimesh
from scipy.spatial import cKDTree
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


def test_labels_of_another_program_come_back_as_points_meshes_and_spines(tmp_path):
    """A person divides a dendrite by hand, in a program that keeps no metadata."""
    shape = ns.simulate.spine("mushroom", seed=1)
    table, image = tmp_path / "cell.parquet", tmp_path / "cell.tif"
    ns.write(ns.from_arrays(shape.mesh.sample(5000, seed=1), precision_nm=8.0), table)
    grid = ns.voxelize(shape.mesh, 40.0)
    found = ns.find_spines(shape.mesh)
    ns.write_volume(grid.with_data(grid.data.astype(np.uint8)), image)
    inside = np.argwhere(grid.data)
    near = cKDTree(shape.mesh.vertices).query(grid.to_xyz_nm(inside))[1]
    data = grid.data.astype(np.uint8)
    data[tuple(inside.T)] = np.where(found.vertex_spine[near] == 0, 2, 1)
    drawn = tmp_path / "drawn.tif"
    tifffile.imwrite(drawn, data)
    folder, back = tmp_path / "out", tmp_path / "labelled.parquet"
    result = run("segment", image, "--labels", drawn, "--role", "1=shaft", "--role", "2=spine",
                 "-o", tmp_path / "labels.npz", "--points", table, "--points-out", back,
                 "--reach-nm", 40, "--spines", folder)  # fmt: skip
    assert result.exit_code == 0, result.output
    spines = pd.read_csv(folder / "spines.csv")
    assert list(spines["voxel_label"]) == [2]
    assert spines["volume_nm3"][0] == pytest.approx((data == 2).sum() * 40.0**3, rel=0.1)
    labels = ns.read(back).table
    assert (labels["voxel_label"] > 0).mean() > 0.99
    assert ((labels["spine"] == 0) == (labels["voxel_label"] == 2)).mean() > 0.95
    assert trimesh.load(folder / "label_2.ply").is_watertight
    wrong = run("segment", image, "--role", "1=shaft", "-o", tmp_path / "l.npz")
    assert wrong.exit_code == 2

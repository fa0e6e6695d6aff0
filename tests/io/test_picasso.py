"""Picasso files: layouts, pixel sizes and their conflicts, maps of molecules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import UnitsError

KIND = np.dtype(
    [("frame", "u4"), ("x", "f4"), ("y", "f4"), ("photons", "f4"), ("sx", "f4"), ("sy", "f4"),
     ("bg", "f4"), ("lpx", "f4"), ("lpy", "f4"), ("z", "f4")]
)  # fmt: skip


def rows() -> np.ndarray[Any, Any]:
    table = np.zeros(4, KIND)
    table["frame"] = [0, 1, 1, 5]
    table["x"], table["y"] = [1, 2, 3, 4], [10, 20, 30, 40]
    table["sx"] = table["sy"] = 1.0
    table["lpx"], table["lpy"] = 0.1, 0.2
    table["z"] = [-100, 0, 50, 100]
    table["photons"] = 500
    return table


def save(folder: Path, table: np.ndarray[Any, Any], yaml: str | None) -> Path:
    path = folder / "a_locs.hdf5"
    with h5py.File(path, "w") as file:
        file["locs"] = table
    if yaml is not None:
        path.with_suffix(".yaml").write_text(yaml)
    return path


def test_pixels_become_nanometres_and_z_stays(tmp_path: Path) -> None:
    locs = ns.read(save(tmp_path, rows(), "Width: 64\n---\nPixelsize: 130\n"))
    np.testing.assert_allclose(locs.xyz_nm[1], [260, 2600, 0])
    assert locs.table["z_nm"].tolist() == [-100, 0, 50, 100]
    assert locs.table["precision_x_nm"].iloc[0] == pytest.approx(13)
    assert locs.table["precision_y_nm"].iloc[0] == pytest.approx(26)
    assert locs.table["sigma_x_nm"].iloc[0] == pytest.approx(130)
    assert locs.table["frame"].tolist() == [0, 1, 1, 5]
    assert locs.history[-1]["arguments"]["pixel_size_used_nm"] == [130, 130]


def test_no_pixel_size_says_what_to_pass(tmp_path: Path) -> None:
    for yaml in (None, "Width: 64\n"):
        with pytest.raises(UnitsError, match=r"Pass pixel_size_nm=.*--pixel-size-nm"):
            ns.read(save(tmp_path, rows(), yaml))
    assert ns.read(save(tmp_path, rows(), None), pixel_size_nm=100).xyz_nm[0, 0] == 100


def test_conflicting_sizes_are_named_in_one_message(tmp_path: Path) -> None:
    path = save(tmp_path, rows(), "Camera.Pixelsize: 160\n---\nPixelsize: 130\n")
    with pytest.raises(UnitsError, match=r"160 nm \(Camera.Pixelsize.*130 nm \(Pixelsize"):
        ns.read(path)
    locs = ns.read(path, pixel_size_nm=130)
    assert any("as the caller said" in note for note in locs.history[-1]["notes"])


def test_embedded_metadata(tmp_path: Path) -> None:
    path = save(tmp_path, rows(), None)
    with h5py.File(path, "a") as file:
        file["metadata"] = json.dumps([{"Width": 64}, {"Pixelsize": 100}])
    assert ns.read(path).xyz_nm[0, 0] == 100


def test_a_map_of_molecules_has_z_in_pixels(tmp_path: Path) -> None:
    kind = [("frame", "f4"), ("std_frame", "f4"), ("x", "f4"), ("y", "f4"), ("z", "f4"),
            ("std_x", "f4"), ("n", "u4")]  # fmt: skip
    table = np.zeros(2, kind)
    table["x"], table["z"], table["frame"] = [1, 20], [0.5, 1], [2.5, 3.25]
    locs = ns.read(save(tmp_path, table, "Pixelsize: 100\n"))
    assert locs.table["z_nm"].tolist() == [50, 100]
    assert locs.table["frame"].tolist() == [2.5, 3.25]
    assert any("map of molecules" in note for note in locs.history[-1]["notes"])


@pytest.mark.parametrize(
    ("name", "n", "pixel"),
    [
        ("picasso/egfr_mols.hdf5", 4230, None),
        ("picasso/raw_movie_locs.hdf5", 2399, None),
        ("picasso/testdata_locs.hdf5", 564, 130),
        ("picasso_rewritten/raw_movie_locs_pandas_fixed.hdf5", 2399, None),
        ("picasso_rewritten/raw_movie_locs_pandas_table.hdf5", 2399, None),
        ("picasso_rewritten/raw_movie_locs_saved_by_picasso_0.11.3.hdf5", 2399, None),
    ],
)
def test_sample_files(shared_data: Path, name: str, n: int, pixel: float | None) -> None:
    assert len(ns.read(shared_data / "localizations" / name, pixel_size_nm=pixel)) == n


def test_all_layouts_give_the_same_table(shared_data: Path) -> None:
    folder = shared_data / "localizations"
    plain = ns.read(folder / "picasso/raw_movie_locs.hdf5").table
    for layout in ("pandas_fixed", "pandas_table", "saved_by_picasso_0.11.3"):
        other = ns.read(folder / f"picasso_rewritten/raw_movie_locs_{layout}.hdf5").table
        for name in plain:
            np.testing.assert_allclose(other[name], plain[name], rtol=1e-6)


def test_a_yaml_of_megabytes_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    lines = "".join(f"- [{i}, {i}, {i}]\n" for i in range(60_000))
    path = save(tmp_path, rows(), f"Width: 64\nPicks:\n{lines}---\nPixelsize: 130\n")
    locs = ns.read(path)
    assert locs.xyz_nm[0, 0] == 130
    assert any("only the plain entries were read" in note for note in locs.history[-1]["notes"])

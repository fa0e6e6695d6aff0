"""SMAP saves beyond 2 GB come as NAME.mat and NAME_p2.mat, ...: any of them leads to the whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

import nanospine as ns
from nanospine.core.errors import SchemaError

N = 20
EMPTY = np.zeros((0, 0))


def column(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float32).reshape(-1, 1)


def split_save(folder: Path) -> Path:
    """Write a save in three files as SMAP's savematparts lays it out."""
    index = np.arange(N)
    loc = {"xnm": EMPTY, "ynm": EMPTY, "frame": EMPTY, "phot": column(index + 500.0)}
    info = {"cam_pixelsize_um": np.array([[0.1, 0.1]])}
    save = {"loc": loc, "file": {"info": info}}
    main = folder / "cell_sml.mat"
    parts = np.array([r"D:\data\cell_sml_p2.mat", r"D:\data\cell_sml_p3.mat"], dtype=object)
    savemat(
        main,
        {
            "lds": {"saveloc": save, "fileformat": {"name": "sml"}},
            "S": {"type": ".", "subs": "loc"},
            "partnames": parts,
        },
    )
    first = {"ltemp": {"xnm": column(index * 100.0), "ynm": column(index * 50.0)}}
    savemat(folder / "cell_sml_p2.mat", first, do_compression=True)
    savemat(folder / "cell_sml_p3.mat", {"ltemp": {"frame": column(index + 1)}})
    return main


@pytest.mark.parametrize("name", ["cell_sml.mat", "cell_sml_p2.mat", "cell_sml_p3.mat"])
def test_any_part_leads_to_the_whole(tmp_path: Path, name: str) -> None:
    split_save(tmp_path)
    locs = ns.read(tmp_path / name)
    assert ns.detect(tmp_path / name).name == "smap"
    np.testing.assert_allclose(locs.table["x_nm"], np.arange(N) * 100.0)
    np.testing.assert_allclose(locs.table["y_nm"], np.arange(N) * 50.0)
    np.testing.assert_array_equal(locs.table["frame"], np.arange(N) + 1)
    np.testing.assert_allclose(locs.table["photons"], np.arange(N) + 500.0)
    assert "joined from cell_sml.mat, cell_sml_p2.mat, cell_sml_p3.mat" in " ".join(
        locs.history[-1]["notes"]
    )
    assert locs.history[-1]["arguments"]["camera_pixel_nm"] == [100.0, 100.0]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    main = split_save(tmp_path)
    (tmp_path / "cell_sml_p3.mat").unlink()
    notes = " ".join(ns.read(main).history[-1]["notes"])
    assert "in no part: frame" in notes
    assert "cell_sml_p3.mat missing" in notes
    (tmp_path / "cell_sml_p2.mat").unlink()
    with pytest.raises(SchemaError, match=r"cell_sml_p2\.mat with the positions was expected"):
        ns.read(main)


def test_a_part_without_its_main_file_asks_for_it(tmp_path: Path) -> None:
    split_save(tmp_path)
    lonely = tmp_path / "alone"
    lonely.mkdir()
    shutil.copy(tmp_path / "cell_sml_p2.mat", lonely)
    with pytest.raises(SchemaError, match=r"main file cell_sml\.mat was expected beside it"):
        ns.read(lonely / "cell_sml_p2.mat")

"""ThunderSTORM: the traps of real files, and the sample files with their row counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nanospine as ns

HEADER = (
    '"id","frame","x [nm]","y [nm]","z [nm]","sigma1 [nm]","sigma2 [nm]","intensity [photon]",'
    '"offset [photon]","bkgstd [photon]","uncertainty_xy [nm]","uncertainty_z [nm]","detections"'
)
ROW = "1.0,7.0,100.5,200.5,-30.25,120,140,900,11,3,9.5,21,4"


def save(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_column_finds_its_place(tmp_path: Path) -> None:
    locs = ns.read(save(tmp_path, f"{HEADER}\n{ROW}\n{ROW.replace('100.5', '900.5')}\n"))
    row = locs.table.iloc[0]
    expected = {
        "x_nm": 100.5, "y_nm": 200.5, "z_nm": -30.25, "frame": 7, "photons": 900,
        "background_photons": 11, "sigma_x_nm": 120, "sigma_y_nm": 140, "precision_x_nm": 9.5,
        "precision_y_nm": 9.5, "precision_z_nm": 21, "n_localizations": 4, "id": 1,
        "bkgstd [photon]": 3,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert locs.table["frame"].dtype == np.int64


def test_the_xls_export_is_text_with_tabs(tmp_path: Path) -> None:
    text = f"{HEADER}\n{ROW}\n{ROW}\n".replace(",", "\t").replace('"', "")
    locs = ns.read(save(tmp_path, text, "a.xls"))
    assert len(locs) == 2
    assert ns.detect(tmp_path / "a.xls").name == "thunderstorm"


def test_old_names_plurals_and_trailing_blanks(tmp_path: Path) -> None:
    text = (
        '"frame","x [nm]","y [nm]","sigma [nm]","intensity [photons]","uncertainty [nm]" \n'
        "1,100,200,150,900,8\n2,900,200,150,900,9\n"
    )
    locs = ns.read(save(tmp_path, text))
    assert locs.table["precision_y_nm"].tolist() == [8, 9]
    assert locs.table["photons"].tolist() == [900, 900]


def test_nan_in_another_column_keeps_the_row(tmp_path: Path) -> None:
    text = '"x [nm]","y [nm]","chi2"\n100,200,NaN\n900,200,3\n'
    locs = ns.read(save(tmp_path, text))
    assert len(locs) == 2
    assert np.isnan(locs.table["chi2"].iloc[0])


def test_unnamed_first_column_and_extra_columns(tmp_path: Path) -> None:
    text = ',"x [nm]","y [nm]","dx [nm]","dy [nm]"\n0,100,200,1,2\n1,900,200,3,4\n'
    locs = ns.read(save(tmp_path, text))
    assert locs.table["dx [nm]"].tolist() == [1, 3]
    assert any("unnamed first column" in note for note in locs.history[-1]["notes"])


@pytest.mark.parametrize(
    ("name", "n", "dimension"),
    [
        ("colicoords/01_storm.csv", 29995, 2),
        ("pyme-import-tests/ThunderSTORM_TS3D.csv", 11195, 3),
        ("locan/Thunderstorm_dstorm_data.csv", 19, 2),
        ("picasso_rewritten/smap_as_thunderstorm_by_picasso.csv", 4884, 3),
    ],
)
def test_sample_files(shared_data: Path, name: str, n: int, dimension: int) -> None:
    path = shared_data / "localizations" / name
    assert ns.detect(path).name == "thunderstorm"
    locs = ns.read(path)
    assert len(locs) == n
    assert locs.dimension == dimension
    assert locs.precision_nm is not None


def test_no_precision_is_lost_to_float32(shared_data: Path) -> None:
    path = shared_data / "localizations/locan/Thunderstorm_dstorm_data.csv"
    assert ns.read(path).table["x_nm"].iloc[0] == 1320.109670647555


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("owenlab/data_channel2.txt", 11696),
        ("pyme-import-tests/CaulobacterC_2_R09_MoernerLab.csv", 8759),
        ("locan/five_blobs_3D.txt", 50),
    ],
)
def test_bare_sample_files_ask_for_units(shared_data: Path, name: str, n: int) -> None:
    path = shared_data / "localizations" / name
    with pytest.raises(ns.NanospineError, match="--units nm"):
        ns.read(path)
    assert len(ns.read(path, units="nm")) == n

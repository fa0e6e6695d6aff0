"""Text tables as they come out of spreadsheets, old programs and broken transfers."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ReadError, SchemaError, UnitsError, UnknownFormatError

ROWS = [(100.5, 200.25, 1), (300.125, 400.75, 2), (500.5, 600.125, 3)]
EXPECTED = np.array([row[:2] for row in ROWS])


def table(separator: str = ",", newline: str = "\n", decimal: str = ".", head: str = "") -> str:
    names = separator.join(["x [nm]", "y [nm]", "frame"])
    body = [
        separator.join([f"{x:.3f}".replace(".", decimal), f"{y:.3f}".replace(".", decimal), str(f)])
        for x, y, f in ROWS
    ]
    return head + newline.join([names, *body]) + newline


CLEAN = {
    "comma": table().encode(),
    "semicolon": table(";").encode(),
    "tab": table("\t").encode(),
    "crlf": table(newline="\r\n").encode(),
    "cr_only": table(newline="\r").encode(),
    "bom": b"\xef\xbb\xbf" + table().encode(),
    "utf16_of_excel": table("\t").encode("utf-16"),
    "utf16_big_endian": b"\xfe\xff" + table("\t").encode("utf-16-be"),
    "decimal_comma_semicolon": table(";", decimal=",").encode(),
    "decimal_comma_tab": table("\t", decimal=",").encode(),
    "comment_lines": table(head="# made by a program\n# second line\n").encode(),
    "header_behind_hash": ("# " + table()).encode(),
    "blank_lines_first": ("\n\n" + table()).encode(),
    "latin1_comment": table(head="# pixel 0.1 \xb5m\n").encode("latin-1"),
    "trailing_comma": table().replace("\n", ",\n").encode(),
    "trailing_comma_rows_only": table().replace("\n", ",\n").replace("frame,", "frame").encode(),
    "unnamed_index": (
        ",x [nm],y [nm],frame\n"
        + "".join(f"{i},{x},{y},{f}\n" for i, (x, y, f) in enumerate(ROWS))
    ).encode(),
    "quoted_numbers": (
        '"x [nm]","y [nm]","frame"\n' + "".join(f'"{x}","{y}","{f}"\n' for x, y, f in ROWS)
    ).encode(),
    "header_is_one_quoted_field": (
        '"x [nm],""y [nm]"",""frame"""\n' + "".join(f"{x},{y},{f}\n" for x, y, f in ROWS)
    ).encode(),
    "locale_minus_elsewhere": (
        "x [nm],y [nm],frame,z_rel [nm]\n" + "".join(f"{x},{y},{f},−5.5\n" for x, y, f in ROWS)
    ).encode(),
    "blanks_after_separator": table(", ").encode(),
    "blank_after_last_name": table().replace("frame\n", "frame \n").encode(),
    "micrometres": (
        "x [µm],y [μm],frame\n" + "".join(f"{x / 1e3},{y / 1e3},{f}\n" for x, y, f in ROWS)
    ).encode(),
    "micrometres_latin1": (
        "x [\xb5m],y [\xb5m],frame\n" + "".join(f"{x / 1e3},{y / 1e3},{f}\n" for x, y, f in ROWS)
    ).encode("latin-1"),
    "metres": (
        "x [m],y [m],frame\n" + "".join(f"{x / 1e9:.12e},{y / 1e9:.12e},{f}\n" for x, y, f in ROWS)
    ).encode(),
    "columns_in_another_order": (
        "frame,y [nm],x [nm]\n" + "".join(f"{f},{y},{x}\n" for x, y, f in ROWS)
    ).encode(),
    "excel_separator_line": ("sep=;\n" + table(";")).encode(),
    "units_in_the_second_row": (
        "x;y;frame\nnm;nm;\n" + "".join(f"{x};{y};{f}\n" for x, y, f in ROWS)
    ).encode(),
    "joined_units": ("xnm,ynm,frame\n" + "".join(f"{x},{y},{f}\n" for x, y, f in ROWS)).encode(),
    "blanks_behind_the_last_row": (table() + "   ").encode(),
    "end_mark_of_dos": table(newline="\r\n").encode() + b"\x1a",
    "latin1_far_behind_the_head": (
        "x [nm],y [nm],frame,remark\n"
        + "".join(f"{x},{y},{f},{'a' * 30000}\n" for x, y, f in ROWS[:2])
        + "{},{},{},\xb5\n".format(*ROWS[2])
    ).encode("latin-1"),
    "frame_as_float": table().replace(",1\n", ",1.0\n").encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_the_same_table_in_every_dress(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_bytes(CLEAN[name])
    locs = ns.read(path)
    np.testing.assert_allclose(locs.xyz_nm[:, :2], EXPECTED, rtol=1e-12)
    assert locs.table["frame"].tolist() == [1, 2, 3]
    assert locs.table["x_nm"].dtype == np.float64
    assert locs.table["frame"].dtype == np.int64


def test_blank_separated_columns_need_no_more_than_blanks(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x_nm   y_nm  frame\n  1.5   2.5 1 \n 300.5  4.5   2\n")
    assert ns.read(path).xyz_nm[:, :2].tolist() == [[1.5, 2.5], [300.5, 4.5]]


@pytest.mark.parametrize("wrong_suffix", ["a.dat", "a.hdf5", "a", "a.npy", "ä ö 神経.csv"])
def test_the_suffix_does_not_matter(tmp_path: Path, wrong_suffix: str) -> None:
    path = tmp_path / wrong_suffix
    path.write_bytes(CLEAN["comma"])
    assert len(ns.read(path)) == 3


def test_gz_and_zip_with_one_file(tmp_path: Path) -> None:
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(CLEAN["comma"]))
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("folder/a.csv", CLEAN["comma"])
        archive.writestr("__MACOSX/._a.csv", b"clutter")
    for path in (packed, zipped):
        np.testing.assert_allclose(ns.read(path).xyz_nm[:, :2], EXPECTED)


FAULTY = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "blanks_only": (b"   \n\n", "no reader recognises"),
    "prose": (
        b"# Title\n\nSome words, and more.\nAnother line here.\n",
        "no reader recognises",
    ),
    "two_columns_of_other_things": (b"a,b\n1,2\n", "columns for x and y were expected"),
    "no_header": (b"1,2,3\n4,5,6\n", "row 1: column names were expected, found numbers"),
    "header_in_the_middle": (
        table().encode() + table().encode(),
        r'row 5, column "x \[nm\]": expected a number, found "x \[nm\]"\. The header occurs twice',
    ),
    "decimal_comma_with_comma": (
        b"x [nm],y [nm]\n100,5,200,25\n300,5,400,75\n",
        "2 columns per header, 4 per row.*decimal comma.*cannot be undone",
    ),
    "duplicate_names": (b"x [nm],y [nm],x [nm]\n1,2,3\n", r'column "x \[nm\]": occurs 2 times'),
    "two_names_for_one_thing": (b"x [nm],x_nm,y [nm]\n1,2,3\n", "both mean x_nm"),
    "text_in_numbers": (
        b"x [nm],y [nm],frame\n1,2,1\n3,bad,2\n",
        r'row 3, column "y \[nm\]": expected a number, found "bad"',
    ),
    "text_in_all_photons": (
        b"x [nm],y [nm],intensity [photon]\n1,2,low\n3,4,high\n",
        r'column "intensity \[photon\]": numbers were expected, found text',
    ),
    "short_row_inside": (
        b"x [nm],y [nm],frame\n1,2,1\n3,4\n5,6,3\n",
        "row 3: 3 cells were expected, found 2",
    ),
    "thousands": (
        b"x [nm];y [nm]\n1,234.5;2\n7,234.5;2\n",
        "Thousands separators",
    ),
    "nul_bytes": (b"x [nm],y [nm]\n1,2\n3,\x004\n", "row 3.*NUL bytes"),
    "metres_taken_for_nanometres": (
        b"x [nm],y [nm]\n1e-6,2e-6\n3e-6,4e-6\n",
        "look like metres taken for nanometres",
    ),
    "micrometres_taken_for_nanometres": (
        b"x [nm],y [nm],uncertainty [nm]\n" + b"".join(b"%d,%d,25\n" % (i, i) for i in range(12)),
        "micrometres or pixels taken for nanometres",
    ),
    "pixels_taken_for_nanometres": (
        b"x [nm],y [nm],sigma [nm]\n" + b"".join(b"%d,%d,1.3\n" % (i, 200 - i) for i in range(99)),
        "look like pixels taken for nanometres",
    ),
    "pixels_without_size": (b"x [px],y [px]\n1,2\n3,4\n", "pixel_size_nm=.*--pixel-size-nm"),
    "pickle": (b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00", "is a Python pickle"),
    "noise": (bytes(range(256)) * 3, "no reader recognises"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_one_clear_sentence_for_each_fault(tmp_path: Path, name: str) -> None:
    data, message = FAULTY[name]
    path = tmp_path / "roi.csv"
    path.write_bytes(data)
    with pytest.raises(ReadError, match=message) as caught:
        ns.read(path)
    assert "roi.csv" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_bare_coordinates_ask_for_units(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("x,y,z\n1000,2000,30\n4000,5000,60\n")
    with pytest.raises(UnitsError, match=r"units='nm'.*--units nm"):
        ns.read(path)
    assert ns.read(path, units="nm").xyz_nm[0].tolist() == [1000, 2000, 30]
    assert ns.read(path, units="um").xyz_nm[0].tolist() == [1e6, 2e6, 3e4]
    with pytest.raises(UnitsError, match="not a unit of length"):
        ns.read(path, units="parsec")


def test_pixels_need_a_size_and_take_one(tmp_path: Path) -> None:
    path = tmp_path / "px.csv"
    path.write_text('"frame","x [px]","y [px]","intensity [ADU]"\n1,10,20,900\n2,30,40,800\n')
    locs = ns.read(path, pixel_size_nm=100)
    assert locs.xyz_nm[:, :2].tolist() == [[1000, 2000], [3000, 4000]]
    assert locs.table["intensity_adu"].tolist() == [900, 800]
    assert ns.read(path, pixel_size_nm=(100, 50)).xyz_nm[0, 1] == 1000
    (tmp_path / "px-protocol.txt").write_text('ThunderSTORM (1.2)\n{"pixelSize": 160.0}')
    locs = ns.read(path)
    assert locs.xyz_nm[0, 0] == 1600
    assert "160 nm taken from px-protocol.txt" in locs.history[-1]["notes"][0]


def test_rows_without_a_position_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "nan.csv"
    path.write_text(
        "x [nm],y [nm],chi2\n1,2,\nnan,3,1\n900,4,-nan(ind)\ninf,1,1\n1e309,5,1\n5,1.#QNAN,2\n"
    )
    locs = ns.read(path)
    assert len(locs) == 2
    assert np.isnan(locs.table["chi2"]).all()
    assert locs.history[-1]["n_before"] == 6
    assert "4 of 6 rows dropped" in locs.history[-1]["notes"][0]


def test_infinite_values_elsewhere_are_emptied_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "inf.csv"
    path.write_text("x [nm],y [nm],chi2\n1,2,inf\n900,4,-inf\n50,4,3\n")
    locs = ns.read(path)
    assert locs.table["chi2"].isna().tolist() == [True, True, False]
    assert "chi2: 2 values are infinite and were set to NaN" in locs.history[-1]["notes"]


def test_header_only_gives_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "header.csv"
    path.write_text("x [nm],y [nm],z [nm]\n")
    locs = ns.read(path)
    assert len(locs) == 0
    assert locs.table["x_nm"].dtype == np.float64
    assert "no localizations" in locs.history[-1]["notes"][-1]


@pytest.mark.parametrize("end", ["700.5,8", "700.5,800.12", "700.5,800.125,", "70"])
def test_a_cut_last_row_is_left_out_with_a_note(tmp_path: Path, end: str) -> None:
    path = tmp_path / "cut.csv"
    path.write_text(table() + end)
    locs = ns.read(path)
    assert len(locs) == 3
    assert any("left out; was the file cut?" in note for note in locs.history[-1]["notes"])


def test_a_whole_last_row_without_line_end_is_kept_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "whole.csv"
    path.write_text(table() + "700.500,800.125,4")
    locs = ns.read(path)
    assert len(locs) == 4
    assert any("no line end" in note for note in locs.history[-1]["notes"])


def test_ids_beyond_2_to_the_53_stay_exact(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text(f"id,x [nm],y [nm]\n{2**53 + 1},1,2\n{2**53 + 3},300,4\n")
    assert ns.read(path).table["id"].tolist() == [2**53 + 1, 2**53 + 3]


def test_precisions_that_cannot_be_are_emptied_and_huge_ones_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("x [nm],y [nm],uncertainty [nm]\n1,2,10\n2000,2,-1\n3,2,0\n4,2,3e33\n")
    locs = ns.read(path)
    values = locs.table["precision_x_nm"].to_numpy()
    assert np.isnan(values[1:3]).all()
    assert values[3] == 3e33
    assert any("2 values are zero or negative" in note for note in locs.history[-1]["notes"])
    assert any("larger than 10 µm" in note for note in locs.history[-1]["notes"])


def test_remarks_may_begin_with_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("x [nm],y [nm],remark\n" + "1,2,\n" * 60 + "900,4,bead\n")
    locs = ns.read(path)
    assert len(locs) == 61
    assert locs.table["remark"].iloc[-1] == "bead"


def test_channels_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("x [nm],y [nm],channel\n1,2,Bassoon\n300,4,Homer\n5,6,Bassoon\n")
    assert ns.read(path).channels == ("Bassoon", "Homer")


def test_two_fits_are_named_and_a_wrong_format_name_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CLEAN["comma"])
    found = ns.detect(path)
    assert found.confidence is not None
    assert found.name in {item.name for item in ns.formats()}
    with pytest.raises(ReadError, match="Did you mean 'thunderstorm'"):
        ns.read(path, format="thunderstrom")


def test_schema_errors_name_all_faults_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x [nm],x_nm,y [nm],intensity [photon]\n1,2,3,much\n4,5,6,few\n")
    with pytest.raises(SchemaError, match="2 faults"):
        ns.read(path)


def test_who_says_the_unit_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(FAULTY["pixels_taken_for_nanometres"][0])
    assert ns.read(path, units="nm").xyz_nm[3, 0] == 3
    locs = ns.read(path, units="px", pixel_size_nm=100)
    assert locs.xyz_nm[3, 0] == 300
    assert "as the caller said" in locs.history[-1]["notes"][0]


def test_all_positions_equal_or_all_missing(tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    path.write_text("x [nm],y [nm]\n" + "5,6\n" * 20)
    locs = ns.read(path)
    assert len(locs) == 20
    assert "all positions are equal" in locs.history[-1]["notes"]
    path.write_text("x [nm],y [nm]\n" + "nan,6\n" * 20)
    locs = ns.read(path)
    assert len(locs) == 0
    assert "20 of 20 rows dropped" in locs.history[-1]["notes"][0]


def test_each_axis_has_its_own_unit(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text("x [nm],y [um],z [m]\n1000,2.5,3e-8\n2000,3.5,-1e-7\n")
    np.testing.assert_allclose(ns.read(path).xyz_nm, [[1000, 2500, 30], [2000, 3500, -100]])


def test_a_tie_is_named_and_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from nanospine.io import registry

    path = tmp_path / "a.csv"
    path.write_bytes(CLEAN["comma"])
    name = ns.detect(path).name
    entry = registry._READERS[name]
    twin = replace(entry, format=replace(entry.format, name="twin"))
    monkeypatch.setitem(registry._READERS, "twin", twin)
    with pytest.raises(ReadError, match=f"fits two formats equally well.*'{name}' or 'twin'"):
        ns.read(path)
    assert len(ns.read(path, format="twin")) == 3


@pytest.mark.parametrize(
    ("start", "said"), [(b"II*\0", "a TIFF image"), (b"\xd0\xcf\x11\xe0", "an old Excel workbook")]
)
def test_what_people_try_as_well_is_named(tmp_path: Path, start: bytes, said: str) -> None:
    path = tmp_path / "cell.dat"
    path.write_bytes(start + bytes(600))
    with pytest.raises(UnknownFormatError, match=said):
        ns.read(path)


def test_an_excel_workbook_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cell.xlsx"
    with zipfile.ZipFile(path, "w") as book:
        for name in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            book.writestr(name, "<a/>")
    with pytest.raises(UnknownFormatError, match="an Excel workbook: save the sheet as csv"):
        ns.read(path)

"""A report read back, and corrections made by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import nanospine as ns
from nanospine.core.errors import SchemaError
from nanospine.output.corrections import (
    Correction,
    corrected_table,
    read_corrections,
    write_corrections,
)
from nanospine.output.report import (
    read_report,
    with_corrections,
    with_statistics,
    write_content,
    write_report,
)
from nanospine.output.report.content import type_rows
from nanospine.output.report.curves import curves_of


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(run, path)
    return path


def test_a_report_written_again_is_the_same_file(page, tmp_path):
    content, overview = read_report(page)
    write_content(content, overview, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html></html>", "its data are not in it"),
        (
            '<script id="data" type="application/json">{"rows":[]}</script>'
            '<img id="overview" src="data:x"',
            "earlier version and lacks title",
        ),
    ],
    ids=["no report", "early report"],
)
def test_what_is_no_report_is_refused(tmp_path, text, message):
    (tmp_path / "a.html").write_text(text)
    with pytest.raises(SchemaError, match=message):
        read_report(tmp_path / "a.html")


def test_statistics_of_tables_are_added_once(page, tmp_path):
    content, _ = read_report(page)
    radii = np.arange(10.0, 100, 10)
    pd.DataFrame({"radius_nm": radii, "K": radii**2, "theory": radii**2}).to_csv(
        tmp_path / "ripley_k.csv", index=False
    )
    rings = {"low_nm": radii - 5, "high_nm": radii + 5, "observed": radii, "expected": radii}
    pd.DataFrame({**rings, "significant": radii > 50}).to_parquet(tmp_path / "soda.parquet")
    files = [tmp_path / "ripley_k.csv", tmp_path / "soda.parquet"]
    once = with_statistics(content, files)
    assert [curve["title"] for curve in once["curves"]] == ["ripley k", "SODA"]
    assert once["curves"][1]["marked"] == [False] * 5 + [True] * 4
    assert with_statistics(once, files)["curves"] == once["curves"]


def test_charts_name_what_was_observed_and_count_pairs(page, tmp_path):
    pd.DataFrame({"radius_nm": [10.0, 20], "observed": [1.0, 2]}).to_csv(
        tmp_path / "cross_L.csv", index=False
    )
    rings = {"low_nm": [0.0, 20], "high_nm": [20.0, 40], "coupled_pairs": [0.5, 41.7]}
    pd.DataFrame({**rings, "significant": [False, True]}).to_csv(tmp_path / "soda.csv", index=False)
    files = [tmp_path / "cross_L.csv", tmp_path / "soda.csv"]
    function, rings = with_statistics(read_report(page)[0], files)["curves"]
    assert (function["title"], function["ylabel"]) == ("cross L", "L (nm)")
    assert rings["facts"] == {"coupled pairs in significant rings": "42"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n", "radius_nm"), ("radius_nm\n1\n", "no column of values"),
     ("low_nm,high_nm\n1,2\n", "coupled_pairs, observed"), ("", "a table was expected")],
    ids=["other table", "radii alone", "rings without pairs", "empty"],
)  # fmt: skip
def test_tables_that_are_no_statistic(page, tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SchemaError, match=message):
        with_statistics(read_report(page)[0], [tmp_path / "a.csv"])


def test_a_summary_function_and_its_notes_become_a_chart():
    random = np.random.default_rng(0)
    box = ns.Box((0, 0), (2000, 2000))
    points = ns.from_arrays(random.random((200, 2)) * 2000, region=box)
    from nanospine.core.region import Box
    from nanospine.statistics.curve import SummaryFunction

    radii = np.array([10.0, 20.0])
    function = SummaryFunction(
        "L", radii, radii + 1, radii, "none", len(points), 0, Box((0, 0), (1, 1)), ("Assumed.",)
    )
    (chart,) = curves_of(function)
    assert (chart["title"], chart["values"], chart["notes"]) == ("L", [11.0, 21.0], ["Assumed."])


def test_types_counted_by_brute_force(found):
    rows = type_rows(found.table, 4.0)
    for row in rows:
        part = [s for s in found.spines if row["type"] in ("all", s.type)]
        assert row["n"] == len(part)
        assert row["per_um"] == len(part) / 4.0
        assert row["length_nm"] == np.median([s.row["length_nm"] for s in part])


def test_the_interval_of_a_density_covers_the_truth_nineteen_times_in_twenty():
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        n = random.poisson(6.0)
        table = pd.DataFrame({"type": ["thin"] * n, **{k: [1.0] * n for k in (
            "neck_diameter_nm", "head_diameter_nm", "length_nm")}})  # fmt: skip
        low, high = type_rows(table, 3.0)[-1]["per_um_interval"]
        covered += low <= 2.0 <= high
    assert covered >= 380


def _changes(run):
    first, second = (int(spine.id) for spine in run.spines.spines[:2])
    return [
        Correction("retype", first, "stubby", reason="no neck"),
        Correction("reject", second),
        Correction("retype", 99, "thin"),
    ]


def test_corrections_change_the_report(page, run, tmp_path):
    content = with_corrections(read_report(page)[0], _changes(run))
    assert len(content["rows"]) == len(run.spines) - 1 == len(content["profiles"])
    assert content["rows"][0]["type"] == "stubby"
    assert content["types"][0] == {**content["types"][0], "type": "stubby", "n": 1}
    assert any("was called stubby by hand (no neck)" in note for note in content["notes"])
    assert any("names spine 99" in note for note in content["notes"])
    write_content(content, "data:,", tmp_path / "b.html")
    assert "1 stubby" in (tmp_path / "b.html").read_text()


def test_corrections_come_back_as_they_were(tmp_path):
    changes = [
        Correction("retype", 0, "thin"),
        Correction("merge", 1, other=2, reason="one neck"),
        Correction("split", 3, point_nm=(1.0, 2.0, 3.0), normal=(0.0, 0.0, 1.0)),
        Correction("reject", 4),
    ]
    write_corrections(changes, tmp_path / "c.json")
    assert read_corrections(tmp_path / "c.json") == tuple(changes)


def test_merged_spines_are_one_row_and_say_so():
    table = pd.DataFrame({"spine": [0, 1, 2], "type": "thin", "note": [None, "old", ""]})
    changed, notes = corrected_table(
        table, [Correction("merge", 1, other=2), Correction("merge", 0, other=2)]
    )
    assert changed["spine"].tolist() == [0, 1]
    assert changed["note"][1].startswith("old Spine 1 was merged with spine 2")
    assert "spine 2, which is not in the table" in notes[1]
    assert table["note"].tolist()[1] == "old"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"action": "paint", "spine": 0}, "found 'paint'"),
        ({"action": "retype", "spine": 0, "type": "fat"}, "found 'fat'"),
        ({"action": "merge", "spine": 0}, "another spine"),
        ({"action": "merge", "spine": 0, "other": 0}, "another spine"),
        ({"action": "split", "spine": 0}, "point_nm and normal"),
    ],
)
def test_corrections_that_make_no_sense(options, message):
    with pytest.raises(SchemaError, match=message):
        Correction(**options)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"nanospine_corrections": 1}',
     '{"nanospine_corrections": 1, "corrections": 5}',
     '{"nanospine_corrections": 1, "corrections": [{"action": "reject"}]}',
     '{"nanospine_corrections": 1, "corrections": [{"action": "reject", "spine": "x"}]}'],
)  # fmt: skip
def test_files_that_are_no_corrections(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(SchemaError, match="corrections were expected"):
        read_corrections(tmp_path / "c.json")


def test_the_page_of_a_million_localizations_is_small(run, tmp_path):
    random = np.random.default_rng(0)
    n = 1_000_000
    many = ns.from_arrays(
        random.random((n, 3)) * [8000, 4000, 2000], spine=random.integers(-1, 2, n)
    )
    write_report(type(run)(many, run.spines, run.envelope), tmp_path / "big.html")
    assert (tmp_path / "big.html").stat().st_size < 15e6
    content, _ = read_report(tmp_path / "big.html")
    assert any("one in 7 of 1,000,000 localizations" in note for note in content["thinned"])
    assert json.dumps(content["mesh"])

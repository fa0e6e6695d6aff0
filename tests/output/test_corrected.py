"""Changes made by hand in a run: merged and split spines are measured anew, numbers stay found."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app
from nanospine.core.errors import GeometryError
from nanospine.output.corrected import corrected_spines
from nanospine.output.corrections import Correction, write_corrections
from nanospine.spines.relabel import relabelled


@pytest.fixture(scope="module")
def locs():
    shape = ns.simulate.dendrite(3500, ["mushroom", "thin", "stubby"], seed=3, voxel_nm=35)
    return ns.simulate.localize(shape, density_per_um2=400, seed=2)


@pytest.fixture(scope="module")
def found(locs):
    return ns.find_spines(ns.envelope(locs), locs)


def _middle(found, number):
    """The plane across the middle of a spine."""
    line = found.spines[number].centreline_nm
    middle = len(line) // 2
    along = line[middle + 1] - line[middle - 1]
    return tuple(map(float, line[middle])), tuple(map(float, along / np.linalg.norm(along)))


def test_there_are_spines_to_correct(found):
    assert len(found) == 3


def test_nothing_asked_nothing_changed(found, locs):
    assert corrected_spines(found, [], locs) is found


def test_retyped_and_rejected(found, locs):
    changes = [Correction("retype", 2, "filopodium", reason="long"), Correction("reject", 0)]
    new = corrected_spines(found, changes, locs)
    assert new.table["spine"].tolist() == [0, 1]
    assert new.table["type"].tolist() == [found.table["type"][1], "filopodium"]
    assert "called filopodium by hand (long)" in new.table["note"][1]
    assert "Spine 2 before the corrections." in new.table["note"][1]
    assert (new.vertex_spine[found.vertex_spine == 0] == -2).all()
    assert (new.vertex_spine[found.vertex_spine == 2] == 1).all()
    assert (new.localization_spine == 1).sum() == (found.localization_spine == 2).sum()
    # Untouched numbers stay as they were measured
    for column in ("length_nm", "neck_diameter_nm", "volume_nm3"):
        np.testing.assert_array_equal(new.table[column], found.table[column][1:])
    assert new.history[-1]["operation"] == "correct_spines"
    assert len(new.notes) == len(found.notes) + 2


def test_a_spine_split_and_merged_again_is_what_it_was(found, locs):
    number = int(found.table["length_nm"].idxmax())
    point, normal = _middle(found, number)
    split = Correction("split", number, point_nm=point, normal=normal)
    two = corrected_spines(found, [split], locs)
    assert len(two) == len(found) + 1
    assert two.table["note"].iloc[-1].endswith(f"Cut off spine {number} by hand.")
    assert two.table["length_nm"][number] < found.table["length_nm"][number]
    area = two.table["area_nm2"]
    assert area[number] + area.iloc[-1] == pytest.approx(
        found.table["area_nm2"][number], rel=0.15
    )  # the faces that the plane crosses belong to neither
    merge = Correction("merge", number, other=len(found))
    one = corrected_spines(found, [split, merge], locs)
    np.testing.assert_array_equal(one.vertex_spine, found.vertex_spine)
    for column in ("length_nm", "volume_nm3", "area_nm2"):
        np.testing.assert_allclose(one.table[column], found.table[column], rtol=0.02)
    # Where the foot lies is found anew, so the neck may differ, within its own interval
    neck = one.table["neck_diameter_nm"]
    assert neck.between(
        found.table["neck_diameter_low_nm"], found.table["neck_diameter_high_nm"]
    ).all()


def test_two_that_were_merged_and_are_split_between_are_what_they_were(found, locs):
    tips = [found.spines[number].centreline_nm.mean(axis=0) for number in (0, 2)]
    way = tips[1] - tips[0]
    point, normal = tuple(map(float, sum(tips) / 2)), tuple(map(float, way))
    changes = [
        Correction("merge", 0, other=2),
        Correction("split", 0, point_nm=point, normal=normal),
    ]
    new = corrected_spines(found, changes, locs)
    order = [0, 1, 2]
    for column in ("length_nm", "neck_diameter_nm", "head_diameter_nm", "volume_nm3"):
        np.testing.assert_allclose(new.table[column][order], found.table[column], rtol=0.02)
    assert new.table["type"].tolist() == found.table["type"].tolist()


def test_merging_two_adds_their_surfaces_and_localizations(found, locs):
    one = corrected_spines(found, [Correction("merge", 0, other=1)], locs)
    assert len(one) == 2
    assert one.table["n_localizations"][0] == found.table["n_localizations"][:2].sum()
    assert one.table["area_nm2"][0] == pytest.approx(found.table["area_nm2"][:2].sum())


def test_a_tip_finds_the_spine_whatever_its_number(found, locs):
    tip = tuple(found.spines[2].centreline_nm[-1] + 20.0)
    new = corrected_spines(found, [Correction("reject", 0, tip_nm=tip)], locs)
    assert (new.vertex_spine[found.vertex_spine == 2] == -2).all()
    assert len(new) == 2
    away = Correction("reject", 0, tip_nm=tuple(v + 1e5 for v in tip))
    new = corrected_spines(found, [away], locs)
    assert len(new) == 3
    assert "no spine has its tip where that one had it" in new.notes[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Correction("reject", 17), "names spine 17"),
        (Correction("merge", 0, other=17), "names spine 17"),
        (Correction("split", 0, point_nm=(9e9, 0, 0), normal=(1, 0, 0)), "was not split"),
    ],
    ids=["no such spine", "no such other", "plane beside it"],
)
def test_what_fits_no_spine_is_a_note(found, locs, change, message):
    new = corrected_spines(found, [change], locs)
    assert message in new.notes[-1]
    assert new.table["spine"].tolist() == [0, 1, 2]


def test_without_a_shaft_there_is_nothing_to_correct():
    ball = ns.find_spines(ns.simulate.spine("mushroom", seed=1).mesh)
    nothing = ns.find_spines(ball.spines[0].mesh)
    assert nothing.shaft is None
    changed = corrected_spines(nothing, [Correction("reject", 0)])
    assert "names spine 0" in changed.notes[-1]
    with pytest.raises(GeometryError, match="no shaft"):
        relabelled(nothing, nothing.vertex_spine, [])


def test_a_run_applies_them_and_says_so(locs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ns.write(locs, "cell.parquet")
    write_corrections([Correction("reject", 0), Correction("retype", 1, "stubby")], "c.json")
    words = ["spines", "cell.parquet", "-o", "run", "--corrections", "c.json", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["n_spines"] == 2
    assert told["spines"][0]["type"] == "stubby"
    assert any("was rejected by hand" in note for note in told["notes"])
    assert (tmp_path / "run" / "corrections-applied.json").is_file()
    # The picture of the run shows the corrected spines even when the file is gone
    (tmp_path / "c.json").unlink()
    from nanospine.cli.report import analysed_again

    assert len(analysed_again(tmp_path / "run")[1].spines) == 2


def test_a_corrections_file_that_is_none_stops_before_the_work(tmp_path):
    (tmp_path / "c.json").write_text("{}")
    words = ["spines", "nothing.csv", "-o", str(tmp_path / "run"), "--corrections"]
    for name in ("c.json", "missing.json"):
        done = CliRunner().invoke(app, [*words, str(tmp_path / name)])
        assert done.exit_code == 1
        assert name in done.stderr

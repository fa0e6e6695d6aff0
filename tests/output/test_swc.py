"""The SWC is a tree in micrometres whose nodes lie where dendrite and spines are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nanospine.core.errors import GeometryError, WriteError
from nanospine.output.swc import SWC_DENDRITE, SWC_SPINE, write_swc
from nanospine.spines.model import Shaft


def nodes(path):
    return np.loadtxt(path, comments="#", ndmin=2)


@pytest.fixture
def written(found, tmp_path):
    write_swc(found, tmp_path / "dendrite.swc")
    return tmp_path / "dendrite.swc"


def test_it_is_one_tree_with_parents_first(written):
    table = nodes(written)
    number, parent = table[:, 0].astype(int), table[:, 6].astype(int)
    np.testing.assert_array_equal(number, np.arange(1, len(table) + 1))
    assert (parent == -1).sum() == 1
    assert (parent < number).all()
    assert set(table[:, 1]) == {SWC_DENDRITE, SWC_SPINE}
    assert "unit micrometre" in written.read_text().splitlines()[0]
    assert "2 spines, 1 separate tree" in written.read_text()


def test_lengths_places_and_radii_come_back(found, written):
    table = nodes(written)
    by_number = {int(row[0]): row for row in table}
    length = {SWC_DENDRITE: 0.0, SWC_SPINE: 0.0}
    for row in table:
        if row[6] > 0 and by_number[int(row[6])][1] == row[1]:
            step = np.linalg.norm(row[2:5] - by_number[int(row[6])][2:5])
            length[int(row[1])] += step * 1000
    assert length[SWC_DENDRITE] == pytest.approx(found.shaft.length_nm, rel=0.01)
    assert length[SWC_SPINE] == pytest.approx(found.table["length_nm"].sum(), rel=0.02)
    tips = [row for row in table if row[0] not in table[:, 6] and row[1] == SWC_SPINE]
    ends = np.array([spine.centreline_nm[-1] for spine in found.spines]) / 1000
    np.testing.assert_allclose(np.array(tips)[:, 2:5], ends, atol=1e-5)
    shaft = table[table[:, 1] == SWC_DENDRITE]
    assert shaft[:, 5].mean() * 1000 == pytest.approx(found.shaft.radii_nm[0].mean(), rel=0.05)
    heads = table[table[:, 1] == SWC_SPINE][:, 5].max() * 2000
    assert heads == pytest.approx(found.table["head_diameter_nm"].max(), rel=0.05)


def test_branches_hang_together_and_pieces_do_not(found, tmp_path):
    def line(start, end):
        return np.linspace(start, end, 40)

    axes = (
        line([0, 0, 0], [2000, 0, 0]), line([9000, 9000, 0], [9000, 7000, 0]),
        # Walked from its far end: it must be turned round.
        line([3000, 1500, 0], [2000, 50, 0]), line([2050, 0, 0], [3500, -800, 0]),
    )  # fmt: skip
    shaft = Shaft(axes, tuple(np.full(40, 200.0) for _ in axes), found.shaft.mesh)
    write_swc(replace(found, shaft=shaft, spines=()), tmp_path / "a.swc")
    table = nodes(tmp_path / "a.swc")
    roots = table[table[:, 6] == -1]
    np.testing.assert_allclose(roots[:, 2:4], [[0, 0], [9, 9]])
    children = table[table[:, 6] == 41]  # 2 um at 50 nm: the end of the first stretch
    np.testing.assert_allclose(sorted(children[:, 3]), [0.0, 0.05])


def test_no_shaft_and_a_wrong_name_are_refused(found, tmp_path):
    with pytest.raises(GeometryError, match="there is no shaft"):
        write_swc(replace(found, shaft=None), tmp_path / "a.swc")
    with pytest.raises(WriteError, match=r"written as \.swc"):
        write_swc(found, tmp_path / "a.txt")

"""A spine that ends where it touches another is told from one with a head of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nanospine as ns
from nanospine.spines.centreline import arc_length_nm
from nanospine.spines.touching import headless_at, with_touching_notes


@pytest.fixture(scope="module")
def parted():
    """A mushroom whose head was given to a spine 1, so that spine 0 is its neck alone."""
    found = ns.find_spines(ns.simulate.spine("mushroom", seed=1).mesh)
    whole = found.spines[0]
    xyz, line = np.asarray(found.envelope.vertices), whole.centreline_nm
    top = int(np.searchsorted(arc_length_nm(line), 0.8 * found.table["neck_length_nm"][0]))
    onward = line[top] - line[top - 1]
    label = found.vertex_spine.copy()
    label[(label == 0) & ((xyz - line[top]) @ onward > 0)] = 1
    neck = replace(whole, centreline_nm=line[: top + 1])
    return found, label, (neck, replace(whole, row={**whole.row, "spine": 1, "note": "before"}))


def test_a_neck_that_ends_at_a_neighbour_is_headless(parted):
    found, label, spines = parted
    assert headless_at(found.envelope, label, spines) == {0: 1}
    first, second = with_touching_notes(found.envelope, label, spines)
    assert "its head may have been given" in first.row["note"]
    assert second.row["note"].startswith("before; a neighbour ends where it touches this one")
    assert spines[1].row["note"] == "before"


def test_a_spine_with_its_head_and_a_stubby_one_are_not(parted):
    found, label, (neck, head) = parted
    assert headless_at(found.envelope, found.vertex_spine, found.spines) == {}
    whole = replace(neck, centreline_nm=head.centreline_nm)
    assert headless_at(found.envelope, label, (whole, head)) == {}
    low = replace(neck, type="stubby")
    assert headless_at(found.envelope, label, (low, head)) == {}
    untouched = with_touching_notes(found.envelope, label, (low, head))
    assert [spine.row["note"] for spine in untouched] == [low.row["note"], head.row["note"]]

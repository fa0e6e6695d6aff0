"""The data model: what goes in comes out, and every fault is named at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nanospine as ns
from nanospine.core.errors import SchemaError
from nanospine.core.localizations import Localizations, validate_table

POSITIONS = arrays(np.float64, st.tuples(st.integers(0, 30), st.just(3)),
                   elements=st.floats(-1e9, 1e9))  # fmt: skip


@given(POSITIONS)
def test_positions_come_back_bit_for_bit(xyz):
    locs = ns.from_arrays(xyz)
    assert len(locs) == len(xyz)
    np.testing.assert_array_equal(locs.xyz_nm, xyz)
    assert locs.region.assumed


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (10, [[10, 10, 10], [10, 10, 10]]),
        ((10, 12, 30), [[10, 12, 30], [10, 12, 30]]),
        ([5, 7], [[5, 5, 5], [7, 7, 7]]),
        ([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_precision_in_each_allowed_shape(precision, expected):
    locs = ns.from_arrays([[0, 0, 1], [1, 1, 2]], precision_nm=precision)
    np.testing.assert_array_equal(locs.precision_nm, expected)


def test_a_lateral_precision_is_never_taken_for_an_axial_one():
    table = pd.DataFrame({"x_nm": [0.0], "y_nm": [0.0], "z_nm": [5.0],
                          "precision_x_nm": [8.0], "precision_y_nm": [8.0]})  # fmt: skip
    precision = Localizations(table).precision_nm
    assert precision is not None
    np.testing.assert_array_equal(precision, [[8, 8, np.nan]])


def test_two_dimensional_data():
    locs = ns.from_arrays([[0, 0], [10, 20]], precision_nm=(4, 5))
    assert locs.dimension == 2
    assert locs.region.dimension == 2
    np.testing.assert_array_equal(locs.xyz_nm[:, 2], 0)
    np.testing.assert_array_equal(locs.precision_nm, [[4, 5, 0], [4, 5, 0]])


def test_channel_names_are_kept_and_numbers_become_names():
    assert ns.from_arrays([[0, 0], [1, 1]], channel=["Homer", "PSD95"]).channels == (
        "Homer",
        "PSD95",
    )
    locs = ns.from_arrays([[0, 0], [1, 1], [2, 2]], channel=[2.0, 1.0, 2.0])
    assert locs.channels == ("1", "2")
    assert len(locs.channel("2")) == 2
    with pytest.raises(SchemaError, match="its channels: '1', '2'"):
        locs.channel("3")


def test_select_by_mask_and_index_keeps_history_and_region():
    region = ns.Box((0, 0), (10, 10))
    locs = ns.from_arrays([[0, 0], [1, 1], [2, 2]], region=region)
    kept = locs.select(np.array([True, False, True]), operation="filter", arguments={"why": "x"})
    assert kept.region is region
    assert kept.history[-1]["operation"] == "filter"
    assert (kept.history[-1]["n_before"], kept.history[-1]["n_after"]) == (3, 2)
    np.testing.assert_array_equal(locs.select([2, 0]).xyz_nm[:, 0], [2, 0])
    assert len(locs.select([])) == 0
    with pytest.raises(SchemaError, match=r"mask of shape \(3,\)"):
        locs.select([True, False])


def test_all_faults_of_a_table_are_in_one_message():
    table = pd.DataFrame({"x_nm": [1.0, np.inf], "photons": ["many", "few"]})
    with pytest.raises(SchemaError) as caught:
        validate_table(table, "roi.csv")
    text = str(caught.value)
    assert "roi.csv: 3 faults" in text
    assert "column photons" in text
    assert "column x_nm: 1 of 2 values are not finite (first in row 1)" in text
    assert "column y_nm: missing" in text
    assert len(caught.value.faults) == 3


def test_arrays_of_wrong_shape_are_named():
    with pytest.raises(SchemaError, match=r"\(n, 2\) or \(n, 3\)"):
        ns.from_arrays(np.zeros(4))
    with pytest.raises(SchemaError) as caught:
        ns.from_arrays(np.zeros((2, 3)), precision_nm=[1, 2, 3, 4], photons=[1, 2, 3])
    assert "column photons" in str(caught.value)
    assert "precision_nm" in str(caught.value)
    with pytest.raises(SchemaError, match="negative"):
        ns.from_arrays(np.zeros((2, 3)), precision_nm=-1)


def test_the_callers_table_is_not_changed():
    table = pd.DataFrame({"x_nm": [1], "y_nm": [2]})
    locs = Localizations(table)
    assert table["x_nm"].dtype == np.int64
    frame = locs.to_frame()
    frame.loc[0, "x_nm"] = 99.0
    assert locs.xyz_nm[0, 0] == 1.0


def test_empty_table_has_an_empty_region():
    locs = ns.from_arrays(np.zeros((0, 3)))
    assert len(locs) == 0
    assert locs.region.size == 0

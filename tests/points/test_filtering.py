"""Range filters keep what lies in the range, and say what they did."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import SchemaError, TooFewPointsError
from nanospine.points.filtering import keep_range

numbers = st.floats(-1e6, 1e6)


@given(
    values=st.lists(numbers | st.just(float("nan")), min_size=1, max_size=40),
    low=st.none() | numbers,
    high=st.none() | numbers,
)
def test_kept_rows_are_exactly_those_in_the_range(
    values: list[float], low: float | None, high: float | None
) -> None:
    xyz = np.arange(3.0 * len(values)).reshape(-1, 3)
    locs = ns.from_arrays(xyz, score=values)
    inside = [
        i
        for i, v in enumerate(values)
        if v == v and (low is None or v >= low) and (high is None or v <= high)
    ]
    if not inside:
        with pytest.raises(TooFewPointsError):
            keep_range(locs, "score", low=low, high=high)
        return
    kept = keep_range(locs, "score", low=low, high=high)
    np.testing.assert_array_equal(kept.xyz_nm, xyz[inside])
    step = kept.history[-1]
    assert (step["n_before"], step["n_after"]) == (len(values), len(inside))


def test_unknown_column_names_the_known_ones() -> None:
    with pytest.raises(SchemaError, match=r"no column 'photon'.*x_nm, y_nm, z_nm, photons"):
        keep_range(ns.from_arrays([[0, 0, 1]], photons=[5]), "photon", low=1)


def test_text_is_no_range() -> None:
    with pytest.raises(SchemaError, match="holds no numbers"):
        keep_range(ns.from_arrays([[0, 0, 1]], channel="a"), "channel", low=1)


def test_an_empty_result_tells_the_range_of_the_values() -> None:
    with pytest.raises(TooFewPointsError, match="from 100 to 900"):
        keep_range(ns.from_arrays([[0, 0, 1], [1, 1, 1]], photons=[100, 900]), "photons", low=1e4)


def test_frames_and_time_include_their_ends() -> None:
    locs = ns.from_arrays(np.zeros((5, 3)) + 1, frame=[1, 2, 3, 4, 5], time_s=[0.0, 1, 2, 3, 4])
    assert ns.keep_frames(locs, 2, 4).table["frame"].tolist() == [2, 3, 4]
    assert ns.keep_time(locs, 1.0, 1.0).table["frame"].tolist() == [2]


def test_the_summary_adds_up() -> None:
    locs = ns.from_arrays(np.arange(30.0).reshape(-1, 3), photons=np.arange(10) * 100.0)
    kept = ns.keep_where(ns.keep_range(locs, "photons", low=200), "photons != 500")
    summary = ns.filter_summary(kept)
    assert summary["operation"].tolist() == ["keep_range", "keep_where"]
    assert summary["removed"].tolist() == [2, 1]
    assert summary["after"].iloc[-1] == len(kept) == 7
    assert summary["removed_percent"].tolist() == [20.0, 12.5]

"""MINFLUX traces: planted molecules, pandas as oracle, bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, NanospineError, SchemaError, TooFewPointsError


def traces(
    n: int, seed: int = 0, precision: tuple[float, float, float] = (3.0, 3.0, 5.0)
) -> tuple[ns.Localizations, npt.NDArray[np.float64]]:
    """Molecules that were followed for some localizations each, rows shuffled."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 40, n)
    place = rng.uniform(0, 5000, (n, 3))
    trace = np.repeat(np.arange(n), lengths)
    # fewer photons, less precise
    eco = rng.integers(30, 300, len(trace))
    scale = np.sqrt(100 / eco)[:, None] * np.array(precision)
    xyz = place[trace] + rng.normal(size=(len(trace), 3)) * scale
    order = rng.permutation(len(trace))
    locs = ns.from_arrays(
        xyz[order], trace=(7 * trace + 3)[order], eco=eco[order].astype(float),
        time_s=np.arange(len(trace), dtype=float)[order],
    )  # fmt: skip
    return locs, place


def test_long_traces_are_kept() -> None:
    locs, _ = traces(200)
    kept = ns.keep_long_traces(locs, 10)
    lengths = locs.table.groupby("trace").size()
    assert set(kept.table["trace"]) == set(lengths[lengths >= 10].index)
    assert kept.history[-1]["operation"] == "keep_long_traces"
    with pytest.raises(TooFewPointsError, match="no trace has 99 localizations; the longest"):
        ns.keep_long_traces(locs, 99)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), first=st.integers(0, 5), last=st.integers(0, 5))
def test_trimmed_traces_equal_pandas(seed: int, first: int, last: int) -> None:
    locs, _ = traces(30, seed)
    parts = [
        part.sort_values("time_s")["time_s"].to_numpy()[first : max(len(part) - last, 0)]
        for _, part in locs.table.groupby("trace")
    ]
    expected = np.sort(np.concatenate(parts))
    found = ns.trim_traces(locs, first, last)
    np.testing.assert_array_equal(np.sort(found.table["time_s"]), expected)


def test_traces_too_short_to_trim_are_counted() -> None:
    locs = ns.from_arrays(np.zeros((4, 2)), trace=[1, 1, 1, 2])
    assert ns.trim_traces(locs, 1, 1).history[-1]["notes"] == [
        "1 traces had no more localizations than that"
    ]
    with pytest.raises(TooFewPointsError, match=r"longer than 2 \+ 2"):
        ns.trim_traces(locs, 2, 2)


@pytest.mark.parametrize("weight", ["eco", "none"])
def test_molecules_come_back_with_their_error(weight: Any) -> None:
    locs, place = traces(3000)
    found = ns.aggregate_traces(locs, weight=weight)
    assert len(found) == 3000
    order = np.argsort(found.table["trace"].to_numpy())
    long = found.table["n_localizations"].to_numpy()[order] >= 20
    for k, axis in enumerate("xyz"):
        away = (found.xyz_nm[order, k] - place[:, k])[long]
        error = found.table[f"precision_{axis}_nm"].to_numpy()[order][long]
        assert (away / error).std() == pytest.approx(1, abs=0.08)
        # of what the heaviest weights see: sqrt(100 / eco) is the spread for one photon number
        rms = np.sqrt(np.mean(found.table[f"spread_{axis}_nm"].to_numpy()[order][long] ** 2))
        assert 0.7 * (3, 3, 5)[k] < rms < 1.3 * (3, 3, 5)[k]
    assert found.table["eco"].sum() == pytest.approx(locs.table["eco"].sum())


def test_weights_by_photons_are_better_than_none() -> None:
    locs, place = traces(3000)
    errors = {}
    for weight in ("eco", "none"):
        found = ns.aggregate_traces(locs, weight=weight)  # type: ignore[arg-type]
        order = np.argsort(found.table["trace"].to_numpy())
        errors[weight] = np.sqrt(np.mean((found.xyz_nm[order] - place) ** 2))
    assert errors["eco"] < 0.95 * errors["none"]


def test_single_localizations_keep_their_own_precision() -> None:
    locs = ns.from_arrays(
        [[0.0, 0], [2, 0], [9, 9]], trace=[1, 1, 2], eco=[5.0, 5, 5], precision_nm=4.0
    )
    table = ns.aggregate_traces(locs).table
    assert table["precision_x_nm"].tolist() == [pytest.approx(1.0), 4.0]
    assert np.isnan(table["spread_x_nm"][1])


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), photons=st.floats(1, 3000), keep_rest=st.booleans())
def test_groups_hold_enough_photons(seed: int, photons: float, keep_rest: bool) -> None:
    locs, _ = traces(30, seed)
    expected = []
    for _, part in locs.table.groupby("trace"):
        total = 0.0
        for count in part.sort_values("time_s")["eco"]:
            total += count
            if total >= photons:
                expected.append(total)
                total = 0.0
        if total > 0 and keep_rest:
            expected.append(total)
    if not expected:
        with pytest.raises(TooFewPointsError, match="no trace holds"):
            ns.aggregate_photons(locs, photons, keep_rest=keep_rest)
        return
    found = ns.aggregate_photons(locs, photons, keep_rest=keep_rest)
    np.testing.assert_allclose(np.sort(found.table["eco"]), np.sort(expected))


def test_photons_make_equal_precision() -> None:
    # groups of 400 photons of localizations whose spread is 3 nm at 100 photons
    locs, place = traces(3000)
    found = ns.aggregate_photons(locs, 400)
    away = found.xyz_nm[:, 0] - place[(found.table["trace"].to_numpy() - 3) // 7, 0]
    expected = 3.0 * np.sqrt(100 / found.table["eco"]).to_numpy()
    assert (away / expected).std() == pytest.approx(1, abs=0.05)


def test_precision_within_traces() -> None:
    rng = np.random.default_rng(1)
    trace = np.repeat(np.arange(2000), 10)
    place = rng.uniform(0, 1e4, (2000, 3))[trace]
    locs = ns.from_arrays(place + rng.normal(0, [2, 3, 6], (20_000, 3)), trace=trace)
    table = ns.trace_precision(locs)
    assert table["trace"][0] == -1
    pooled = table.loc[0, ["std_x_nm", "std_y_nm", "std_z_nm"]].astype(float)
    np.testing.assert_allclose(pooled, [2, 3, 6], rtol=0.03)
    own = locs.table.groupby("trace")["x_nm"].std()
    np.testing.assert_allclose(table["std_x_nm"][1:], own, rtol=1e-6)
    filled = ns.add_trace_precision(locs)
    np.testing.assert_allclose(filled.precision_nm[0], pooled)
    each = ns.add_trace_precision(locs, pooled=False)
    np.testing.assert_allclose(each.table["precision_x_nm"], own[trace], rtol=1e-6)


def test_rows_without_a_trace_stay_alone() -> None:
    locs = ns.from_arrays(np.zeros((4, 2)), trace=[5.0, np.nan, np.nan, 5.0], eco=[1.0] * 4)
    assert sorted(ns.aggregate_traces(locs).table["n_localizations"]) == [1, 1, 2]


@pytest.mark.parametrize(
    "function",
    [
        lambda locs: ns.keep_long_traces(locs, 2),
        lambda locs: ns.trim_traces(locs, 1),
        ns.aggregate_traces,
        lambda locs: ns.aggregate_photons(locs, 10),
        ns.trace_precision,
        ns.add_trace_precision,
    ],
)
def test_without_traces(function: Callable[[ns.Localizations], Any]) -> None:
    with pytest.raises(SchemaError, match="a column 'trace' was expected; the columns are x_nm"):
        function(ns.from_arrays([[0, 0]]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda locs: ns.trim_traces(locs, -1), ConfigError, "0 or more was expected, found -1"),
        (lambda locs: ns.aggregate_photons(locs, 0), ConfigError, "positive number of photons"),
        (lambda locs: ns.aggregate_photons(locs, 9, column="ecc"), SchemaError, "column 'ecc'"),
        (ns.aggregate_traces, SchemaError, "1 values of 'eco' are empty, zero or negative"),
        (ns.trace_precision, TooFewPointsError, "no trace has 5 localizations; the longest has 2"),
    ],
)
def test_bad_input(
    call: Callable[[ns.Localizations], Any], error: type[NanospineError], words: str
) -> None:
    locs = ns.from_arrays(np.zeros((3, 2)), trace=[1, 1, 2], eco=[5.0, 0, 7])
    with pytest.raises(error, match=words):
        call(locs)


def test_real_traces(shared_data: Path) -> None:
    folder = shared_data / "localizations/pyminflux"
    locs = ns.read(folder / "2D_ValidOnly.npy.zip")
    found = ns.aggregate_traces(locs)
    assert len(found) == locs.table["trace"].nunique()
    assert found.table["n_localizations"].sum() == len(locs)
    by = locs.table.groupby("trace", sort=False)
    mean = by.apply(
        lambda part: np.average(part["x_nm"], weights=part["eco"]), include_groups=False
    )
    np.testing.assert_allclose(found.table["x_nm"], mean, atol=1e-6)

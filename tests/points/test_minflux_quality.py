"""MINFLUX quality: bounds follow their formula, and planted double emitters are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, SchemaError, TooFewPointsError
from nanospine.points.filtering import keep_where
from nanospine.points.minflux_quality import (
    cfr_cut,
    efo_cut,
    first_peak_bounds,
    propose_cuts,
    robust_bounds,
)

FloatArray = npt.NDArray[np.float64]


def emitters(
    doubles: float, *, n: int = 8000, spread: float = 0.13, comb: bool = False, seed: int = 0
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Frequencies of single and double emitters; with a comb as whole dwell times make it."""
    rng = np.random.default_rng(seed)
    double = rng.random(n) < doubles
    rate = 40e3 * np.where(double, 2.0, 1.0) * rng.lognormal(0, spread, n)
    if not comb:
        return rate, double
    dwell = 1e-3
    needed = np.maximum(np.ceil(150 / (rate * dwell)), 1)
    return rng.poisson(rate * dwell * needed) / (needed * dwell), double


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=60), st.floats(0.1, 10))
def test_robust_bounds_are_median_and_deviations(values: list[float], k: float) -> None:
    ordered = sorted(values)
    middle = float(np.median(ordered))
    deviation = float(np.median(sorted(abs(v - middle) for v in values)))
    if deviation == 0:
        with pytest.raises(SchemaError, match="no spread"):
            robust_bounds(values, k)
        return
    low, high = robust_bounds([*values, np.nan, np.inf], k)
    assert low == pytest.approx(middle - k * 1.4826 * deviation, rel=1e-9, abs=1e-6)
    assert high == pytest.approx(middle + k * 1.4826 * deviation, rel=1e-9, abs=1e-6)


def test_robust_bounds_of_a_gaussian_are_standard_deviations() -> None:
    values = np.random.default_rng(0).normal(10, 2, 200_000)
    low, high = robust_bounds(values, 3)
    assert (low, high) == (pytest.approx(4, abs=0.05), pytest.approx(16, abs=0.05))


@pytest.mark.parametrize("doubles", [0.1, 0.3, 0.5, 0.6])
@pytest.mark.parametrize("comb", [False, True])
def test_the_first_peak_is_the_single_emitter(doubles: float, comb: bool) -> None:
    for seed in range(4):
        values, double = emitters(doubles, comb=comb, seed=seed)
        peak = first_peak_bounds(values)
        assert peak.position == pytest.approx(40e3, rel=0.12)
        inside = (values >= peak.low) & (values <= peak.high)
        assert inside[~double].mean() > 0.93
        assert inside[double].mean() < 0.12


def test_the_width_of_a_lone_peak_is_its_standard_deviation() -> None:
    for spread in (0.05, 0.13, 0.3):
        values, _ = emitters(0.0, spread=spread, n=20_000)
        peak = first_peak_bounds(values, k=2.5)
        assert peak.logarithmic
        assert peak.n_peaks == 1
        assert np.isnan(peak.valley)
        assert peak.sigma == pytest.approx(spread, rel=0.15)
        assert peak.high == pytest.approx(peak.position * np.exp(2.5 * peak.sigma))


def test_values_below_zero_have_a_linear_axis() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 5000), rng.normal(8, 1, 5000)])
    peak = first_peak_bounds(values)
    assert not peak.logarithmic
    assert peak.n_peaks == 2
    assert peak.position == pytest.approx(0, abs=0.3)
    assert 1.5 < peak.high < 5


@given(st.floats(0.01, 100), st.integers(0, 20))
def test_bounds_follow_the_unit(factor: float, seed: int) -> None:
    values, _ = emitters(0.3, n=500, seed=seed)
    one, other = first_peak_bounds(values), first_peak_bounds(values * factor)
    assert other.n_peaks == one.n_peaks
    assert other.high == pytest.approx(one.high * factor, rel=0.02)


def test_cuts_keep_the_range_and_its_history() -> None:
    efo, double = emitters(0.15)
    cfr = np.random.default_rng(1).normal(0.5, 0.1, len(efo))
    cfr[:40], cfr[40] = 2.0, np.nan
    locs = ns.from_arrays(np.zeros((len(efo), 2)), efo_hz=efo, cfr=cfr, double=double)
    for cut, column in ((efo_cut, "efo_hz"), (cfr_cut, "cfr")):
        low, high = robust_bounds(locs.table[column], 2.5)
        kept = cut(locs, 2.5)
        values = locs.table[column].to_numpy()
        np.testing.assert_array_equal(
            kept.table[column], values[(values >= low) & (values <= high)]
        )
        step = kept.history[-1]
        assert step["operation"] == cut.__name__
        assert (step["arguments"]["low"], step["arguments"]["high"]) == (low, high)
        assert step["n_after"] == len(kept)
    assert cfr_cut(locs).history[-1]["notes"] == ["1 localizations without cfr are dropped"]
    peak = efo_cut(locs, 2.5, method="first_peak")
    assert peak.table["double"].mean() < 0.02


def test_proposals_say_what_the_filter_does() -> None:
    efo, double = emitters(0.3, comb=True)
    rng = np.random.default_rng(1)
    cfr = np.where(rng.random(len(efo)) < 0.05, 1.6, rng.normal(0.5, 0.1, len(efo)))
    locs = ns.from_arrays(np.zeros((len(efo), 2)), efo_hz=efo, cfr=cfr, double=double)
    proposals = propose_cuts(locs)
    assert [item.column for item in proposals] == ["efo_hz", "cfr"]
    for item in proposals:
        kept = keep_where(locs, item.filter)
        assert len(kept) / len(locs) == pytest.approx(item.fraction_kept, abs=1e-12)
        assert kept.table[item.column].between(item.low, item.high).all()
        assert f"{item.fraction_kept:.1%}" in item.sentence
        assert item.to_frame()["filter"].tolist() == [item.filter]
    assert "one emitter" in proposals[0].sentence
    assert keep_where(locs, proposals[0].filter).table["double"].mean() < 0.06


def test_nothing_is_proposed_where_there_is_nothing_to_cut_by() -> None:
    assert propose_cuts(ns.from_arrays(np.zeros((100, 2)))) == ()
    assert propose_cuts(ns.from_arrays(np.zeros((100, 2)), cfr=0.0, efo_hz=np.nan)) == ()
    assert propose_cuts(ns.from_arrays(np.zeros((10, 2)), efo_hz=np.arange(10))) == ()
    even = ns.from_arrays(np.zeros((100, 2)), cfr=np.linspace(0.4, 0.6, 100))
    assert propose_cuts(even) == ()


@pytest.mark.parametrize("name", ["two_fluorophores_df.csv", "2D_ValidOnly.npy.zip"])
def test_real_frequencies_have_one_peak_in_spite_of_their_comb(
    shared_data: Path, name: str
) -> None:
    locs = ns.read(shared_data / "localizations/pyminflux" / name)
    peak = first_peak_bounds(locs.table["efo_hz"])
    assert peak.n_peaks == 1
    assert peak.position == pytest.approx(locs.table["efo_hz"].median(), rel=0.1)
    for proposal in propose_cuts(locs):
        assert proposal.fraction_kept > 0.85


def test_faults_are_told() -> None:
    locs = ns.from_arrays(np.zeros((100, 2)), cfr=0.5, efo_hz=np.nan)
    with pytest.raises(SchemaError, match="no column 'efo_hz'"):
        efo_cut(ns.from_arrays(np.zeros((3, 2))))
    with pytest.raises(SchemaError, match="cfr_cut: column 'cfr': half of the 100 values"):
        cfr_cut(locs)
    with pytest.raises(TooFewPointsError, match="efo_cut: column 'efo_hz': there are no finite"):
        efo_cut(locs)
    with pytest.raises(SchemaError, match="all 100 values are equal"):
        cfr_cut(locs, method="first_peak")
    with pytest.raises(ConfigError, match="positive k"):
        cfr_cut(locs, 0)
    with pytest.raises(ConfigError, match="first_peak"):
        cfr_cut(locs, method="otsu")
    with pytest.raises(TooFewPointsError, match="at least 50"):
        first_peak_bounds([1.0, 2.0])

"""Channels: fluorophores told apart by detector ratio and by photons, tables merged and split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError, SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Box, Polygon, Prism
from nanospine.points.channels import (
    assign_dcr,
    assign_ratio,
    fit_dcr,
    merge_localizations,
    split_channels,
)


def planted(
    means: tuple[float, ...],
    weights: tuple[float, ...],
    *,
    n_traces: int = 400,
    deviation: float = 0.05,
    seed: int = 0,
) -> tuple[Localizations, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    kind = rng.choice(len(means), n_traces, p=weights)
    length = rng.integers(1, 20, n_traces)
    trace = np.repeat(np.arange(n_traces) * 7, length)
    truth = np.repeat(kind, length)
    dcr = np.clip(rng.normal(np.asarray(means)[truth], deviation), 0, 1)
    return ns.from_arrays(rng.normal(size=(len(dcr), 3)), dcr=dcr, trace=trace), truth


def codes(locs: Localizations) -> npt.NDArray[np.int64]:
    return locs.table["channel"].cat.codes.to_numpy().astype(np.int64)


@pytest.fixture(scope="module")
def two_fluorophores(shared_data: Path) -> Localizations:
    return ns.read(shared_data / "localizations/pyminflux/two_fluorophores_df.csv")


def test_rows_equal_the_reference_of_pyminflux(
    two_fluorophores: Localizations, shared_data: Path
) -> None:
    reference = np.load(shared_data / "localizations/pyminflux/two_fluorophores_assignment.npy")
    found = assign_dcr(two_fluorophores, by_trace=False)
    ours = np.where(found.table["channel"] == "dcr_low", 2, 1)  # the reference has no order
    assert (ours == reference).mean() >= 0.998
    assert found.history[-1]["operation"] == "assign_dcr"


def test_votes_equal_the_reference_and_no_trace_is_mixed(
    two_fluorophores: Localizations, shared_data: Path
) -> None:
    saved = np.load(shared_data / "localizations/pyminflux/fluo_ids_reassignment.npz")
    found = assign_dcr(two_fluorophores)
    ours = np.where(found.table["channel"] == "dcr_low", 1, 2)
    assert (ours == saved["expected_fluo_ids"]).mean() >= 0.998
    assert (found.table.groupby("trace")["channel"].nunique() == 1).all()
    assert "37 traces were of more than one channel" in " ".join(found.history[-1]["notes"])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("means", "weights"),
    [
        ((0.27, 0.64), (0.3, 0.7)),
        ((0.3, 0.6), (0.03, 0.97)),
        ((0.6, 0.3), (0.05, 0.95)),
        ((0.2, 0.5, 0.8), (0.3, 0.4, 0.3)),
        ((0.2, 0.5, 0.8), (0.8, 0.05, 0.15)),
    ],
)
def test_planted_fluorophores_are_found_whatever_the_seed(
    means: tuple[float, ...], weights: tuple[float, ...], seed: int
) -> None:
    locs, truth = planted(means, weights, n_traces=1500, seed=seed)
    model = fit_dcr(locs, n_channels=len(means), seed=seed)
    order = np.argsort(means)
    np.testing.assert_allclose(model.means, np.sort(means), atol=0.015)
    share = np.bincount(truth, minlength=len(means))[order] / len(truth)
    np.testing.assert_allclose(model.weights, share, atol=0.01)
    found = assign_dcr(locs, n_channels=len(means), seed=seed)
    assert (codes(found) == np.argsort(order)[truth]).mean() > 0.998


def test_the_expected_misassignment_is_what_happens() -> None:
    locs, truth = planted((0.35, 0.5), (0.4, 0.6), n_traces=5000, deviation=0.06)
    model = fit_dcr(locs)
    wrong = codes(assign_dcr(locs, by_trace=False, cut_off_probability=0)) != truth
    assert model.expected_misassignment == pytest.approx(wrong.mean(), abs=0.01)
    per_channel = [wrong[truth == k].mean() for k in (0, 1)]
    np.testing.assert_allclose(model.misassigned, per_channel, atol=0.03)
    assert any("overlap" in note for note in model.notes)
    assert list(model.to_frame()["channel"]) == ["dcr_low", "dcr_high"]


def test_probabilities_are_calibrated() -> None:
    locs, truth = planted((0.35, 0.5), (0.4, 0.6), n_traces=5000, deviation=0.06)
    found = assign_dcr(locs, by_trace=False)
    probability = found.table["channel_probability"].to_numpy()
    right = codes(found) == truth
    for low in (0.5, 0.6, 0.7, 0.8, 0.9):
        rows = (probability >= low) & (probability < low + 0.1)
        assert right[rows].mean() == pytest.approx(probability[rows].mean(), abs=0.04)


def test_far_values_stay_with_the_near_channel() -> None:
    rng = np.random.default_rng(0)
    # the wide component would win on both sides of the narrow one
    dcr = np.concatenate([rng.normal(0.3, 0.02, 3000), rng.normal(0.6, 0.09, 3000), [0.0, 1.0]])
    found = assign_dcr(ns.from_arrays(np.zeros((6002, 2)), dcr=dcr), by_trace=False)
    assert found.table["channel"].tolist()[-2:] == ["dcr_low", "dcr_high"]


def test_one_fluorophore_is_said_to_be_one() -> None:
    rng = np.random.default_rng(3)
    model = fit_dcr(ns.from_arrays(np.zeros((2000, 2)), dcr=rng.normal(0.5, 0.05, 2000)))
    assert any("1 channel(s)" in note for note in model.notes)


def test_doubtful_rows_abstain_and_empty_ones_take_the_channel_of_their_trace() -> None:
    locs, _ = planted((0.3, 0.6), (0.5, 0.5))
    table = locs.to_frame()
    table["dcr"] = np.concatenate([[np.nan], table["dcr"].to_numpy()[1:]])
    table["trace"] = np.concatenate([[table["trace"].iloc[1]], table["trace"].to_numpy()[1:]])
    extra = pd.DataFrame({"x_nm": [0.0] * 2, "y_nm": [0.0] * 2, "z_nm": [1.0] * 2,
                          "dcr": [np.nan, 0.45], "trace": [-5, -6]})  # fmt: skip
    full = Localizations(pd.concat([table, extra], ignore_index=True))
    found = assign_dcr(full, cut_off_probability=0.999)
    assert found.table["channel"].iloc[0] == found.table["channel"].iloc[1]
    assert found.table["channel"].iloc[-2:].tolist() == ["unassigned"] * 2
    assert found.table["channel_probability"].iloc[-2:].isna().all()
    assert any("have no dcr" in note for note in found.history[-1]["notes"])


@settings(max_examples=30)
@given(st.data())
def test_the_vote_is_the_most_frequent_channel_of_each_trace(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 60))
    trace = data.draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    dcr = data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
    control, _ = planted((0.3, 0.6), (0.5, 0.5))
    model = fit_dcr(control)
    locs = ns.from_arrays(np.zeros((n, 2)), dcr=dcr, trace=trace)
    alone = codes(assign_dcr(locs, model=model, by_trace=False))
    voted = codes(assign_dcr(locs, model=model))
    for one in set(trace):
        rows = np.array(trace) == one
        assert len(set(voted[rows])) == 1
        high = int(alone[rows].sum())
        if 2 * high != rows.sum():
            assert voted[rows][0] == int(2 * high > rows.sum())


def test_faults_of_dcr_are_told() -> None:
    locs = ns.from_arrays(np.zeros((50, 2)), dcr=np.linspace(0, 1, 50))
    with pytest.raises(SchemaError, match="no column 'dcr'"):
        fit_dcr(ns.from_arrays(np.zeros((50, 2))))
    with pytest.raises(SchemaError, match="by_trace=False"):
        assign_dcr(locs)
    with pytest.raises(ConfigError, match="2 or 3"):
        fit_dcr(locs, n_channels=4)
    with pytest.raises(ConfigError, match="different names"):
        fit_dcr(locs, names=("a", "a"))
    with pytest.raises(ConfigError, match="cut_off_probability"):
        assign_dcr(locs, cut_off_probability=1.5)
    with pytest.raises(ConfigError, match="unassigned"):
        assign_dcr(locs, names=("a", "unassigned"), by_trace=False)
    with pytest.raises(TooFewPointsError, match="20 different"):
        fit_dcr(ns.from_arrays(np.zeros((50, 2)), dcr=0.5))


def photons(
    shares: tuple[float, ...], n: int, mean_photons: float, seed: int = 0
) -> tuple[Localizations, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(shares)), n)
    total = rng.exponential(mean_photons, len(truth)) + 50
    share = np.asarray(shares)[truth]
    a, b = rng.poisson(total * share), rng.poisson(total * (1 - share))
    return ns.from_arrays(np.zeros((len(truth), 2)), a=a, b=b), truth


@pytest.mark.parametrize("shares", [(0.2, 0.7), (0.15, 0.45, 0.8), (0.02, 0.3)])
def test_demixing_finds_planted_ratios_and_keeps_its_promise(shares: tuple[float, ...]) -> None:
    locs, truth = photons(shares, 4000, 800)
    found = assign_ratio(locs, "a", "b", n_channels=len(shares), cut_off_probability=0.95)
    step = found.history[-1]
    np.testing.assert_allclose(step["arguments"]["ratios"], shares, atol=0.01)
    decided = (found.table["channel"] != "unassigned").to_numpy()
    assert decided.mean() > 0.9
    assert (codes(found)[decided] == truth[decided]).mean() > 0.99
    assert len(found) == len(locs)


def test_few_photons_are_doubtful_and_counted() -> None:
    locs, truth = photons((0.4, 0.6), 3000, 60)
    found = assign_ratio(locs, "a", "b", ratios=(0.4, 0.6), names=("x", "y"))
    decided = (found.table["channel"] != "unassigned").to_numpy()
    assert 0.05 < decided.mean() < 0.9
    assert (codes(found)[decided] == truth[decided]).mean() > 0.95
    total = (found.table["a"] + found.table["b"]).to_numpy()
    assert np.median(total[decided]) > np.median(total[~decided])
    assert "less probable than 0.95" in found.history[-1]["notes"][0]


def test_the_error_of_the_ratio_is_that_of_poisson() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.poisson(300, 20_000), rng.poisson(700, 20_000)
    found = assign_ratio(
        ns.from_arrays(np.zeros((20_000, 2)), a=a, b=b), "a", "b", ratios=(0.3, 0.9)
    )
    ratio = found.table["ratio"]
    assert ratio.std() == pytest.approx(found.table["ratio_error"].mean(), rel=0.02)


def test_foreign_ratios_and_empty_rows_are_unassigned() -> None:
    a, b = [200, 500, 800, 0, -3, np.nan], [800, 500, 200, 0, 100, 5]
    locs = ns.from_arrays(np.zeros((6, 2)), a=a, b=b)
    found = assign_ratio(locs, "a", "b", ratios=(0.2, 0.8), names=("x", "y"))
    assert found.table["channel"].tolist() == ["x", "unassigned", "y", *["unassigned"] * 3]
    text = " ".join(found.history[-1]["notes"])
    assert "3 localizations unassigned: without photons in both" in text
    assert "4 of 6 localizations are unassigned" in text


def test_faults_of_demixing_are_told() -> None:
    locs = ns.from_arrays(np.zeros((5, 2)), a=np.ones(5), b=np.ones(5))
    with pytest.raises(SchemaError, match="no column 'c'"):
        assign_ratio(locs, "a", "c")
    with pytest.raises(ConfigError, match="rise"):
        assign_ratio(locs, "a", "b", ratios=(0.8, 0.2))
    with pytest.raises(ConfigError, match="max_deviations"):
        assign_ratio(locs, "a", "b", max_deviations=0)
    with pytest.raises(TooFewPointsError, match="different ratios"):
        assign_ratio(locs, "a", "b")


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(-1, 5), min_size=1, max_size=8), min_size=2, max_size=4))
def test_merged_ids_never_clash_and_keep_their_groups(groups: list[list[int]]) -> None:
    items = [
        ns.from_arrays(np.zeros((len(ids), 2)), trace=ids, molecule=np.array(ids, np.int16))
        for ids in groups
    ]
    merged = merge_localizations(items)
    source = np.repeat(np.arange(len(groups)), [len(ids) for ids in groups])
    old = np.concatenate(groups)
    for name in ("trace", "molecule"):
        new = merged.table[name].to_numpy()
        assert (new[old < 0] == -1).all()
        real = old >= 0
        pairs = set(zip(source[real], old[real], strict=True))
        assert len(set(new[real])) == len(pairs)
        assert len(set(zip(source[real], old[real], new[real], strict=True))) == len(pairs)


def test_merge_then_split_gives_the_tables_back() -> None:
    rng = np.random.default_rng(0)
    a = ns.from_arrays(rng.normal(size=(5, 3)), photons=np.arange(5.0))
    b = ns.from_arrays(rng.normal(size=(3, 3)), frame=[4, 5, 6])
    merged = merge_localizations([a, b], names=("pre", "post"))
    parts = split_channels(merged)
    assert list(parts) == ["pre", "post"]
    np.testing.assert_array_equal(parts["pre"].xyz_nm, a.xyz_nm)
    np.testing.assert_array_equal(parts["post"].xyz_nm, b.xyz_nm)
    assert merged.table["photons"].isna().tolist() == [False] * 5 + [True] * 3
    notes = merged.history[-1]["notes"]
    assert "column photons is empty for the localizations of table 2" in notes
    assert "column frame is empty for the localizations of table 1" in notes
    assert len(merged.history[-1]["arguments"]["histories"]) == 2


def test_frames_and_times_follow_when_asked() -> None:
    a = ns.from_arrays(np.zeros((2, 2)), frame=np.array([3, 9], np.uint16), time_s=[1.0, 2.0])
    b = ns.from_arrays(np.zeros((2, 2)), frame=np.array([5, 6], np.uint16), time_s=[0.5, 1.0])
    kept = merge_localizations([a, b])
    assert kept.table["frame"].tolist() == [3, 9, 5, 6]
    moved = merge_localizations([a, b, b], frames="shift")
    assert moved.table["frame"].tolist() == [3, 9, 10, 11, 12, 13]
    assert moved.table["time_s"].tolist() == [1.0, 2.0, 2.5, 3.0, 3.5, 4.0]


def test_channels_of_the_tables_are_kept_or_told_apart() -> None:
    a = ns.from_arrays(np.zeros((2, 2)), channel=["x", "y"])
    b = ns.from_arrays(np.zeros((2, 2)), channel=["y", "z"])
    c = ns.from_arrays(np.zeros((1, 2)))
    assert merge_localizations([a, b]).table["channel"].tolist() == ["x", "y", "y", "z"]
    named = merge_localizations([a, c], names=("one", "two"))
    assert named.table["channel"].tolist() == ["one: x", "one: y", "two"]
    some = merge_localizations([a, c])
    assert list(split_channels(some)) == ["x", "y", "unassigned"]


def test_regions_are_united_where_that_is_a_region() -> None:
    points = np.full((3, 2), 5.0)

    def at(region: object, shift: float = 0.0) -> Localizations:
        return ns.from_arrays(points + shift, region=region)  # type: ignore[arg-type]

    left, right = Box((0, 0), (10, 10)), Box((10, 0), (20, 10))
    assert isinstance(merge_localizations([at(left), at(right)]).region, Box)
    assert merge_localizations([at(left), at(right)]).region.size == 200
    high = Box((5, 0), (15, 20))
    united = merge_localizations([at(left), at(high)]).region
    assert isinstance(united, Polygon)
    assert united.size == pytest.approx(100 + 200 - 50)
    assert merge_localizations([at(None), at(None)]).region.assumed
    assert merge_localizations([at(left), at(None)]).region.size == 100
    with pytest.raises(GeometryError, match="lie apart"):
        merge_localizations([at(left), at(Box((50, 0), (60, 10)))])
    with pytest.raises(GeometryError, match="not known"):
        merge_localizations([at(left), at(None, 100.0)])
    assert merge_localizations([at(left), at(None, 100.0)], region=right).region is right


def test_prisms_of_the_same_height_are_united() -> None:
    xyz = np.full((3, 3), 5.0)
    a = Prism(Polygon(np.array([(0, 0), (10, 0), (0, 10)])), 0, 10)
    b = Box((0, 0, 0), (5, 5, 10))
    c = Box((0, 0, 0), (5, 5, 20))
    united = merge_localizations([ns.from_arrays(xyz, region=a), ns.from_arrays(xyz, region=b)])
    assert isinstance(united.region, Prism)
    with pytest.raises(GeometryError, match="no simple union"):
        merge_localizations([ns.from_arrays(xyz, region=a), ns.from_arrays(xyz, region=c)])


def test_faults_of_merging_are_told() -> None:
    flat, deep = ns.from_arrays(np.zeros((2, 2))), ns.from_arrays(np.ones((2, 3)))
    with pytest.raises(GeometryError, match="2-D and 3-D"):
        merge_localizations([flat, deep])
    with pytest.raises(TooFewPointsError, match="two or more"):
        merge_localizations([flat])
    with pytest.raises(ConfigError, match="2 names"):
        merge_localizations([flat, flat], names=("a",))
    with pytest.raises(ConfigError, match="shift"):
        merge_localizations([flat, flat], frames="move")
    with pytest.raises(SchemaError, match="no column 'channel'"):
        split_channels(flat)

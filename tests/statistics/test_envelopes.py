"""Envelopes, MAD and DCLF: spatstat's values, definitions written out, p-values that hold."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

import nanospine as ns
from nanospine.core.errors import NanospineError
from nanospine.statistics.curve_ranks import global_band, pointwise_band, rank_band
from nanospine.statistics.envelopes import simulation_envelope
from nanospine.statistics.radii import automatic_radii

FloatArray = npt.NDArray[np.float64]
BOX = ns.Box((0, 0), (1000, 700))
RADII = np.arange(20.0, 121.0, 20.0)


def nearest_mean(points: FloatArray, radii_nm: FloatArray, *, region: ns.Box) -> FloatArray:
    """A function that is not ours: quick, and with more variance at small radii."""
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
    return np.array([(gaps < r).sum() for r in radii_nm]) / radii_nm**2


# ---- spatstat -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> Path:
    folder = shared_data.parent / "reference" / "oracle"
    if not folder.is_dir():
        pytest.skip(f"no values of spatstat in {folder}")
    return folder


@pytest.mark.parametrize("kind", ["pointwise", "global"])
def test_envelopes_of_spatstat(oracle: Path, kind: str) -> None:
    table = pd.read_csv(oracle / "envelope_B.csv")
    found = of_spatstat(oracle, table["r"].to_numpy(), kind)
    for ours, theirs in (("observed", "obs"), ("low", "lo"), ("high", "hi")):
        np.testing.assert_allclose(getattr(found, ours), table[f"{kind}.{theirs}"], atol=1e-9)
    np.testing.assert_allclose(found.mean, table["pointwise.mmean"], atol=1e-9)


def test_tests_of_spatstat(oracle: Path) -> None:
    found = of_spatstat(oracle, np.linspace(0, 1.5, 51), "rank")
    theirs = pd.read_csv(oracle / "tests_B.csv").set_index("test")
    for ours, name in ((ns.dclf_test(found), "dclf"), (ns.mad_test(found), "mad")):
        assert ours.statistic == pytest.approx(theirs.loc[f"{name}_leaveoneout", "stat"], abs=1e-9)
        assert ours.p_value == theirs.loc[f"{name}_leaveoneout", "p"]
        assert ours.interval_nm == (0, 1.5)
    assert found.p_value == 0.05


def of_spatstat(oracle: Path, r: FloatArray, kind: str) -> ns.EnvelopeTest:
    points = pd.read_csv(oracle / "pts_B_rect_thomas.csv")[["x", "y"]].to_numpy()
    stored = pd.read_csv(oracle / "sims_B19.csv")
    patterns = tuple(one[["x", "y"]].to_numpy() for _, one in stored.groupby("sim"))
    return ns.simulation_envelope(
        points, "L", r, null=ns.FixedPatterns(patterns), kind=kind, reference="theory",
        region=ns.Box((0, 0), (10, 6)), correction="translation",
    )  # fmt: skip


# ---- bands and p-values by definition -----------------------------------------------------------


@settings(max_examples=60)
@given(
    n=st.integers(3, 45), m=st.integers(1, 6), steps=st.sampled_from([3, 1000]),
    seed=st.integers(0, 10_000), level=st.sampled_from([0.05, 0.1, 0.2]),
)  # fmt: skip
def test_rank_band_is_its_definition(n: int, m: int, steps: int, seed: int, level: float) -> None:
    curves = np.random.default_rng(seed).integers(0, steps, (n + 1, m)).astype(float)
    band = rank_band(curves[0], curves[1:], level)
    words = []
    for curve in curves:
        ranks = []
        for value, column in zip(curve, curves.T, strict=True):
            same = (column == value).sum()
            below = (column < value).sum() + (same + 1) / 2
            above = (column > value).sum() + (same + 1) / 2
            ranks.append(min(below, above))
        words.append(sorted(ranks))
    extreme = [sum(other <= word for other in words) for word in words]
    assert band.p_value == extreme[0] / (n + 1)
    kept = curves[[count > level * (n + 1) + 1e-9 for count in extreme]]
    assert np.array_equal(band.low, kept.min(axis=0))
    assert np.array_equal(band.high, kept.max(axis=0))
    outside = bool(((curves[0] < band.low) | (curves[0] > band.high)).any())
    if steps == 1000:  # without ties the picture and the p-value say the same
        distinct = all(len(set(column)) == n + 1 for column in curves.T)
        if distinct and outside:
            assert band.p_value <= level
    assert not (outside and band.p_value > level)


@settings(max_examples=60)
@given(
    n=st.integers(2, 60), seed=st.integers(0, 10_000), theory=st.booleans(),
    level=st.sampled_from([0.05, 0.1, 0.3]),
)  # fmt: skip
def test_global_band_is_left_just_when_p_says_so(
    n: int, seed: int, theory: bool, level: float
) -> None:
    generator = np.random.default_rng(seed)
    curves = generator.normal(size=(n + 1, 5))
    curves[0] += generator.choice([0, 1.5])
    band = global_band(curves[0], curves[1:], np.zeros(5) if theory else None, level)
    outside = bool(((curves[0] < band.low) | (curves[0] > band.high)).any())
    assert outside == (band.p_value <= band.level + 1e-12)
    assert np.ptp(band.high - band.low) < 1e-9


def test_pointwise_band_counts_from_both_ends() -> None:
    values = np.random.default_rng(0).permutation(39).astype(float)[:, None]
    band = pointwise_band(values, 0.1)
    assert (band.low[0], band.high[0], band.level) == (1, 37, 0.1)
    assert pointwise_band(values[:9], 0.05).level == 0.2


@pytest.mark.parametrize("test", ["mad", "dclf", "rank", "global", "global theory"])
@pytest.mark.parametrize("cross", [False, True])
def test_p_values_keep_their_level(test: str, cross: bool) -> None:
    """Under the null model p <= 0.05 comes in 5 % of runs: 19 simulations each, exact tests."""
    n_runs = 300
    rejected = 0
    for run in range(n_runs):
        points = BOX.sample_nm(25, [run, 1])
        other = BOX.sample_nm(20, [run, 2]) if cross else None
        found = ns.simulation_envelope(
            points, "G", RADII, n_simulations=19, region=BOX, other=other, seed=1000 + run,
            kind="global" if "global" in test else "rank", correction="none",
            reference="theory" if "theory" in test else "simulations",
        )  # fmt: skip
        if test in ("mad", "dclf"):
            p = (found.mad_test() if test == "mad" else found.dclf_test()).p_value
        else:
            p = found.p_value
        rejected += p <= 0.05
    low, high = binom.interval(0.998, n_runs, 0.05)
    # A function of counts has ties, which make ranks careful: fewer rejections, never more.
    assert rejected <= high
    assert rejected >= (low if test != "rank" else 1)


@pytest.mark.parametrize("null", ["labelling", "shift"])
def test_null_models_of_two_patterns_keep_their_level(null: str) -> None:
    """Clustered patterns that ignore each other: csr of the second would be far too sure."""
    n_runs, rejected, naive = 200, 0, 0
    for run in range(n_runs):
        generator = np.random.default_rng([run, 3])
        if null == "labelling":
            pooled = clusters(generator, 6)
            mixed = generator.permutation(pooled)
            a, b = mixed[:30], mixed[30:]
        else:
            a, b = clusters(generator, 6), clusters(generator, 6)
        options = {"other": b, "region": BOX, "n_simulations": 19, "seed": run}
        rejected += ns.mad_test(a, "G", RADII, null=null, **options).p_value <= 0.05
        naive += ns.mad_test(a, "G", RADII, null="csr", **options).p_value <= 0.05
    assert rejected <= binom.interval(0.998, n_runs, 0.05)[1]
    if null == "labelling":
        assert naive > 100


def clusters(generator: np.random.Generator, n: int) -> FloatArray:
    parents = generator.uniform(0, 1, (n, 2)) * BOX.high_nm
    points = np.repeat(parents, 10, axis=0) + generator.normal(0, 25, (10 * n, 2))
    return np.asarray(np.mod(points, BOX.high_nm))


# ---- what it gives ------------------------------------------------------------------------------


def test_clusters_are_seen_at_their_size_by_every_function() -> None:
    generator = np.random.default_rng(8)
    points = np.clip(clusters(generator, 8), 0, BOX.high_nm)
    for function in ("K", "L", "H", "g", "G", "F", "J"):
        found = ns.simulation_envelope(points, function, RADII, region=BOX, n_simulations=39)
        assert found.p_value == pytest.approx(1 / 40), function
        assert found.outside.any()
        assert found.function == function
        frame = found.to_frame()
        assert frame.shape == (6, 8)
        assert frame["p_pointwise"].min() == 0.05
    assert found.mad_test((20, 60)).interval_nm == (20, 60)
    assert found.dclf_test().to_frame().loc[0, "n_simulations"] == 39
    assert ns.dclf_test(points, "G", RADII, region=BOX, n_simulations=19).p_value == 0.05


def test_coupling_is_seen_and_which_pattern_is_the_other() -> None:
    generator = np.random.default_rng(5)
    a = BOX.sample_nm(60, 1) * 0.9 + 30
    b = np.concatenate([a[:30] + generator.normal(0, 10, (30, 2)), BOX.sample_nm(20, 2)])
    found = ns.simulation_envelope(a, "K", RADII, other=b, region=BOX, n_simulations=39)
    assert found.function == "K_cross"
    assert (found.n_points, found.n_other) == (60, 50)
    assert found.p_value == 0.025


@pytest.mark.parametrize("processes", [False, True])
def test_workers_change_nothing(processes: bool) -> None:
    points = BOX.sample_nm(40, 1)
    seen: list[float] = []
    options = {"region": BOX, "n_simulations": 8, "seed": 3}
    alone = ns.simulation_envelope(points, "G", RADII, **options)
    many = ns.simulation_envelope(
        points, "G", RADII, workers=2, processes=processes,
        progress=lambda stage, part: seen.append(part), **options,
    )  # fmt: skip
    assert np.array_equal(alone.simulated, many.simulated, equal_nan=True)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert all(a <= b for a, b in pairwise(seen))
    again = ns.simulation_envelope(points, "G", RADII, region=BOX, n_simulations=8, seed=4)
    assert not np.array_equal(alone.simulated[:, 0], again.simulated[:, 0])


def test_any_function_will_do() -> None:
    points = BOX.sample_nm(30, 2)
    found = ns.simulation_envelope(points, nearest_mean, RADII, region=BOX, n_simulations=9)
    assert found.function == "nearest_mean"
    assert np.isnan(found.theory).all()
    with pytest.raises(NanospineError, match="6 radii was expected, found shape"):
        ns.simulation_envelope(points, lambda *_, **__: [1.0], RADII, region=BOX)


def test_a_function_that_cannot_move_to_a_process_is_refused() -> None:
    with pytest.raises(NanospineError, match="Define it in a file, or use threads"):
        ns.simulation_envelope(
            POINTS, lambda points, radii_nm, *, region: radii_nm, RADII, region=BOX, processes=True
        )


def test_unknown_radii_take_no_part_and_are_named() -> None:
    found = ns.simulation_envelope(
        BOX.sample_nm(30, 1), "G", [20, 40, 900], region=BOX, n_simulations=9, correction="border"
    )
    assert np.isnan(found.low[-1])
    assert not found.outside[-1]
    assert any("1 of 3 radii take no part" in note for note in found.notes)
    assert any("9 simulations cannot give a band of level 0.05" in note for note in found.notes)


def test_radii_follow_the_density() -> None:
    from nanospine.statistics.patterns import pattern

    few, many = pattern(BOX.sample_nm(30, 1), BOX), pattern(BOX.sample_nm(30_000, 1), BOX)
    assert automatic_radii(few)[-1] == 175
    assert automatic_radii(many)[-1] == pytest.approx(np.sqrt(1000 * BOX.size / 30_000 / np.pi))
    assert automatic_radii(many, "G")[-1] < 25
    cube = ns.Box((0, 0, 0), (100, 100, 100))
    assert automatic_radii(pattern(cube.sample_nm(90_000, 1), cube))[-1] == pytest.approx(
        np.cbrt(1000 / 0.09 * 0.75 / np.pi)
    )


POINTS = BOX.sample_nm(20, 1)
BAD = {
    "function": ({"function": "M"}, "K, L, H, g, G, F, J"),
    "no radii": ({"radii_nm": ()}, "a list of finite distances"),
    "kind": ({"kind": "minmax"}, "rank, global or pointwise"),
    "level": ({"level": 5}, "between 0 and 1"),
    "null": ({"null": "poisson"}, "csr, labelling, shift"),
    "simulations": ({"n_simulations": 0}, "at least one simulation"),
    "workers": ({"workers": 0}, "at least one simulation and one worker"),
    "nothing known": (
        {"radii_nm": [900.0], "correction": "border", "function": "G"}, "unknown at every one"),
    "one point": ({"points": POINTS[:1]}, "at least 2"),
    "all outside": ({"points": POINTS - 5000}, "inside the region"),
    "empty other": ({"other": np.zeros((0, 2))}, "other"),
    "NaN": ({"points": POINTS * np.nan}, "finite positions"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case: str) -> None:
    changed, says = BAD[case]
    options = {"points": POINTS, "function": "G", "radii_nm": RADII, "region": BOX,
               "n_simulations": 5} | changed  # fmt: skip
    with pytest.raises(NanospineError, match=says) as caught:
        simulation_envelope(**options)
    assert "\n" not in str(caught.value)


def test_intervals_and_references_are_checked() -> None:
    found = ns.simulation_envelope(POINTS, "G", RADII, region=BOX, n_simulations=5)
    with pytest.raises(NanospineError, match="no radius"):
        found.mad_test((500, 600))
    with pytest.raises(NanospineError, match="'simulations' or 'theory'"):
        found.dclf_test(reference="mean")  # type: ignore[arg-type]
    assert found.mad_test(reference="theory").statistic > 0

"""Nearest distances, CBC, Clus-DoC, cross-correlation fit and optimal transport."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError, TooFewPointsError
from nanospine.statistics._slow_soda import slow_colocalization
from nanospine.statistics.coupling import centroid_distances, nearest_distances_test
from nanospine.statistics.coupling_coordinates import cluster_colocalization, colocalization
from nanospine.statistics.coupling_correlation import cross_correlation_fit
from nanospine.statistics.coupling_transport import optimal_transport_curve

BOX = ns.Box((0, 0), (5000, 5000))


def uniform(n, seed, region=BOX):
    return region.sample_nm(n, seed)


def test_nearest_distances_of_coupled_and_of_independent_points():
    a = np.random.default_rng(0).uniform(100, 4900, (80, 2))
    near = nearest_distances_test(a, a + np.array([30, 40]), region=BOX, n_simulations=99)
    assert near.p_value == 0.01
    assert near.median_nm == pytest.approx(50, abs=5)
    assert near.expected_median_nm > 2 * near.median_nm
    frame = near.to_frame()
    np.testing.assert_allclose(
        np.linalg.norm(a[frame["index_a"]] - (a[frame["index_b"]] + np.array([30, 40])), axis=1),
        frame["distance_nm"],
    )
    assert near.curve["observed"].iloc[-1] == pytest.approx(1, abs=0.02)
    assert (near.curve["low"] <= near.curve["high"]).all()
    p = [
        nearest_distances_test(
            uniform(40, s), uniform(40, 900 + s), region=BOX, n_simulations=19, seed=s
        ).p_value
        for s in range(60)
    ]
    assert np.mean(np.array(p) <= 0.05) < 0.15
    assert 0.35 < np.mean(p) < 0.65


@pytest.mark.parametrize("null", ["shift", "labelling"])
def test_other_null_models(null):
    a = np.random.default_rng(0).uniform(100, 4900, (60, 2))
    found = nearest_distances_test(a, a + 20, region=BOX, null=null, n_simulations=39)
    # Shuffled names leave pairs of points pairs: half of the draws have the same median.
    assert found.p_value <= (0.05 if null == "shift" else 0.9)
    assert null in found.null


def test_centroid_distances_of_clusters():
    rng = np.random.default_rng(0)
    spots = rng.normal(np.repeat([[500.0, 500], [1500, 900], [4000, 4000]], 40, axis=0), 10)
    a = ns.cluster(ns.from_arrays(spots), radius_nm=25)
    b = ns.cluster(ns.from_arrays(spots + np.array([0, 80])), radius_nm=25)
    found = centroid_distances(a, b)
    np.testing.assert_allclose(found["distance_nm"], 80)
    assert (found["gap_nm"] < 80).all()
    test = nearest_distances_test(a, b, region=BOX, n_simulations=19)
    np.testing.assert_allclose(test.distances_nm, 80)


@given(st.integers(2, 25), st.integers(1, 25), st.sampled_from([2, 3]), st.integers(0, 10**6))
@settings(max_examples=20)
def test_colocalization_against_point_by_point(n, m, dimension, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0, 300, (n, dimension)), rng.uniform(0, 300, (m, dimension))
    found = colocalization(a, b, 150.0, n_steps=8)
    np.testing.assert_allclose(found.a, slow_colocalization(a, b, 150.0, 8), atol=1e-9)
    np.testing.assert_allclose(found.b, slow_colocalization(b, a, 150.0, 8), atol=1e-9)


def test_colocalization_tells_together_from_apart():
    rng = np.random.default_rng(1)
    spots = np.repeat(rng.uniform(500, 4500, (15, 2)), 30, axis=0)
    a = rng.normal(spots, 30)
    together = colocalization(a, rng.normal(spots, 30), 300)
    apart = colocalization(a, rng.normal(spots + np.array([200, 0]), 30), 300)
    assert np.nanmedian(together.a) > 0.7
    assert np.nanmedian(apart.a) < 0.1
    lonely = colocalization(np.vstack([a, [[4990.0, 4990]]]), rng.normal(spots, 30), 300)
    assert np.isnan(lonely.a[-1])
    assert any("1 of 451 points" in note for note in lonely.notes)
    frame = together.to_frame()
    assert frame["channel"].value_counts().to_dict() == {"a": 450, "b": 450}


def test_clusters_with_and_without_the_other_channel():
    rng = np.random.default_rng(2)
    spots = np.repeat(rng.uniform(500, 4500, (12, 2)), 40, axis=0)
    a = np.concatenate([rng.normal(spots, 12), uniform(100, 1)])
    b = np.concatenate([rng.normal(spots[: 5 * 40], 12), uniform(100, 2)])
    found = cluster_colocalization(a, b, 200, region=BOX, cluster_radius_nm=30, min_points=6)
    assert len(found.table) == 12
    assert found.table["colocalized"].sum() == 5
    assert found.table["colocalized_fraction"][found.table["colocalized"]].min() > 0.7
    assert (found.labels >= 0).sum() == pytest.approx(480, abs=15)
    assert found.dense.sum() < 540
    empty = cluster_colocalization(uniform(5, 0), b, 200, region=BOX)
    assert len(empty.to_frame()) == 0
    assert "no point is denser than random" in empty.notes


@pytest.mark.parametrize("model", ["gaussian", "exponential"])
def test_cross_correlation_fit_recovers_the_planted_range(model):
    region = ns.Box((0, 0), (30_000, 30_000))
    rng = np.random.default_rng(3)
    centres = np.repeat(rng.uniform(0, 30_000, (300, 2)), 6, axis=0)
    if model == "gaussian":
        length, a, b = 50.0, rng.normal(centres, 50), rng.normal(centres, 50)
    else:
        # Partners whose density falls as exp(-r / length): radius is gamma(2) in the plane.
        length, a = 80.0, rng.uniform(0, 30_000, (2000, 2))
        way = rng.uniform(0, 2 * np.pi, 2000)
        b = a + rng.gamma(2, length, 2000)[:, None] * np.column_stack([np.cos(way), np.sin(way)])
    b = b[region.contains(b)]
    found = cross_correlation_fit(a, b, np.arange(20, 421, 20), model=model, region=region)
    assert found.length_nm == pytest.approx(length, rel=0.12)
    assert found.extra_b == pytest.approx(6.0 if model == "gaussian" else 1.0, rel=0.12)
    assert list(found.to_frame()) == ["low_nm", "high_nm", "g", "g_se", "fit"]
    unrelated = cross_correlation_fit(
        uniform(400, 1, region), uniform(400, 2, region), np.arange(100, 1001, 100), region=region
    )
    assert abs(unrelated.amplitude) < 5 * unrelated.amplitude_se


def test_optimal_transport_against_a_linear_programme():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 100, (7, 2)), rng.uniform(0, 100, (9, 2))
    price = cdist(a, b) ** 2
    conditions = np.vstack([np.kron(np.eye(7), np.ones(9)), np.kron(np.ones(7), np.eye(9))])
    mass = np.concatenate([np.full(7, 1 / 7), np.full(9, 1 / 9)])
    best = linprog(price.ravel(), A_eq=conditions, b_eq=mass, method="highs").fun
    found = optimal_transport_curve(a, b, [10, 50, 200])
    plan = found.plan
    assert (plan["mass"] * plan["distance_nm"] ** 2).sum() == pytest.approx(best)
    assert plan["mass"].sum() == pytest.approx(1)
    assert (np.diff(found.values) >= 0).all()
    assert found.values[-1] == pytest.approx(1)


def test_optimal_transport_of_a_shifted_pattern():
    a = uniform(300, 4)
    shifted = optimal_transport_curve(
        a, a + np.array([25, 0]), [20, 30], region=ns.Box((0, 0), (6000, 5000))
    )
    np.testing.assert_allclose(shifted.values, [0, 1])
    cells = optimal_transport_curve(a, a, [0, 10], cell_nm=250)
    np.testing.assert_allclose(cells.values, 1, atol=1e-9)
    assert any("cells of 250 nm" in note for note in cells.notes)
    assert list(cells.to_frame()) == ["radius_nm", "share"]


GOOD = uniform(30, 0)
NAN = np.where(GOOD > 4000, np.nan, GOOD)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nearest_distances_test(GOOD, GOOD, n_simulations=5), ConfigError, "19 simul"),
        (lambda: nearest_distances_test(GOOD, GOOD[:0]), TooFewPointsError, "found none"),
        (lambda: nearest_distances_test(GOOD, NAN, region=BOX), GeometryError, "finite"),
        (lambda: nearest_distances_test(GOOD, GOOD, null="magic"), ConfigError, "null: one of"),
        (lambda: colocalization(GOOD, GOOD, -1.0), ConfigError, "radius_nm above 0"),
        (lambda: colocalization(GOOD, NAN, 10.0), GeometryError, "finite"),
        (lambda: cross_correlation_fit(GOOD, GOOD + 1, [10, 20]), ConfigError, "4 rings"),
        (
            lambda: cross_correlation_fit(GOOD, GOOD + 1, [1, 2, 3, 4], model="box"),
            ConfigError,
            "model 'exponential'",
        ),
        (lambda: optimal_transport_curve(GOOD, GOOD, [5], order=0.5), ConfigError, "order"),
        (
            lambda: optimal_transport_curve(uniform(900, 1), uniform(901, 2), [5]),
            ConfigError,
            "larger cell_nm",
        ),
    ],
)
def test_bad_input_is_one_clear_sentence(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)

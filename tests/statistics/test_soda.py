"""SODA against brute force, planted truth, chance, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import (
    ConfigError,
    GeometryError,
    NanospineError,
    SchemaError,
    TooFewPointsError,
)
from nanospine.statistics._slow_soda import (
    slow_excess,
    slow_overlap,
    slow_ring_counts,
    slow_volumes,
)
from nanospine.statistics.soda_blinking import BlinkingWarning
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_chains import soda_by_region, soda_chains
from nanospine.statistics.soda_distance import (
    Neighbours,
    fit_distance,
    likely_distances,
    ring_moments,
)
from nanospine.statistics.soda_estimate import excess, meet_by_chance
from nanospine.statistics.soda_joint import shift_p
from nanospine.statistics.soda_laws import FAMILIES
from nanospine.statistics.soda_null import holm, ring_p
from nanospine.statistics.soda_partners import sharing
from nanospine.statistics.soda_window import Rings, ball_in_box, disc_in_rectangle

BOX_2D = ns.Box((0, 0), (4000, 3000))
BOX_3D = ns.Box((0, 0, 0), (2000, 2000, 500))
POLYGON = ns.Polygon(
    [(0, 0), (4000, 0), (4000, 3000), (2000, 1500), (0, 3000)],
    ([(500, 500), (900, 500), (900, 900), (500, 900)],),
)
MASK = ns.Mask(np.pad(np.ones((20, 30), dtype=bool), 3), (100.0, 100.0), (0.0, 0.0))
REGIONS = {
    "rectangle": BOX_2D,
    "box": BOX_3D,
    "polygon": POLYGON,
    "prism": ns.Prism(POLYGON, 0, 600),
    "mask": MASK,
    "mesh": ns.MeshRegion(trimesh.creation.icosphere(3, radius=900)),
}


def planted(region, n, fraction, seed, *, mean=100.0, std=25.0, clusters=0):
    """Points of `a`, uniform or in clusters, and `b`, of which a share stands beside an `a`."""
    rng = np.random.default_rng(seed)
    if clusters:
        centres = region.sample_nm(clusters, rng)
        a = np.zeros((0, region.dimension))
        while len(a) < n:
            trial = centres[rng.integers(clusters, size=n)]
            trial = trial + rng.normal(0, 150, trial.shape)
            a = np.concatenate([a, trial[region.contains(trial)]])[:n]
    else:
        a = region.sample_nm(n, rng)
    coupled = round(fraction * n)
    index = rng.permutation(n)[:coupled]
    b = a[index].copy()
    todo = np.arange(coupled)
    while len(todo):
        way = rng.normal(size=(len(todo), region.dimension))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        trial = a[index[todo]] + way * np.abs(rng.normal(mean, std, (len(todo), 1)))
        inside = region.contains(trial)
        b[todo[inside]] = trial[inside]
        todo = todo[~inside]
    distance = np.linalg.norm(b - a[index], axis=1)
    return a, np.concatenate([b, region.sample_nm(n - coupled, rng)]), distance


@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 3), st.integers(0, 10**6))
@settings(max_examples=25)
def test_ring_counts_are_those_of_every_pair(n, m, dimension, seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 40, (n, dimension)).astype(float)
    queries = rng.integers(-20, 60, (m, dimension)).astype(float)
    edges = np.array([0.0, 1.0, 5.0, 12.0])
    expected = slow_ring_counts(queries, points, edges)
    cells = Cells(points, 12.0)
    np.testing.assert_array_equal(cells.ring_counts(queries, edges), expected)
    counts, first, second = cells.ring_sums(queries, edges)
    np.testing.assert_array_equal(counts, expected)
    index_a, index_b, distance = cells.pairs(queries)
    assert len(distance) == expected.sum()
    np.testing.assert_allclose(
        distance, np.linalg.norm(points[index_a] - queries[index_b], axis=1), atol=1e-12
    )
    np.testing.assert_allclose([first.sum(), second.sum()], [distance.sum(), (distance**2).sum()])


@given(st.lists(st.floats(0, 1.4), min_size=6, max_size=6), st.floats(0.05, 1.3), st.integers(0, 9))
@settings(max_examples=30)
def test_disc_and_ball_in_box(gaps, radius, seed):
    walls = np.array(gaps).reshape(2, 1, 3)
    rectangle = shapely.box(-gaps[0], -gaps[1], gaps[3], gaps[4])
    disc = shapely.Point(0, 0).buffer(radius, quad_segs=400).intersection(rectangle).area
    area = disc_in_rectangle(walls[:, :, :2], radius)[0]
    assert area == pytest.approx(disc, rel=1e-4, abs=1e-9)
    # The ball as a stack of discs, independent of the Gauss nodes.
    z = np.linspace(-min(gaps[2], radius), min(gaps[5], radius), 4001)
    slices = np.sqrt(np.maximum(radius**2 - z**2, 0.0))
    areas = disc_in_rectangle(np.repeat(walls[:, :, :2], len(z), axis=1), slices)
    assert ball_in_box(walls, radius)[0] == pytest.approx(
        np.trapezoid(areas, z), rel=2e-5, abs=1e-9
    )


@pytest.mark.parametrize("name", REGIONS)
def test_chance_in_any_region_against_sampling(name):
    region = REGIONS[name]
    points = region.sample_nm(40, 3)
    edges = np.array([0.0, 100.0, 200.0, 350.0])
    chance = meet_by_chance(Rings(points, region, edges, 0), Cells(points, edges[-1]))
    volumes = slow_volumes(points, region, edges, 60_000, 1)
    tolerance = 5 * np.sqrt(volumes * 1.5 / 60_000)
    assert (np.abs(chance.mean[0] - volumes) < tolerance).all()
    overlap = slow_overlap(points, region, edges, 600, 2)
    assert (np.abs(chance.overlap[0] - overlap) < 5 * np.sqrt(overlap / 8_000) + 0.003).all()
    # Probability of meeting anything, and the covariance, from the pool and from places.
    places = region.sample_nm(60_000, 4)
    counts = Cells(points, edges[-1]).ring_counts(places, edges)
    hit = (counts.sum(axis=1) > 0).mean()
    assert chance.pool_weight.sum() == pytest.approx(hit, abs=0.012)
    np.testing.assert_allclose(
        chance.covariance, np.cov(counts.T), atol=0.06 * np.abs(chance.covariance).max()
    )


def test_coupled_pairs_are_those_of_brute_force():
    a, b, _ = planted(BOX_3D, 60, 0.5, 5)
    edges = np.array([0.0, 60.0, 120.0, 180.0])
    cells = Cells(a, edges[-1])
    chance = meet_by_chance(Rings(a, BOX_3D, edges, 0), cells)
    found = excess(cells.ring_sums(b, edges), chance)[:, :-2].sum(axis=0)
    np.testing.assert_allclose(found, slow_excess(a, b, BOX_3D, edges, 60_000, 1), atol=1.0)


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("clusters", [0, 6])
def test_planted_fraction_and_distance(name, clusters):
    region, radii = REGIONS[name], np.arange(20.0, 121.0, 20.0)
    errors, means, stds = [], [], []
    for seed in range(4):
        a, b, distance = planted(region, 120, 0.6, seed, mean=60, std=12, clusters=clusters)
        found = ns.soda(a, b, radii, region=region, n_simulations=0, seed=seed)
        errors.append(found.coupled_fraction_b - 0.6)
        means.append(found.mean_distance_nm / distance.mean())
        stds.append(found.std_distance_nm / distance.std())
        assert found.coupled_fraction_a == pytest.approx(found.coupled_fraction_b)
        half = (found.coupled_fraction_b_high - found.coupled_fraction_b_low) / 2
        assert abs(errors[-1]) < 2.2 * half
    # Four runs: three times the error of their mean.
    assert abs(np.mean(errors)) < 3 * half / 1.96 / 2
    assert np.mean(means) == pytest.approx(1, abs=0.05)
    assert np.mean(stds) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize(("fraction", "clusters"), [(0.0, 10), (0.7, 0)])
def test_intervals_cover_and_chance_is_calibrated(fraction, clusters):
    covered, false, errors = 0, 0, []
    runs = 40
    for seed in range(runs):
        a, b, _ = planted(BOX_2D, 60, fraction, 1000 + seed, clusters=clusters)
        found = ns.soda(a, b, np.arange(40, 201, 40), region=BOX_2D, n_simulations=99, seed=seed)
        covered += found.coupled_fraction_b_low <= fraction <= found.coupled_fraction_b_high
        false += found.p_value <= 0.05
        errors.append(found.coupled_fraction_b - fraction)
    # 0.95 of 40 -  3 standard deviations; the figures of 1,000 runs are in the benchmarks.
    assert covered >= 34
    assert abs(np.mean(errors)) < 0.03
    assert false == runs if fraction else false <= 6


def test_population_and_many_partners_are_wider():
    a, b, _ = planted(BOX_2D, 300, 0.5, 8, clusters=10)

    def width(**options):
        found = ns.soda(a, b, [60, 120, 180], region=BOX_2D, n_simulations=0, **options)
        return found.coupled_fraction_b_high - found.coupled_fraction_b_low

    assert width(partners="one") < width(partners="any")
    assert width(partners="any") < width(partners="any", target="population")
    assert width() < width(level=0.99)
    assert width() < width(registration_error_nm=60)
    assert width() < width(precision_nm=60)
    assert width() < width(precision_nm=np.full((300, 2), 60.0))


def test_partners_that_are_shared_are_noticed():
    rng = np.random.default_rng(4)
    edges = np.array([0.0, 60, 120, 180])
    a, own, _ = planted(BOX_2D, 300, 0.8, 9)
    shared = a[rng.integers(300, size=240)] + rng.normal(0, 60, (240, 2))
    shared = np.clip(np.concatenate([shared, own[240:]]), 0, (4000, 3000))
    rings = Rings(a, BOX_2D, edges, 0)
    cells = Cells(a, 180.0)
    chance = meet_by_chance(rings, cells)
    found = [
        sharing(rings, b, excess(cells.ring_sums(b, edges), chance)[:, :-2].sum(axis=0))
        for b in (own, shared)
    ]
    assert found[0] < 0.3 < 0.6 < found[1]


def test_precision_of_localizations_enters():
    a, b, _ = planted(BOX_2D, 200, 0.5, 8)
    sharp = ns.soda(a, b, [60, 120, 180], region=BOX_2D, n_simulations=0)
    blurred = ns.soda(
        ns.from_arrays(a, precision_nm=50, region=BOX_2D),
        ns.from_arrays(b, precision_nm=50, region=BOX_2D),
        [60, 120, 180],
        n_simulations=0,
    )
    assert blurred.coupled_pairs == pytest.approx(sharp.coupled_pairs)
    assert blurred.coupled_pairs_se > sharp.coupled_pairs_se


def test_pairs_and_lists_name_rows_of_the_input():
    a, b, _ = planted(BOX_2D, 60, 0.5, 2, mean=40, std=5)
    outside = np.full((5, 2), -500.0)
    found = ns.soda(
        np.concatenate([outside, a]), np.concatenate([b, outside]), [30, 50, 70], region=BOX_2D
    )
    assert (found.n_a, found.n_b) == (60, 60)
    assert any("5 of 65 lie outside" in note for note in found.notes)
    pairs = found.pairs
    moved = np.concatenate([outside, a])[pairs["index_a"]] - b[pairs["index_b"]]
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), pairs["distance_nm"])
    assert pairs["probability"].between(0, 1).all()
    assert set(found.coupled_a) | set(found.single_a) == set(range(5, 65))
    assert set(found.coupled_b) | set(found.single_b) == set(range(60))
    # Partner k of the simulation is row k of b.
    sure = pairs[pairs["probability"] > 0.5]
    assert (sure["index_b"] < 30).mean() > 0.9
    assert found.rings["observed"].sum() == len(pairs)
    assert list(found.to_frame()["n_a"]) == [60]


def test_swapped_channels_agree_where_both_are_uniform():
    a, b, _ = planted(BOX_2D, 300, 0.4, 4)
    there = ns.soda(a, b, [60, 120, 180], region=BOX_2D, n_simulations=99)
    back = ns.soda(b, a, [60, 120, 180], region=BOX_2D, n_simulations=99)
    assert there.coupled_pairs == pytest.approx(back.coupled_pairs, abs=there.coupled_pairs_se)
    assert there.p_value == back.p_value == 0.01


def test_the_more_clustered_channel_comes_first():
    a, b, _ = planted(BOX_2D, 200, 0.3, 4, clusters=8)
    right = ns.soda(a, b, [60, 120], region=BOX_2D, n_simulations=0)
    wrong = ns.soda(b, a, [60, 120], region=BOX_2D, n_simulations=0)
    assert not any("more clustered" in note for note in right.notes)
    assert any("b is more clustered than a" in note for note in wrong.notes)


def test_nothing_coupled_gives_no_pairs_and_the_same_seed_the_same_result():
    a, b, _ = planted(BOX_2D, 200, 0.0, 3)
    found = ns.soda(a, b, [50, 100], region=BOX_2D, seed=5)
    again = ns.soda(a, b, [50, 100], region=BOX_2D, seed=5)
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    assert (found.pairs["probability"] == 0).all()
    assert len(found.single_a) == 200
    assert found.p_value > 0.05


def test_clusters_tables_and_sizes():
    a, b, _ = planted(BOX_2D, 80, 0.5, 6, mean=40, std=5)
    frame = pd.DataFrame(b, columns=["x_nm", "y_nm"])
    found = ns.soda(a, frame, [30, 50, 70], region=BOX_2D, size_a_nm=10.0, size_b_nm=np.arange(80))
    expected = found.pairs["distance_nm"] - 10.0 - found.pairs["index_b"]
    np.testing.assert_allclose(found.pairs["gap_nm"], expected)
    spots = np.random.default_rng(0).normal(np.repeat(a, 12, axis=0), 4)
    inside = spots[BOX_2D.contains(spots)]
    clusters = ns.cluster(ns.from_arrays(inside, region=BOX_2D), radius_nm=15, min_points=5)
    of_clusters = ns.soda(clusters, b, [30, 50, 70])
    assert of_clusters.n_a == pytest.approx(80, abs=4)
    assert of_clusters.coupled_fraction_b == pytest.approx(found.coupled_fraction_b, abs=0.1)


def test_blinking_molecules_are_said():
    rng = np.random.default_rng(0)
    molecules = rng.uniform(0, 20_000, (200, 2))
    blinks = np.repeat(molecules, 6, axis=0) + rng.normal(0, 10, (1200, 2))
    frames = rng.integers(0, 10_000, 1200)
    locs = ns.from_arrays(blinks, precision_nm=10, frame=frames)
    other = ns.from_arrays(molecules + 50, precision_nm=10, frame=frames[:200])
    with pytest.warns(BlinkingWarning, match="link_localizations or cluster"):
        found = ns.soda(locs, other, [50, 100], region=ns.Box((-50, -50), (20_100, 20_100)))
    assert any("molecules that blink" in note for note in found.notes)
    # A table without frames, but with precisions, is one of localizations as well.
    bare = ns.from_arrays(blinks, precision_nm=10)
    with pytest.warns(BlinkingWarning, match="100% of|99% of|98% of"):
        ns.soda(bare, other, [50, 100], region=found.region, n_simulations=0)
    clustered = ns.cluster(locs, radius_nm=30, min_points=3).as_localizations()
    ns.soda(clustered, other, [50, 100], region=ns.Box((-50, -50), (20_100, 20_100)))


def test_many_points_are_no_trouble():
    """More than 46,340 in each channel: products beyond 32 bits."""
    region = ns.Box((0, 0), (200_000, 200_000))
    a, b, distance = planted(region, 50_000, 0.3, 1, mean=50, std=10)
    found = ns.soda(a, b, [25, 50, 75, 100], region=region, n_simulations=19)
    assert found.coupled_fraction_b == pytest.approx(0.3, abs=0.01)
    assert found.mean_distance_nm == pytest.approx(distance.mean(), rel=0.03)


EDGES = np.arange(0.0, 301.0, 20.0)


def beside_few(draw, n, seed, dimension=2):
    """Neighbours of partners beside points far apart, in an endless window."""
    rng = np.random.default_rng(seed)
    distance = draw(rng, n)
    kept = distance[distance < EDGES[-1]]
    return Neighbours(
        np.arange(len(kept)), np.arange(len(kept)), kept, n, 1e12, dimension, EDGES,
        np.ones((n, len(EDGES) - 1)),
    )  # fmt: skip


def fitted(near):
    coupled = np.histogram(near.distance_nm, EDGES)[0].astype(float)
    likely = likely_distances(near, coupled, np.diag(coupled + 1))
    return fit_distance(likely, near, coupled, coupled, lambda true: np.diag(true + 1))


@pytest.mark.parametrize("dimension", [2, 3])
def test_distance_models(dimension):
    found = fitted(beside_few(lambda rng, n: np.abs(rng.normal(60, 50, n)), 20_000, 1, dimension))
    assert found.model == "folded normal"
    np.testing.assert_allclose(found.parameters_nm, (60, 50), rtol=0.05)
    found = fitted(beside_few(lambda rng, n: rng.gamma(9, 10, n), 20_000, 2, dimension))
    assert found.model == "gamma"
    np.testing.assert_allclose([found.mean_nm, found.std_nm], (90, 30), rtol=0.03)
    # The errors it gives are those of a mean and a standard deviation of so many.
    np.testing.assert_allclose(
        np.sqrt(found.variance), (30 / np.sqrt(20_000), 30 / np.sqrt(40_000)), rtol=0.25
    )


def test_distances_of_no_simple_distribution_are_not_fitted():
    def two_peaks(rng, n):
        return np.where(rng.random(n) < 0.5, 30.0, 250.0) + rng.normal(0, 4, n)

    near = beside_few(two_peaks, 2000, 3)
    assert fitted(near) is None
    counts = np.histogram(near.distance_nm, EDGES)[0].astype(float)
    assert ring_moments(counts, np.diag(counts + 5), EDGES) == pytest.approx((140, 110.2), abs=3)
    assert likely_distances(near, counts[:3], np.eye(3)) == []
    assert likely_distances(near, np.zeros(15), np.eye(15)) == []


def test_likelihood_is_that_of_every_pair():
    a, b, _ = planted(BOX_2D, 20, 0.5, 3)
    edges = np.array([0.0, 60, 120, 200])
    cells = Cells(a, 200.0)
    shares = np.random.default_rng(0).uniform(0.3, 1, (20, 3))
    near = Neighbours(*cells.pairs(b), len(b), BOX_2D.size, 2, edges, shares)
    law = FAMILIES["gamma"](100.0, 40.0)
    inside = shares @ np.diff(law.cumulated(edges))
    total = 0.0
    for y in b:
        distance = np.linalg.norm(a - y, axis=1)
        seen = law.density(distance) / (2 * np.pi * distance * inside) * (distance < 200)
        total += np.log(0.7 + 0.3 * BOX_2D.size * seen.mean())
    assert near.log_likelihood(law, 0.3) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("model", ["folded normal", "gamma"])
def test_density_is_the_slope_of_the_cumulated_law(model):
    law = FAMILIES[model](80.0, 50.0)
    r = np.linspace(0.01, 1500, 300_001)
    np.testing.assert_allclose(np.gradient(law.cumulated(r), r), law.density(r), atol=1e-6)
    mean = np.trapezoid(r * law.density(r), r)
    second = np.trapezoid(r**2 * law.density(r), r)
    assert (law.mean, law.std) == pytest.approx((mean, np.sqrt(second - mean**2)), rel=1e-4)


def test_points_in_narrow_places_have_no_far_partners():
    """What partners meet in a square with a long neck, against partners drawn one by one."""
    neck = ns.Polygon([(0, 0), (1000, 0), (1000, 480), (5000, 480), (5000, 520), (1000, 520),
                       (1000, 1000), (0, 1000)])  # fmt: skip
    points = np.concatenate([neck.sample_nm(60, 1), [[x, 500.0] for x in range(1050, 5000, 100)]])
    edges, law = np.array([0.0, 40, 80, 160]), FAMILIES["gamma"](80.0, 40.0)
    rng = np.random.default_rng(2)
    met, partners = np.zeros((3, 3)), np.zeros(3)
    row = np.repeat(np.arange(len(points)), 2000)
    while len(row):
        far = rng.gamma(4, 20, len(row))
        row, far = row[far < 160], far[far < 160]
        ring = np.searchsorted(edges, far) - 1
        angle = rng.uniform(0, 2 * np.pi, len(row))
        places = points[row] + far[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        inside = neck.contains(places)
        counts = Cells(points, 160.0).ring_counts(places[inside], edges)
        for k in range(3):
            own = ring[inside] == k
            met[:, k] += counts[own].sum(axis=0) - np.eye(3)[k] * own.sum()
            partners[k] += own.sum()
        row = row[~inside]
    rings, cells = Rings(points, neck, edges, 0), Cells(points, 160.0)
    found = meet_by_chance(rings, cells, law).overlap[0]
    np.testing.assert_allclose(found, met / partners, rtol=0.03, atol=0.01)
    assert np.abs(meet_by_chance(rings, cells).overlap[0] - met / partners).max() > 0.03
    # Mean and spread of the distance, as the window leaves them.
    shares = meet_by_chance(rings, cells).shares
    none = np.zeros(0, dtype=np.int64)
    near = Neighbours(none, none, np.zeros(0), 1, neck.size, 2, edges, shares)
    tail = FAMILIES["gamma"](40.0, 20.0)
    far = rng.gamma(4, 10, (len(points), 3000))
    angle = rng.uniform(0, 2 * np.pi, far.shape)
    places = points[:, None] + far[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    inside = neck.contains(places.reshape(-1, 2)).reshape(far.shape)
    weight = inside / inside.sum(axis=1, keepdims=True)
    mean = (weight * far).sum() / len(points)
    std = np.sqrt((weight * (far - mean) ** 2).sum() / len(points))
    assert near.moments(tail) == (pytest.approx(mean, rel=0.03), pytest.approx(std, rel=0.05))


def test_ring_tail_and_holm():
    assert ring_p(np.array([0.0, 5, 3]), np.array([2.0, 5, 0]), np.array([2.0, 5, 0])) == (
        pytest.approx([1.0, 0.5595, 0.0], abs=1e-4)
    )
    wide = ring_p(np.array([12.0]), np.array([5.0]), np.array([20.0]))
    assert wide > ring_p(np.array([12.0]), np.array([5.0]), np.array([5.0]))
    assert holm(np.array([0.04, 0.03, 0.001])).tolist() == [False, False, True]


def test_chains_of_three_channels():
    region = ns.Box((0, 0), (30_000, 30_000))
    a, b, _ = planted(region, 300, 0.5, 1, mean=40, std=5)
    rng = np.random.default_rng(77)
    c = np.concatenate([b[:60] + np.array([0, 40]), rng.uniform(100, 29_900, (240, 2))])
    radii = [20, 35, 50, 100]
    ab, bc = ns.soda(a, b, radii, region=region), ns.soda(b, c, radii, region=region)
    ac = ns.soda(a, c, radii, region=region)
    loose = soda_chains(ab, bc, ac)
    assert {"index_a", "index_b", "index_c", "probability"} <= set(loose.chains)
    assert 58 <= len(loose.chains) <= 70
    assert loose.p_value == 0.001
    assert loose.expected > 1.5 * loose.expected_by_chance
    strict = soda_chains(ab, bc, ac, strict=True)
    assert len(strict.chains) <= len(loose.chains)
    assert strict.chains["probability"].max() < loose.chains["probability"].max()
    assert strict.chains["distance_ac_nm"].notna().all()
    assert len(loose.only_ab) + len(loose.only_bc) + len(loose.single_b) <= 300
    shuffled = np.random.default_rng(3).permutation(300)
    unrelated = np.concatenate([b[shuffled[:60]] + np.array([0, 40]), c[60:]])
    far = soda_chains(ab, ns.soda(b, unrelated, radii, region=region))
    assert far.p_value > 0.05
    with pytest.raises(ConfigError, match="third coupling"):
        soda_chains(ab, bc, strict=True)
    with pytest.raises(ConfigError, match="same objects of b"):
        soda_chains(ab, ns.soda(b[:200], c, radii, region=region))
    assert loose.to_frame()["n_b"].tolist() == [300]


@pytest.mark.parametrize(
    "region",
    [ns.Box((0, 0), (4000, 4000)), ns.Polygon([(0, 0), (4600, 0), (4600, 3000), (0, 4000)])],
)
def test_joint_test_by_shifts_keeps_its_level_where_shuffling_does_not(region):
    """Marks in patches that ignore each other, and marks that do not."""
    rng = np.random.default_rng(1)
    rejected, shuffles, together = [], [], []
    for _ in range(60):
        points = region.sample_nm(400, rng)
        first, second = (
            (np.linalg.norm(points[:, None] - region.sample_nm(5, rng), axis=2).min(axis=1) < 700)
            * rng.uniform(0.5, 1, 400)
            for _ in range(2)
        )
        rejected.append(shift_p(points, first, second, region, 39, rng) <= 0.05)
        together.append(shift_p(points, first, first, region, 39, rng) <= 0.05)
        found = [first @ rng.permutation(second) for _ in range(39)]
        shuffles.append((1 + (np.array(found) >= first @ second).sum()) / 40 <= 0.05)
    assert np.mean(rejected) <= 0.13
    assert np.mean(shuffles) > 0.2
    assert np.mean(together) > 0.9


def test_chains_by_shifts():
    region = ns.Box((0, 0), (30_000, 30_000))
    a, b, _ = planted(region, 300, 0.5, 1, mean=40, std=5)
    c = np.concatenate([b[:60] + np.array([0, 40]), region.sample_nm(240, 77)])
    radii = [20, 35, 50, 100]
    ab, bc = (ns.soda(*pair, radii, region=region) for pair in ((a, b), (b, c)))
    found = soda_chains(ab, bc, b=b, n_simulations=99)
    assert (found.p_value, found.test) == (0.01, "shift")
    assert found.expected == soda_chains(ab, bc).expected
    with pytest.raises(ConfigError, match="b must be the objects"):
        soda_chains(ab, bc, b=b[:50])


def test_coupling_by_region():
    region = ns.Box((0, 0), (30_000, 30_000))
    a, b, distance = planted(region, 300, 0.5, 1, mean=40, std=5)
    found = ns.soda(a, b, [20, 35, 50, 100], region=region)
    labels_b = np.where(np.arange(300) < 150, 1, 2)
    partner = np.linalg.norm(a[:, None] - b[:150], axis=2).min(axis=1) < 60
    table = soda_by_region(found, np.where(partner, 1, -1), labels_b).set_index("label")
    assert table.loc[1, "coupled_fraction_b"] == pytest.approx(1, abs=0.1)
    assert table.loc[2, "coupled_pairs"] < 5
    assert table.loc[1, "mean_distance_nm"] == pytest.approx(distance.mean(), rel=0.05)
    with pytest.raises(ConfigError, match="labels_b must be integers"):
        soda_by_region(found, labels_b, labels_b.astype(float))


GOOD = np.random.default_rng(0).uniform(0, 3000, (30, 2))


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "message"),
    [
        (np.zeros((0, 2)), GOOD, {}, TooFewPointsError, "a: at least 2 points are needed"),
        (
            GOOD,
            GOOD[:1],
            {},
            TooFewPointsError,
            "b: at least 2 points are needed inside the region",
        ),
        (GOOD, np.full((9, 2), 500.0), {}, GeometryError, "all 9 points of b .* at one place"),
        (GOOD, GOOD - 9000, {}, TooFewPointsError, "b: .* found 0 of 30"),
        (GOOD, GOOD, {"radii_nm": [50, 4000]}, ConfigError, "largest radius, 4000 nm"),
        (GOOD, np.where(GOOD > 2500, np.nan, GOOD), {}, GeometryError, "b: finite positions"),
        (GOOD, GOOD, {"radii_nm": [0]}, ConfigError, "at least one radius above 0"),
        (GOOD, GOOD, {"radii_nm": [50, 20]}, ConfigError, "ascending"),
        (GOOD, GOOD, {"level": 1.0}, ConfigError, "level between 0 and 1"),
        (GOOD, GOOD, {"target": "all"}, ConfigError, "target 'sample' or 'population'"),
        (GOOD, GOOD, {"partners": "two"}, ConfigError, "partners 'auto', 'one' or 'any'"),
        (GOOD, GOOD, {"legacy": "fiji"}, ConfigError, "legacy None or 'icy'"),
        (GOOD, GOOD, {"n_simulations": -1}, ConfigError, "n_simulations"),
        (GOOD, GOOD, {"precision_nm": -1.0}, ConfigError, "precision_nm"),
        (GOOD, GOOD, {"registration_error_nm": [1.0] * 5}, ConfigError, "registration_error_nm"),
        (GOOD, pd.DataFrame({"x": [1.0, 2]}), {}, SchemaError, "columns x_nm, y_nm"),
    ],
)
def test_bad_input_is_one_clear_sentence(a, b, options, error, message):
    options = {"radii_nm": [50, 100], "region": BOX_2D} | options
    with pytest.raises(error, match=message) as caught:
        ns.soda(a, b, options.pop("radii_nm"), **options)
    assert isinstance(caught.value, NanospineError)
    assert "\n" not in str(caught.value)


def test_rings_over_the_whole_window_are_refused():
    region = ns.Box((0, 0), (1000, 10))
    points = np.column_stack([np.linspace(495, 505, 20), np.full(20, 5.0)])
    with pytest.raises(GeometryError, match="smaller radii"):
        ns.soda(points, points + np.array([1, 0]), [100, 520, 800], region=region)

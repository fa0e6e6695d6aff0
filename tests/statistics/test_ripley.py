"""K, L, H, g and their local forms: planted truth, symmetry, limits, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError, SchemaError, TooFewPointsError
from nanospine.statistics import _slow

SQUARE = ns.Box((0, 0), (1000, 1000))
CUBE = ns.Box((0, 0, 0), (500, 500, 500))
RADII = np.array([5.0, 15.0, 40.0])


def thomas(region, parents, children, spread, seed):
    """Clusters with Gaussian spread, periodic, so that K is known exactly."""
    generator = np.random.default_rng(seed)
    centres = region.sample_nm(generator.poisson(parents), generator)
    numbers = generator.poisson(children, len(centres))
    points = np.repeat(centres, numbers, axis=0)
    points = points + generator.normal(0, spread, points.shape)
    low, high = region.bounds_nm
    return low + (points - low) % (high - low)


@pytest.mark.parametrize("correction", ["translation", "isotropic", "border", "periodic", "rigid"])
def test_clusters_of_known_k(correction):
    """Thomas process: K = pi r² + (1 - exp(-r² / 4 s²)) / kappa."""
    spread, parents = 10.0, 200
    found = []
    for seed in range(8):
        points = thomas(SQUARE, parents, 10, spread, seed)
        found.append(ns.ripley_k(points, RADII, region=SQUARE, correction=correction).values)
    known = np.pi * RADII**2 + SQUARE.size / parents * (1 - np.exp(-(RADII**2) / (4 * spread**2)))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(8)
    assert (np.abs(mean - known) < 4 * error).all()
    assert (np.abs(mean / known - 1) < 0.1).all()


def test_clusters_of_known_g_in_space():
    """Thomas process: g = 1 + exp(-r² / 4 s²) / (kappa (4 pi s²)^1.5)."""
    spread, parents = 12.0, 300
    radii = np.array([3.0, 10.0, 25.0, 50.0])
    found = [
        ns.pair_correlation(
            thomas(CUBE, parents, 8, spread, seed), radii, region=CUBE, half_width_nm=2
        ).values
        for seed in range(8)
    ]
    kappa = parents / CUBE.size
    known = 1 + np.exp(-(radii**2) / (4 * spread**2)) / (kappa * (4 * np.pi * spread**2) ** 1.5)
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(8)
    assert (np.abs(mean - known) < 4 * error).all()
    assert known[0] > 5
    assert np.abs(mean / known - 1).max() < 0.15


def test_planted_partners():
    """A share of the second pattern lies 20 nm from a point of the first: cross K jumps by 1/n."""
    generator = np.random.default_rng(3)
    a = CUBE.sample_nm(400, generator)
    step = generator.normal(size=(200, 3))
    partners = a[:200] + 20 * step / np.linalg.norm(step, axis=1, keepdims=True)
    partners = partners[CUBE.contains(partners)]
    b = np.concatenate([partners, CUBE.sample_nm(300, generator)])
    k = ns.ripley_k(a, [19, 21], region=CUBE, other=b)
    assert k.name == "K_cross"
    assert (k.n_points, k.n_other) == (400, len(b))
    jump = len(partners) / (len(a) * len(b)) * CUBE.size
    assert abs((k.values[1] - k.values[0]) / jump - 1) < 0.15
    same = ns.ripley_k(b, [19, 21], region=CUBE, other=a)
    np.testing.assert_allclose(same.values, k.values, rtol=1e-12)


def test_uneven_density_is_no_clustering():
    generator = np.random.default_rng(1)
    points = SQUARE.sample_nm(12_000, generator)
    points = points[generator.random(len(points)) < (0.1 + 0.9 * points[:, 0] / 1000)]
    radii = np.array([10.0, 40.0, 80.0])
    plain = ns.ripley_k(points, radii, region=SQUARE)
    assert (plain.values / plain.theory > 1.15).all()
    for intensity in (
        lambda xy: 0.012 * (0.1 + 0.9 * xy[:, 0] / 1000),
        0.012 * (0.1 + 0.9 * points[:, 0] / 1000),
        ns.kernel_intensity(points, 120, region=SQUARE),
    ):
        k = ns.ripley_k(points, radii, region=SQUARE, intensity=intensity, renormalise=2)
        assert k.name == "K_inhom"
        assert (np.abs(k.values / k.theory - 1) < 0.05).all()
    known = 0.012 * (0.1 + 0.9 * points[:, 0] / 1000)
    g = ns.pair_correlation(points, radii, region=SQUARE, intensity=known)
    assert (np.abs(g.values - 1) < 0.1).all()
    cross = ns.ripley_k(
        points[::2], radii, region=SQUARE, other=points[1::2], intensity=known[::2] / 2,
        other_intensity=known[1::2] / 2,
    )  # fmt: skip
    assert cross.name == "K_cross_inhom"
    assert (np.abs(cross.values / cross.theory - 1) < 0.06).all()


def test_constant_intensity_is_no_intensity():
    points = SQUARE.sample_nm(300, 2)
    density = len(points) / SQUARE.size
    plain = ns.ripley_k(points, RADII, region=SQUARE).values
    even = ns.ripley_k(points, RADII, region=SQUARE, intensity=density, renormalise=0).values
    np.testing.assert_allclose(even, plain * (len(points) - 1) / len(points), rtol=1e-12)
    level = ns.ripley_k(points, RADII, region=SQUARE, intensity=3 * density, renormalise=2).values
    np.testing.assert_allclose(level, even, rtol=1e-12)


@given(st.integers(0, 10_000), st.sampled_from(["none", "translation", "isotropic", "periodic"]))
@settings(max_examples=40)
def test_local_is_the_share_of_each_point(seed, correction):
    generator = np.random.default_rng(seed)
    dimension = 2 + seed % 2
    region = ns.Box(np.zeros(dimension), np.full(dimension, 100.0))
    points = region.sample_nm(int(generator.integers(2, 40)), generator)
    other = region.sample_nm(int(generator.integers(1, 30)), generator) if seed % 3 else None
    radii = np.sort(generator.uniform(1, 49, 5))
    rows = ns.local_k(points, radii, region=region, correction=correction, other=other)
    whole = ns.ripley_k(points, radii, region=region, correction=correction, other=other)
    np.testing.assert_allclose(rows.values.mean(axis=0), whole.values, rtol=1e-9)
    length = ns.local_l(points, radii, region=region, correction=correction, other=other)
    volume = np.pi * length.values**2 if dimension == 2 else 4 / 3 * np.pi * length.values**3
    np.testing.assert_allclose(volume, rows.values, rtol=1e-9, atol=1e-9)
    if correction == "none":
        i, _, shift = _slow.pair_table(points, other)
        near = np.linalg.norm(shift, axis=1)[:, None] <= radii
        counts = np.zeros((len(points), len(radii)))
        np.add.at(counts, i, near)
        others = len(points) - 1 if other is None else len(other)
        np.testing.assert_allclose(rows.values, counts * region.size / others, rtol=1e-12)


def test_local_frame_and_rows():
    points = np.array([[-5.0, 5], [10, 10], [13, 10], [90, 90]])
    local = ns.local_l(points, [5, 10], region=ns.Box((0, 0), (100, 100)))
    frame = local.to_frame()
    assert local.rows.tolist() == [1, 2, 3]
    assert list(frame.columns) == ["row", "radius_nm", "L", "theory"]
    assert len(frame) == 6
    assert frame["row"].tolist() == [1, 1, 2, 2, 3, 3]
    assert "1 of 4 lie outside the region" in local.notes[0]


def test_l_and_h_follow_k():
    for region, power in ((SQUARE, 2), (CUBE, 3)):
        points = region.sample_nm(500, 4)
        k = ns.ripley_k(points, RADII, region=region)
        length = ns.ripley_l(points, RADII, region=region)
        h = ns.ripley_h(points, RADII, region=region)
        factor = np.pi if power == 2 else 4 / 3 * np.pi
        np.testing.assert_allclose(factor * length.values**power, k.values, rtol=1e-12)
        np.testing.assert_allclose(h.values, length.values - RADII, atol=1e-12)
        assert (k.name, length.name, h.name) == ("K", "L", "H")
        assert h.theory.tolist() == [0, 0, 0]
        assert list(h.to_frame().columns) == ["radius_nm", "H", "theory"]


@given(st.integers(0, 1000), st.sampled_from(["d", "r"]), st.booleans())
@settings(max_examples=40)
def test_pair_correlation_is_the_sum_over_pairs(seed, divisor, corrected):
    generator = np.random.default_rng(seed)
    dimension = 2 + seed % 2
    region = ns.Box(np.zeros(dimension), np.full(dimension, 100.0))
    points = region.sample_nm(40, generator)
    radii, h = np.sort(generator.uniform(0.5, 60, 8)), float(generator.uniform(2, 20))
    found = ns.pair_correlation(
        points, radii, region=region, half_width_nm=h, divisor=divisor, bias_correction=corrected
    ).values
    _, _, shift = _slow.pair_table(points)
    distance = np.linalg.norm(shift, axis=1)
    weight = region.size / np.prod(100 - np.abs(shift), axis=1)
    t = (radii[:, None] - distance) / h
    kernel = np.where(np.abs(t) < 1, 0.75 * (1 - t**2) / h, 0)
    power, unit = dimension - 1, 2 * np.pi if dimension == 2 else 4 * np.pi
    scale = region.size / len(distance) / unit
    fine = np.linspace(0, 100, 200_001)
    u = (radii[:, None] - fine) / h
    smooth = np.where(np.abs(u) < 1, 0.75 * (1 - u**2) / h, 0)
    if divisor == "d":
        known = scale * (kernel @ (weight / distance**power))
        lost = np.trapezoid(smooth, fine, axis=1)
    else:
        known = scale * (kernel @ weight) / radii**power
        lost = np.trapezoid(smooth * fine**power, fine, axis=1) / radii**power
    known = known / lost if corrected else known
    np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-9)
    assert (found >= 0).all()


def test_pairs_at_distance_zero():
    points = np.repeat(SQUARE.sample_nm(100, 1), 2, axis=0)
    g = ns.pair_correlation(points, [5, 20], region=SQUARE)
    assert "200 pairs at distance 0 were left out; divisor='r' counts them" in g.notes
    assert np.isfinite(g.values).all()
    k = ns.ripley_k(points, [0, 5], region=SQUARE)
    assert k.values[0] == pytest.approx(SQUARE.size * 200 / (200 * 199))
    same = np.zeros((50, 2))
    k = ns.ripley_k(same, [1], region=ns.Box((-10, -10), (10, 10)))
    assert k.values[0] == pytest.approx(400)


def test_never_negative():
    for seed in range(3):
        points = SQUARE.sample_nm(12, seed)
        radii = np.linspace(0, 499, 60)
        for correction in ("none", "border", "translation", "isotropic", "periodic", "rigid"):
            values = ns.ripley_k(points, radii, region=SQUARE, correction=correction).values
            assert not (values < 0).any()
            if correction != "border":
                assert not (np.diff(values) < 0).any()


def test_channels():
    generator = np.random.default_rng(1)
    xy = SQUARE.sample_nm(600, generator)
    names = np.array(["homer", "bassoon"])[generator.integers(0, 2, 600)]
    locs = ns.from_arrays(xy, channel=names, region=SQUARE)
    found = ns.ripley_by_channel(locs, RADII, function="K")
    assert sorted(found) == sorted((a, b) for a in locs.channels for b in locs.channels)
    k = ns.ripley_k(locs.channel("homer"), RADII, other=locs.channel("bassoon"))
    assert found["homer", "bassoon"].values.tolist() == k.values.tolist()
    assert found["homer", "homer"].name == "K"
    assert not k.notes
    with pytest.raises(SchemaError, match="a column 'channel' was expected"):
        ns.ripley_by_channel(ns.from_arrays(xy), RADII)


def test_channels_by_nearest_distances():
    xy = SQUARE.sample_nm(400, 3)
    locs = ns.from_arrays(xy, channel=["x", "y"] * 200, region=SQUARE)
    x, y = locs.channel("x"), locs.channel("y")
    radii = RADII[RADII < 60]
    for name, alone in (
        ("G", ns.nearest_neighbour_g), ("J", ns.j_function), ("F", ns.empty_space_f),
    ):  # fmt: skip
        found = ns.ripley_by_channel(locs, radii, function=name)
        assert found["x", "x"].name == name
        np.testing.assert_array_equal(found["x", "x"].values, alone(x, radii).values)
        if name == "F":
            assert set(found) == {("x", "x"), ("y", "y")}
            continue
        np.testing.assert_array_equal(found["x", "y"].values, alone(x, radii, other=y).values)
        np.testing.assert_array_equal(found["y", "x"].values, alone(y, radii, other=x).values)
    found = ns.ripley_by_channel(locs, radii, function="G", correction="border")
    assert found["y", "y"].correction == "border"
    with pytest.raises(ConfigError, match="one of K, L, H, g, G, F, J"):
        ns.ripley_by_channel(locs, radii, function="P")


def test_the_assumed_box_is_said():
    k = ns.ripley_k(np.random.default_rng(1).uniform(0, 1, (50, 2)), [0.1])
    assert "the bounding box was taken" in k.notes[0]


@pytest.mark.parametrize(
    ("points", "radii", "options", "error", "message"),
    [
        (np.zeros((0, 2)), [1], {}, TooFewPointsError, "at least 2 points are needed, found none"),
        ([[1, 1]], [1], {"region": SQUARE}, TooFewPointsError, "2 points are needed inside"),
        ([[1, 1], [np.nan, 2]], [1], {}, GeometryError, "1 of 2 rows hold NaN"),
        ([[-1, 1], [-2, 2]], [1], {"region": SQUARE}, TooFewPointsError, "found 0 of 2"),
        ([[1, 1], [1, 1]], [1], {}, GeometryError, "all points lie on one line"),
        ([[1, 1], [2, 3]], [3, 2], {}, ConfigError, "ascending distances"),
        ([[1, 1], [2, 3]], [-3, 2], {}, ConfigError, "none negative"),
        ([[1, 1], [2, 3]], [], {}, ConfigError, "a list of finite distances"),
        ([[1, 1], [2, 3]], [1], {"region": CUBE}, GeometryError, "the region has 3 dimensions"),
        ([[1, 1], [2, 3]], [1], {"other": np.zeros((0, 2)), "region": SQUARE}, TooFewPointsError,
         "other: at least 1 point is needed, found none"),
        ([[1, 1], [2, 3]], [1], {"intensity": [1, 0]}, ConfigError, "all above 0"),
        ([[1, 1], [2, 3]], [1], {"intensity": [1, 1, 1]}, ConfigError, "each of the 2 points"),
        ([[1, 1], [2, 3]], [1], {"other_intensity": 1.0}, ConfigError, "no second pattern"),
        ([[1, 1], [2, 3]], [1], {"other": [[1, 1]], "intensity": 1.0, "region": SQUARE},
         ConfigError, "both were expected, or none"),
        ([[1, 1], [2, 3]], [1], {"intensity": 1.0, "renormalise": 3}, ConfigError, "0, 1 or 2"),
    ],
)  # fmt: skip
def test_bad_input(points, radii, options, error, message):
    with pytest.raises(error, match=message):
        ns.ripley_k(points, radii, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda p: ns.local_k(p, [5], region=SQUARE, correction="border"),
            "not defined for single",
        ),
        (lambda p: ns.pair_correlation(p, [5], region=SQUARE, correction="border"), "not defined"),
        (lambda p: ns.pair_correlation(p, [5], region=SQUARE, divisor="x"), "'d' or 'r'"),
        (lambda p: ns.pair_correlation(p, [5], region=SQUARE, half_width_nm=0), "above 0 nm"),
        (lambda p: ns.kernel_intensity(p, -1, region=SQUARE), "above 0 nm"),
    ],
)
def test_bad_options(call, message):
    with pytest.raises(ConfigError, match=message):
        call(SQUARE.sample_nm(20, 1))


@pytest.mark.parametrize("dimension", [2, 3])
def test_kernel_intensity_is_the_sum_of_gaussians(dimension):
    region = ns.Box(np.zeros(dimension), np.full(dimension, 100.0))
    points, other = region.sample_nm(60, 1), region.sample_nm(40, 2)
    whole = ns.kernel_intensity(points, 30, region=region)
    _, _, shift = _slow.pair_table(points)
    square = (shift**2).sum(axis=1).reshape(60, 59)
    near = np.where(square <= 120**2, np.exp(-square / 1800), 0).sum(axis=1)
    mass = whole * (2 * np.pi * 900) ** (dimension / 2)
    inside = near / mass
    assert (inside > 0.5**dimension - 1e-9).all()
    assert (inside < 1).all()
    # The same box as a polygon or a mask: its mass by samples.
    if dimension == 2:
        polygon = ns.Polygon([(0, 0), (100, 0), (100, 100), (0, 100)])
        np.testing.assert_allclose(
            ns.kernel_intensity(points, 30, region=polygon), whole, rtol=0.05
        )
    there = ns.kernel_intensity(points, 30, region=region, other=other)
    assert there.shape == (60,)
    assert abs(there.mean() / (40 / region.size) - 1) < 0.4

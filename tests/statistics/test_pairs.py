"""Pairs by distance: the cells count what a double loop counts, whatever the points and radii."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nanospine.statistics import _slow
from nanospine.statistics.pair_sums import BORDER, PairWeights, pair_sums
from nanospine.statistics.pairs import box_translation_sums, pair_counts

# Whole numbers among them: distances that are exactly a radius, points on top of each other.
COORDINATES = st.one_of(st.integers(0, 12).map(float), st.floats(0, 12), st.floats(0, 2**-10))
RADII = st.lists(
    st.one_of(st.integers(1, 8).map(float), st.floats(1e-4, 9)),
    min_size=1,
    max_size=12,
    unique=True,
).map(lambda values: np.array(sorted(values)))


@st.composite
def patterns(draw, least=1):
    dimension = draw(st.integers(2, 3))
    n = draw(st.integers(least, 60))
    shape = (n, dimension)
    points = draw(hnp.arrays(np.float64, shape, elements=COORDINATES, fill=st.nothing()))
    return points * draw(st.sampled_from([1.0, 1.0, 50.0])) + draw(st.sampled_from([0.0, 1e6]))


@given(patterns(), RADII)
@example(np.array([[0.0, 0.0], [0.0, 2.2e-313]]), np.array([1.0]))
@settings(max_examples=150)
def test_pairs_of_one_pattern(points, radii):
    assert pair_counts(points, radii).tolist() == _slow.pair_counts(points, radii).tolist()


@given(patterns(), RADII, st.data())
@settings(max_examples=100)
def test_pairs_of_two_patterns(points, radii, data):
    other = data.draw(patterns().filter(lambda value: value.shape[1] == points.shape[1]))
    counted = pair_counts(points, radii, other_nm=other)
    assert counted.tolist() == _slow.pair_counts(points, radii, other).tolist()
    assert pair_counts(other, radii, other_nm=points).tolist() == counted.tolist()


@given(patterns(), RADII, st.booleans())
@settings(max_examples=100)
def test_periodic_pairs(points, radii, cross):
    box = np.stack([np.floor(points.min(axis=0)) - 0.5, np.floor(points.max(axis=0)) + 1.5])
    radii = radii[radii < (box[1] - box[0]).min() / 2]
    if not len(radii):
        return
    other = points[::-1] * 0.999 + box[0] * 0.001 if cross else None
    # The sum of an image and a period is rounded: exact ties are not what is compared here.
    radii = radii + 0.0137
    radii = radii[radii < (box[1] - box[0]).min() / 2]
    if not len(radii):
        return
    counted = pair_counts(points, radii, other_nm=other, period_nm=box)
    assert counted.tolist() == _slow.pair_counts(points, radii, other, box).tolist()


@given(patterns(), RADII, st.booleans())
@settings(max_examples=60)
def test_weighted_sums(points, radii, cross):
    other = points[::2] + 0.25 if cross else None
    both = points if other is None else np.concatenate([points, other])
    side = both.max(axis=0) - both.min(axis=0) + radii[-1] + 1
    params = np.ones(8)
    params[: len(side)] = side
    generator = np.random.default_rng(len(points))
    u = generator.uniform(0.5, 2, len(points))
    v = u if other is None else generator.uniform(0.5, 2, len(other))
    i, j, shift = _slow.pair_table(points, other)
    distance = np.sqrt((shift**2).sum(axis=1))
    inside = (shift**2).sum(axis=1)[:, None] <= radii * radii
    gamma = np.prod(side - np.abs(shift), axis=1)
    known = [((1 / gamma) * u[i] * v[j] * distance**p) @ inside for p in (0, 1, 2)]
    found = pair_sums(
        points, radii, PairWeights(1, params), marks=u, other_nm=other,
        other_marks=None if other is None else v, powers=(0, 1, 2),
    )  # fmt: skip
    np.testing.assert_allclose(found[0], known, rtol=1e-10, atol=1e-300)
    plain = box_translation_sums(points, radii, side, other_nm=other)
    np.testing.assert_allclose(plain, (1 / gamma) @ inside, rtol=1e-10)
    rows = pair_sums(points, radii, PairWeights(1, params), other_nm=other, local=True)
    local = np.zeros((len(points), len(radii)))
    np.add.at(local, i, inside / gamma[:, None])
    np.testing.assert_allclose(rows[:, 0], local, rtol=1e-10, atol=1e-300)


@given(patterns(least=2), RADII, st.booleans())
@settings(max_examples=60)
def test_border_sums(points, radii, cross):
    other = points + 0.25 if cross else None
    limits = np.random.default_rng(1).integers(-1, len(radii), len(points))
    i, _, shift = _slow.pair_table(points, other)
    inside = (shift**2).sum(axis=1)[:, None] <= radii * radii
    deep = np.arange(len(radii)) <= limits[i][:, None]
    found = pair_sums(points, radii, PairWeights(BORDER, limits=limits), other_nm=other)
    assert found[0, 0].tolist() == (inside & deep).sum(axis=0).tolist()


@pytest.mark.parametrize("dimension", [2, 3])
def test_threads_and_order_change_nothing(dimension):
    generator = np.random.default_rng(3)
    points = generator.normal(0, 100, (4000, dimension))
    radii = np.array([1.0, 5.0, 6.0, 30.0])
    side = np.full(dimension, 2000.0)
    one = pair_counts(points, radii, threads=1)
    assert one.tolist() == pair_counts(points, radii, threads=4).tolist()
    assert one.tolist() == pair_counts(generator.permutation(points), radii).tolist()
    sums = box_translation_sums(points, radii, side, threads=1)
    assert sums.tolist() == box_translation_sums(points, radii, side, threads=3).tolist()


def test_many_points_in_few_cells():
    # More than a block in each cell, and cells that are all the same one.
    points = np.random.default_rng(1).normal(0, 1, (3000, 2))
    radii = np.array([0.5, 20.0])
    assert pair_counts(points, radii)[1] == 3000 * 2999
    known = _slow.pair_counts(points[:1500], radii)
    assert pair_counts(points[:1500], radii).tolist() == known.tolist()
    weights = PairWeights()
    assert pair_sums(points[:1500], radii, weights)[0, 0].tolist() == known.tolist()


def test_identical_points_and_no_points():
    points = np.zeros((50, 3))
    assert pair_counts(points, np.array([0.0, 1.0])).tolist() == [2450, 2450]
    assert pair_counts(points, np.array([0.0]), other_nm=points).tolist() == [2500]
    assert pair_counts(points[:0], np.array([1.0])).tolist() == [0]
    assert pair_counts(points, np.array([1.0]), other_nm=points[:0]).tolist() == [0]


def test_counts_beyond_32_bits():
    # 46,340 points is where the squares of numbers of points leave 32-bit integers.
    points = np.zeros((46_400, 2))
    assert pair_counts(points, np.array([1.0]))[0] == 46_400 * 46_399

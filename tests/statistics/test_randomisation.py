"""Null models draw what they say: the right places, what stays stays, a seed for each draw."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import NanospineError
from nanospine.statistics.randomisation import Simulated, null_model
from nanospine.statistics.shifts import shared_part

SQUARE = ns.Box((0, 0), (1000, 800))
A, B = SQUARE.sample_nm(60, 1), SQUARE.sample_nm(40, 2)
L_SHAPE = ns.Polygon([(0, 0), (900, 0), (900, 300), (300, 300), (300, 900), (0, 900)])
DISC = ns.Mask(
    np.hypot(*(np.indices((40, 40)) - 19.5)) < 18, (20, 20), (10, 10)
)  # fmt: skip


def draws(model: object, n: int, seed: int = 0, **options: object) -> list[Simulated]:
    first = options.pop("points", A)
    return list(ns.null_patterns(first, model, n, seed=seed, **options))


@pytest.mark.parametrize("model", ["csr", "labelling", "shift"])
def test_draws_differ_and_come_back(model: str) -> None:
    options = {"other": B, "region": SQUARE}
    many = draws(model, 5, **options)
    flat = [np.concatenate([one.points_nm.ravel(), one.other_nm.ravel()]) for one in many]
    assert len({tuple(item) for item in flat}) == 5
    few = draws(model, 2, **options)  # fewer draws are the first ones of many
    assert np.array_equal(few[1].other_nm, many[1].other_nm)
    assert not np.array_equal(draws(model, 1, seed=1, **options)[0].other_nm, many[0].other_nm)
    for one in many:
        assert one.points_nm.shape == A.shape
        assert one.other_nm.shape == B.shape
        assert one.region.contains(one.other_nm).all()


@pytest.mark.parametrize("region", [SQUARE, L_SHAPE, DISC], ids=["box", "polygon", "mask"])
def test_randomness_is_uniform_in_any_region(region: ns.Box) -> None:
    points = region.sample_nm(200, 3)
    drawn = np.concatenate([d.points_nm for d in draws("csr", 20, points=points, region=region)])
    assert region.contains(drawn).all()
    middle = region.bounds_nm.mean(axis=0)
    inside = (drawn < middle).all(axis=1).mean()
    places = region.sample_nm(40_000, 9)
    truth = (places < middle).all(axis=1).mean()
    assert abs(inside - truth) < 4 * np.sqrt(truth * (1 - truth) / len(drawn)) + 0.01


@pytest.mark.parametrize(("move", "moved"), [("other", (0, 1)), ("points", (1, 0)),
                                             ("both", (1, 1))])  # fmt: skip
def test_what_moves_can_be_chosen(move: str, moved: tuple[int, int]) -> None:
    part = ns.Box((0, 0), (100, 100))
    model = ns.CompleteRandomness(within=part, move=move)
    one = draws(model, 1, other=B, region=SQUARE)[0]
    for drawn, own, moves in ((one.points_nm, A, moved[0]), (one.other_nm, B, moved[1])):
        assert part.contains(drawn).all() if moves else np.array_equal(drawn, own)
    assert one.region is SQUARE
    assert model.name == "csr within a mask"


def test_uneven_randomness_keeps_the_density() -> None:
    """The density in strips is that of the kernels, each kept inside the region."""
    points = np.column_stack([np.random.default_rng(1).uniform(0, 300, 100), np.full(100, 400.0)])
    model = ns.UnevenRandomness(100.0)
    many = draws(model, 60, points=points, region=SQUARE)
    drawn = np.concatenate([one.points_nm for one in many])
    assert SQUARE.contains(drawn).all()
    places = SQUARE.sample_nm(200_000, 5)
    kernel = np.zeros(len(places))
    for centre in points:
        weight = np.exp(-(((places - centre) / 100) ** 2).sum(axis=1) / 2)
        kernel += weight / weight.sum()
    edges = np.linspace(0, 600, 7)
    found = np.histogram(drawn[:, 0], edges)[0] / len(drawn)
    expected = np.histogram(places[:, 0], edges, weights=kernel)[0] / 100
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_uneven_randomness_of_another_channel_or_a_function() -> None:
    corner = ns.Box((0, 0), (100, 100)).sample_nm(50, 3)
    one = draws(ns.UnevenRandomness(20.0, source=corner), 1, other=B, region=SQUARE)[0]
    assert np.array_equal(one.points_nm, A)
    assert len(one.other_nm) == len(B)
    assert one.other_nm.max() < 220
    rising = ns.UnevenRandomness(intensity=lambda xy: xy[:, 0] > 500, move="both")
    one = draws(rising, 1, other=B, region=L_SHAPE, points=A)[0]
    assert one.points_nm[:, 0].min() > 500 < one.other_nm[:, 0].min()
    assert L_SHAPE.contains(one.points_nm).all()
    for options in ({}, {"bandwidth_nm": -1.0}, {"bandwidth_nm": 5.0, "intensity": len},
                    {"intensity": len, "source": A}):  # fmt: skip
        with pytest.raises(NanospineError, match="UnevenRandomness"):
            ns.UnevenRandomness(**options)
    with pytest.raises(NanospineError, match="one finite number per place"):
        draws(ns.UnevenRandomness(intensity=lambda xy: -xy[:, 0]), 1, region=SQUARE)


def test_labelling_keeps_all_positions() -> None:
    one = draws("labelling", 1, other=B, region=SQUARE)[0]
    both = np.concatenate([one.points_nm, one.other_nm])
    assert sorted(map(tuple, both)) == sorted(map(tuple, np.concatenate([A, B])))
    share = np.mean([np.isin(d.points_nm[:, 0], A[:, 0]).mean()
                     for d in draws("labelling", 200, other=B, region=SQUARE)])  # fmt: skip
    assert share == pytest.approx(0.6, abs=0.02)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_a_shift_around_the_box_keeps_differences(seed: int) -> None:
    one = draws("shift", 1, seed=seed, other=B, region=SQUARE)[0]
    sides = SQUARE.high_nm
    step = np.mod(one.other_nm - B + sides / 1e6, sides)
    assert np.ptp(step, axis=0).max() < 1e-6
    assert np.array_equal(one.points_nm, A)


def test_a_shift_in_a_polygon_compares_in_what_both_share() -> None:
    a, b = L_SHAPE.sample_nm(80, 1), L_SHAPE.sample_nm(90, 2)
    for one in draws("shift", 10, points=a, other=b, region=L_SHAPE):
        assert 0.5 * L_SHAPE.size <= one.region.size < L_SHAPE.size
        assert one.region.contains(one.points_nm).all()
        assert one.region.contains(one.other_nm).all()
        # All points of the first that lie there, and nothing else.
        assert len(one.points_nm) == one.region.contains(a).sum()


def test_what_mask_and_shifted_mask_share_is_counted_in_voxels() -> None:
    data = np.zeros((6, 8), dtype=bool)
    data[1:5, 2:7] = True
    mask = ns.Mask(data, (10, 20), (5, 10))
    part = shared_part(mask, np.array([40.0, -10.0]))  # x first, y second
    assert part is not None
    assert part.size == 3 * 3 * 200
    assert part.bounds_nm.tolist() == [[80, 10], [140, 40]]
    assert shared_part(mask, np.array([1000.0, 0.0])) is None
    assert shared_part(mask, np.array([100.0, 0.0])) is None
    prism = ns.Prism(ns.Polygon([(0, 0), (10, 0), (10, 10), (0, 10)]), 0, 10)
    cut = shared_part(prism, np.array([2.0, 0.0, -3.0]))
    assert cut is not None
    assert cut.size == pytest.approx(8 * 10 * 7)
    assert cut.bounds_nm[:, 2].tolist() == [0, 7]
    assert shared_part(prism, np.array([0.0, 0.0, 20.0])) is None
    assert shared_part(prism, np.array([20.0, 0.0, 0.0])) is None


def test_a_mesh_is_not_cut_but_shifts_are_drawn_again() -> None:
    ball = ns.MeshRegion(trimesh.creation.icosphere(radius=500, subdivisions=2))
    a = ball.sample_nm(20, 1)
    b = ns.Box((-150, -150, -150), (150, 150, 150)).sample_nm(20, 2)
    one = draws("shift", 1, points=a, other=b, region=ball)[0]
    assert one.region is ball
    assert ball.contains(one.other_nm).all()
    assert np.ptp(one.other_nm - b, axis=0).max() < 1e-9
    with pytest.raises(NanospineError, match="give a smaller max_shift_nm"):
        draws(ns.RandomShift(max_shift_nm=5000), 1, points=a, other=ball.sample_nm(300, 3),
              region=ball)  # fmt: skip


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("rotate", [False, True])
def test_clusters_keep_their_shape(d: int, rotate: bool) -> None:
    region = ns.Box(np.zeros(d), np.full(d, 1000.0))
    generator = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2, -1], 10)
    points = np.repeat(region.sample_nm(4, 5) * 0.8 + 100, 10, axis=0)
    points += generator.normal(0, 10, points.shape)
    outside = np.full((1, d), -50.0)  # a point that the region leaves out must not shift labels
    model = ns.ShiftedClusters(np.concatenate([[2], labels]), rotate=rotate)
    one = draws(model, 1, points=np.concatenate([outside, points]), region=region)[0]
    assert region.contains(one.points_nm).all()
    for label in range(3):
        own, placed = points[labels == label], one.points_nm[labels == label]
        gaps = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (own, placed)]
        np.testing.assert_allclose(*gaps, atol=1e-9)
        turned = np.ptp(placed - own, axis=0).max() > 1
        assert turned == rotate
    alone = one.points_nm[labels < 0]
    assert np.linalg.norm(alone - points[labels < 0], axis=1).min() > 1


def test_clusters_of_the_second_pattern_move_when_there_is_one() -> None:
    one = draws(ns.ShiftedClusters(np.arange(40) // 4), 1, other=B, region=SQUARE)
    assert np.array_equal(one[0].points_nm, A)
    assert not np.array_equal(one[0].other_nm, B)


def test_given_patterns_are_drawn_as_they_are() -> None:
    model = ns.FixedPatterns((A[:5], B[:6]))
    sizes = {len(d.points_nm) for d in draws(model, 20, region=SQUARE)}
    assert sizes == {5, 6}
    assert np.array_equal(draws(model, 1, other=B, region=SQUARE)[0].points_nm, A)


BAD = {
    "unknown": (lambda: draws("poisson", 1, region=SQUARE), "csr, labelling, shift"),
    "no model": (lambda: draws(3, 1, region=SQUARE), "found int"),
    "labelling of one": (lambda: draws("labelling", 1, region=SQUARE), "second as other"),
    "shift of one": (lambda: draws("shift", 1, region=SQUARE), "second as other"),
    "labels missing": (
        lambda: draws(ns.ShiftedClusters([1, 2]), 1, region=SQUARE), "each of at least 60 points"),
    "labels of floats": (
        lambda: draws(ns.ShiftedClusters(np.full(60, 0.5)), 1, region=SQUARE), "float64"),
    "cluster that cannot turn": (
        lambda: draws(ns.ShiftedClusters([0, 0], rotate=True), 1, points=[[0, 5e-4], [900, 5e-4]],
                      region=ns.Box((0, 0), (900, 1e-3))), "found no place"),
    "empty": (lambda: draws("csr", 1, points=np.zeros((0, 2)), region=SQUARE), "found none"),
    "shift of no length": (
        lambda: draws(ns.RandomShift(0.0), 1, points=L_SHAPE.sample_nm(9, 1),
                      other=L_SHAPE.sample_nm(9, 1), region=L_SHAPE), "a positive length"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case: str) -> None:
    call, says = BAD[case]
    with pytest.raises(NanospineError, match=says):
        call()


def test_a_model_is_anything_that_draws() -> None:
    class Still:
        name = "still"

        def draw(self, points, other, generator):  # type: ignore[no-untyped-def]
            return Simulated(points.points_nm, None, points.region)

    assert null_model(Still()).name == "still"
    assert np.array_equal(draws(Still(), 1, region=SQUARE)[0].points_nm, A)

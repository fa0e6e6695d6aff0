"""Our Delaunay engine against exact arithmetic, Qhull, and what must hold for any triangulation."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, permutations, product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba import njit
from scipy.spatial import ConvexHull

import nanospine as ns
from nanospine.core.errors import GeometryError
from nanospine.surface import engine, predicates
from nanospine.surface.delaunay import Delaunay
from nanospine.surface.order import along_curve, hilbert_keys

Points = npt.NDArray[np.float64]
PHI = (1 + 5**0.5) / 2


@njit
def _orient(p: Points) -> int:
    return predicates.orient3d(p, 0, 1, 2, 3)


@njit
def _insphere(p: Points) -> int:
    return predicates.insphere(p, 0, 1, 2, 3, 4)


@njit
def _insphere_exact(p: Points) -> int:
    return predicates._insphere_exact(p, 0, 1, 2, 3, 4)


def determinant(rows: list[list[Fraction]]) -> Fraction:
    if len(rows) == 1:
        return rows[0][0]
    return sum(
        (
            (-1) ** j * rows[0][j] * determinant([row[:j] + row[j + 1 :] for row in rows[1:]])
            for j in range(len(rows))
        ),
        Fraction(0),
    )


def sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)


def exact_orient(points: Points) -> int:
    q = [[Fraction(float(x)) for x in row] for row in points[:4]]
    return sign(determinant([[q[i][k] - q[0][k] for k in range(3)] for i in (1, 2, 3)]))


def exact_insphere(points: Points) -> int:
    q = [[Fraction(float(x)) for x in row] for row in points]
    rows = [[q[i][k] - q[4][k] for k in range(3)] for i in range(4)]
    return -sign(determinant([[*row, sum((x * x for x in row), Fraction(0))] for row in rows]))


def five_points(kind: str, rng: np.random.Generator) -> Points:
    if kind == "random":
        return rng.random((5, 3))
    if kind == "grid":
        return rng.integers(0, 4, (5, 3)).astype(float)
    if kind == "far grid":
        return rng.integers(0, 4, (5, 3)) * 0.1 + 1e9
    if kind == "sphere":
        points = rng.normal(size=(5, 3))
        return points / np.linalg.norm(points, axis=1)[:, None]
    if kind == "box":
        ends = rng.random((2, 3))
        return np.array([[ends[i, 0], ends[j, 1], ends[k, 2]] for i, j, k in
                         rng.integers(0, 2, (5, 3))])  # fmt: skip
    points = rng.random((5, 3))
    points[:, 2] = points[0, 2] + rng.integers(-1, 2, 5) * 1e-16
    return points


@pytest.mark.parametrize("kind", ["random", "grid", "far grid", "sphere", "box", "nearly flat"])
def test_predicates_have_the_signs_of_exact_arithmetic(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        points = five_points(kind, rng)
        side = exact_orient(points)
        assert _orient(points) == side
        if side == 0:
            continue
        if side < 0:
            points[[0, 1]] = points[[1, 0]]
        expected = exact_insphere(points)
        assert _insphere_exact(points) == expected
        if expected:
            assert _insphere(points) == expected


def fibonacci_sphere(n: int) -> Points:
    k = np.arange(n) + 0.5
    height = 1 - 2 * k / n
    around = np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - height**2)
    return np.column_stack([radius * np.cos(around), radius * np.sin(around), height])


def moment_curve(n: int) -> Points:
    t = np.arange(1.0, n + 1)
    return np.column_stack([t, t**2, t**3])


def specimens() -> dict[str, Points]:
    rng = np.random.default_rng(7)
    cube = np.array(list(product((-1.0, 1.0), repeat=3)))
    icosahedron = np.array(
        [np.roll((0.0, a, b * PHI), k) for a in (-1, 1) for b in (-1, 1) for k in range(3)]
    )
    dodecahedron = np.vstack(
        [
            cube,
            [
                np.roll((0.0, a / PHI, b * PHI), k)
                for a in (-1, 1)
                for b in (-1, 1)
                for k in range(3)
            ],
        ]
    )
    whole = np.array(sorted({p for q in ((0, 3, 4), (0, 0, 5)) for p in permutations(q)}))
    signs = np.array(list(product((-1, 1), repeat=3)))
    return {
        "random": rng.random((60, 3)) * 1e4,
        "grid": np.array(list(product(range(4), repeat=3)), dtype=float) * 10,
        "grid far away": np.array(list(product(range(3), repeat=3)), dtype=float) * 0.1 + 1e9,
        "tetrahedron": cube[[0, 3, 5, 6]],
        "cube": cube,
        "octahedron": np.vstack([np.eye(3), -np.eye(3)]),
        "icosahedron": icosahedron,
        "dodecahedron": dodecahedron,
        "one in the other": np.vstack([np.eye(3), -np.eye(3), icosahedron * 2]),
        "whole points on a sphere": np.unique(np.vstack(whole[:, None] * signs + 0.0), axis=0),
        "rounded points on a sphere": fibonacci_sphere(60) * 500 + 1e5,
        "two parallel planes": np.array(list(product(range(5), range(5), (0, 1))), dtype=float),
        "ten of each": np.repeat(rng.random((12, 3)) * 100, 10, axis=0),
        "far away": rng.random((40, 3)) * 1000 + 1e9,
        "small": rng.random((40, 3)) * 1e-3,
        "large": rng.random((40, 3)) * 1e9,
        "flat": rng.random((40, 3)) * [1e9, 1e3, 1e-3],
        "on a line but two": np.vstack([whole[:1] * np.arange(20)[:, None], np.eye(3)[:2] * 9]),
        "on a plane but one": np.vstack([np.column_stack([rng.integers(0, 5, (20, 2)),
                                                          np.zeros(20)]), [[1, 1, 9]]]),
        "moment curve": moment_curve(16),
        "rounded to 0.01": np.round(rng.random((50, 3)) * 5, 2),
        "with an outlier": np.vstack([rng.random((40, 3)), [[1e12, 1e12, 1e12]]]),
    }  # fmt: skip


SPECIMENS = specimens()


def check(result: Delaunay) -> None:
    """Check what holds for every Delaunay triangulation; exact for all points."""
    points, tetrahedra, neighbors = result.points_nm, result.tetrahedra, result.neighbors
    first = np.unique(result.first_of)
    assert set(tetrahedra.ravel()) == set(first.tolist()), "all different points are vertices"
    facets: Counter[tuple[int, ...]] = Counter()
    for row, beside in zip(tetrahedra.tolist(), neighbors.tolist(), strict=True):
        assert exact_orient(points[row]) == 1
        for j in range(4):
            facet = tuple(sorted(row[:j] + row[j + 1 :]))
            facets[facet] += 1
            if beside[j] >= 0:
                assert set(facet) < set(tetrahedra[beside[j]].tolist())
    assert set(facets.values()) <= {1, 2}
    assert sum(n == 1 for n in facets.values()) == (neighbors == -1).sum()
    for row in tetrahedra.tolist():
        for other in first.tolist():
            if other not in row:
                assert exact_insphere(points[[*row, other]]) <= 0


@pytest.mark.parametrize("name", sorted(SPECIMENS))
def test_adversarial_sets_in_exact_arithmetic(name: str) -> None:
    points = SPECIMENS[name]
    result = ns.delaunay(points)
    check(result)
    if name not in ("flat", "with an outlier"):
        hull = ConvexHull(np.unique(points - points.mean(axis=0), axis=0), qhull_options="QJ")
        assert result.volumes.sum() == pytest.approx(hull.volume, rel=1e-6)


@pytest.mark.parametrize("name", ["random", "grid", "dodecahedron", "whole points on a sphere"])
def test_the_order_of_the_points_does_not_matter(name: str) -> None:
    points = SPECIMENS[name]
    expected = places(points, ns.delaunay(points))
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(points)
        assert places(shuffled, ns.delaunay(shuffled)) == expected


def places(points: Points, result: Delaunay) -> set[tuple[tuple[float, ...], ...]]:
    return {tuple(sorted(map(tuple, points[row].tolist()))) for row in result.tetrahedra}


@given(
    points=hnp.arrays(
        np.float64,
        st.tuples(st.integers(4, 14), st.just(3)),
        elements=st.integers(-2, 2).map(float),
    )
)
@settings(max_examples=150, deadline=None)
def test_small_whole_sets(points: Points) -> None:
    spans = any(exact_orient(points[list(four)]) for four in combinations(range(len(points)), 4))
    if not spans:
        with pytest.raises(GeometryError):
            ns.delaunay(points)
        return
    check(ns.delaunay(points))


def rows(result: Delaunay) -> npt.NDArray[np.int64]:
    return np.unique(np.sort(result.tetrahedra, axis=1), axis=0)


def clouds() -> dict[str, Points]:
    rng = np.random.default_rng(3)
    around = rng.random(8000) * 2 * np.pi
    along = rng.random(8000) * 1e4
    tube = np.column_stack([along, 400 * np.cos(around), 400 * np.sin(around)])
    return {
        "uniform": rng.random((8000, 3)) * 1e4,
        "near a surface": tube + rng.normal(0, [10, 10, 25], tube.shape) + [3e6, -2e6, 500],
        "clusters": (rng.normal(0, 20, (400, 20, 3)) + rng.random((400, 1, 3)) * 1e4).reshape(
            -1, 3
        ),
    }


@pytest.mark.parametrize("name", sorted(clouds()))
def test_points_in_general_position_are_triangulated_as_by_qhull(name: str) -> None:
    points = clouds()[name]
    ours, theirs = ns.delaunay(points), ns.delaunay(points, engine="scipy")
    np.testing.assert_array_equal(rows(ours), rows(theirs))
    back = ours.neighbors[ours.neighbors]
    mutual = (back == np.arange(len(ours.tetrahedra))[:, None, None]).any(axis=2)
    assert mutual[ours.neighbors >= 0].all()


def test_quantised_points_fill_their_hull() -> None:
    points = np.round(clouds()["near a surface"] / 5) * 5
    result = ns.delaunay(points)
    hull = ConvexHull(points - points.mean(axis=0))
    assert result.volumes.sum() == pytest.approx(hull.volume, rel=1e-9)
    assert result.volumes.min() > 0, "a rounded volume of 0 would be a flat tetrahedron"


def test_threads_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_FEWEST_PER_THREAD", 500)
    for name, points in clouds().items():
        alone = rows(ns.delaunay(points, threads=1))
        for threads in (2, 3, 8):
            np.testing.assert_array_equal(alone, rows(ns.delaunay(points, threads=threads)), name)


def test_arrays_that_are_too_small_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    points = clouds()["uniform"]
    expected = rows(ns.delaunay(points, threads=1))
    monkeypatch.setattr(engine, "_ROWS_PER_POINT", 2)
    monkeypatch.setattr(engine, "_SCRATCH", 16)
    monkeypatch.setattr(engine, "_FEWEST_PER_THREAD", 500)
    for threads in (1, 3):
        np.testing.assert_array_equal(expected, rows(ns.delaunay(points, threads=threads)))


def test_many_tetrahedra_at_one_point() -> None:
    sphere = fibonacci_sphere(6000) * 1000
    result = ns.delaunay(np.vstack([sphere, [[0, 0, 0]]]))
    at_centre = (result.tetrahedra == 6000).any(axis=1).sum()
    assert at_centre > 10_000
    assert result.volumes.sum() == pytest.approx(ConvexHull(sphere).volume)


def test_quadratically_many_tetrahedra() -> None:
    result = ns.delaunay(moment_curve(150))
    assert len(result.tetrahedra) > 150**2 / 3


def test_the_curve_keeps_neighbours_together_and_finds_equal_points() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((5000, 3))
    order, repeated = along_curve(points)
    steps = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    assert steps.mean() < 2.5 * 5000 ** (-1 / 3)
    assert not repeated.any()
    twice = np.vstack([points, points[:100], [[1e9, 0, 0]]])
    order, repeated = along_curve(twice)
    assert repeated.sum() == 100
    there = twice[order]
    assert (there[:-1][repeated[:-1]] == there[1:][repeated[:-1]]).all()
    far = np.linalg.norm(np.diff(there[:-1], axis=0), axis=1)
    assert far.mean() < 2.5 * 5000 ** (-1 / 3), "an outlier must not spoil the order of the rest"


@pytest.mark.parametrize(("dimension", "bits"), [(2, 1), (2, 6), (3, 1), (3, 2), (3, 4)])
def test_the_curve_goes_through_every_cell_in_steps_of_one(dimension: int, bits: int) -> None:
    cells = np.indices((1 << bits,) * dimension).reshape(dimension, -1).T.astype(float)
    keys = hilbert_keys(cells, np.zeros(dimension), 1.0, bits)
    assert sorted(keys.tolist()) == list(range(len(cells)))
    steps = np.abs(np.diff(cells[np.argsort(keys)], axis=0))
    assert (steps.sum(axis=1) == 1).all()


def test_the_lowest_of_equal_points_in_a_crowd_is_its_first() -> None:
    rng = np.random.default_rng(1)
    crowd = 1e-6 * rng.integers(0, 5, (600, 3))
    points = np.vstack([crowd, [[1e9, 1e9, 1e9]]])
    result = ns.delaunay(np.vstack([points, rng.random((50, 3)) * 1e9]))
    first: dict[tuple[float, ...], int] = {}
    for row, point in enumerate(result.points_nm.tolist()):
        assert result.first_of[row] == first.setdefault(tuple(point), row)

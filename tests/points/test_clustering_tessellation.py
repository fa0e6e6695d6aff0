"""Voronoi cells: Qhull's Voronoi as oracle, sizes that fill the box, tiles equal the whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import ConvexHull, Delaunay, Voronoi

from nanospine.points import tessellation
from nanospine.points.tessellation import VoronoiCells, dense_objects, voronoi_cells

FloatArray = npt.NDArray[np.float64]

lattice = st.sampled_from([2, 3]).flatmap(
    lambda d: hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 50), st.just(d)),
        elements=st.integers(0, 6).map(float),
    )
)


def clustered(dimension: int, n: int, seed: int = 0) -> FloatArray:
    """Half in tight clusters, half background, some on each other; flat along z."""
    rng = np.random.default_rng(seed)
    size = np.array([2000.0, 2000.0, 400.0])[:dimension]
    spots = rng.uniform(0, 1, (20, dimension)) * size
    tight = spots[rng.integers(0, 20, n // 2)] + rng.normal(0, 15, (n // 2, dimension))
    points = np.concatenate([tight, rng.uniform(0, 1, (n // 2, dimension)) * size])
    return np.concatenate([points, points[:40]])


def neighbour_sets(cells: VoronoiCells) -> list[set[int]]:
    return [
        set(cells.neighbours[a:b].tolist())
        for a, b in zip(cells.starts[:-1], cells.starts[1:], strict=True)
    ]


@pytest.mark.parametrize("dimension", [2, 3])
def test_sizes_and_neighbours_equal_qhull(dimension: int) -> None:
    points = np.random.default_rng(1).uniform(0, 100, (300, dimension))
    cells = voronoi_cells(points, np.zeros(dimension), np.full(dimension, 100.0))
    oracle = Voronoi(points)
    sets = neighbour_sets(cells)
    ridges: dict[int, set[int]] = {i: set() for i in range(len(points))}
    for a, b in oracle.ridge_points:
        ridges[a].add(int(cells.site[b]))
        ridges[b].add(int(cells.site[a]))
    inner = np.flatnonzero(~cells.clipped[cells.site])
    assert len(inner) > 50
    for i in inner:
        corners = oracle.vertices[oracle.regions[oracle.point_region[i]]]
        assert cells.size[cells.site[i]] == pytest.approx(ConvexHull(corners).volume, rel=1e-8)
        assert sets[cells.site[i]] == ridges[i]


@given(points=lattice, margin=st.sampled_from([0.0, 0.5, 3.0]))
def test_cells_fill_the_box(points: FloatArray, margin: float) -> None:
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    cells = voronoi_cells(points, low, high)
    assert cells.size.sum() == pytest.approx(np.prod(high - low), rel=1e-9, abs=1e-12)
    assert cells.multiplicity.sum() == len(points)
    assert (cells.size >= 0).all()
    sets = neighbour_sets(cells)
    if (high > low).all():
        assert all(i in sets[j] for i, near in enumerate(sets) for j in near)


@settings(max_examples=30)
@given(points=lattice, seed=st.integers(0, 99))
def test_order_does_not_matter(points: FloatArray, seed: int) -> None:
    low, high = points.min(axis=0) - 1, points.max(axis=0) + 1
    order = np.random.default_rng(seed).permutation(len(points))
    here, there = (voronoi_cells(p, low, high) for p in (points, points[order]))
    np.testing.assert_array_equal(here.site[order], there.site)
    np.testing.assert_allclose(here.size, there.size)
    assert neighbour_sets(here) == neighbour_sets(there)


def test_corners_of_a_lattice_do_not_join() -> None:
    points = np.indices((4, 4)).reshape(2, -1).T * 10.0
    cells = voronoi_cells(points, np.full(2, -5.0), np.full(2, 35.0))
    np.testing.assert_allclose(cells.size, 100.0)
    assert sorted(np.diff(cells.starts)) == [2] * 4 + [3] * 8 + [4] * 4
    assert cells.clipped.sum() == 12


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("tile", [120, 700])
def test_tiles_equal_the_whole(dimension: int, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = clustered(dimension, 3000)
    low, high = points.min(axis=0) - 30, points.max(axis=0)
    whole = voronoi_cells(points, low, high)
    monkeypatch.setattr(tessellation, "_TILE", tile)
    seen: list[float] = []
    tiled = voronoi_cells(points, low, high, progress=lambda _, part: seen.append(part))
    assert len(seen) > 5
    np.testing.assert_allclose(tiled.size, whole.size, rtol=1e-8)
    np.testing.assert_array_equal(tiled.site, whole.site)
    np.testing.assert_array_equal(tiled.clipped, whole.clipped)
    assert neighbour_sets(tiled) == neighbour_sets(whole)


@pytest.mark.parametrize("tile", [50, 10_000])
def test_points_nearer_than_qhull_resolves(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tessellation, "_TILE", tile)
    rng = np.random.default_rng(2)
    for dimension in (2, 3):
        points = rng.uniform(0, 1000, (150, dimension))
        points = np.concatenate([points, points[:60] + 1e-12, points[:30] - 2e-13])
        low, high = np.full(dimension, -1.0), np.full(dimension, 1001.0)
        cells = voronoi_cells(points, low, high)
        assert cells.multiplicity.sum() == len(points)
        assert cells.size.sum() == pytest.approx(np.prod(high - low), rel=1e-6)
        # together they have the room of one
        assert (cells.multiplicity[cells.site[:30]] == 3).all()
        assert (cells.multiplicity[cells.site[30:60]] == 2).all()


def test_many_points_share_a_coordinate(monkeypatch: pytest.MonkeyPatch) -> None:
    # no cut along the longest axis divides them: the tile stays large, the result right
    monkeypatch.setattr(tessellation, "_TILE", 20)
    rng = np.random.default_rng(3)
    points = np.concatenate(
        [np.column_stack([np.zeros(80), rng.uniform(0, 9, 80)]), rng.uniform(0, 50, (20, 2))]
    )
    cells = voronoi_cells(points, np.full(2, -1.0), np.full(2, 51.0))
    assert cells.size.sum() == pytest.approx(52.0**2)


@pytest.mark.parametrize("dimension", [2, 3])
def test_given_simplices_give_the_same(dimension: int) -> None:
    points = np.random.default_rng(4).uniform(0, 100, (200, dimension))
    low, high = np.zeros(dimension), np.full(dimension, 100.0)
    found = voronoi_cells(points, low, high)
    given_ = voronoi_cells(points, low, high, simplices=Delaunay(points).simplices)
    np.testing.assert_allclose(found.size, given_.size)
    assert neighbour_sets(found) == neighbour_sets(given_)


def test_density_of_cells_and_their_surroundings() -> None:
    x = np.array([1.0, 2, 3, 3, 10])
    points = np.column_stack([x, np.ones(5)])
    cells = voronoi_cells(points, np.zeros(2), np.array([12.0, 2]))
    np.testing.assert_allclose(cells.size, [3, 2, 8, 11])
    np.testing.assert_allclose(cells.density(), [1 / 3, 1 / 2, 2 / 8, 1 / 11])
    np.testing.assert_allclose(cells.density(rank=1), [2 / 5, 4 / 13, 4 / 21, 3 / 19])


def test_objects_connect_over_touching_dense_cells() -> None:
    x = np.array([0.0, 1, 2, 6, 7, 20, 21])
    points = np.column_stack([x, np.ones(7)])
    cells = voronoi_cells(points, np.array([-1.0, 0]), np.array([22.0, 2]))
    dense = np.array([True, True, True, True, True, False, True])
    assert dense_objects(cells, points, dense, None, 2).tolist() == [0] * 5 + [-1, -1]
    assert dense_objects(cells, points, dense, 3.0, 2).tolist() == [0, 0, 0, 3, 3, -1, -1]
    assert dense_objects(cells, points, dense, 3.0, 3).tolist() == [0, 0, 0, -1, -1, -1, -1]

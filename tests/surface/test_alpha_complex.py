"""The alpha complex: brute force, tiles against the whole, points on disk, bad input."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError, NanospineError, ReadError, TooFewPointsError
from nanospine.surface.alpha_complex import AlphaComplex, alpha_complex, alpha_tiles
from nanospine.surface.complex_surface import facet_partners
from nanospine.surface.tiles import TiledPoints

FloatArray = npt.NDArray[np.float64]


def canonical(found: AlphaComplex) -> npt.NDArray[np.integer[Any]]:
    return found.tetrahedra[np.lexsort(found.tetrahedra.T[::-1])]


def clouds(name: str, n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    if name == "cloud":
        return rng.random((n, 3)) * 100
    if name == "grid":  # every eight corners lie on one sphere
        return rng.integers(0, 7, (n, 3)) * 10.0
    if name == "sheet":
        return np.column_stack([rng.random((n, 2)) * 200, rng.normal(0, 2, n)])
    if name == "far":
        return rng.random((n, 3)) * 100 + 1e9
    return np.concatenate([rng.normal(0, 3, (n // 2, 3)), rng.normal(500, 3, (n - n // 2, 3))])


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), alpha=st.floats(5, 80))
def test_brute_force(seed: int, alpha: float) -> None:
    points = np.random.default_rng(seed).random((14, 3)) * 100
    expected = set()
    for four in combinations(range(14), 4):
        a, b, c, d = points[list(four)]
        sides = 2 * np.array([b - a, c - a, d - a])
        centre = np.linalg.solve(sides, [p @ p - a @ a for p in (b, c, d)])
        radius = np.linalg.norm(centre - a)
        others = np.delete(points, list(four), axis=0)
        if radius <= alpha and np.linalg.norm(others - centre, axis=1).min() > radius:
            expected.add(four)
    found = alpha_complex(points, alpha)
    assert {tuple(sorted(row)) for row in found.tetrahedra.tolist()} == expected
    corners = points[found.tetrahedra]
    volume = np.linalg.det(corners[:, 1:] - corners[:, :1]) / 6
    assert (volume > 0).all()
    assert found.volume_nm3 == pytest.approx(volume.sum())


@settings(max_examples=40)
@given(
    name=st.sampled_from(["cloud", "grid", "sheet", "far", "two"]),
    seed=st.integers(0, 10**6),
    n=st.integers(1, 600),
    per_tile=st.integers(1, 200),
    alpha=st.floats(3, 60),
)
def test_tiles_equal_the_whole(name: str, seed: int, n: int, per_tile: int, alpha: float) -> None:
    points = clouds(name, n, seed)
    points = np.concatenate([points, points[: n // 5]])
    whole = alpha_complex(points, alpha, points_per_tile=None)
    tiled = alpha_complex(points, alpha, points_per_tile=per_tile)
    assert whole.n_tiles == 1
    assert whole.n_points == tiled.n_points == len(points)
    np.testing.assert_array_equal(canonical(tiled), canonical(whole))
    np.testing.assert_array_equal(np.sort(tiled.circumradius_nm), np.sort(whole.circumradius_nm))
    assert tiled.volume_nm3 == pytest.approx(whole.volume_nm3, rel=1e-12)


def test_a_larger_set_in_many_tiles() -> None:
    points = clouds("sheet", 30_000, 1) * [10, 10, 10]
    whole = alpha_complex(points, 40.0, points_per_tile=None)
    tiled = alpha_complex(points, 40.0, points_per_tile=2000)
    assert tiled.n_tiles > 15
    np.testing.assert_array_equal(canonical(tiled), canonical(whole))


def test_a_small_halo_would_be_wrong() -> None:
    # the test above can fail: with a halo of half alpha tetrahedra are lost or too many
    points = clouds("cloud", 3000, 2)
    whole = alpha_complex(points, 12.0, points_per_tile=None)
    from nanospine.surface.alpha_complex import tile_complex

    with TiledPoints(points, 2.0, 200) as tiled:
        count = sum(len(tile_complex(tile, 12.0)[0]) for tile in tiled)
    assert count != len(whole.tetrahedra)


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_points_in_a_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanospine.surface.tiles._CHUNK", 700)
    points = clouds("cloud", 3000, 3)
    path = tmp_path / f"points.{kind}"
    if kind == "npy":
        np.save(path, points)
    else:
        pd.DataFrame(points, columns=["x_nm", "y_nm", "z_nm"]).assign(frame=1).to_parquet(path)
    whole = alpha_complex(points, 9.0, points_per_tile=None)
    tiled = alpha_complex(path, 9.0, points_per_tile=400, folder=tmp_path)
    np.testing.assert_array_equal(canonical(tiled), canonical(whole))
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_each_point_is_owned_once_and_the_halo_is_whole() -> None:
    points = clouds("cloud", 2000, 4)
    owned = []
    with TiledPoints(points, 7.0, 100) as tiled:
        for tile in tiled:
            np.testing.assert_array_equal(points[tile.ids], tile.points_nm)
            assert (np.diff(tile.ids) > 0).all()
            assert 0 < tile.own.sum() <= 100
            owned.append(tile.ids[tile.own])
            gap = np.linalg.norm(points[:, None] - tile.points_nm[tile.own][None], axis=2)
            near = np.flatnonzero(gap.min(axis=1) <= 7.0)
            assert set(near) <= set(tile.ids)
    np.testing.assert_array_equal(np.sort(np.concatenate(owned)), np.arange(2000))


def test_boundary_closes() -> None:
    points = clouds("cloud", 2000, 5)
    found = alpha_complex(points, 15.0)
    faces = found.boundary()
    mesh = trimesh.Trimesh(points, faces, process=False)
    # each edge is passed as often in one direction as in the other
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forth, n_forth = np.unique(edges, axis=0, return_counts=True)
    back, n_back = np.unique(edges[:, ::-1], axis=0, return_counts=True)
    np.testing.assert_array_equal(forth, back)
    np.testing.assert_array_equal(n_forth, n_back)
    assert mesh.volume == pytest.approx(found.volume_nm3)


def test_points_without_volume_have_no_tetrahedra() -> None:
    flat = np.column_stack([np.random.default_rng(0).random((50, 2)), np.zeros(50)])
    assert len(alpha_complex(flat, 5.0).tetrahedra) == 0
    assert len(alpha_complex(np.zeros((9, 3)), 5.0).tetrahedra) == 0
    assert alpha_complex([[0, 0, 0]], 1.0).volume_nm3 == 0


def test_a_consumer_may_stop_early() -> None:
    tiles = alpha_tiles(clouds("cloud", 2000, 6), 6.0, points_per_tile=100)
    next(tiles)
    tiles.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("points", "arguments", "error", "words"),
    [
        (np.zeros((0, 3)), {}, TooFewPointsError, "no point was given"),
        (np.zeros((5, 2)), {}, GeometryError, r"shape \(n, 3\) were expected, found \(5, 2\)"),
        ([[0, 0, 0], [0, np.nan, 0]], {}, GeometryError, "not finite .first: row 1.; remove"),
        (np.zeros((5, 3)), {"alpha_nm": 0}, GeometryError, "positive alpha_nm"),
        (np.zeros((5, 3)), {"alpha_nm": np.inf}, GeometryError, "positive alpha_nm"),
        (np.zeros((5, 3)), {"points_per_tile": 0}, GeometryError, "points_per_tile of at least 1"),
        ("points.txt", {}, ReadError, "a .npy or .parquet file"),
    ],
)
def test_bad_input(
    points: Any, arguments: dict[str, Any], error: type[NanospineError], words: str
) -> None:
    with pytest.raises(error, match=words):
        alpha_complex(points, **({"alpha_nm": 5.0} | arguments))


def test_parquet_without_heights(tmp_path: Path) -> None:
    path = tmp_path / "flat.parquet"
    pd.DataFrame({"x_nm": [1.0], "y_nm": [2.0]}).to_parquet(path)
    with pytest.raises(ReadError, match="z_nm missing"):
        alpha_complex(path, 5.0)


@settings(max_examples=25)
@given(
    name=st.sampled_from(["cloud", "grid", "sheet", "two"]),
    seed=st.integers(0, 10**6),
    n=st.integers(60, 500),
    per_tile=st.integers(10, 200),
    alpha=st.floats(8, 60),
)
def test_the_surface_is_closed_and_that_of_the_whole(
    name: str, seed: int, n: int, per_tile: int, alpha: float
) -> None:
    points = clouds(name, n, seed)
    whole = alpha_complex(points, alpha, points_per_tile=None)
    if len(whole.tetrahedra) == 0:
        return
    tiled = alpha_complex(points, alpha, points_per_tile=per_tile)
    mesh = tiled.surface(points)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert (np.bincount(mesh.edges_unique_inverse) == 2).all()  # manifold edges
    assert mesh.volume == pytest.approx(whole.volume_nm3, rel=2e-3)
    np.testing.assert_array_equal(mesh.triangles, whole.surface(points).triangles)


def test_the_surface_of_1e5_points_in_tiles(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    points = rng.normal(size=(100_000, 3))
    points *= (2000 + rng.normal(0, 12, 100_000))[:, None] / np.linalg.norm(
        points, axis=1, keepdims=True
    )
    np.save(tmp_path / "points.npy", points)
    whole = alpha_complex(points, 60.0, points_per_tile=None)
    tiled = alpha_complex(tmp_path / "points.npy", 60.0, points_per_tile=20_000)
    assert tiled.n_tiles > 5
    mesh, other = tiled.surface(tmp_path / "points.npy"), whole.surface(points)
    assert mesh.is_volume
    assert mesh.volume == other.volume
    assert mesh.area == other.area
    np.testing.assert_array_equal(mesh.faces, other.faces)
    # volume of the shell by the complex; facets by sorting as the oracle
    assert mesh.volume == pytest.approx(whole.volume_nm3, rel=1e-5)
    facets = np.concatenate([np.delete(whole.tetrahedra, j, axis=1) for j in range(4)])
    _, uses = np.unique(np.sort(facets, axis=1), axis=0, return_counts=True)
    assert len(tiled.boundary()) == len(whole.boundary()) == (uses == 1).sum()
    np.testing.assert_array_equal(
        np.unique(np.sort(tiled.boundary(), axis=1), axis=0),
        np.unique(np.sort(whole.boundary(), axis=1), axis=0),
    )


def test_voids_and_components_are_chosen() -> None:
    rng = np.random.default_rng(3)
    shell = rng.normal(size=(4000, 3))
    shell *= 100 / np.linalg.norm(shell, axis=1, keepdims=True)
    shell *= rng.uniform(0.9, 1.1, (4000, 1))
    core, beside = rng.normal(0, 8, (400, 3)), rng.normal([300, 0, 0], 4, (300, 3))
    points = np.concatenate([shell, core, beside])
    found = alpha_complex(points, 14.0)
    kept = found.surface(points, min_component_fraction=0.001)
    parts = sorted(float(part.volume) for part in kept.split(only_watertight=False))
    assert parts[0] < -1e6  # the wall of the void
    assert len(parts) == 4
    filled = found.surface(points, voids="fill", min_component_fraction=0.001)
    assert filled.body_count == 2  # the core is gone with the void
    alone = found.surface(points, voids="fill", min_component_fraction=0.5)
    assert alone.body_count == 1
    assert alone.is_volume


def test_many_tetrahedra_around_one_edge_are_paired_fast() -> None:
    n = 20_000
    ring = np.arange(n) + 2
    corners = np.stack([np.zeros(n, int), np.ones(n, int), ring, np.roll(ring, -1)], axis=1)
    partner = facet_partners(corners, n + 2)
    np.testing.assert_array_equal(np.sort(partner, axis=1)[:, :2], -1)
    np.testing.assert_array_equal(partner[:, 2], (np.arange(n) + 1) % n)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"voids": "some"}, "voids must be 'keep' or 'fill'"),
        ({"min_component_fraction": 2.0}, "between 0 and 1"),
        ({"source": np.zeros((9, 3))}, "the 500 points .* were expected, found 9"),
    ],
)
def test_bad_input_of_the_surface(arguments: dict[str, Any], words: str) -> None:
    points = clouds("cloud", 500, 1)
    found = alpha_complex(points, 20.0)
    with pytest.raises(GeometryError, match=words):
        found.surface(**({"source": points} | arguments))
    with pytest.raises(GeometryError, match="is empty; the points are farther apart"):
        alpha_complex(points, 0.1).surface(points)

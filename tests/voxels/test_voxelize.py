"""Voxels of localizations and surfaces, against numpy, the error function and exact distances."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError, TooFewPointsError
from nanospine.core.triangles import TriangleTree
from nanospine.voxels.grid import LabelGrid
from nanospine.voxels.presets import PRESETS

VOXEL = np.array([40.0, 12.0, 15.0])


def points(n=400, seed=0):
    return np.random.default_rng(seed).uniform((-300, 1e4, 50), (500, 1.05e4, 400), (n, 3))


def oracle(xyz, sigma, grid):
    """Mass of each Gaussian in each voxel by scipy's normal distribution; z, y, x."""
    total = np.zeros(grid.shape)
    edges = [
        grid.origin_nm[a] + (np.arange(grid.shape[a] + 1) - 0.5) * grid.voxel_nm[a]
        for a in range(3)
    ]
    for p, s in zip(xyz[:, ::-1], np.broadcast_to(sigma, xyz.shape)[:, ::-1], strict=True):
        z, y, x = (np.diff(ndtr((edges[a] - p[a]) / s[a])) for a in range(3))
        total += z[:, None, None] * y[:, None] * x
    return total


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    voxel=st.tuples(*[st.floats(0.3, 90)] * 3),
    n=st.integers(1, 60),
    shift=st.floats(-1e6, 1e6),
)
def test_counts_are_those_of_histogramdd_and_nothing_is_lost(seed, voxel, n, shift):
    rng = np.random.default_rng(seed)
    xyz = np.round(rng.uniform(shift, shift + 20, (n, 3)), rng.integers(0, 4))
    grid = ns.voxelize(xyz, voxel)
    assert grid.data.sum() == n
    expected = np.zeros(grid.shape, int)
    np.add.at(expected, tuple(np.floor(grid.to_index(xyz) + 0.5).astype(int).T), 1)
    np.testing.assert_array_equal(grid.data, expected)
    assert (ns.labels_to_points(grid, xyz) >= 1).all()


def test_counts_equal_numpy():
    xyz = points(5000)
    region = ns.Box((-200, 1.01e4, 80), (400, 1.04e4, 360))
    grid = ns.voxelize(xyz, VOXEL, region=region)
    low, high = grid.bounds_nm
    edges = [np.linspace(low[a], high[a], grid.shape[2 - a] + 1) for a in (2, 1, 0)]
    expected, _ = np.histogramdd(xyz[:, ::-1], edges)
    np.testing.assert_array_equal(grid.data, expected)
    outside = 5000 - int(grid.data.sum())
    assert grid.notes == (f"{outside} of 5000 localizations lie outside the grid",)
    assert (low <= region.bounds_nm[0]).all()
    assert (high >= region.bounds_nm[1]).all()


@pytest.mark.parametrize("own", [True, False])
def test_gaussians_are_integrated_over_each_voxel(own):
    xyz = points(120)
    sigma = np.random.default_rng(1).uniform(4, 40, (120, 3)) if own else np.array([9.0, 9.0, 25.0])
    locs = ns.from_arrays(xyz, precision_nm=np.broadcast_to(sigma, xyz.shape))
    grid = ns.voxelize(locs, VOXEL, mode="gaussian", pad=14)
    expected = oracle(xyz, sigma, grid)
    np.testing.assert_allclose(grid.data, expected, atol=2e-5 * expected.max())
    assert grid.data.sum(dtype=np.float64) == pytest.approx(120, rel=1e-6)


def test_mass_is_kept_where_localizations_crowd():
    rng = np.random.default_rng(3)
    spot = rng.normal(500, 15, (40_000, 3))
    wide = rng.uniform(0, 1000, (20, 3))
    xyz = np.concatenate([spot, wide])
    sigma = np.repeat([20.0, 90.0], [40_000, 20])[:, None] * np.ones(3)
    grid = ns.voxelize(xyz, 10.0, mode="gaussian", precision_nm=sigma, pad=50)
    assert grid.data.sum(dtype=np.float64) == pytest.approx(len(xyz), rel=1e-7)
    assert grid.notes[0].startswith("0 of")


def test_mass_that_falls_outside_is_said():
    xyz = np.array([[0.0, 0, 0], [500, 0, 0], [49.0, 0, 0]])
    grid = ns.voxelize(xyz, 10.0, mode="gaussian", precision_nm=8.0, region=[[-50] * 3, [50] * 3])
    inside = grid.data.sum(dtype=np.float64)
    outside = float(grid.notes[0].split()[0])
    assert inside + outside == pytest.approx(3, abs=3e-6)
    assert inside == pytest.approx(1 + ndtr(1 / 8), abs=1e-4)


def test_a_precision_of_zero_is_a_count_and_axes_are_not_mixed():
    xyz = points(50)
    zero = ns.voxelize(xyz, 10.0, mode="gaussian", precision_nm=0.0)
    np.testing.assert_array_equal(zero.data, ns.voxelize(xyz, 10.0).data)
    one = ns.voxelize([[0, 0, 0]], 5.0, mode="gaussian", precision_nm=(2, 10, 40))
    spread = [np.ptp(np.argwhere(one.data > 1e-6)[:, a]) for a in range(3)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("mode", ["count", "gaussian", "density"])
def test_tiles_of_localizations_are_the_whole_to_the_last_bit(mode, threads, monkeypatch):
    monkeypatch.setattr("nanospine.voxels.splat._threads", lambda n: threads)
    xyz = points(3000)
    options = {"precision_nm": np.random.default_rng(2).uniform(1, 25, (3000, 3))}
    options = options if mode == "gaussian" else {}
    assert_tiles(xyz, mode, (3, 17, 33), **options)


@pytest.mark.parametrize("threads", [1, 3])
def test_tiles_of_a_crowd_are_the_whole_to_the_last_bit(threads, monkeypatch):
    """More points in a block than are summed in single precision, some too wide for a block."""
    monkeypatch.setattr("nanospine.voxels.splat._threads", lambda n: threads)
    rng = np.random.default_rng(4)
    xyz = rng.normal(400, 60, (4000, 3))
    sigma = np.where(rng.random(4000) < 0.01, 150.0, rng.uniform(0, 30, 4000))
    assert_tiles(xyz, "gaussian", (30, 41, 33), precision_nm=sigma)


@pytest.mark.parametrize("mode", ["mask", "signed_distance", "smoothed"])
def test_tiles_of_a_surface_are_the_whole(mode):
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=150.0)
    mesh.apply_translation((3000.3, -1e5, 7))
    assert_tiles(mesh, mode, (4, 11, 13), **({"psf_nm": 30.0} if mode == "smoothed" else {}))


def assert_tiles(source, mode, tile, **options):
    whole = ns.voxelize(source, VOXEL, mode=mode, **options)
    built = np.full_like(whole.data, 77)
    for part in ns.voxel_tiles(source, VOXEL, tile=tile, mode=mode, **options):
        built[part.slices] = part.grid.data
        centre = part.grid.to_xyz_nm([[0, 0, 0]])
        np.testing.assert_allclose(whole.to_index(centre), [part.start], atol=1e-6)
    if mode == "smoothed":
        np.testing.assert_allclose(built, whole.data, atol=1e-6)
    else:
        np.testing.assert_array_equal(built, whole.data)


def test_signed_distance_is_exact():
    mesh = trimesh.creation.box(extents=(200, 100, 300))
    grid = ns.voxelize(mesh, VOXEL, mode="signed_distance")
    centres = grid.to_xyz_nm(np.argwhere(np.ones(grid.shape, bool)))
    expected = TriangleTree(mesh.vertices, mesh.faces).signed_distance(centres)
    np.testing.assert_allclose(grid.data.ravel(), expected, atol=1e-3)


def test_smoothed_occupancy_keeps_the_volume():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=400.0)
    grid = ns.voxelize(ball, preset="respan")
    np.testing.assert_allclose(grid.voxel_nm, (150, 65, 65))
    total = grid.data.sum(dtype=np.float64) / 255.0 * np.prod(grid.voxel_nm)
    assert total == pytest.approx(ball.volume, rel=0.01)
    assert grid.data.min() >= 0
    assert grid.data.max() <= 255


def test_density_is_per_cubic_micrometre():
    grid = ns.voxelize(points(900), 100.0, mode="density")
    assert grid.data.sum(dtype=np.float64) * 1e-3 == pytest.approx(900, rel=1e-6)
    smooth = ns.voxelize(points(900), 50.0, mode="density", psf_nm=40.0)
    assert smooth.data.sum(dtype=np.float64) * 0.05**3 == pytest.approx(900, rel=1e-3)


def test_the_envelope_is_filled():
    xyz = np.random.default_rng(0).normal(size=(6000, 3))
    xyz *= 300 / np.linalg.norm(xyz, axis=1, keepdims=True)
    grid = ns.voxelize(xyz, 20.0, mode="mask")
    assert grid.data.sum() * 8e3 == pytest.approx(4 / 3 * np.pi * 300**3, rel=0.03)
    assert grid.values_at([[0, 0, 0]], outside=-1)[0]


def test_an_identity_segmenter_returns_every_points_label():
    xyz = points(2000)
    grid = ns.voxelize(xyz, VOXEL)
    numbered = LabelGrid(np.arange(grid.data.size).reshape(grid.shape), VOXEL, grid.origin_nm)
    expected = np.ravel_multi_index(np.floor(grid.to_index(xyz) + 0.5).astype(int).T, grid.shape)
    np.testing.assert_array_equal(ns.labels_to_points(numbered, xyz), expected)
    assert ns.labels_to_points(numbered, ns.from_arrays(xyz)).tolist() == expected.tolist()


def test_two_channels_share_their_voxels():
    a, b = ns.voxelize(points(50, 1), VOXEL), ns.voxelize(points(50, 2), VOXEL)
    offset = (a.origin_nm - b.origin_nm) / VOXEL
    np.testing.assert_allclose(offset, np.round(offset), atol=1e-9)
    same = ns.voxelize(points(50, 2), like=a)
    assert same.shape == a.shape
    np.testing.assert_array_equal(same.origin_nm, a.origin_nm)


def test_flat_data_fill_one_plane():
    grid = ns.voxelize(ns.from_arrays(points(100)[:, :2]), 20.0)
    assert grid.shape[0] == 1
    assert grid.data.sum() == 100


def test_bad_requests():
    with pytest.raises(ConfigError, match="not known"):
        ns.voxelize(points(), 10, mode="splat")
    with pytest.raises(ConfigError, match="presets"):
        ns.voxelize(points(), preset="deepd4")
    with pytest.raises(ConfigError, match="takes no precision_nm"):
        ns.voxelize(points(), 10, precision_nm=3)
    with pytest.raises(ConfigError, match="needs psf_nm"):
        ns.voxelize(trimesh.creation.box(), 10, mode="smoothed")
    with pytest.raises(ConfigError, match="one of localizations"):
        ns.voxelize(trimesh.creation.box(), 10, mode="count")
    with pytest.raises(GeometryError, match="the table has none"):
        ns.voxelize(points(), 10, mode="gaussian")
    sigma = np.full((400, 3), 5.0)
    sigma[7, 2] = np.nan
    with pytest.raises(GeometryError, match="1 of 400 localizations have none"):
        ns.voxelize(points(), 10, mode="gaussian", precision_nm=sigma)
    with pytest.raises(GeometryError, match="1e9 are the most"):
        ns.voxelize(points(), 0.1)
    with pytest.raises(GeometryError, match="one positive number or three"):
        ns.voxelize(points(), (10, 10))
    with pytest.raises(GeometryError, match="give voxel_nm"):
        ns.voxelize(points())
    with pytest.raises(GeometryError, match="not a finite number"):
        ns.voxelize([[0, 0, np.nan]], 10)
    with pytest.raises(GeometryError, match="open edges"):
        ns.voxelize(trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]), 10)
    with pytest.raises(TooFewPointsError):
        ns.voxelize(np.empty((0, 3)), 10)
    assert all(len(preset.voxel_nm) == 3 for preset in PRESETS.values())

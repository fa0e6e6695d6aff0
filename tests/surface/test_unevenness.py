"""Which localizations are label, and how dense it is, against what was planted and a slow count."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.surface import unevenness
from nanospine.surface.unevenness import _around, _bounds, _cells, _parts, label_scale, scattered


def ball(n, seed=0, radius=300.0, noise=8.0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    return points + rng.normal(0, noise, points.shape)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 80), voxel=st.floats(0.3, 5.0))
def test_cells_hold_what_a_dictionary_counts(seed, n, voxel):
    points = np.random.default_rng(seed).normal(size=(n, 3)) * 5
    cells = _cells(points, voxel, _bounds(points))
    place = np.floor((points - points.min(axis=0)) / voxel).astype(int)
    voxels = Counter(tuple(c // 3 for c in v) for v in {tuple(v) for v in place})
    total = _around(cells.key, cells.occupied, *cells.strides, False)
    for i, v in enumerate(place // 3):
        assert cells.occupied[cells.of[i]] == voxels[tuple(v)]
        around = sum(voxels[tuple(v + np.array(s))] for s in product((-1, 0, 1), repeat=3))
        assert total[cells.of[i]] == around
    part = _parts(cells.key, *cells.strides)[cells.of]
    for i, j in product(range(n), repeat=2):
        if np.abs(place[i] // 3 - place[j] // 3).max() <= 1:
            assert part[i] == part[j]


def test_groups_that_do_not_touch_are_apart():
    points = np.concatenate([np.zeros((1, 3)), np.full((1, 3), 50.0), np.full((1, 3), 52.0)])
    cells = _cells(points, 1.0, _bounds(points))
    part = _parts(cells.key, *cells.strides)[cells.of]
    assert part[0] != part[1] == part[2]


@pytest.mark.parametrize("repeats", [1, 8])
def test_background_is_scattered_and_label_is_not(repeats):
    rng = np.random.default_rng(4)
    label, background = ball(3000), rng.uniform(-1500, 1500, (150, 3))
    both = np.repeat(np.concatenate([label, background]), repeats, axis=0)
    both = both + rng.normal(0, 2, both.shape) * (repeats > 1)
    found = scattered(both)
    far = np.abs(np.linalg.norm(both, axis=1) - 300) > 200
    assert not found[: 3000 * repeats].any()
    assert found[far].mean() > 0.9


def test_even_labels_have_one_scale():
    scale = label_scale(ball(5000), "membrane")
    assert (scale == 1).mean() > 0.95
    filled = np.random.default_rng(1).uniform(0, 1000, (20_000, 3))
    assert (label_scale(filled, "filled") == 1).mean() > 0.95


def test_scale_follows_the_spacing_of_the_label():
    rng = np.random.default_rng(2)
    points = ball(40_000, radius=1000.0)
    thin = (points[:, 2] < 900) & (rng.random(len(points)) > 0.15)
    points = points[~thin]
    scale = label_scale(points, "membrane")
    dense, sparse = (np.median(scale[side]) for side in (points[:, 2] > 950, points[:, 2] < 800))
    assert sparse == 1.0
    assert dense == pytest.approx(np.sqrt(0.15), rel=0.15)
    # what is sparser than usual could be background: never larger spheres
    mostly = np.concatenate([points[points[:, 2] > 900], points[points[:, 2] < 900][:1500]])
    assert label_scale(mostly, "membrane").max() == 1.0
    np.testing.assert_allclose(label_scale(points * 1e4 + 1e9, "membrane"), scale, rtol=0.05)


@pytest.mark.parametrize(
    "points",
    [np.empty((0, 3)), np.zeros((600, 3)), np.arange(1800.0).reshape(600, 3), ball(499)],
    ids=["none", "equal", "line", "few"],
)
def test_nothing_is_made_of_points_that_tell_nothing(points):
    assert not scattered(points).any()
    assert label_scale(points, "membrane").shape == (len(points),)
    assert (label_scale(points, "membrane") > 0).all()


def test_a_label_of_specks_is_not_thrown_away():
    specks = np.random.default_rng(0).uniform(0, 1e5, (600, 3))
    assert not scattered(specks).all()


@pytest.mark.parametrize("copies", [3, 40])
@pytest.mark.parametrize("kind", ["sheet", "volume", "grid", "one place"])
def test_the_usual_voxel_is_found_on_some_points_as_on_all(kind, copies, monkeypatch):
    """Coarse voxels are judged by a part of the points; that changes nothing."""
    rng = np.random.default_rng(copies)
    points = rng.uniform(0, 1000, (4000 * copies, 3)) * [3, 1, 0.01 if kind == "sheet" else 1]
    if kind == "grid":
        points = np.round(points, -2)
    elif kind == "one place":
        points[:] = 1.0
    found = unevenness.usual_voxel_nm(points)
    monkeypatch.setattr(unevenness, "_FEW_POINTS", 2000)
    assert unevenness.usual_voxel_nm(points) == found
    monkeypatch.setattr(unevenness, "_FEW_POINTS", 10**9)
    assert unevenness.usual_voxel_nm(points) == found

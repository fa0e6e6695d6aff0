"""Envelopes of planted shapes, and what must hold for every envelope."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

import nanospine as ns
from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.surface.envelope import envelope


def shell(n=2500, seed=0, radius=300.0, noise=10.0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3))
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    return points + rng.normal(0, noise, points.shape)


def on_torus(n, major, minor, seed=0):
    mesh = trimesh.creation.torus(major, minor, major_sections=64, minor_sections=32)
    return np.asarray(trimesh.sample.sample_surface(mesh, n, seed=seed)[0]), mesh.volume


@pytest.fixture(scope="module")
def spine():
    shape = ns.simulate.spine("mushroom", seed=1)
    locs = ns.simulate.localize(shape, density_per_um2=1500, localizations_per_fluorophore=2)
    return shape, locs, envelope(locs)


def test_a_spine_comes_back_without_inflation(spine):
    shape, _, wrapped = spine
    assert wrapped.mesh.is_volume
    assert wrapped.mesh.euler_number == 2
    assert wrapped.n_components == 1
    assert wrapped.volume_nm3 == pytest.approx(shape.mesh.volume, rel=0.02)
    points = trimesh.sample.sample_surface(wrapped.mesh, 3000, seed=0)[0]
    distance = shape.signed_distance_nm(points)
    assert abs(distance.mean()) < 3
    assert np.abs(distance).mean() < 6
    assert np.quantile(np.abs(distance), 0.99) < 30


def test_without_the_fit_noise_inflates_it(spine):
    """Why the fit is the default."""
    shape, locs, _ = spine
    carved = envelope(locs, fit=False)
    assert carved.mesh.is_volume
    assert carved.volume_nm3 > 1.05 * shape.mesh.volume


def test_a_filled_spine_comes_back():
    shape = ns.simulate.spine("mushroom", seed=1)
    locs = ns.simulate.localize(
        shape, label="filled", density_per_um3=15_000, localizations_per_fluorophore=1
    )
    wrapped = envelope(locs, label="filled")
    assert wrapped.mesh.is_volume
    assert wrapped.mesh.euler_number == 2
    assert wrapped.volume_nm3 == pytest.approx(shape.mesh.volume, rel=0.06)


def test_a_torus_keeps_its_hole():
    points, volume = on_torus(6000, 400, 120)
    wrapped = envelope(points)
    assert wrapped.mesh.euler_number == 0
    assert wrapped.volume_nm3 == pytest.approx(volume, rel=0.02)


def test_isolated_background_makes_no_bodies_and_no_spikes():
    rng = np.random.default_rng(0)
    points = np.concatenate([shell(), rng.uniform(-900, 900, (250, 3))])
    wrapped = envelope(points)
    assert wrapped.n_components == 1
    assert np.linalg.norm(wrapped.mesh.vertices, axis=1).max() < 360


def test_two_bodies_stay_two_and_a_small_one_is_noted():
    points = np.concatenate(
        [shell(), shell(seed=1) + np.array([1500, 0, 0]), shell(150, 2, 25, 1) - 900]
    )
    wrapped = envelope(points)
    assert wrapped.n_components == 2
    assert any("left out" in note for note in wrapped.notes)
    assert envelope(points, components="all").n_components >= 3


def test_a_body_as_large_as_a_head_is_kept_beside_a_large_one():
    points = np.concatenate(
        [shell(30_000, radius=1200), shell(800, 4, 150, 10) + np.array([1800, 0, 0])]
    )
    wrapped = envelope(points, min_component_fraction=0.05)
    assert wrapped.n_components == 2


def test_unknown_noise_is_read_from_the_data():
    """So dense that alpha by gaps alone would follow the noise into every pit."""
    points = shell(150_000, noise=20.0)
    blind, told = envelope(points), envelope(points, precision_nm=20)
    assert blind.alpha_nm == pytest.approx(40, rel=0.15)
    assert told.alpha_nm == pytest.approx(40, rel=0.15)
    assert blind.mesh.euler_number == 2
    radius = np.linalg.norm(blind.mesh.vertices, axis=1)
    assert abs(radius.mean() - 300) < 2


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.01, 1.0, 50.0]))
def test_carving_follows_motion_and_scale(seed, scale):
    rng = np.random.default_rng(seed)
    points = shell(400, seed)
    turn = trimesh.transformations.random_rotation_matrix(rng.uniform(size=3))[:3, :3]
    one = envelope(points, fit=False)
    two = envelope(scale * (points @ turn.T) + rng.uniform(-1e4, 1e4, 3) * scale, fit=False)
    assert two.alpha_nm == pytest.approx(scale * one.alpha_nm, rel=1e-6)
    assert two.volume_nm3 == pytest.approx(scale**3 * one.volume_nm3, rel=1e-4)
    assert two.area_nm2 == pytest.approx(scale**2 * one.area_nm2, rel=1e-3)


def test_order_and_duplicates_change_nothing():
    points = shell(800)
    one = envelope(points)
    order = np.random.default_rng(0).permutation(800)
    two = envelope(points[order])
    assert two.volume_nm3 == pytest.approx(one.volume_nm3, rel=1e-9)
    carved = envelope(points, fit=False)
    again = envelope(np.concatenate([points, points[:300]]), fit=False)
    assert again.volume_nm3 == pytest.approx(carved.volume_nm3, rel=1e-9)


def test_volume_rises_with_alpha_up_to_the_hull():
    points = shell(500)
    hull = ConvexHull(points).volume
    volumes = [
        envelope(points, alpha_nm=alpha, fit=False, components="all").volume_nm3
        for alpha in (60, 90, 150, 1e9)
    ]
    assert (np.diff(volumes) >= 0).all()
    assert volumes[-1] == pytest.approx(hull)
    assert envelope(points, method="convex-hull").volume_nm3 == pytest.approx(hull)


def test_the_curve_is_the_volume_at_every_alpha():
    points = shell(500)
    wrapped = envelope(points)
    row = wrapped.alpha_curve.iloc[150]
    at = envelope(points, alpha_nm=row["alpha_nm"], fit=False, components="all")
    assert at.volume_nm3 == pytest.approx(row["volume_nm3"], rel=1e-3)


@pytest.mark.parametrize("kind", ["grid", "cube", "sphere"])
def test_cospherical_and_coplanar_points_still_close(kind):
    axis = np.arange(6.0) * 50
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    if kind == "cube":
        points = points[((points == 0) | (points == 250)).any(axis=1)]
    if kind == "sphere":
        points = np.asarray(trimesh.creation.icosphere(3, radius=125).vertices)
    wrapped = envelope(points)
    assert wrapped.mesh.is_volume
    raw = envelope(points, method="convex-hull")
    assert raw.mesh.is_volume


def test_localizations_bring_their_history():
    locs = ns.from_arrays(shell(400), precision_nm=(10, 10, 10))
    wrapped = envelope(locs)
    assert [step["operation"] for step in wrapped.history] == ["from_arrays", "envelope"]
    assert wrapped.alpha_nm >= 20
    frame = wrapped.to_frame()
    assert frame.loc[0, "volume_nm3"] == wrapped.volume_nm3


def test_precision_given_is_precision_brought():
    points = shell(1500)
    brought = envelope(ns.from_arrays(points, precision_nm=(10, 10, 25)))
    given = envelope(points, precision_nm=(10, 10, 25))
    each = envelope(points, precision_nm=np.tile([10.0, 10.0, 25.0], (1500, 1)))
    assert (brought.mesh.vertices == given.mesh.vertices).all()
    assert (each.mesh.vertices == given.mesh.vertices).all()
    assert envelope(points, precision_nm=10).volume_nm3 != given.volume_nm3
    partly = np.full((1500, 3), 10.0)
    partly[::7] = np.nan
    assert envelope(points, precision_nm=partly).volume_nm3 == pytest.approx(
        envelope(points, precision_nm=10).volume_nm3
    )
    assert envelope(points, precision_nm=np.nan).alpha_nm == envelope(points).alpha_nm


@pytest.mark.parametrize("bad", [-1.0, (10.0, 10.0), np.ones((3, 4)), [[1.0, 2.0, -3.0]]])
def test_bad_precision_says_what_is_expected(bad):
    with pytest.raises(GeometryError, match="precision_nm must be one number"):
        envelope(shell(400), precision_nm=bad)


def test_every_vertex_says_how_sure_it_is():
    wrapped = envelope(shell(3000), precision_nm=10)
    error = np.linalg.norm(wrapped.mesh.vertices, axis=1) - 300
    assert wrapped.vertex_std_nm.shape == error.shape
    assert 0.6 < np.sqrt(np.mean((error / wrapped.vertex_std_nm) ** 2)) < 1.5
    assert wrapped.to_frame().loc[0, "median_vertex_std_nm"] == wrapped.median_vertex_std_nm
    few = envelope(shell(800), precision_nm=10, alpha_nm=wrapped.alpha_nm)
    assert few.median_vertex_std_nm > wrapped.median_vertex_std_nm
    bare = envelope(shell(400), fit=False)
    assert np.isnan(bare.vertex_std_nm).all()
    assert np.isnan(bare.median_vertex_std_nm)


def test_even_triangles_keep_volume_and_deviation():
    plain = envelope(shell(2000), precision_nm=10)
    even = envelope(shell(2000), precision_nm=10, edge_nm=15.0)
    assert even.mesh.is_volume
    assert np.median(even.mesh.edges_unique_length) == pytest.approx(15, rel=0.1)
    assert even.volume_nm3 == pytest.approx(plain.volume_nm3, rel=1e-3)
    assert even.vertex_std_nm.shape == (len(even.mesh.vertices),)
    assert even.median_vertex_std_nm == pytest.approx(plain.median_vertex_std_nm, rel=0.1)
    assert even.history[-1]["arguments"]["edge_nm"] == 15.0


def test_progress_is_told():
    heard = []
    envelope(shell(300), progress=lambda stage, fraction: heard.append((stage, fraction)))
    assert heard[0] == ("triangulation", 0.0)
    assert heard[-1] == ("surface", 1.0)


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (np.c_[np.random.default_rng(0).normal(size=(50, 2)), np.zeros(50)], GeometryError, "2-D"),
        (np.empty((0, 3)), TooFewPointsError, "envelope: 0 points"),
        (np.array([[1.0, 2.0, 3.0]]), TooFewPointsError, "envelope: 1 point"),
        (np.eye(3), TooFewPointsError, "envelope: 3 points"),
        (
            np.random.default_rng(0).random((50, 2)) @ np.array([[1, 0, 1], [0, 1, 1]]),
            GeometryError,
            "envelope: .*plane",
        ),
        (np.ones((90, 3)), GeometryError, "found 90 times the same one"),
        (np.full((9, 3), np.nan), GeometryError, "not finite"),
        (np.zeros(7), GeometryError, "shape"),
    ],
)
def test_what_has_no_envelope_says_why(points, error, message):
    with pytest.raises(error, match=message):
        envelope(points)


@pytest.mark.parametrize(
    "option",
    [
        {"alpha_nm": -1},
        {"alpha_nm": "big"},
        {"alpha_nm": float("nan")},
        {"label": "surface"},
        {"method": "magic"},
        {"components": "some"},
        {"edge_nm": -3},
        {"edge_nm": float("inf")},
        {"min_component_fraction": 2},
    ],
)
def test_options_are_checked(option):
    with pytest.raises(GeometryError, match=next(iter(option))):
        envelope(shell(50), **option)


def test_too_small_an_alpha_says_what_would_do():
    with pytest.raises(GeometryError, match="smallest alpha"):
        envelope(shell(50), alpha_nm=0.01)


def test_what_alpha_does_is_reported(spine):
    _, _, wrapped = spine
    row = wrapped.to_frame().iloc[0]
    assert row["alpha_stable_from_nm"] <= wrapped.alpha_nm <= row["alpha_stable_to_nm"]
    assert row["volume_change_0_8_alpha"] < 0 < row["volume_change_1_25_alpha"] < 0.2
    assert row["genus"] == wrapped.genus == 0
    at = wrapped.persistence.iloc[10]
    assert at["alpha_nm"] == pytest.approx(wrapped.alpha_nm)
    assert (at["n_components"], at["genus"]) == (wrapped.n_components, wrapped.genus)
    hull = envelope(shell(200), method="convex-hull")
    assert len(hull.persistence) == 0
    assert np.isnan(hull.to_frame().loc[0, "alpha_stable_from_nm"])


def test_persistence_is_that_of_the_mesh_at_every_alpha():
    points = np.concatenate([shell(900), shell(300, 1, 60) + np.array([500, 0, 0])])
    wrapped = envelope(points, fit=False, adapt=False)
    for row in wrapped.persistence.iloc[::10].itertuples():
        at = envelope(points, alpha_nm=row.alpha_nm, fit=False)
        assert (at.n_components, at.genus) == (row.n_components, row.genus)
        assert at.volume_nm3 == pytest.approx(row.volume_nm3, rel=2e-3)


def test_a_fit_is_taken_back_where_it_cuts_itself_and_says_so_where_not(monkeypatch):
    """Noise of half the radius of a tube; carving alone never cuts itself."""
    rng = np.random.default_rng(1)
    around = rng.uniform(0, 2 * np.pi, 6000)
    points = np.stack([rng.uniform(0, 800, 6000), 40 * np.cos(around), 40 * np.sin(around)], axis=1)
    points += rng.normal(0, 20, points.shape)
    carved = envelope(points, fit=False)
    assert len(carved.self_intersections) == 0
    assert len(envelope(points, alpha_nm=14.0).self_intersections) == 0
    monkeypatch.setattr("nanospine.surface.envelope.retreated", lambda mesh, carved: (mesh, 0.0))
    fitted = envelope(points, alpha_nm=14.0)
    cut = len(np.unique(fitted.self_intersections))
    assert cut > 0
    assert any(f"{cut} of the {len(fitted.mesh.faces)} faces" in note for note in fitted.notes)
    assert fitted.to_frame().loc[0, "n_self_intersections"] == len(fitted.self_intersections)

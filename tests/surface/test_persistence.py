"""Bodies, handles and volumes around alpha against meshes made at each alpha."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.surface import growth
from nanospine.surface.alpha import carving_depth
from nanospine.surface.delaunay import delaunay
from nanospine.surface.mesh import boundary_surface, inside_components
from nanospine.surface.persistence import persistence, stability


def from_mesh(depth, alpha, fraction):
    """Volume, bodies and handles of the carved set at one alpha, by its mesh."""
    triangulation = depth.triangulation
    inside = depth.inside(alpha)
    body, volume = inside_components(triangulation.neighbors, inside, depth.volume_nm3)
    keep = (volume >= fraction * volume[0]) & (volume > 1e-12 * volume[0])
    inside = (body >= 0) & keep[np.maximum(body, 0)]
    vertices, faces, _ = boundary_surface(
        triangulation.points_nm, triangulation.tetrahedra, triangulation.neighbors, inside
    )
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    bodies = mesh.body_count
    return volume[keep].sum(), bodies, bodies - mesh.euler_number // 2


def assert_as_meshes(depth, alpha, fraction, rows):
    frame = persistence(depth, alpha, min_component_fraction=fraction)
    for row in frame.iloc[rows].itertuples():
        volume, bodies, genus = from_mesh(depth, row.alpha_nm, fraction)
        assert (row.n_components, row.genus) == (bodies, genus)
        assert row.volume_nm3 == pytest.approx(volume, rel=1e-9)
    return frame


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    n=st.integers(8, 400),
    fraction=st.sampled_from([0.0, 0.01, 0.3]),
    place=st.floats(0.05, 0.95),
    kind=st.sampled_from(["cloud", "grid", "shell"]),
)
def test_rows_are_what_meshes_say(seed, n, fraction, place, kind):
    """At alphas far below any sensible one, where all is holes and pinches."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3))
    if kind == "grid":
        points = np.round(points * 2)
        if np.linalg.matrix_rank(points - points.mean(axis=0)) < 3:
            return
    if kind == "shell":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        points *= rng.normal(1, 0.05, (n, 1))
    depth = carving_depth(delaunay(points))
    finite = depth.depth_nm[np.isfinite(depth.depth_nm) & (depth.volume_nm3 > 1e-9)]
    if len(finite):
        assert_as_meshes(depth, np.quantile(finite, place), fraction, slice(None, None, 6))


def test_a_membrane_with_pores():
    """Of many handles below alpha, one body above."""
    rng = np.random.default_rng(3)
    points = rng.normal(size=(3000, 3))
    points *= rng.normal(300, 15, (3000, 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    depth = carving_depth(delaunay(points))
    frame = assert_as_meshes(depth, 35.0, 0.01, slice(None, None, 5))
    assert frame["genus"].iloc[0] > 3
    assert frame["genus"].iloc[-1] == 0
    found = stability(frame, 35.0)
    assert found["alpha_stable_from_nm"] <= 35.0 <= found["alpha_stable_to_nm"]


def test_two_balls_that_merge():
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(1500, 3))
    ball *= 100 / np.linalg.norm(ball, axis=1, keepdims=True)
    points = np.concatenate([ball, ball + np.array([270.0, 0, 0])])
    frame = persistence(carving_depth(delaunay(points)), 40.0, min_component_fraction=0.01)
    # the gap is 70 wide: a sphere of radius 35 and a little more passes between
    assert frame.loc[frame["alpha_nm"] < 34, "n_components"].eq(2).all()
    assert frame.loc[frame["alpha_nm"] > 50, "n_components"].eq(1).all()


def test_an_empty_set_has_no_rows():
    depth = carving_depth(delaunay(np.random.default_rng(0).normal(size=(50, 3))))
    frame = persistence(depth, 1e-6)
    assert len(frame) == 0
    assert all(np.isnan(value) for value in stability(frame, 1e-6).values())


def test_what_is_too_entangled_is_given_up(monkeypatch):
    points = np.random.default_rng(0).normal(size=(500, 3))
    depth = carving_depth(delaunay(points))
    monkeypatch.setattr(
        "nanospine.surface.persistence.changes",
        lambda tetrahedra, *_: (np.zeros(len(tetrahedra), np.int8), False),
    )
    frame = persistence(depth, 0.5)
    assert len(frame) == 1
    assert all(np.isnan(value) for value in stability(frame, 0.5).values())
    assert growth._PATIENCE > 50


def test_stability_reads_the_rows_around_alpha():
    alphas = 20 * 1.25 ** np.linspace(-1, 2, 31)
    frame = pd.DataFrame(
        {
            "alpha_nm": alphas,
            "volume_nm3": alphas**2,
            "n_components": np.where(np.arange(31) < 7, 3, 1),
            "genus": np.where(np.arange(31) > 25, 2, 0),
        }
    )
    found = stability(frame, 20.0)
    assert found["alpha_stable_from_nm"] == pytest.approx(alphas[7])
    assert found["alpha_stable_to_nm"] == pytest.approx(alphas[25])
    assert found["volume_change_0_8_alpha"] == pytest.approx(0.64 - 1)
    assert found["volume_change_1_25_alpha"] == pytest.approx(1.5625 - 1)

"""Holes in a membrane's label are closed; doors that are none stay open."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.surface.alpha import carving_depth
from nanospine.surface.delaunay import delaunay
from nanospine.surface.envelope import envelope
from nanospine.surface.gates import facet_gates, radii_and_volumes
from nanospine.surface.holes import usual_gap

BALL = 4 / 3 * np.pi * 400.0**3


def on(mesh, n, seed=0, noise=8.0):
    points = np.asarray(trimesh.sample.sample_surface(mesh, n, seed=seed)[0])
    return points + np.random.default_rng(seed).normal(0, noise, points.shape)


def ball_with_hole(radius, seed=0, n=12_000, background=0.05):
    rng = np.random.default_rng(seed)
    points = on(trimesh.creation.icosphere(4, radius=400.0), n, seed)
    points = np.concatenate([points, rng.uniform(-700, 700, (int(background * n), 3))])
    return points[np.linalg.norm(points - [0, 0, 400], axis=1) > radius]


@pytest.mark.parametrize("radius", [100.0, 150.0])
def test_a_ball_with_a_hole_in_its_label_is_whole(radius):
    points = ball_with_hole(radius)
    closed, open_ = (envelope(points, adapt=adapt) for adapt in (True, False))
    assert closed.volume_nm3 == pytest.approx(BALL, rel=0.03)
    assert (closed.genus, closed.n_components) == (0, 1)
    assert closed.mesh.is_volume
    assert any("were closed" in note for note in closed.notes)
    assert abs(open_.volume_nm3 / BALL - 1) > 0.05


def test_even_labels_have_no_holes():
    for seed in range(6):
        found = envelope(ball_with_hole(0.0, seed, n=3000), fit=False)
        assert not any("closed" in note for note in found.notes)


def test_many_holes_are_closed():
    points = on(trimesh.creation.capsule(height=3000, radius=350), 40_000)
    rng = np.random.default_rng(1)
    for z in (-1200, -600, 0, 600, 1200):
        angle = rng.uniform(0, 2 * np.pi)
        at = [350 * np.cos(angle), 350 * np.sin(angle), z]
        points = points[np.linalg.norm(points - at, axis=1) > rng.uniform(100, 180)]
    truth = np.pi * 350**2 * 3000 + 4 / 3 * np.pi * 350**3
    assert envelope(points).volume_nm3 == pytest.approx(truth, rel=0.03)


def test_a_ring_around_free_space_stays_open():
    parts = []
    for k in range(6):
        tube = trimesh.creation.capsule(height=1900, radius=200)
        tube.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [0, 1, 0]))
        angle = k * np.pi / 3
        tube.apply_transform(trimesh.transformations.rotation_matrix(angle + np.pi / 2, [0, 0, 1]))
        tube.apply_translation([1800 * np.cos(angle), 1800 * np.sin(angle), 0])
        parts.append(on(tube, 4000, k))
    points = np.concatenate(parts)
    found = envelope(points, border=None)
    assert found.genus == 1
    assert found.volume_nm3 == pytest.approx(
        envelope(points, border=None, adapt=False).volume_nm3, rel=1e-3
    )


def test_a_tube_that_is_open_at_an_end_is_told_from_a_hole_in_its_side():
    # the way in is as wide as the room: nothing to tell it from a pocket
    tube = on(trimesh.creation.cylinder(radius=300, height=900), 20_000)
    tube = tube[(np.abs(tube[:, 2]) < 420)]
    depth = carving_depth(delaunay(tube), close=True)
    assert depth.hole_nm == 0
    side = tube[np.linalg.norm(tube - [300, 0, 0], axis=1) > 120]
    assert carving_depth(delaunay(side), close=True).hole_nm == 0


def test_the_usual_gap_does_not_follow_repeats_nor_background():
    points = on(trimesh.creation.icosphere(4, radius=400.0), 6000, noise=0.0)
    rng = np.random.default_rng(3)

    def usual(these):
        triangulation = delaunay(these)
        radii, _ = radii_and_volumes(triangulation)
        return usual_gap(facet_gates(triangulation, radii), triangulation.neighbors, radii)[0]

    alone = usual(points)
    repeated = np.repeat(points, 6, axis=0) + rng.normal(0, 0.5, (36_000, 3))
    assert usual(repeated) == pytest.approx(alone, rel=0.2)
    few = np.concatenate([points, rng.uniform(-900, 900, (120, 3))])
    assert usual(few) == pytest.approx(alone, rel=0.1)
    assert usual(points * 1e3) == pytest.approx(1e3 * alone, rel=1e-6)


def test_dense_parts_get_smaller_spheres():
    small = trimesh.creation.capsule(height=700, radius=120)
    left, right = on(small, 6000), on(small, 6000, seed=1)
    right += [350, 0, 0]
    # two small tubes 110 nm apart, and a large one that is labelled eight times less
    third = on(trimesh.creation.capsule(height=6000, radius=300), 15_000, seed=2)
    third += [0, 2000, 0]
    points = np.concatenate([left, right, third])
    assert envelope(points, adapt=False).n_components == 2
    found = envelope(points)
    assert (found.n_components, found.genus) == (3, 0)


def test_much_background_does_not_become_bodies():
    rng = np.random.default_rng(4)
    points = on(trimesh.creation.icosphere(4, radius=400.0), 5000)
    background = rng.uniform(-900, 900, (1000, 3))
    found = envelope(np.concatenate([points, background]))
    assert found.n_components == 1
    assert found.volume_nm3 == pytest.approx(BALL, rel=0.05)

"""Smoothing keeps volumes; the fit to a membrane takes the noise out."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.surface.fit import fit_to_membrane, smooth, subdivide


@pytest.fixture
def ball():
    return trimesh.creation.icosphere(3, radius=300.0)


def test_smoothing_keeps_the_volume_of_a_thin_tube():
    tube = trimesh.creation.capsule(height=600, radius=50, count=(24, 24))
    even = smooth(np.asarray(tube.vertices), np.asarray(tube.faces), 20)
    assert trimesh.Trimesh(even, tube.faces, process=False).volume == pytest.approx(
        tube.volume, rel=0.02
    )


def test_subdivision_keeps_the_surface(ball):
    vertices, faces = subdivide(np.asarray(ball.vertices), np.asarray(ball.faces))
    finer = trimesh.Trimesh(vertices, faces, process=False)
    assert len(faces) == 4 * len(ball.faces)
    assert finer.is_volume
    assert finer.volume == pytest.approx(ball.volume)


@pytest.mark.parametrize("start", [270.0, 300.0, 340.0])
@pytest.mark.parametrize("noise", [5.0, 20.0])
def test_the_fit_finds_the_membrane_from_either_side(start, noise):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4000, 3))
    points *= 300 / np.linalg.norm(points, axis=1, keepdims=True)
    points += rng.normal(0, noise, points.shape)
    background = rng.uniform(-450, 450, (400, 3))
    ball = trimesh.creation.icosphere(3, radius=start)
    fitted = fit_to_membrane(
        np.asarray(ball.vertices),
        np.asarray(ball.faces),
        np.concatenate([points, background]),
        length_nm=60,
        reach_nm=100,
    )
    radius = np.linalg.norm(fitted, axis=1)
    # noise on a sphere moves the mean radius outward by noise^2 / radius
    assert radius.mean() == pytest.approx(300 + noise**2 / 300, abs=1.5)
    assert radius.std() < 0.35 * noise


def test_parts_without_localizations_stay(ball):
    points = np.array([[0.0, 0.0, 290.0]] * 20) + np.random.default_rng(0).normal(0, 3, (20, 3))
    fitted = fit_to_membrane(
        np.asarray(ball.vertices), np.asarray(ball.faces), points, length_nm=30, reach_nm=60
    )
    assert np.isfinite(fitted).all()
    assert np.abs(np.linalg.norm(fitted[fitted[:, 2] < 0], axis=1) - 300).max() < 20

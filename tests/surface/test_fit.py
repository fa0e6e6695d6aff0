"""Smoothing keeps volumes; the fit to a membrane takes the noise out."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.surface.curvature import face_pairs
from nanospine.surface.feet import unit_normals
from nanospine.surface.fit import (
    fit_to_membrane,
    retreated,
    smooth,
    subdivide,
    untangled,
)
from nanospine.surface.intersections import self_intersections
from nanospine.surface.stencil import Stencil
from nanospine.surface.stiffness import bumps


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
    fitted, _ = fit_to_membrane(
        np.asarray(ball.vertices),
        np.asarray(ball.faces),
        np.concatenate([points, background]),
        length_nm=60,
        reach_nm=100,
    )
    radius = np.linalg.norm(fitted, axis=1)
    # without precision: noise on a sphere moves the mean radius outward by noise^2 / radius
    assert radius.mean() == pytest.approx(300 + noise**2 / 300, abs=1.5)
    assert radius.std() < 0.35 * noise


def test_parts_without_localizations_stay(ball):
    points = np.array([[0.0, 0.0, 290.0]] * 20) + np.random.default_rng(0).normal(0, 3, (20, 3))
    fitted, _ = fit_to_membrane(
        np.asarray(ball.vertices), np.asarray(ball.faces), points, length_nm=30, reach_nm=60
    )
    assert np.isfinite(fitted).all()
    assert np.abs(np.linalg.norm(fitted[fitted[:, 2] < 0], axis=1) - 300).max() < 20


def _tube(radius: float, length: float, edge: float) -> trimesh.Trimesh:
    """A closed tube along x of even triangles, as carving gives them."""
    around = round(2 * np.pi * radius / edge)
    rings = round(length / (0.87 * edge)) + 1
    row, place = np.divmod(np.arange(rings * around), around)
    angle = 2 * np.pi * (place + 0.5 * (row % 2)) / around
    x = length * (row / (rings - 1) - 0.5)
    vertices = np.stack([x, radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    a = np.arange((rings - 1) * around)
    b = a // around * around + (a + 1) % around
    odd = (a // around % 2 == 1)[:, None]
    c, d = a + around, b + around
    first = np.where(odd, np.stack([a, d, c], 1), np.stack([a, b, c], 1))
    second = np.where(odd, np.stack([a, b, d], 1), np.stack([b, d, c], 1))
    ring, ends = np.arange(around), len(vertices)
    after = (ring + 1) % around
    last = ends - around
    caps = [np.stack([ring, np.full(around, ends), after], 1),
            np.stack([last + ring, last + after, np.full(around, ends + 1)], 1)]  # fmt: skip
    tips = [[-length / 2, 0, 0], [length / 2, 0, 0]]
    mesh = trimesh.Trimesh(
        np.concatenate([vertices, tips]), np.concatenate([first, second, *caps]), process=False
    )
    if mesh.volume < 0:
        mesh.invert()
    assert mesh.is_volume
    return mesh


@pytest.mark.parametrize("radius", [40.0, 80.0])
def test_known_noise_does_not_widen_a_tube(radius):
    """Precision of 20 nm in y, 10 nm in z: the radius must come back within what chance does."""
    rng = np.random.default_rng(3)
    n = 12_000
    around = rng.uniform(0, 2 * np.pi, n)
    points = np.stack(
        [rng.uniform(-700, 700, n), radius * np.cos(around), radius * np.sin(around)], axis=1
    )
    sigma = np.array([15.0, 20.0, 10.0])
    points += rng.normal(size=points.shape) * sigma
    tube = _tube(1.1 * radius, 1400, 12)
    found = {}
    for name, variance in (("known", np.tile(sigma**2, (n, 1))), ("unknown", None)):
        vertices, _ = fit_to_membrane(
            np.asarray(tube.vertices), np.asarray(tube.faces), points,
            length_nm=40, reach_nm=100, variance_nm2=variance,
        )  # fmt: skip
        middle = np.abs(vertices[:, 0]) < 500
        found[name] = np.hypot(vertices[middle, 1], vertices[middle, 2]).mean()
    assert found["known"] == pytest.approx(radius, abs=0.04 * radius)
    assert found["unknown"] > found["known"] + 100 / radius


def test_precise_localizations_weigh_more(ball):
    """Half of them off by chance of 40 nm, half of 3 nm: the mesh follows the good half."""
    rng = np.random.default_rng(4)
    points = rng.normal(size=(4000, 3))
    points *= 300 / np.linalg.norm(points, axis=1, keepdims=True)
    sigma = np.where(np.arange(4000) % 2, 40.0, 3.0)[:, None] * np.ones(3)
    points += rng.normal(size=points.shape) * sigma
    spread = []
    for variance in (None, sigma**2):
        fitted, std = fit_to_membrane(
            np.asarray(ball.vertices), np.asarray(ball.faces), points,
            length_nm=40, reach_nm=120, variance_nm2=variance, sweeps=3,
        )  # fmt: skip
        spread.append(np.abs(np.linalg.norm(fitted, axis=1) - 300).mean())
    assert spread[1] < 0.6 * spread[0]
    assert np.median(std) < 4


@pytest.mark.parametrize(("noise", "n"), [(5.0, 3000), (20.0, 3000), (20.0, 20_000)])
def test_the_deviation_is_what_it_says(noise, n):
    rng = np.random.default_rng(n)
    points = rng.normal(size=(n, 3))
    points *= 300 / np.linalg.norm(points, axis=1, keepdims=True)
    points += rng.normal(0, noise, points.shape)
    ball = trimesh.creation.icosphere(4, radius=310)
    vertices, std = fit_to_membrane(
        np.asarray(ball.vertices), np.asarray(ball.faces), points, length_nm=40, reach_nm=100,
        variance_nm2=np.full(points.shape, noise**2),
    )  # fmt: skip
    score = (np.linalg.norm(vertices, axis=1) - 300) / std
    assert 0.6 < np.sqrt((score**2).mean()) < 1.5


def test_a_few_cuts_are_smoothed_away_and_many_are_left():
    ball = trimesh.creation.icosphere(5, radius=100)
    vertices = np.asarray(ball.vertices).copy()
    vertices[100] *= -1.01  # one vertex through the other side
    torn = trimesh.Trimesh(vertices, ball.faces, process=False)
    assert len(self_intersections(torn)) > 0
    mended = untangled(torn)
    assert len(self_intersections(mended)) == 0
    assert mended.is_volume
    assert mended.volume == pytest.approx(ball.volume, rel=1e-3)
    assert (mended.vertices != vertices).any(axis=1).sum() < 200
    rng = np.random.default_rng(0)
    crumpled = trimesh.Trimesh(
        ball.vertices + rng.normal(0, 5, ball.vertices.shape), ball.faces, process=False
    )
    assert (untangled(crumpled).vertices == crumpled.vertices).all()


def test_where_a_fit_cuts_itself_it_goes_back_to_where_it_was_carved():
    ball = trimesh.creation.icosphere(5, radius=100)
    rng = np.random.default_rng(0)
    vertices = np.asarray(ball.vertices).copy()
    cap = vertices[:, 2] > 80  # crumpled here, even elsewhere
    vertices[cap] += rng.normal(0, 5, (cap.sum(), 3))
    torn = trimesh.Trimesh(vertices, ball.faces, process=False)
    assert len(self_intersections(torn)) > 100
    mended, share = retreated(torn, np.asarray(ball.vertices))
    assert share == pytest.approx(cap.mean(), abs=0.05)
    assert len(self_intersections(mended)) == 0
    far = np.asarray(ball.vertices)[:, 2] < 70
    np.testing.assert_array_equal(mended.vertices[far], vertices[far])


def test_a_drawn_out_neck_is_no_stiffer_than_the_rest():
    """The energy of a slope along a tube does not depend on how long its triangles are."""
    for stretch in (1.0, 4.0):
        tube = _tube(60.0, 600.0, 20.0)
        vertices = np.asarray(tube.vertices) * [stretch, 1.0, 1.0]
        x = vertices[:, 0]
        energy = x @ Stencil.of(len(x), tube.faces).laplacian(vertices) @ x
        assert energy == pytest.approx(2 * np.pi * 60 * 600 * stretch, rel=0.03)


def test_bumps_are_pulled_back_and_tubes_are_not():
    """A round surface feels nothing; on a wavy one the pull points back, less where it bends."""
    tube = _tube(60.0, 1600.0, 20.0)
    faces = np.asarray(tube.faces, dtype=np.int64)
    stencil = Stencil.of(len(tube.vertices), faces)
    wave = 5.0 * np.cos(2 * np.pi * np.asarray(tube.vertices)[:, 0] / 200)
    found = []
    for height, noise in ((np.zeros(len(wave)), 1e9), (wave, 1e9), (wave, 1e-3)):
        vertices = np.array(tube.vertices)
        vertices[:, 1:] *= (1 + height / 60)[:, None]
        normals, areas, _ = unit_normals(vertices, faces)
        pull, trust = bumps(
            vertices, stencil, face_pairs(faces), normals, areas, stencil.laplacian(vertices),
            40.0, noise,
        )  # fmt: skip
        middle = np.abs(vertices[:, 0]) < 500
        found.append((pull / areas)[middle])
        if noise > 1:
            assert 0.5 < np.median(trust) < 0.8  # 1 / (1 + (40 / 60)^2) on the tube itself
    assert np.abs(found[0]).max() < 0.02 * np.abs(found[1]).max()
    assert np.corrcoef(found[1], wave[middle])[0, 1] > 0.9
    # what noise does not explain stays
    assert np.abs(found[2]).max() < 0.01 * np.abs(found[1]).max()

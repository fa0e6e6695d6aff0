"""Feet on a moving surface against the plain search, and offsets against a dense solution."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.core.triangles import TriangleTree
from nanospine.surface.feet import Feet, unit_normals
from nanospine.surface.offset import smooth_offset
from nanospine.surface.stencil import Stencil


@pytest.fixture
def ball():
    rng = np.random.default_rng(5)
    mesh = trimesh.creation.icosphere(3, radius=300.0)
    return np.asarray(mesh.vertices) * rng.uniform(0.97, 1.03, (642, 1)), np.asarray(mesh.faces)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_feet_are_the_nearest_points_also_after_a_move(ball, offset):
    rng = np.random.default_rng(0)
    vertices, faces = ball[0] + offset, ball[1]
    points = np.concatenate([rng.normal(0, 200, (3000, 3)), ball[0][:50] * 1.2]) + offset
    feet = Feet.over(points, vertices, faces)
    for step in (0.0, 4.0, -7.0):
        moved = vertices + step * rng.normal(size=vertices.shape)
        feet.find(moved)
        expected = TriangleTree(moved, faces).signed_distance(feet.points)
        np.testing.assert_allclose(feet.signed_nm, expected, atol=1e-7)
        foot = np.einsum("ij,ijk->ik", feet.weights, moved[feet.faces[feet.face]])
        distance = np.linalg.norm(feet.points - foot, axis=1)
        np.testing.assert_allclose(distance, np.abs(expected), atol=1e-7)


def test_those_left_out_are_far_and_keep_their_side(ball):
    rng = np.random.default_rng(1)
    vertices, faces = ball
    feet = Feet.over(rng.normal(0, 250, (4000, 3)), vertices, faces)
    feet.find(vertices)
    for _ in range(3):
        vertices = vertices + rng.normal(0, 3.0, vertices.shape)
        feet.find(vertices, beyond_nm=80.0)
        expected = TriangleTree(vertices, faces).signed_distance(feet.points)
        same = np.isclose(feet.signed_nm, expected, atol=1e-9)
        assert (np.abs(expected[~same]) > 80).all()
        assert (~same).any()
        assert (np.sign(expected) == np.sign(feet.signed_nm)).all()


def test_one_face_is_a_surface():
    feet = Feet.over(
        np.array([[0.2, 0.2, 3.0], [0.2, 0.2, -2.0]]), np.eye(3), np.array([[0, 1, 2]])
    )
    feet.find(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]))
    np.testing.assert_allclose(np.sort(feet.signed_nm), [-2, 3])


def test_normals_and_areas(ball):
    mesh = trimesh.Trimesh(*ball, process=False)
    normals, shares, areas = unit_normals(*ball)
    np.testing.assert_allclose(areas, mesh.area_faces)
    assert shares.sum() == pytest.approx(mesh.area)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert (np.einsum("ij,ij->i", normals, ball[0]) > 250).all()


@pytest.mark.parametrize("steps", [1000, 0])
def test_the_offset_solves_the_normal_equations(ball, steps, monkeypatch):
    """By conjugate gradients and, where they do not end, directly."""
    monkeypatch.setattr("nanospine.surface.offset._STEPS", steps)
    rng = np.random.default_rng(2)
    vertices, faces = ball
    points = rng.normal(size=(900, 3))
    points *= rng.normal(290, 10, (900, 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    feet = Feet.over(points, vertices, faces)
    feet.find(vertices)
    near = np.abs(feet.signed_nm) < 25
    stencil = Stencil.of(len(vertices), feet.faces)
    penalty = 3.0 * stencil.laplacian(vertices)
    found = smooth_offset(feet, near, near.astype(np.float64), stencil, penalty)
    basis = np.zeros((near.sum(), len(vertices)))
    corners = feet.faces[feet.face[near]]
    np.put_along_axis(basis, corners, feet.weights[near], axis=1)
    trust, signed = np.ones(near.sum()), feet.signed_nm[near]
    for _ in range(2):
        matrix = basis.T @ (trust[:, None] * basis) + penalty + 1e-6 * np.eye(len(vertices))
        expected = np.linalg.solve(matrix, basis.T @ (trust * signed))
        rest = signed - basis @ expected
        scale = 4 * 1.4826 * np.median(np.abs(rest))
        trust = np.maximum(1 - (rest / scale) ** 2, 0) ** 2
    np.testing.assert_allclose(found, expected, atol=1e-7)

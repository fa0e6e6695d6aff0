"""Curvature as a measure: exact sums on shapes of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.surface.curvature import bending, face_normals, face_pairs


def arrays(mesh):
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)


def test_a_cylinder_bends_around_its_axis_only():
    vertices, faces = arrays(trimesh.creation.cylinder(radius=50, height=1000, sections=64))
    found = bending(vertices, faces, face_pairs(faces)).sum(axis=0)
    rim = np.pi / 2 * 2 * (2 * np.pi * 50)
    assert found[2] == pytest.approx(rim / 2, rel=0.01)
    assert found[:2] == pytest.approx(np.pi * 1000 + rim / 4, rel=0.01)


def test_it_is_the_same_after_a_turn_and_negative_from_inside():
    mesh = trimesh.creation.torus(200, 60)
    vertices, faces = arrays(mesh)
    total = bending(vertices, faces, face_pairs(faces)).sum()
    assert total == pytest.approx(mesh.integral_mean_curvature * 2, rel=1e-6)
    turn = trimesh.transformations.random_rotation_matrix(np.array([0.2, 0.5, 0.8]))[:3, :3]
    turned = bending(vertices @ turn.T, faces, face_pairs(faces))
    assert turned.sum() == pytest.approx(total)
    inside = np.ascontiguousarray(faces[:, ::-1])
    assert bending(vertices, inside, face_pairs(inside)).sum() == pytest.approx(-total)


def test_pairs_and_normals_are_those_of_the_mesh():
    mesh = trimesh.creation.icosphere(2, radius=70)
    vertices, faces = arrays(mesh)
    pairs = face_pairs(faces)
    assert len(pairs) == len(mesh.edges_unique)
    for a, b, first, second in pairs[::17]:
        assert {a, b} <= set(faces[first]) & set(faces[second])
        place = faces[first].tolist().index(a)
        assert faces[first][(place + 1) % 3] == b
    assert face_normals(vertices, faces) == pytest.approx(np.asarray(mesh.face_normals))


def test_faces_without_area_do_no_harm():
    vertices, faces = arrays(trimesh.creation.box((10, 10, 10)))
    vertices[1] = vertices[0]
    assert np.isfinite(bending(vertices, faces, face_pairs(faces))).all()

"""Matrices over the edges of a surface, against the same written out entry by entry."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.surface.stencil import Stencil


def surfaces():
    """Balls, bodies side by side with mixed vertices, and faces at random, which close nothing."""
    ball = trimesh.creation.icosphere(1, radius=40)
    several = trimesh.util.concatenate([ball, trimesh.creation.box((30, 50, 70))])
    rng = np.random.default_rng(3)
    mixed = rng.permutation(len(several.vertices))
    vertices = np.empty_like(several.vertices)
    vertices[mixed] = several.vertices
    yield vertices, mixed[several.faces]
    loose = np.array([rng.choice(12, 3, replace=False) for _ in range(15)])
    yield rng.normal(0, 50, (14, 3)), loose


def written_out(vertices, faces, weight):
    """Dense Laplacian, from the gradients of the hat functions of each face."""
    matrix = np.zeros((len(vertices),) * 2)
    for face in faces:
        a, b, c = vertices[face]
        normal = np.cross(b - a, c - a)
        twice = np.linalg.norm(normal)
        hats = [np.cross(normal / twice, side) / twice for side in (c - b, a - c, b - a)]
        for i in range(3):
            for j in range(3):
                matrix[face[i], face[j]] += weight[face].mean() * twice / 2 * (hats[i] @ hats[j])
    return matrix


@pytest.mark.parametrize("surface", list(surfaces()))
def test_laplacian_and_mean_are_those_written_out(surface):
    vertices, faces = surface
    n = len(vertices)
    stencil = Stencil.of(n, faces)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, n)
    expected = written_out(vertices, faces, weight)
    laplacian = stencil.laplacian(vertices, weight)
    np.testing.assert_allclose(laplacian.toarray(), expected, atol=1e-12)
    np.testing.assert_allclose(stencil.laplacian(vertices).sum(axis=1), 0, atol=1e-12)
    with_diagonal = stencil.plus_diagonal(laplacian, weight)
    np.testing.assert_allclose(with_diagonal.toarray(), expected + np.diag(weight), atol=1e-12)
    mean = stencil.mean_of_neighbours().toarray()
    for i in range(n):
        around = np.setdiff1d(faces[(faces == i).any(axis=1)], [i])
        row = np.zeros(n)
        row[around] = 1.0 / max(len(around), 1)
        np.testing.assert_allclose(mean[i], row, atol=1e-15)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3, unique=True), max_size=30),
    st.integers(10, 12),
)
def test_entries_are_where_the_stencil_says(faces, n):
    faces = np.array(faces, dtype=np.int64).reshape(-1, 3)
    stencil = Stencil.of(n, faces)
    matrix = stencil.matrix(np.arange(len(stencil.columns), dtype=float) + 1)
    assert matrix.has_canonical_format
    dense = matrix.toarray()
    np.testing.assert_array_equal(dense.diagonal(), stencil.diagonal + 1)
    for i in range(3):
        for j in range(3):
            found = dense[faces[:, i], faces[:, j]]
            np.testing.assert_array_equal(found, stencil.corners[:, 3 * i + j] + 1)
    assert (dense > 0).sum() == n + len({(i, j) for f in faces for i in f for j in f if i != j})

"""Conjugate gradients of several sides and bodies against a direct solution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

from nanospine.surface import offset
from nanospine.surface.offset import solve


def symmetric(sizes, seed, mixed):
    """Positive matrix of bodies that nothing joins, rows mixed or body by body."""
    rng = np.random.default_rng(seed)
    parts = []
    for n in sizes:
        a = sparse.random(n, n, density=min(1.0, 3.0 / n), rng=rng)
        parts.append(a @ a.T + sparse.diags(rng.uniform(0.1, 2.0, n)))
    whole = sparse.block_diag(parts, format="csr")
    if mixed:
        order = rng.permutation(whole.shape[0])
        whole = whole[order][:, order]
    return whole.tocsr(), rng


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=5),
    seed=st.integers(0, 10**6), sides=st.integers(1, 7), mixed=st.booleans(),
)  # fmt: skip
def test_every_side_and_body_has_its_solution(sizes, seed, sides, mixed):
    matrix, rng = symmetric(sizes, seed, mixed)
    right = rng.normal(size=(matrix.shape[0], sides))
    right[:, 0] = 0.0
    found = solve(matrix, right, 1e-10)
    expected = spsolve(matrix.tocsc(), right).reshape(right.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6 * max(np.abs(expected).max(), 1.0))
    np.testing.assert_array_equal(found[:, -1], solve(matrix, right[:, -1], 1e-10))


@pytest.mark.parametrize("sides", [1, 4])
def test_what_takes_too_many_steps_is_solved_directly(sides, monkeypatch):
    monkeypatch.setattr(offset, "_STEPS", 1)
    matrix, rng = symmetric([30, 20], 3, mixed=False)
    right = rng.normal(size=(50, sides))
    expected = spsolve(matrix.tocsc(), right).reshape(right.shape)
    np.testing.assert_allclose(solve(matrix, right, 1e-10), expected, rtol=1e-8)

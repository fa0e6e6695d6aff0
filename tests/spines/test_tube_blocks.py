"""The sums over points are the products of matrices that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.interpolate import BSpline

from nanospine.spines.tube_blocks import assemble


@pytest.mark.parametrize(("n", "spans"), [(1, 2), (7, 2), (500, 9), (3000, 40)])
def test_it_is_the_product_of_matrices(n: int, spans: int) -> None:
    rng = np.random.default_rng(n)
    knots = np.arange(-3.0, spans + 4.0)
    at = rng.uniform(0, spans, n)
    basis = sparse.csr_array(BSpline.design_matrix(at, knots, 3))
    information, weight = rng.normal(size=(n, 6)), rng.uniform(0, 2, n)
    dense, k = basis.toarray(), basis.shape[1]
    found = assemble(basis, information, weight)
    blocks = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
    for number, (a, b) in enumerate(blocks):
        expected = dense.T @ ((information[:, number] * weight)[:, None] * dense)
        block = found[a * k : (a + 1) * k, b * k : (b + 1) * k]
        np.testing.assert_allclose(block, expected, rtol=1e-10, atol=1e-10)
    assert np.array_equal(found, found.T) or np.allclose(found, found.T, rtol=0, atol=1e-12)

"""Boxes found by sorting are those of all looked through."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nanospine.core.boxes import Boxes


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(0, 60),
    axes=st.sampled_from([None, (0,), (1, 2)]),
    size=st.sampled_from([0.0, 1e-9, 0.5, 40.0]),
)
def test_boxes_are_those_of_all_looked_through(seed, n, axes, size):
    rng = np.random.default_rng(seed)
    low = np.round(rng.random((n, 3)) * [9, 4, 20], int(rng.integers(0, 3)))
    high = low + size * rng.random((n, 3))
    corners = np.sort(np.round(rng.random((2, 3)) * [9, 4, 20]), axis=0)
    corners[:, 2] += [-np.inf, np.inf] if seed % 3 == 0 else [0, 0]
    expected = np.flatnonzero(((low <= corners[1]) & (high >= corners[0])).all(axis=1))
    np.testing.assert_array_equal(Boxes(low, high, axes).touching(*corners), expected)

from __future__ import annotations

import numpy as np
import pytest

from nanospine.spines.ring import likelihood_terms

COVARIANCE = np.array([[100.0, 60.0, 400.0]])


def terms(uv, radius, centre=(5.0, -3.0), share=0.1, filled=False):
    n = len(uv)
    return likelihood_terms(
        np.ascontiguousarray(uv), COVARIANCE.repeat(n, 0), np.tile(np.asarray(centre), (n, 1)),
        np.full(n, radius), np.full(n, share), np.full(n, 1 / (np.pi * 300.0**2)), filled,
    )  # fmt: skip


@pytest.mark.parametrize("filled", [False, True])
def test_density_has_mass_one_and_the_second_moment_of_ring_or_disc_plus_error(filled):
    grid = np.stack(np.meshgrid(*[np.arange(-250, 250, 5.0)] * 2), axis=-1).reshape(-1, 2)
    density = np.exp(terms(grid, 60.0, share=0.0, filled=filled)[0]) * 25
    moment = density @ ((grid - [5, -3]) ** 2).sum(axis=1)
    assert density.sum() == pytest.approx(1, abs=1e-4)
    assert moment == pytest.approx((1800 if filled else 3600) + 502, rel=1e-3)


@pytest.mark.parametrize("filled", [False, True])
def test_scores_are_the_derivatives_of_the_log_likelihood(filled):
    uv = np.random.default_rng(0).normal(size=(200, 2)) * 45
    score = terms(uv, 60.0, filled=filled)[2]
    h = 1e-4
    for axis in (0, 1):
        step = np.eye(2)[axis] * h
        up, down = (terms(uv, 60.0, np.array([5, -3]) + s, filled=filled)[0] for s in (step, -step))
        np.testing.assert_allclose((up - down) / (2 * h), score[:, axis], atol=1e-3)
    up, down = (terms(uv, 60.0 * np.exp(s), filled=filled)[0] for s in (h, -h))
    # the width of the arcs changes with the radius too, which the score leaves out
    np.testing.assert_allclose((up - down) / (2 * h), score[:, 2], atol=0.2)


def test_a_point_far_away_is_background_and_pulls_at_nothing():
    value, on_shape, score, information = terms(np.array([[1e4, 0.0]]), 60.0)
    assert np.isfinite(value).all()
    assert on_shape[0] == 0
    assert not score.any()
    assert not information.any()

"""The deviations that the fit says its vertices have, against planted ones."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from nanospine.surface.fit import fit_to_membrane
from nanospine.surface.fit_deviation import patch


def test_response_of_one_round_and_of_many():
    steps = (0.5, -0.53)
    # Without smoothing and with endless waves: sum over j, k of 1 / (j + k + 1).
    for rounds in (1, 2, 5):
        exact = sum(1 / (j + k + 1) for j in range(rounds) for k in range(rounds))
        found, _ = patch(1000.0, 1.0, rounds=rounds, sweeps=0, steps=steps)
        assert found == pytest.approx(exact, rel=1e-3)
    # Bumps that are pulled back follow the noise less, and no further with every round.
    held = [patch(50.0, 1.0, rounds=n, sweeps=0, steps=steps, base=2.0)[0] for n in (5, 40, 80)]
    assert held[0] < 0.5 * patch(50.0, 1.0, rounds=5, sweeps=0, steps=steps)[0]
    assert held[2] == pytest.approx(held[1], rel=0.02)
    # Smoothing between the rounds takes fine waves back, and so does a coarse surface.
    rough = patch(50.0, 0.001, rounds=5, sweeps=0, steps=steps)
    even = patch(50.0, 0.001, rounds=5, sweeps=10, steps=steps)
    coarse = patch(50.0, 0.0005, rounds=5, sweeps=10, steps=steps)
    assert rough[0] > even[0] > coarse[0]
    assert rough[1] > even[1] > coarse[1]


@pytest.mark.parametrize(("n", "level", "length"), [(1500, 4, 60.0), (6000, 4, 40.0)])
def test_as_far_off_as_they_say(n, level, length):
    """On a ball whose facets are small: at level 3 they alone put vertices 0.9 nm outside."""
    ball = trimesh.creation.icosphere(level, radius=330)
    ratio, inside = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points = rng.normal(size=(n, 3))
        points *= 300 / np.linalg.norm(points, axis=1, keepdims=True)
        points += rng.normal(0, 8, points.shape)
        fitted, std = fit_to_membrane(
            ball.vertices, ball.faces, points, length_nm=length, reach_nm=100,
            variance_nm2=np.full(points.shape, 64.0),
        )  # fmt: skip
        off = (np.linalg.norm(fitted, axis=1) - 300) / std
        ratio.append(np.mean(off**2))
        inside.append(np.mean(np.abs(off) < 1.96))
    assert 0.85 < np.sqrt(np.mean(ratio)) < 1.15
    assert 0.9 < np.mean(inside) < 0.98

"""Which head of a branched spine is the one that is described."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial import cKDTree

from nanospine.spines.lobes import is_head, lobes_of


def _fork(radii_nm: tuple[float, float], covered: tuple[float, float]) -> np.ndarray:
    """Points on two balls at the ends of a fork; of each only this share is there."""
    generator = np.random.default_rng(1)
    stem = np.column_stack([np.zeros((40, 2)), np.arange(40) * 15.0])
    parts = [stem]
    for side, radius, share in zip((-1.0, 1.0), radii_nm, covered, strict=True):
        arm = np.linspace(0, 1, 30)[:, None] * np.array([side * 450.0, 0.0, 450.0]) + stem[-1]
        outward = np.array([side, 0.0, 1.0]) / np.sqrt(2)
        ball = generator.normal(size=(round(0.05 * radius**2), 3))
        ball /= np.linalg.norm(ball, axis=1, keepdims=True)
        ball = ball[ball[:, 1] < 2 * share - 1]
        parts += [arm, arm[-1] + radius * (outward + ball)]
    return np.concatenate(parts)


@pytest.mark.parametrize("covered", [(1.0, 1.0), (0.55, 1.0)])
def test_the_wider_head_comes_first_also_where_a_neighbour_covers_half_of_it(covered):
    xyz = _fork((230.0, 180.0), covered)
    pairs = cKDTree(xyz).query_pairs(60.0, output_type="ndarray")
    length = np.linalg.norm(xyz[pairs[:, 0]] - xyz[pairs[:, 1]], axis=1)
    graph = sparse.csr_matrix((length, tuple(pairs.T)), shape=(len(xyz), len(xyz)))
    graph = (graph + graph.T).tocsr()
    distance = sparse.csgraph.dijkstra(graph, indices=0)
    assert np.isfinite(distance).all()
    area = np.full(len(xyz), 4 * np.pi / 0.05)  # the same for each point
    (spine,) = lobes_of(graph, np.arange(len(xyz)), distance, xyz, area, 300.0, 150.0)
    assert len(spine.heads) == 2
    assert xyz[spine.heads[0], 0].mean() < 0 < xyz[spine.heads[1], 0].mean()


@pytest.mark.parametrize(
    ("angle", "stands"), [(0.97, True), (0.8, True), (0.6, False), (0.4, False)]
)
def test_a_bump_of_a_head_is_no_head(angle, stands):
    """Caps of a ball up to this part of pi from the tip: whole balls are heads, half ones bumps."""
    generator = np.random.default_rng(4)
    radius = 160.0
    away = np.arccos(generator.uniform(np.cos(angle * np.pi), 1, 400))
    around = generator.uniform(0, 2 * np.pi, 400)
    xyz = radius * np.column_stack(
        [np.sin(away) * np.cos(around), np.sin(away) * np.sin(around), np.cos(away)]
    )
    xyz += generator.normal(0, 3, xyz.shape)
    assert is_head(xyz, 900.0 - radius * away) is stands

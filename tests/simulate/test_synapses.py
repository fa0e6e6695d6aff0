"""Coupled pairs have the share and the distances that were planted."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError
from nanospine.core.region import Box
from nanospine.simulate import SimulatedLocalizations, synapses

FIELD = Box((0, 0, 0), (5000, 5000, 2000))


def channel(locs: SimulatedLocalizations, name: str) -> np.ndarray:
    return locs.xyz_nm[(locs.table["channel"] == name).to_numpy()]


@settings(max_examples=20)
@given(st.floats(0, 1), st.integers(1, 300), st.integers(0, 1000))
def test_pairs_point_at_rows_at_their_distance(share: float, n: int, seed: int) -> None:
    locs = synapses(FIELD, n_pre=300, n_post=n, coupled_fraction=share, seed=seed)
    pre, post, pairs = channel(locs, "pre"), channel(locs, "post"), locs.truth.pairs
    assert (len(pre), len(post), len(pairs)) == (300, n, round(share * n))
    apart = np.linalg.norm(pre[pairs["index_pre"]] - post[pairs["index_post"]], axis=1)
    assert apart == pytest.approx(pairs["distance_nm"].to_numpy(), abs=1e-6)
    assert pairs["index_pre"].is_unique
    assert pairs["index_post"].is_unique
    assert locs.region.contains(locs.xyz_nm).all()


def test_distances_follow_the_planted_distribution() -> None:
    wide = Box((0, 0, 0), (50_000, 50_000, 50_000))
    truth = synapses(wide, n_pre=4000, n_post=4000, coupled_fraction=1, distance_nm=120,
                     distance_std_nm=20, seed=1).truth  # fmt: skip
    assert truth.distance_nm == pytest.approx(120, abs=5 * 20 / np.sqrt(4000))
    assert truth.distance_std_nm == pytest.approx(20, rel=0.06)
    assert truth.coupled_fraction == 1


def test_directions_are_even() -> None:
    wide = Box((0, 0, 0), (50_000, 50_000, 50_000))
    locs = synapses(wide, n_pre=3000, n_post=3000, coupled_fraction=1, seed=2)
    pairs = locs.truth.pairs
    way = channel(locs, "post")[pairs["index_post"]] - channel(locs, "pre")[pairs["index_pre"]]
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    assert np.abs(way.mean(axis=0)).max() < 5 / np.sqrt(3 * 3000)
    assert (way**2).mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.03)


def test_a_mesh_holds_its_molecules() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=1000)
    locs = synapses(ball, n_pre=150, n_post=150, seed=3)
    assert np.linalg.norm(locs.xyz_nm, axis=1).max() < 1001


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(GeometryError, match="need as many presynaptic"):
        synapses(FIELD, n_pre=10, n_post=100, coupled_fraction=0.5)
    with pytest.raises(GeometryError, match="coupled_fraction"):
        synapses(FIELD, coupled_fraction=1.5)
    with pytest.raises(GeometryError, match="do not fit"):
        synapses(Box((0, 0, 0), (10, 10, 10)), distance_nm=500, distance_std_nm=1)

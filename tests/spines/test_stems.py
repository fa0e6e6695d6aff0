"""Crowded spines are parted between the stems that they stand on; forks are not."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.simulate import SpineSpec


def _bridged(gap_nm: float) -> trimesh.Trimesh:
    """Two mushrooms side by side on a shaft, whose heads a bridge joins where the gap is small."""
    specs = [
        SpineSpec("mushroom", 1500.0 + side * (350.0 + gap_nm / 2), 0.0, 180.0, 500.0, 700.0)
        for side in (-1, 1)
    ]
    return ns.simulate.dendrite(3000.0, specs=specs, curvature_nm=0.0, voxel_nm=30.0).mesh


@pytest.mark.parametrize("gap_nm", [-40.0, 200.0])
def test_two_heads_that_touch_are_two_spines(gap_nm):
    spines = ns.find_spines(_bridged(gap_nm))
    assert len(spines) == 2
    assert (spines.table["n_heads"] == 1).all()
    x = np.sort(spines.table["tip_x_nm"])
    np.testing.assert_allclose(x, [1150 - gap_nm / 2, 1850 + gap_nm / 2], atol=150)


def test_a_fork_on_one_neck_is_one_spine():
    spines = ns.find_spines(ns.simulate.spine("branched", seed=3, voxel_nm=30.0).mesh)
    assert spines.table["n_heads"].tolist() == [2]


def test_a_thin_process_is_no_dendrite():
    rod = trimesh.creation.capsule(height=5000, radius=95, count=(40, 40))
    spines = ns.find_spines(rod)
    assert spines.shaft is None
    assert len(spines) == 0

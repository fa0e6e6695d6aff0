"""Branched spines: where two tubes are one, no neck is measured."""

from __future__ import annotations

import numpy as np
import pytest

import nanospine as ns
from nanospine.spines.measure import _FORK_NM, SpinePoints, _forks_nm
from nanospine.spines.protrusion import Protrusion

LINE = np.column_stack([np.zeros((101, 2)), np.linspace(0, 1000, 101)])


def test_points_beside_a_fork_are_left_out_and_the_others_keep_their_order():
    z = np.arange(3.0, 1000.0, 10.0)  # each nearest to the point of the line 3 nm below
    xyz = np.column_stack([np.full(len(z), 60.0), np.zeros(len(z)), z])
    points = SpinePoints(xyz, np.full((len(z), 3), 10.0), np.arange(len(z)), 80)
    left = points.off_forks(LINE, [500.0])
    expected = z[(z - 3 < 500 - _FORK_NM[0]) | (z - 3 > 500 + _FORK_NM[1])]
    assert left.xyz_nm[:, 2].tolist() == expected.tolist()
    assert (left.molecule == (expected - 3) / 10).all()
    assert len(left.precision_nm) == len(expected)
    assert left.n_own == (expected < z[80]).sum()
    bare = SpinePoints(xyz, None, None, 3).off_forks(LINE, [])
    assert len(bare.xyz_nm) == len(z)
    assert bare.precision_nm is None
    assert bare.molecule is None


def test_only_heads_that_stand_on_a_stem_make_a_fork():
    vertices = np.column_stack([np.full(30, 40.0), np.zeros(30), np.linspace(410, 700, 30)])
    distance = np.linspace(400, 690, 30)
    found = Protrusion(
        np.arange(30), distance, (np.arange(10), np.arange(10, 20), np.arange(20, 30))
    )
    forks = _forks_nm(LINE, vertices, found, [True, True, False])
    crotch = vertices[10:15, 2].mean()
    assert forks == [pytest.approx(crotch, abs=10)]
    assert _forks_nm(LINE, vertices, found, [True, False, False]) == []


def test_the_neck_of_a_planted_branched_spine():
    shape = ns.simulate.dendrite(3000, ["branched"], seed=5)
    locs = ns.simulate.localize(shape, density_per_um2=2000, seed=6)
    spines = ns.find_spines(ns.envelope(locs), locs)
    assert spines.table["type"].tolist() == ["branched"]
    assert "no diameter beside its fork at" in spines.table["note"][0]
    neck, truth = spines.spines[0].neck, shape.truth.profiles[0]
    position, diameter = truth["position_nm"].to_numpy(), truth["diameter_nm"].to_numpy()
    least = shape.truth.spines["neck_diameter_nm"][0]
    assert abs(neck.constriction.diameter_nm - least) < 3
    arms = shape.truth.spines["neck_length_nm"][0]
    fork = position[(position > 100) & (position < arms - 100) & (diameter > 1.06 * least)].mean()
    assert np.isnan(np.interp(fork, neck.position_nm, neck.diameter_nm))
    before = neck.diameter_nm[(neck.position_nm > 100) & (neck.position_nm < fork - 150)]
    beyond = neck.diameter_nm[(neck.position_nm > fork + 150) & (neck.position_nm < arms - 100)]
    assert np.nanmax(np.abs(np.concatenate([before, beyond]) - least)) < 8

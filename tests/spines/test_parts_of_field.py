"""What one spine has of a field is found without looking through the field, and is the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.spines.levels import Cutter, part_of
from nanospine.spines.measure import PointsBySpine
from nanospine.spines.walls import Membrane

BALL = trimesh.creation.icosphere(subdivisions=2)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.0, 0.02, 0.3, 0.9, 1.0]))
def test_faces_around_vertices_are_those_of_all_faces_looked_through(seed, share):
    rng = np.random.default_rng(seed)
    vertices = rng.permutation(np.flatnonzero(rng.random(len(BALL.vertices)) < share))
    expected, _ = part_of(BALL, np.isin(BALL.faces, vertices).all(axis=1))
    found = Cutter(BALL).around(vertices)
    np.testing.assert_array_equal(found.faces, expected.faces)
    np.testing.assert_array_equal(found.vertices, expected.vertices)


@pytest.mark.parametrize("column", ["molecule", "trace", None])
def test_points_of_a_spine_are_those_of_all_looked_through(column):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.random((200, 3)) * 100, columns=["x_nm", "y_nm", "z_nm"])
    if column:
        table[column] = pd.array(rng.integers(0, 9, 200), dtype="Int64")
        table.loc[::7, column] = pd.NA
    locs = ns.Localizations(table)
    spine, precision = rng.integers(-2, 4, 200), rng.random((200, 3))
    locs.table[["x_nm", "y_nm", "z_nm"]] *= 10  # so that some of the shaft is too far away
    line = np.array([[100.0, 500, 500], [400.0, 500, 500]])
    far = np.linalg.norm(locs.xyz_nm[:, None] - line, axis=2).min(axis=1)
    points = PointsBySpine(locs, precision, spine)
    for number in range(5):
        own, shaft = np.flatnonzero(spine == number), np.flatnonzero((spine == -1) & (far < 300))
        assert len(shaft) not in (0, (spine == -1).sum())
        mine = np.concatenate([own, shaft])
        found = points.about(number, line)
        assert found.n_own == points.count(number) == len(own)
        np.testing.assert_array_equal(found.xyz_nm, locs.xyz_nm[mine])
        np.testing.assert_array_equal(found.precision_nm, precision[mine])
        if column is None:
            assert found.molecule is None
        else:
            np.testing.assert_array_equal(found.molecule, locs.table[column].fillna(-1)[mine])
    assert PointsBySpine(locs, None, spine).about(1, line).precision_nm is None


@given(seed=st.integers(0, 10**6))
def test_localizations_in_a_box_are_those_of_all_looked_through(seed):
    rng = np.random.default_rng(seed)
    xyz = np.round(rng.random((80, 3)) * [9, 4, 20])
    low, high = np.sort(np.round(rng.random((2, 3)) * [9, 4, 20]), axis=0)
    expected = np.flatnonzero(((xyz >= low) & (xyz <= high)).all(axis=1))
    np.testing.assert_array_equal(Membrane(xyz, xyz, 1.0).within(low, high), expected)

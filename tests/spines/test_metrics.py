"""Shape metrics against shapes whose values are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import ConfigError
from nanospine.spines.metrics import (
    chord_lengths_nm,
    closed_volume_nm3,
    neck_resistance_mohm,
    spine_metrics,
)
from nanospine.spines.model import Shaft, Spine, Spines
from nanospine.spines.neck import Constriction, NeckProfile


def hemisphere(radius: float) -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=5, radius=radius)
    keep = ball.triangles_center[:, 2] > 0
    return ball.submesh([np.flatnonzero(keep)], append=True)


def profile(diameter: np.ndarray, step: float = 10.0) -> NeckProfile:
    at = step * np.arange(len(diameter))
    n = np.full(len(diameter), 50)
    found = Constriction(float(np.nanmin(diameter)), 90.0, 110.0, 100.0, 50)
    return NeckProfile(at, diameter, diameter - 5, diameter + 5, n, found, True)


def result(mesh: trimesh.Trimesh, neck: NeckProfile, neck_length: float) -> Spines:
    row = {"neck_length_nm": neck_length, "dendrite": 0}
    line = np.array([[0.0, 0, 0], [0, 0, 500]])
    spine = Spine(0, "thin", line, neck, mesh, 1, row)
    axis = np.column_stack([np.linspace(-2000, 2000, 50), np.zeros(50), np.full(50, -400.0)])
    shaft = Shaft((axis,), (np.full(50, 400.0),), mesh)
    return Spines(pd.DataFrame([row]), (spine,), shaft, mesh, np.zeros(1, dtype=np.int64), None)


def test_a_hemisphere_on_its_rim() -> None:
    row = spine_metrics(result(hemisphere(300.0), profile(np.full(60, 100.0)), 500.0)).iloc[0]
    assert row["average_distance_nm"] == pytest.approx(300, rel=0.01)
    assert row["cvd"] < 0.02
    assert row["length_top5_nm"] == pytest.approx(300, rel=0.01)
    assert row["volume_nm3"] == pytest.approx(2 / 3 * np.pi * 300**3, rel=0.02)
    assert row["area_nm2"] == pytest.approx(2 * np.pi * 300**2, rel=0.03)
    assert row["junction_area_nm2"] == pytest.approx(np.pi * 300**2, rel=0.02)
    assert abs(row["hull_ratio"]) < 0.02
    # uniform in height: the mean of arccos(z) over z in [0, 1] is 1
    assert row["open_angle_rad"] == pytest.approx(1.0, abs=0.02)
    assert row["shaft_angle_rad"] == pytest.approx(np.pi / 2, abs=1e-6)
    assert row["shaft_distance_nm"] == pytest.approx(900, abs=2)


def test_resistance_of_a_cylinder_and_of_a_cone() -> None:
    even = result(hemisphere(300.0), profile(np.full(101, 100.0)), 1000.0).spines[0]
    assert neck_resistance_mohm(even) == pytest.approx(190.99, rel=1e-3)
    # of a cone the integral of 1 / d^2 is length / (d0 d1)
    cone = result(hemisphere(300.0), profile(np.linspace(100, 200, 101)), 1000.0).spines[0]
    assert neck_resistance_mohm(cone) == pytest.approx(190.99 / 2, rel=1e-3)
    assert neck_resistance_mohm(cone, resistivity_ohm_cm=300) == pytest.approx(190.99, rel=1e-3)


def test_without_a_measured_neck_there_is_no_resistance() -> None:
    gaps = np.full(101, 100.0)
    gaps[10:80] = np.nan
    assert np.isnan(neck_resistance_mohm(result(hemisphere(9), profile(gaps), 1000.0).spines[0]))
    none = result(hemisphere(9.0), profile(np.full(101, 100.0)), 0.0).spines[0]
    assert np.isnan(neck_resistance_mohm(none))


def test_chords_of_a_sphere() -> None:
    # pairs of random points of a sphere: density c / (2 R^2), mean 4 R / 3
    ball = trimesh.creation.icosphere(subdivisions=4, radius=100.0)
    chords = chord_lengths_nm(ball, 20_000)
    assert chords.mean() == pytest.approx(400 / 3, rel=0.02)
    assert (chords < 100).mean() == pytest.approx(0.25, abs=0.02)


def test_chord_columns_and_bad_resistivity() -> None:
    spines = ns.find_spines(ns.simulate.spine("mushroom", seed=1, voxel_nm=40).mesh)
    table = spine_metrics(spines, chord_bins=20)
    chords = table[[f"chord_{i}" for i in range(20)]].to_numpy()
    assert chords.sum() == pytest.approx(1)
    assert table["volume_nm3"][0] == pytest.approx(spines.table["volume_nm3"][0], rel=0.15)
    with pytest.raises(ConfigError, match="positive resistivity"):
        spine_metrics(spines, resistivity_ohm_cm=0)


def test_a_piece_of_single_vertices_encloses_nothing() -> None:
    assert closed_volume_nm3(trimesh.Trimesh(np.zeros((2, 3)), np.empty((0, 3), int))) == 0.0

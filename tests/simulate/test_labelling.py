"""Localizations have the density, the noise and the background that were asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trimesh

from nanospine.core.errors import GeometryError
from nanospine.simulate import localize, spine
from nanospine.simulate.blinking import blink_frames

BALL = trimesh.creation.icosphere(subdivisions=4, radius=800)


def test_number_of_fluorophores_is_density_times_area_or_volume() -> None:
    for options, expected in (
        ({"label": "membrane", "density_per_um2": 600}, 600 * BALL.area / 1e6),
        ({"label": "filled", "density_per_um3": 3000}, 3000 * BALL.volume / 1e9),
    ):
        got = [localize(BALL, seed=s, **options).truth.n_molecules for s in range(5)]  # type: ignore[arg-type]
        assert abs(np.mean(got) - expected) < 5 * np.sqrt(expected / 5)
        assert len(set(got)) > 1


def test_noise_is_exactly_the_precision_beside_it() -> None:
    locs = localize(BALL, precision_xy_nm=8, precision_z_nm=25, background_fraction=0, seed=3)
    columns = ["precision_x_nm", "precision_y_nm", "precision_z_nm"]
    precision = locs.table[columns].to_numpy()
    score = (locs.xyz_nm - locs.truth.true_xyz_nm) / precision
    limit = 5 / np.sqrt(2 * len(score))
    assert np.abs(score.std(axis=0) - 1).max() < limit
    assert np.abs(score.mean(axis=0)).max() < 1.5 * limit
    # All sizes of precision alike: the worst quarter is as well described as the best.
    worst = precision[:, 0] > np.quantile(precision[:, 0], 0.75)
    assert np.abs(score[worst].std(axis=0) - 1).max() < 2 * limit
    assert np.median(precision, axis=0) == pytest.approx([8, 8, 25], rel=0.03)


def test_precision_goes_with_the_photons() -> None:
    table = localize(BALL, seed=4).table
    product = table["precision_x_nm"] * np.sqrt(table["photons"])
    assert product.std() < 1e-6 * product.mean()


def test_localizations_per_fluorophore_and_background() -> None:
    locs = localize(BALL, localizations_per_fluorophore=4, background_fraction=0.2, seed=5)
    molecule = locs.table["molecule"].to_numpy()
    background = locs.truth.is_background
    assert np.array_equal(molecule < 0, background)
    assert background.mean() == pytest.approx(0.2, abs=0.02)
    counts = np.bincount(molecule[~background])
    assert counts.min() >= 1
    assert counts.mean() == pytest.approx(4, abs=0.15)
    # Those of one fluorophore come from one place.
    first = locs.truth.true_xyz_nm[~background]
    same = molecule[~background]
    order = np.argsort(same, kind="stable")
    jump = np.abs(np.diff(first[order], axis=0)).max(axis=1)
    assert jump[np.diff(same[order]) == 0].max() == 0


def test_fluorophores_stand_on_the_surface_or_inside() -> None:
    shape = spine("mushroom", shaft_length_nm=1600, seed=6)
    on = localize(shape, density_per_um2=300, background_fraction=0, seed=1)
    assert np.abs(shape.signed_distance_nm(on.truth.true_xyz_nm)).max() < 1
    within = localize(shape, label="filled", density_per_um3=800, background_fraction=0, seed=1)
    assert shape.signed_distance_nm(within.truth.true_xyz_nm).max() < 0


def test_surface_is_labelled_evenly() -> None:
    true = localize(BALL, background_fraction=0, localizations_per_fluorophore=1,
                    seed=7).truth.true_xyz_nm  # fmt: skip
    # On a sphere each coordinate is uniform (Archimedes).
    for column in true.T:
        share = np.histogram(column, bins=8, range=(-800, 800))[0] / len(true)
        assert share == pytest.approx([1 / 8] * 8, abs=5 * np.sqrt(0.11 / len(true)))


def test_linker_moves_the_label_outward() -> None:
    true = localize(BALL, linker_nm=15, background_fraction=0, seed=8).truth.true_xyz_nm
    off = np.linalg.norm(true, axis=1) - 800
    assert 5 < off.mean() < 15.5
    assert off.max() < 16


def test_gaps_take_patches() -> None:
    whole = localize(BALL, background_fraction=0, seed=9)
    torn = localize(BALL, background_fraction=0, gaps=0.3, seed=9)
    assert torn.truth.n_molecules == pytest.approx(0.7 * whole.truth.n_molecules, rel=0.06)
    from scipy.spatial import cKDTree

    far = cKDTree(torn.truth.true_xyz_nm).query(whole.truth.true_xyz_nm)[0]
    assert far.max() > 90  # a hole, not a thinner label


def test_region_is_declared_and_holds_everything() -> None:
    locs = localize(BALL, seed=10)
    assert not locs.region.assumed
    assert locs.region.contains(locs.xyz_nm).all()
    assert (locs.region.bounds_nm[0] <= BALL.bounds[0] - 300).all()
    assert locs.history[-1]["operation"] == "simulate.localize"


def test_one_seed_one_table() -> None:
    first, again, other = (localize(BALL, density_per_um2=100, seed=s).table for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_all_faults_in_one_message() -> None:
    bad: dict[str, Any] = {"label": "shell", "gaps": 1.0, "localizations_per_fluorophore": 0.5}
    with pytest.raises(GeometryError, match=r"label must be.*at least 1.*gaps must be"):
        localize(BALL, **bad)


def test_filled_label_needs_a_closed_mesh() -> None:
    opened = trimesh.Trimesh(BALL.vertices, BALL.faces[:-1], process=False)
    with pytest.raises(GeometryError):
        localize(opened, label="filled")
    assert len(localize(opened, density_per_um2=50)) > 0


def test_frames_of_a_molecule_rise_and_stay_in_the_measurement() -> None:
    molecule = np.repeat(np.arange(200), 5)
    frame = blink_frames(molecule, 50_000, np.random.default_rng(0)).reshape(200, 5)
    inside = frame[:, -1] < 49_999
    assert (np.diff(frame[inside], axis=1) > 0).all()
    assert np.diff(frame[inside], axis=1).mean() == pytest.approx(30, rel=0.2)
    assert frame.min() >= 0
    assert frame.max() < 50_000

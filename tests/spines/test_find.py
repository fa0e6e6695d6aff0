"""find_spines on shapes whose spines are known."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

import nanospine as ns
from nanospine.core.errors import GeometryError
from nanospine.spines.model import BACKGROUND, COLUMNS, SHAFT

TYPES = ("stubby", "thin", "mushroom", "filopodium", "branched")
TIP = ["tip_x_nm", "tip_y_nm", "tip_z_nm"]


@pytest.fixture(scope="module")
def planted():
    """A dendrite with one spine of each type, its localizations and what is found on them."""
    shape = ns.simulate.dendrite(5000, list(TYPES), seed=11, voxel_nm=25)
    locs = ns.simulate.localize(shape, density_per_um2=900, seed=3)
    return shape, locs, ns.find_spines(ns.envelope(locs), locs)


def _matched(found, truth):
    """Row of the truth for each spine found, by the nearest tip; every one at most once."""
    distance, row = cKDTree(truth[TIP]).query(found[TIP])
    assert len(set(row)) == len(row)
    assert distance.max() < 150
    return truth.iloc[row].reset_index(drop=True)


def test_every_planted_spine_is_found_with_its_type(planted):
    shape, _, spines = planted
    truth = _matched(spines.table, shape.truth.spines)
    assert len(spines) == len(shape.truth.spines)
    assert spines.table["type"].tolist() == truth["type"].tolist()


def test_spines_at_the_border_of_a_stated_field_say_so(planted):
    """The field ends in the middle of the tallest spine."""
    _, locs, spines = planted
    tallest = spines.table.iloc[int(spines.table["length_nm"].argmax())]
    base, tip = (tallest[[f"{end}_{axis}_nm" for axis in "xyz"]].to_numpy(float)
                 for end in ("base", "tip"))  # fmt: skip
    axis = 1 + int(np.abs(tip - base)[1:].argmax())
    low, high = locs.xyz_nm.min(axis=0) - 100, locs.xyz_nm.max(axis=0) + 100
    (high if tip[axis] > base[axis] else low)[axis] = (0.4 * base + 0.6 * tip)[axis]
    part = ns.keep_box(locs, low, high)
    found = ns.find_spines(ns.envelope(part), part).table
    cut = found["note"].str.contains("lower bounds")
    assert cut.sum() == 1
    assert np.linalg.norm(found.loc[cut, TIP].to_numpy()[0] - tip) < 0.7 * tallest["length_nm"]
    assert not spines.table["note"].str.contains("lower bounds").any()


@pytest.mark.parametrize(
    ("column", "tolerance"),
    [("neck_diameter_nm", 0.15), ("length_nm", 0.12), ("head_diameter_nm", 0.15),
     ("volume_nm3", 0.3)],
)  # fmt: skip
def test_planted_sizes_come_back(planted, column, tolerance):
    shape, _, spines = planted
    truth = _matched(spines.table, shape.truth.spines)
    error = (spines.table[column] - truth[column]).abs() / truth[column]
    assert error.max() < tolerance, error.tolist()


def test_intervals_hold_the_estimate_and_most_truths(planted):
    shape, _, spines = planted
    truth = _matched(spines.table, shape.truth.spines)["neck_diameter_nm"]
    low, high = spines.table["neck_diameter_low_nm"], spines.table["neck_diameter_high_nm"]
    assert (low <= spines.table["neck_diameter_nm"]).all()
    assert (spines.table["neck_diameter_nm"] <= high).all()
    assert ((low - 5 <= truth) & (truth <= high + 5)).sum() >= 4


def test_table_has_the_columns_of_the_contract(planted):
    _, _, spines = planted
    assert list(spines.table.columns) == list(COLUMNS)
    assert spines.table["spine"].tolist() == list(range(len(spines)))
    assert spines.spines[2].row["length_nm"] == spines.table["length_nm"][2]
    assert spines.to_frame().equals(spines.table)


def test_every_vertex_and_localization_has_a_label(planted):
    _, locs, spines = planted
    mesh = spines.envelope.mesh
    assert spines.vertex_spine.shape == (len(mesh.vertices),)
    assert set(np.unique(spines.vertex_spine)) >= {SHAFT, *range(len(spines))}
    label = spines.localization_spine
    assert label.shape == (len(locs),)
    counted = np.bincount(label[label >= 0], minlength=len(spines))
    assert counted.tolist() == spines.table["n_localizations"].tolist()
    away = label[locs.truth.is_background] == BACKGROUND
    assert away.mean() > 0.5  # background also falls onto the dendrite


def test_centrelines_run_from_base_to_tip(planted):
    _, _, spines = planted
    for spine in spines.spines:
        line = spine.centreline_nm
        np.testing.assert_allclose(line[-1], [spine.row[name] for name in TIP])
        step = np.linalg.norm(np.diff(line, axis=0), axis=1)
        assert step.sum() == pytest.approx(spine.row["length_nm"])
        assert spine.neck.position_nm[-1] == pytest.approx(step.sum(), rel=0.2)


def test_shaft_is_measured_without_its_spines(planted):
    shape, _, spines = planted
    assert len(spines.shaft.axes_nm) == 1
    true_radius = np.median(shape.truth.shaft_radius_nm)
    assert np.median(spines.shaft.radii_nm[0]) == pytest.approx(true_radius, rel=0.08)
    assert spines.shaft.length_nm == pytest.approx(5000, rel=0.25)
    assert spines.density_per_um == pytest.approx(1.0, rel=0.25)


def test_a_mesh_alone_gives_the_same_table():
    shape = ns.simulate.spine("mushroom", neck_diameter_nm=200, neck_length_nm=500, seed=4)
    spines = ns.find_spines(shape.mesh)
    row = spines.table.iloc[0]
    truth = shape.truth.spines.iloc[0]
    assert row["type"] == "mushroom"
    assert row["neck_diameter_nm"] == pytest.approx(truth["neck_diameter_nm"], rel=0.1)
    assert row["head_diameter_nm"] == pytest.approx(truth["head_diameter_nm"], rel=0.08)
    assert row["head_volume_nm3"] == pytest.approx(truth["head_volume_nm3"], rel=0.12)
    assert np.isnan(row["neck_diameter_low_nm"])
    assert "mesh" in row["note"]
    assert spines.localization_spine is None


def test_moving_and_turning_the_mesh_changes_nothing():
    mesh = ns.simulate.dendrite(4000, ["thin", "mushroom", "stubby"], seed=5, voxel_nm=30).mesh
    turn = trimesh.transformations.random_rotation_matrix(np.random.default_rng(1).random(3))
    moved = mesh.copy()
    moved.apply_transform(turn)
    moved.apply_translation((3e5, -2e5, 1e4))
    before, after = ns.find_spines(mesh).table, ns.find_spines(moved).table
    back = (after[TIP].to_numpy() - (3e5, -2e5, 1e4)) @ turn[:3, :3]
    _, row = cKDTree(back).query(before[TIP])
    assert sorted(row) == [0, 1, 2]
    after = after.iloc[row].reset_index(drop=True)
    assert before["type"].tolist() == after["type"].tolist()
    np.testing.assert_allclose(before["length_nm"], after["length_nm"], rtol=0.05)


def test_no_shaft_is_said_and_not_an_error():
    ball = trimesh.creation.icosphere(subdivisions=4, radius=800)
    spines = ns.find_spines(ball)
    assert len(spines) == 0
    assert spines.shaft is None
    assert "No shaft with spines was found" in spines.notes[0]
    assert list(spines.table.columns) == list(COLUMNS)
    assert np.isnan(spines.density_per_um)


def test_a_bare_shaft_has_no_spines():
    rod = trimesh.creation.capsule(height=5000, radius=400, count=(40, 40))
    spines = ns.find_spines(rod)
    assert len(spines) == 0
    assert spines.shaft is not None
    assert "nothing stands out" in spines.notes[0]


def test_two_dendrites_are_two():
    a = ns.simulate.dendrite(3000, ["mushroom"], seed=1, voxel_nm=30).mesh
    b = ns.simulate.dendrite(3000, ["thin"], seed=2, voxel_nm=30).mesh
    b.apply_translation((0, 6000, 0))
    spines = ns.find_spines(trimesh.util.concatenate([a, b]))
    assert sorted(spines.table["type"]) == ["mushroom", "thin"]
    assert len(spines.shaft.axes_nm) == 2
    assert spines.table["dendrite"].nunique() == 2
    density = spines.density_table().set_index(["dendrite", "type"])
    assert density.loc[(-1, "all"), "per_um"] == pytest.approx(spines.density_per_um)
    assert density.loc[(-1, "all"), "spines"] == 2
    for number, length in enumerate(spines.shaft.lengths_nm):
        kinds = density.loc[number]
        assert kinds.loc["all", "spines"] == kinds.loc[["mushroom", "thin"], "spines"].sum() == 1
        assert kinds.loc["all", "per_um"] == pytest.approx(1000 / length)


def test_without_precision_no_neck_is_invented():
    shape = ns.simulate.spine("mushroom", seed=2, voxel_nm=30)
    locs = ns.simulate.localize(shape, density_per_um2=600, seed=1)
    bare = ns.from_arrays(locs.xyz_nm)
    spines = ns.find_spines(ns.envelope(bare), bare)
    assert spines.table["neck_diameter_nm"].isna().all()
    assert "precision" in spines.table["note"][0]
    given = ns.find_spines(ns.envelope(bare), bare, precision_nm=(10, 10, 20))
    truth = shape.truth.spines["neck_diameter_nm"][0]
    assert given.table["neck_diameter_nm"][0] == pytest.approx(truth, rel=0.2)


def test_localizations_without_a_molecule_are_not_one_molecule():
    shape = ns.simulate.spine("mushroom", seed=2, voxel_nm=30)
    locs = ns.simulate.localize(shape, density_per_um2=600, seed=1)
    table = locs.to_frame()
    table["molecule"] = np.nan
    unknown = locs.replace(table=table, operation="test")
    without = locs.replace(table=table.drop(columns="molecule"), operation="test")
    surface = ns.envelope(locs)
    a, b = (
        ns.find_spines(surface, item).table["neck_diameter_nm"][0] for item in (unknown, without)
    )
    assert a == pytest.approx(b, rel=0.05)


@pytest.mark.parametrize("options", [{"min_length_nm": 0}, {"base_nm": -5}])
def test_lengths_must_be_positive(options):
    with pytest.raises(GeometryError, match="positive length"):
        ns.find_spines(trimesh.creation.icosphere(radius=500), **options)


def test_empty_mesh_and_wrong_precision():
    with pytest.raises(GeometryError, match="no faces"):
        ns.find_spines(trimesh.Trimesh())
    shape = ns.simulate.spine("thin", seed=1, voxel_nm=30)
    locs = ns.from_arrays(shape.mesh.vertices)
    with pytest.raises(GeometryError, match="precision_nm must be"):
        ns.find_spines(shape.mesh, locs, precision_nm=[1, 2, 3, 4])

"""Spines of labelled voxels are those that were labelled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

import nanospine as ns
from nanospine.core.errors import GeometryError
from nanospine.spines.from_labels import spines_from_labels
from nanospine.voxels.grid import LabelGrid


@pytest.fixture(scope="module")
def labelled():
    """A simulated dendrite, its spines, and voxels that hold 2 + the number of their spine."""
    shape = ns.simulate.dendrite(length_nm=4000, n_spines=4, seed=3)
    found = ns.find_spines(shape.mesh)
    mask = ns.voxelize(shape.mesh, 40.0)
    inside = np.argwhere(mask.data)
    near = cKDTree(shape.mesh.vertices).query(mask.to_xyz_nm(inside))[1]
    data = mask.data.astype(np.int32)
    data[tuple(inside.T)] = np.maximum(found.vertex_spine[near] + 2, 1)
    roles = {1: "shaft"} | {number + 2: "spine" for number in range(len(found))}
    return shape, found, LabelGrid(data, 40.0, mask.origin_nm, roles)


def compare(found, spines):
    """Match by tips; volumes and lengths of voxels of 40 nm are those of the surface."""
    tips = [f"tip_{axis}_nm" for axis in "xyz"]
    assert len(spines) == len(found)
    apart, which = cKDTree(spines.table[tips]).query(found.table[tips])
    assert sorted(which) == list(range(len(found)))
    assert (apart < 120).all()
    same = spines.table.iloc[which]
    np.testing.assert_allclose(same["volume_nm3"], found.table["volume_nm3"], rtol=0.12)
    np.testing.assert_allclose(same["length_nm"], found.table["length_nm"], rtol=0.15)
    assert list(spines.table.columns[:-1]) == list(found.table.columns)


def test_panoptic_and_semantic_labels(labelled):
    _, found, labels = labelled
    compare(found, spines_from_labels(labels))
    semantic = LabelGrid(
        np.minimum(labels.labels, 2), 40.0, labels.origin_nm, {1: "shaft", 2: "spine"}
    )
    compare(found, spines_from_labels(semantic))


def test_instances_take_the_surface_that_is_given(labelled):
    shape, found, labels = labelled
    only = LabelGrid(
        np.where(labels.labels > 1, labels.labels - 1, 0), 40.0, labels.origin_nm,
        {number + 1: "spine" for number in range(len(found))},
    )  # fmt: skip
    with pytest.raises(GeometryError, match="without a shaft"):
        spines_from_labels(only)
    compare(found, spines_from_labels(only, envelope=shape.mesh))


def test_localizations_belong_to_the_labelled_spines(labelled):
    shape, _, labels = labelled
    xyz = shape.mesh.sample(4000, seed=1)
    locs = ns.from_arrays(xyz, precision_nm=8.0)
    spines = spines_from_labels(labels, locs, label="membrane")
    assert spines.localization_spine is not None
    own = ns.labels_to_points(labels, locs, reach_nm=40.0)
    on = spines.localization_spine >= 0
    came_from = spines.table["voxel_label"].to_numpy()[spines.localization_spine[on]]
    assert (came_from == own[on]).mean() > 0.9
    assert spines.table["n_localizations"].sum() == on.sum()


def test_a_loose_head_is_said_and_an_empty_volume_refused(labelled):
    _, found, labels = labelled
    data = labels.labels.copy()
    free = np.argwhere(data == 0)[0]
    data[tuple(slice(n, n + 4) for n in free)] = 50
    loose = LabelGrid(data, 40.0, labels.origin_nm, labels.roles | {50: "spine"})
    spines = spines_from_labels(loose)
    assert len(spines) == len(found)
    assert "1 labelled spine is not joined" in spines.notes[-1]
    empty = LabelGrid(np.zeros((3, 3, 3), int), 40.0, (0, 0, 0))
    with pytest.raises(GeometryError, match="no voxel has a label"):
        spines_from_labels(empty)


def test_without_labelled_spines_they_are_found(labelled):
    _, found, labels = labelled
    whole = LabelGrid((labels.labels > 0).astype(int), 40.0, labels.origin_nm, {1: "dendrite"})
    spines = spines_from_labels(whole)
    assert len(spines) == len(found)
    assert set(spines.table["voxel_label"]) == {-1}

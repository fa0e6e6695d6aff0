"""Heads without a visible neck are joined over the localizations that lead to them; else not."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
import trimesh
from scipy.spatial import cKDTree

import nanospine as ns
from nanospine.spines.detached import Surroundings, _cheapest, _thinned, heads_apart
from nanospine.spines.relabel import relabelled
from nanospine.voxels.grid import LabelGrid
from nanospine.voxels.transfer import labels_to_meshes

SHAFT_NM, HEAD_NM = 400.0, 200.0


def _scene(gap_nm: float) -> trimesh.Trimesh:
    """A shaft of 4 um along x, and a ball that stands `gap_nm` above its surface."""
    shaft = trimesh.creation.capsule(4000.0, SHAFT_NM, count=(48, 48))
    shaft.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0)))
    shaft.apply_translation(-shaft.centroid)
    shaft = trimesh.Trimesh(*trimesh.remesh.subdivide_to_size(shaft.vertices, shaft.faces, 90.0))
    shaft.merge_vertices()
    head = trimesh.creation.icosphere(3, radius=HEAD_NM)
    head.apply_translation([100.0, 0, SHAFT_NM + gap_nm + HEAD_NM])
    return trimesh.util.concatenate([shaft, head])


def _localizations(
    mesh: trimesh.Trimesh, neck: np.ndarray, background: int = 0
) -> ns.Localizations:
    rng = np.random.default_rng(3)
    points, _ = trimesh.sample.sample_surface(mesh, 12_000, seed=3)
    stray = rng.uniform(mesh.bounds[0] - 500, mesh.bounds[1] + 500, (background, 3))
    xyz = np.concatenate([points, neck, stray])
    table = pd.DataFrame(xyz + rng.normal(0, 5, xyz.shape), columns=["x_nm", "y_nm", "z_nm"])
    for axis in "xyz":
        table[f"precision_{axis}_nm"] = 5.0
    return ns.Localizations(table)


def _neck(gap_nm: float, n: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    angle = rng.uniform(0, 2 * np.pi, n)
    height = SHAFT_NM + np.linspace(0.1, 0.9, n) * gap_nm
    return np.column_stack([100 + 30 * np.cos(angle), 30 * np.sin(angle), height])


@pytest.mark.parametrize("background", [0, 300])
def test_localizations_between_lead_to_a_head(background):
    mesh = _scene(600.0)
    spines = ns.find_spines(mesh, _localizations(mesh, _neck(600.0, 9), background))
    assert len(spines) == 1
    row = spines.table.iloc[0]
    assert row["gap_nm"] == pytest.approx(600, rel=0.25)
    assert row["length_nm"] == pytest.approx(600 + 2 * HEAD_NM, rel=0.12)
    assert row["head_diameter_nm"] == pytest.approx(2 * HEAD_NM, rel=0.15)
    assert np.isnan(row["neck_diameter_nm"])
    assert "lies apart" in row["note"]
    assert any("apart" in note for note in spines.notes)
    assert (spines.vertex_spine[mesh.vertices[:, 2] > SHAFT_NM + 500] == 0).all()
    # those on the neck are the spine's
    assert spines.localization_spine[12_001:12_009].tolist() == [0] * 8
    base, tip = spines.spines[0].centreline_nm[[0, -1]]
    assert base == pytest.approx([100, 0, SHAFT_NM], abs=100)
    assert tip[2] > SHAFT_NM + 600 + 1.7 * HEAD_NM


def test_background_between_leads_nowhere():
    mesh = _scene(900.0)
    for count in (0, 400):
        spines = ns.find_spines(mesh, _localizations(mesh, np.empty((0, 3)), count))
        assert len(spines) == 0
        assert any("left out" in note for note in spines.notes)


def test_a_narrow_void_is_believed_without_localizations():
    mesh = _scene(250.0)
    spines = ns.find_spines(mesh)
    assert spines.table["gap_nm"].tolist() == [pytest.approx(250, rel=0.1)]
    assert np.isnan(spines.table["neck_diameter_nm"][0])
    assert "interrupted" in spines.table["note"][0]
    assert len(ns.find_spines(_scene(700.0))) == 0


def test_voids_are_counted_in_alphas():
    assert Surroundings(None, 80.0).void_nm == 240.0
    assert Surroundings(None, np.nan).void_nm == 400.0


def test_a_stump_and_its_head_are_one_spine():
    """A piece of the neck of a spine is taken out of its voxels."""
    shape = ns.simulate.spine("mushroom", seed=1)
    whole = ns.find_spines(shape.mesh)
    line = whole.spines[0].centreline_nm
    arc = np.append(0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))
    neck_nm = whole.table["neck_length_nm"][0]
    mask = ns.voxelize(shape.mesh, 20.0)
    data = np.array(mask.data, dtype=np.uint8)
    distance, nearest = cKDTree(line).query(mask.to_xyz_nm(np.argwhere(data)))
    gone = (distance < 200) & (arc[nearest] > 0.6 * neck_nm) & (arc[nearest] < 0.9 * neck_nm)
    data[tuple(np.argwhere(data)[gone].T)] = 0
    cut = labels_to_meshes(LabelGrid(data, 20.0, mask.origin_nm), smooth=10)[1]
    assert cut.body_count == 2
    found = ns.find_spines(cut)
    assert len(found) == 1
    assert found.table["gap_nm"][0] == pytest.approx(0.3 * neck_nm, abs=50)
    assert found.table["length_nm"][0] == pytest.approx(whole.table["length_nm"][0], rel=0.06)
    assert found.table["type"][0] == whole.table["type"][0]


def test_corrections_keep_the_way():
    mesh = _scene(250.0)
    found = ns.find_spines(mesh)
    again, number_of = relabelled(found, found.vertex_spine, [0])
    assert number_of == {0: 0}
    assert again.table["length_nm"][0] == pytest.approx(found.table["length_nm"][0], rel=0.02)
    assert again.table["gap_nm"][0] == found.table["gap_nm"][0]


def test_bodies_are_told_by_their_volume():
    balls = [trimesh.creation.icosphere(2, radius=r) for r in (20.0, 150.0, 900.0)]
    ends = np.cumsum([0, *(len(ball.vertices) for ball in balls)])
    bodies = [np.arange(a, b) for a, b in pairwise(ends)]
    kept = heads_apart(trimesh.util.concatenate(balls), bodies)
    assert [body[0] for body in kept] == [ends[1]]


def test_the_cheapest_way_is_that_of_all_ways():
    rng = np.random.default_rng(1)
    for _ in range(20):
        stones = rng.uniform(0, 100, (4, 3))
        start, end = np.array([-20.0, 50, 50]), np.array([120.0, 50, 50])
        from_on, to_body = (np.linalg.norm(stones - p, axis=1) for p in (start, end))
        path = _cheapest(stones, from_on, to_body, float(np.linalg.norm(end - start)))
        ways = [list(p) for n in range(5) for p in permutations(range(4), n)]

        def cost(way, stones=stones, start=start, end=end):
            line = np.concatenate([[start], stones[way].reshape(-1, 3), [end]])
            return (np.diff(line, axis=0) ** 2).sum()

        assert path == min(ways, key=cost)


def test_stones_of_one_molecule_count_once():
    rng = np.random.default_rng(0)
    blinks = np.repeat([[0.0, 0, 0], [100, 0, 0]], 20, axis=0) + rng.normal(0, 3, (40, 3))
    assert len(_thinned(blinks)) == 2

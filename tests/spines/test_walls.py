"""Neighbours that touch are parted along the membranes between them; nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy import ndimage
from skimage.measure import marching_cubes

import nanospine as ns
from nanospine.simulate import SpineSpec
from nanospine.spines.grid_graph import grid_graph
from nanospine.spines.levels import vertex_areas_nm2
from nanospine.spines.split import edge_graph
from nanospine.spines.stems import cleft_per_nm
from nanospine.spines.walls import (
    HeightAt,
    Membrane,
    Wrap,
    _in_cleft,
    _inside,
    _join_open,
    excess,
    membrane_of,
    part_by_walls,
)
from nanospine.surface.enveloped import Envelope

PER_NM2 = 3e-3


def _wrap(mesh: trimesh.Trimesh) -> Wrap:
    graph = edge_graph(mesh)
    return Wrap(mesh, cleft_per_nm((graph + graph.T).tocsr(), mesh, vertex_areas_nm2(mesh)))


def _on(mesh: trimesh.Trimesh, seed: int) -> np.ndarray:
    points, _ = trimesh.sample.sample_surface(mesh, round(PER_NM2 * mesh.area), seed=seed)
    return points + np.random.default_rng(seed).normal(0, 10, points.shape)


@pytest.fixture(scope="module")
def block() -> trimesh.Trimesh:
    """A box of 600 x 400 x 400 nm that stands for two spines side by side."""
    return trimesh.creation.box((600.0, 400.0, 400.0)).subdivide().subdivide().subdivide()


@pytest.fixture(scope="module")
def sheet() -> np.ndarray:
    """Localizations of two membranes in the middle of the block."""
    generator = np.random.default_rng(5)
    count = round(2 * PER_NM2 * 400**2)
    points = generator.uniform(-200, 200, (count, 3))
    points[:, 0] = generator.normal(0, 15, count)
    return points


def _membrane(mesh: trimesh.Trimesh, xyz: np.ndarray) -> Membrane:
    return Membrane(xyz, np.full(xyz.shape, 10.0), PER_NM2)


def test_a_wall_is_what_the_surface_does_not_explain(block, sheet):
    grid = _inside(_wrap(block), block.vertices)
    depth = ndimage.distance_transform_edt(grid.data)
    xyz = grid.to_xyz_nm(np.argwhere(grid.data))
    deep = (np.abs(xyz[:, 1:]) < 110).all(axis=1) & (np.abs(xyz[:, 0]) < 200)
    middle = deep & (np.abs(xyz[:, 0]) < 15)
    beside = deep & (np.abs(xyz[:, 0]) > 90)
    walled = excess(_wrap(block), grid, depth, _membrane(block, np.vstack([_on(block, 1), sheet])))
    plain = excess(_wrap(block), grid, depth, _membrane(block, _on(block, 1)))
    assert np.quantile(walled[middle], 0.02) > 0.3
    assert walled[beside].max() < 0.1
    assert plain[deep].max() < 0.1


def _height(xyz_nm: np.ndarray) -> np.ndarray:
    return xyz_nm[:, 2] + 200.0  # the shaft is below the block


def _parts(
    block: trimesh.Trimesh, xyz: np.ndarray, height: HeightAt = _height
) -> tuple[np.ndarray, np.ndarray]:
    patch = np.flatnonzero(height(block.vertices) > 80)
    graph = edge_graph(block)
    label = part_by_walls(
        _wrap(block), patch, (graph + graph.T).tocsr()[patch][:, patch], height,
        _membrane(block, xyz), base_nm=80, min_length_nm=300, join_nm=150,
    )  # fmt: skip
    return block.vertices[patch], label


def test_a_wall_parts_what_stands_on_both_sides_of_it(block, sheet):
    at, label = _parts(block, np.vstack([_on(block, 1), sheet]))
    assert sorted(np.unique(label)) == [0, 1]
    clear = np.abs(at[:, 0]) > 60
    side = at[clear, 0] > 0
    assert (label[clear] == label[clear][side][0])[side].all()
    assert (label[clear] != label[clear][side][0])[~side].all()


def test_the_least_length_counts_from_below_the_rim(sheet):
    low = trimesh.creation.box((600.0, 400.0, 300.0)).subdivide().subdivide().subdivide()
    wall = sheet[np.abs(sheet[:, 2]) < 150]
    at, label = _parts(low, np.vstack([_on(low, 1), wall]), lambda xyz_nm: xyz_nm[:, 2] + 150.0)
    left, right = np.unique(label[at[:, 0] < -60]), np.unique(label[at[:, 0] > 60])
    assert len(left) == len(right) == 1
    assert left[0] != right[0]


def test_without_a_wall_nothing_is_parted(block):
    assert (_parts(block, _on(block, 1))[1] == 0).all()


@pytest.fixture(scope="module")
def pillars() -> trimesh.Trimesh:
    """Two pillars 300 nm wide whose axes are 260 nm apart: a cleft runs down on both sides."""
    step = 12.5
    x, y, z = np.mgrid[-320:320:step, -200:200:step, -230:230:step]
    field = np.maximum(np.hypot(np.abs(x) - 130, y) - 150, np.abs(z) - 200)
    vertices, faces, _, _ = marching_cubes(field, 0.0)
    return trimesh.Trimesh(vertices * step + [-320, -200, -230], faces)


def _between(pillars: trimesh.Trimesh, half_width_nm: float) -> np.ndarray:
    """Localizations on the pillars, and on two membranes in the middle between them."""
    generator = np.random.default_rng(3)
    count = round(2 * PER_NM2 * 400 * 2 * half_width_nm)
    wall = generator.uniform(-1, 1, (count, 3)) * [1, half_width_nm, 200]
    wall[:, 0] = generator.normal(0, 15, count)
    return np.vstack([_on(pillars, 1), wall])


def test_a_cleft_closes_a_wall_at_its_rim(pillars):
    wrap = _wrap(pillars)
    patch = np.arange(len(pillars.vertices))
    assert _in_cleft(wrap, patch, np.array([[0.0, 60, 0], [0, -60, 90]])).all()
    assert not _in_cleft(wrap, patch, np.array([[0.0, 0, 0], [130, 140, 0], [270, 0, 90]])).any()
    at, label = _parts(pillars, _between(pillars, 40.0))
    clear = np.abs(at[:, 0]) > 60
    side = at[clear, 0] > 0
    assert len(np.unique(label)) == 2
    assert len(np.unique(label[clear][side])) == len(np.unique(label[clear][~side])) == 1


def test_a_cleft_alone_parts_nothing(pillars):
    assert (_parts(pillars, _on(pillars, 1))[1] == 0).all()


def test_background_inside_is_no_wall(block):
    stray = np.random.default_rng(2).uniform(-200, 200, (60, 3)) * [1.5, 1, 1]
    assert (_parts(block, np.vstack([_on(block, 1), stray]))[1] == 0).all()


def test_where_localizations_show_no_wall(block):
    xyz = _on(block, 1)
    assert membrane_of(block, xyz, None) is None
    assert membrane_of(block, xyz[:0], np.empty((0, 3))) is None
    assert membrane_of(block, xyz, np.full(xyz.shape, np.nan)) is None
    few = xyz[::6]
    assert membrane_of(block, few, np.full(few.shape, 10.0)) is None
    assert membrane_of(block, xyz, np.full(xyz.shape, 40.0)) is None
    some = np.full(xyz.shape, 10.0)
    some[3] = np.nan
    found = membrane_of(block, xyz, some)
    assert found is not None
    assert np.isfinite(found.precision_nm).all()
    assert found.smoothing_nm == pytest.approx(20, rel=0.05)


def _wrapped(specs: list[SpineSpec]) -> tuple[Envelope, ns.Localizations]:
    shape = ns.simulate.dendrite(2600.0, specs=specs, curvature_nm=0.0, voxel_nm=25.0)
    locs = ns.simulate.localize(shape, density_per_um2=1000, background_fraction=0.05, seed=1)
    return ns.envelope(locs), locs


@pytest.mark.parametrize(
    ("kind", "sizes", "apart_nm"),
    [
        ("filopodium", (170.0, 2400.0, 170.0), 200.0),
        ("stubby", (450.0, 400.0, 450.0), 480.0),
        ("mushroom", (180.0, 500.0, 700.0), 730.0),
    ],
)
def test_neighbours_with_a_gap_of_30_nm_are_two_spines(kind, sizes, apart_nm):
    specs = [SpineSpec(kind, 1300.0 + side * apart_nm / 2, 0.0, *sizes) for side in (-1, 1)]
    envelope, locs = _wrapped(specs)
    table = ns.find_spines(envelope, locs).table
    assert table["type"].tolist() == [kind, kind]
    x = np.sort(table["tip_x_nm"])
    np.testing.assert_allclose(x, [1300 - apart_nm / 2, 1300 + apart_nm / 2], atol=160)


def _joined(solid: np.ndarray, label: np.ndarray, wall: np.ndarray | None = None) -> bool:
    """Whether two parts of a solid are joined, some of its voxels being wall."""
    voxels = np.argwhere(solid)
    plain, _ = grid_graph(voxels, np.ones(len(voxels)), solid.shape, 25.0)
    number = label[solid].astype(np.int64)
    is_wall = np.zeros(len(voxels), bool) if wall is None else wall[solid]
    _join_open(plain + plain.T, number, is_wall, np.ones(len(voxels), bool), 25.0 * voxels[:, 0])
    return len(np.unique(number)) == 1


@pytest.mark.parametrize(
    ("tall", "closed", "side", "one"),
    [
        (20, 0.0, 10, True),  # a swelling of 500 nm whose two feet were taken for two stems
        (20, 0.4, 10, True),
        (20, 1.0, 10, False),  # a wall
        (20, 0.6, 10, False),
        (20, 0.0, 2, False),  # hardly open
        (40, 0.0, 10, False),  # two of 1000 nm
    ],
)
def test_low_parts_are_one_with_what_they_are_open_to(tall, closed, side, one):
    z, _, x = np.indices((tall, side, 12))
    wall = (np.abs(x - 5.5) < 1) & (z < closed * tall)
    assert _joined(np.ones(z.shape, bool), x >= 6, wall) == one


def test_a_head_that_lies_on_a_low_neighbour_is_not_one_with_it():
    z, _, x = np.indices((24, 10, 24))
    other = x >= 12
    assert _joined(np.ones(z.shape, bool), other)
    gap = (np.abs(x - 11.5) < 2) & (z < 18)  # up to 450 nm between the feet
    assert not _joined(~gap, other)


def test_a_lump_high_up_is_one_with_what_it_is_wide_open_to():
    z, y, x = np.indices((24, 10, 16))
    lump = (x >= 12) & (x < 14) & (z >= 16) & (y < 8)  # 200 by 200 by 50 nm
    assert _joined((x < 12) | lump, lump)

"""Planted sizes hold on the finished mesh, measured without the signed distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanospine.core.errors import GeometryError
from nanospine.simulate import Shape, SpineSpec, dendrite, spine
from nanospine.simulate.dendrites import RANGES, random_spec
from nanospine.simulate.distance import Ball, Tube, smooth_union
from nanospine.simulate.shapes import TYPES, build_shape

FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def mushroom() -> Shape:
    return spine("mushroom", neck_diameter_nm=150, neck_length_nm=500, head_diameter_nm=700,
                 bend_nm=0, shaft_length_nm=1600)  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Shape:
    return dendrite(3000, ["mushroom", "stubby", "thin"], seed=2)


def section_diameter_nm(shape: Shape, at: FloatArray, normal: FloatArray) -> float:
    """Diameter of the circle with the area of the mesh's section around `at`."""
    cut = shape.mesh.section(plane_origin=at, plane_normal=normal)
    loops = [np.asarray(loop) for loop in cut.discrete]
    centres = np.stack([loop[:-1].mean(axis=0) for loop in loops])
    loop = loops[int(np.argmin(np.linalg.norm(centres - at, axis=1)))] - at
    cross = np.cross(loop[:-1], loop[1:]).sum(axis=0) / 2
    return float(2 * np.sqrt(abs(cross @ normal) / np.pi))


def test_neck_of_the_mesh_is_the_planted_and_the_true_one(mushroom: Shape) -> None:
    line = mushroom.truth.centrelines_nm[0]
    way = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    found = [section_diameter_nm(mushroom, line[0] + s * way, way) for s in (150, 250, 350)]
    assert found == pytest.approx([150] * 3, rel=0.02)
    assert mushroom.truth.spines["neck_diameter_nm"][0] == pytest.approx(min(found), rel=0.02)


def test_head_and_length_are_as_planted(mushroom: Shape) -> None:
    row = mushroom.truth.spines.iloc[0]
    sunk = np.sqrt(350**2 - 75**2)
    assert row["head_diameter_nm"] == pytest.approx(700, rel=0.02)
    assert row["length_nm"] == pytest.approx(500 + sunk + 350, abs=2)
    assert row["neck_length_nm"] == pytest.approx(500, abs=1)


def test_volumes_against_the_closed_form_and_the_mesh(mushroom: Shape) -> None:
    row = mushroom.truth.spines.iloc[0]
    ball = np.pi / 6 * 700**3
    assert row["head_volume_nm3"] == pytest.approx(ball, rel=0.03)
    # The spine is what the mesh has beyond a bare shaft.
    bare = build_shape(mushroom.shaft.path_nm, mushroom.shaft.radius_nm, ())
    extra = float(mushroom.mesh.volume - bare.mesh.volume)
    assert row["volume_nm3"] == pytest.approx(extra, rel=0.03)


def test_mesh_is_watertight_and_on_the_surface(small: Shape) -> None:
    mesh = small.mesh
    assert mesh.is_watertight
    assert mesh.body_count == 1
    assert mesh.volume > 0
    assert np.abs(small.signed_distance_nm(mesh.vertices)).max() < 1


def test_one_seed_one_dendrite(small: Shape) -> None:
    again = dendrite(3000, ["mushroom", "stubby", "thin"], seed=2)
    other = dendrite(3000, ["mushroom", "stubby", "thin"], seed=3)
    points = np.random.default_rng(0).uniform(*small.bounds_nm, (500, 3))
    here = small.signed_distance_nm(points)
    assert np.array_equal(here, again.signed_distance_nm(points))
    assert not np.array_equal(here, other.signed_distance_nm(points))


def test_inside_of_mesh_and_distance_agree(small: Shape) -> None:
    from nanospine.core.region import MeshRegion

    points = np.random.default_rng(1).uniform(*small.bounds_nm, (3000, 3))
    distance = small.signed_distance_nm(points)
    clear = np.abs(distance) > 2
    assert (distance[clear] < 0).sum() > 100
    inside = MeshRegion(small.mesh).contains(points[clear])
    assert np.array_equal(inside, distance[clear] < 0)


def test_given_specs_are_planted_and_nothing_else() -> None:
    spec = SpineSpec("thin", 900.0, 1.0, 100.0, 600.0, 400.0)
    shape = dendrite(2000, specs=[spec])
    assert [item.spec for item in shape.planted] == [spec]


def gaps_nm(shape: Shape) -> list[float]:
    """Least distance of each spine to any other, by samples of the surface of each alone."""
    result = []
    for one in shape.planted:
        points = np.random.default_rng(0).uniform(*one.bounds_nm, (20_000, 3))
        outside = shape.shaft.signed_distance_nm(points) > 0
        own = points[outside & (np.abs(one.signed_distance_nm(points)) < 5.0)]
        others = [other.signed_distance_nm(own) for other in shape.planted if other is not one]
        result.append(float(np.min(others)))
    return result


def test_spines_keep_clear_of_each_other_at_the_default_density() -> None:
    for seed in range(4):
        assert min(gaps_nm(dendrite(8000, seed=seed))) > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_crowded_spines_do_not_touch(seed: int) -> None:
    shape = dendrite(2500, spines_per_um=12, seed=seed)
    assert len(shape.planted) == 30
    assert min(gaps_nm(shape)) > 10


def test_membranes_of_neighbours_do_not_fuse() -> None:
    pair = [SpineSpec("filopodium", at, 0.0, 150.0, 2300.0, 150.0) for at in (900.0, 1070.0)]
    shape = dendrite(2000, specs=pair, curvature_nm=0.0)
    between = np.mean([item.centreline_nm[150] for item in shape.planted], axis=0)
    assert shape.signed_distance_nm(between[None])[0] == pytest.approx(10, abs=2)


@given(st.sampled_from(TYPES), st.integers(0, 2**32 - 1))
def test_drawn_spines_lie_inside_the_borders_of_their_type(kind: str, seed: int) -> None:
    spec = random_spec(kind, np.random.default_rng(seed), 0.0, 0.0)
    ratio = spec.head_diameter_nm / spec.neck_diameter_nm
    if kind == "filopodium":
        assert spec.neck_length_nm > 2000
        assert ratio < 1.5
    elif kind == "stubby":
        assert ratio < 1.2
        assert spec.neck_length_nm < 1000
    else:
        assert ratio > 1.5
        assert (spec.head_diameter_nm >= 600) == (kind == "mushroom")
        assert 80 <= spec.neck_diameter_nm <= 300
    low, high = RANGES[kind]["head_diameter_nm"]
    assert low <= spec.head_diameter_nm <= high


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 100))
def test_smooth_union_is_the_plain_one_away_from_the_joint(a: float, b: float, w: float) -> None:
    joined = float(smooth_union(np.array([a]), np.array([b]), w)[0])
    assert min(a, b) - w / 4 - 1e-9 <= joined <= min(a, b)
    if abs(a - b) >= w:
        assert joined == min(a, b)


def test_tube_and_ball_are_exact() -> None:
    points = np.random.default_rng(0).uniform(-300, 300, (500, 3))
    ball = Ball(np.zeros(3), 100.0)
    assert ball.signed_distance_nm(points) == pytest.approx(np.linalg.norm(points, axis=1) - 100)
    path = np.column_stack([np.linspace(-1000, 1000, 41), np.zeros(41), np.zeros(41)])
    tube = Tube(path, np.full(41, 50.0))
    across = np.linalg.norm(points[:, 1:], axis=1) - 50
    assert tube.signed_distance_nm(points) == pytest.approx(across)


def test_what_cannot_be_planted_is_refused() -> None:
    with pytest.raises(GeometryError, match="type must be one of"):
        spine("mushrom")
    with pytest.raises(GeometryError, match="neck_diameter_nm must be positive"):
        SpineSpec("thin", 0.0, 0.0, 0.0, 500.0, 400.0)
    with pytest.raises(GeometryError, match="at least 80 nm"):
        dendrite(10)

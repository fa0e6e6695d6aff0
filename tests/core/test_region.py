"""Regions: size, containment, distance and sampling agree with brute force."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.core.region import bounding_box, region_from_dict

L_SHAPE = [(0, 0), (100, 0), (100, 40), (40, 40), (40, 100), (0, 100)]
HOLE = [(10, 10), (30, 10), (30, 30), (10, 30)]
RNG = np.random.default_rng(5)


def _mask():
    data = np.zeros((4, 6, 5), dtype=bool)
    data[1:3, 1:5, 1:4] = True
    data[1, 1, 1] = False
    return ns.Mask(data, (30.0, 20.0, 10.0), (5.0, -7.0, 100.0))


REGIONS = {
    "box2": ns.Box((-10, 5), (90, 45)),
    "box3": ns.Box((-10, 5, 0), (90, 45, 30)),
    "polygon": ns.Polygon(L_SHAPE, [HOLE]),
    "parts": ns.Polygon(L_SHAPE, [HOLE], [ns.Polygon([(150, 0), (200, 0), (180, 60)])]),
    "prism": ns.Prism(ns.Polygon(L_SHAPE, [HOLE]), -20, 50),
    "mask": _mask(),
    "mesh": ns.MeshRegion(trimesh.creation.icosphere(subdivisions=3, radius=50)),
}


@pytest.fixture(params=REGIONS, ids=list(REGIONS))
def region(request):
    return REGIONS[request.param]


def test_size_is_the_share_of_the_bounding_box(region):
    low, high = region.bounds_nm
    points = np.random.default_rng(1).uniform(low, high, (40_000, region.dimension))
    share = region.contains(points).mean()
    box = np.prod(high - low)
    error = 5 * np.sqrt(max(share * (1 - share), 1e-4) / len(points))
    assert region.size / box == pytest.approx(share, abs=error)


def test_samples_are_inside_and_uniform(region):
    points = region.sample_nm(4000, seed=2)
    assert points.shape == (4000, region.dimension)
    assert region.contains(points).all()
    again = region.sample_nm(4000, seed=2)
    np.testing.assert_array_equal(points, again)
    low, high = region.bounds_nm
    left = points[:, 0] < (low[0] + high[0]) / 2
    uniform = np.random.default_rng(3).uniform(low, high, (200_000, region.dimension))
    uniform = uniform[region.contains(uniform)]
    expected = (uniform[:, 0] < (low[0] + high[0]) / 2).mean()
    assert left.mean() == pytest.approx(expected, abs=0.04)


def test_distance_to_boundary_is_where_containment_flips(region):
    """Walking the distance in no direction leaves (or enters) the region; a bit more does."""
    low, high = region.bounds_nm
    margin = 0.3 * (high - low)
    points = RNG.uniform(low - margin, high + margin, (60, region.dimension))
    distance = region.distance_to_boundary_nm(points)
    assert (distance >= 0).all()
    inside = region.contains(points)
    directions = RNG.normal(size=(3000, region.dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for point, d, state in zip(points, distance, inside, strict=True):
        assert (region.contains(point + directions * d * 0.999) == state).all()
        if d > 1:
            # Directions are samples: the nearest point is met only nearly
            assert (region.contains(point + directions * (d * 1.25 + 2)) != state).any()


def test_round_trip_through_json(region):
    again = region_from_dict(json.loads(json.dumps(region.to_dict())))
    assert type(again) is type(region)
    assert again.size == pytest.approx(region.size, rel=1e-12)
    points = RNG.uniform(*region.bounds_nm, (200, region.dimension))
    np.testing.assert_array_equal(again.contains(points), region.contains(points))


def test_three_dimensional_points_in_a_plane_region_ignore_z():
    polygon = REGIONS["polygon"]
    assert polygon.contains([[50, 20, 1e6]]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ns.Box((0, 0), (1, 1, 1)), "two corners"),
        (lambda: ns.Box((0, 0), (-1, 1)), "is not below"),
        (lambda: ns.Polygon([(0, 0), (1, 1)]), "at least 3 corners"),
        (lambda: ns.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "Self-intersection"),
        (lambda: ns.Prism(ns.Polygon(L_SHAPE), 5, 5), "is not below"),
        (lambda: ns.Mask(np.zeros((2, 2)), 1, (0, 0)), "no voxel is True"),
        (lambda: ns.Mask(np.ones((2, 2)), 0, (0, 0)), "positive voxel_nm"),
        (lambda: REGIONS["box3"].contains([[1, 2]]), "points of shape"),
        (lambda: region_from_dict({"kind": "ball"}), "found 'ball'"),
        (lambda: region_from_dict({"kind": "box"}), "cannot be made"),
        (lambda: bounding_box(np.zeros(3)), "expected"),
    ],
)
def test_bad_regions_say_what_was_expected(make, message):
    with pytest.raises(GeometryError, match=message):
        make()


def test_open_and_inverted_meshes_are_refused():
    ball = trimesh.creation.icosphere(subdivisions=1, radius=10)
    with pytest.raises(GeometryError, match="closed mesh"):
        ns.MeshRegion(trimesh.Trimesh(ball.vertices, ball.faces[1:], process=False))
    with pytest.raises(GeometryError, match="inside out"):
        ns.MeshRegion(trimesh.Trimesh(ball.vertices, ball.faces[:, ::-1], process=False))


def test_too_few_corners_is_its_own_error():
    with pytest.raises(TooFewPointsError):
        ns.Polygon([(0, 0)])

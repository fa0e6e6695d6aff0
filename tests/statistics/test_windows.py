"""Windows: what a pair counts for, in every kind of region, against shapely, voxels and samples."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Region
from nanospine.core.region_mask import pixel_edges, voxel_faces
from nanospine.statistics import _slow
from nanospine.statistics.boundaries import boundary_pieces, polygon_edges
from nanospine.statistics.covariance_tables import covariance
from nanospine.statistics.fractions import circle_share, near_pieces, sphere_share
from nanospine.statistics.set_covariance import polygon_covariance
from nanospine.statistics.windows import window

L_SHAPE = [(0, 0), (100, 0), (100, 40), (40, 40), (40, 100), (0, 100)]
HOLE = [(10, 10), (30, 10), (30, 30), (10, 30)]
RNG = np.random.default_rng(5)


def _star():
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = 50 + 12 * np.sin(5 * angle) + RNG.normal(0, 1, 60)
    return np.stack([300 + radius * np.cos(angle), -200 + radius * np.sin(angle)], axis=1)


def _tube():
    mesh = trimesh.creation.cylinder(radius=30, height=300, sections=48)
    mesh.apply_transform(trimesh.transformations.rotation_matrix(0.7, [1, 2, 3]))
    return mesh


REGIONS: dict[str, Region] = {
    "box2": ns.Box((0, 0), (60, 40)),
    "l_with_hole": ns.Polygon(L_SHAPE, [HOLE]),
    "star": ns.Polygon(_star()),
    "parts": ns.Polygon(L_SHAPE, [HOLE], [ns.Polygon([(110, 0), (160, 0), (140, 60)])]),
    "mask2": ns.Mask(RNG.random((12, 10)) < 0.7, (7.0, 5.0), (3.0, 4.0)),
    "box3": ns.Box((0, 0, 0), (60, 40, 30)),
    "prism": ns.Prism(ns.Polygon(L_SHAPE, [HOLE]), -20, 50),
    "mask3": ns.Mask(RNG.random((6, 5, 7)) < 0.8, (10.0, 7.0, 8.0), (0.0, 0.0, 0.0)),
    "ball": ns.MeshRegion(trimesh.creation.icosphere(subdivisions=2, radius=50)),
    "tube": ns.MeshRegion(_tube()),
}


def value(held, shift):
    whole = np.zeros(3)
    whole[: len(shift)] = shift
    weights = held.weights
    distance = float(np.linalg.norm(shift))
    return covariance(weights.mode, *whole, distance, weights.params, weights.table)


@pytest.mark.parametrize(
    "name", ["box2", "l_with_hole", "star", "parts", "mask2", "box3", "prism", "mask3"]
)
def test_set_covariance(name):
    region = REGIONS[name]
    held = window(region, "translation", 30.0)
    shifts = np.random.default_rng(1).normal(0, 12, (150, region.dimension))
    shifts = shifts[np.linalg.norm(shifts, axis=1) < 30]
    shifts[0] = 0
    shifts[1, 1:] = 0
    error = [abs(value(held, h) - _slow.set_covariance(region, h)) / region.size for h in shifts]
    exact = name not in ("l_with_hole", "star", "parts", "prism")
    assert max(error) < (1e-12 if exact else 1e-4)
    assert np.mean(error) < 1e-5


def test_set_covariance_of_a_ball():
    region = REGIONS["ball"]
    held = window(region, "translation", 70.0)
    far = np.linspace(0, 70, 40)
    direction = np.random.default_rng(2).normal(size=(40, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    known = 1 - 0.75 * far / 50 + (far / 50) ** 3 / 16
    found = [value(held, d * u) / region.size for d, u in zip(far, direction, strict=True)]
    # the polyhedron is 4 % smaller than the ball it stands for
    assert np.abs(found - known).max() < 0.015


def test_set_covariance_of_a_mesh_box():
    mesh = trimesh.creation.box((100, 60, 30)).subdivide().subdivide()
    held = window(ns.MeshRegion(mesh), "translation", 25.0)
    shifts = np.random.default_rng(3).normal(0, 9, (300, 3))
    shifts = shifts[np.linalg.norm(shifts, axis=1) < 25]
    known = np.prod(np.array([100, 60, 30]) - np.abs(shifts), axis=1)
    error = np.array([value(held, h) for h in shifts]) / known - 1
    assert np.abs(error).mean() < 1e-3
    assert np.abs(error).max() < 0.01


@given(st.integers(0, 10_000))
@settings(max_examples=50)
def test_polygon_covariance_is_shapely(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(3, 12))
    angle = np.sort(generator.random(n)) * 2 * np.pi + np.arange(n) * 1e-3
    radius = generator.uniform(20, 60, n)
    corners = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    corners = np.round(corners) if seed % 2 else corners
    try:
        region = ns.Polygon(corners)
    except GeometryError:
        return
    shifts = generator.normal(0, 20, (10, 2))
    shifts[0] = 0
    shifts[1] = corners[0] - corners[1]
    found = polygon_covariance(polygon_edges(region), shifts)
    known = [_slow.set_covariance(region, h) for h in shifts]
    np.testing.assert_allclose(found, known, atol=1e-9 * region.size)


@pytest.mark.parametrize("name", list(REGIONS))
def test_share_of_circle_or_sphere(name):
    region = REGIONS[name]
    pieces = boundary_pieces(region)
    among = np.arange(len(pieces.reach))
    near = np.empty(len(among), dtype=np.int64)
    for point in region.sample_nm(6, 2):
        whole = np.zeros(3)
        whole[: len(point)] = point
        for radius in (3.0, 12.0, 25.0, 40.0):
            count = near_pieces(pieces, *whole, radius, among, len(among), near)
            if region.dimension == 2:
                found = circle_share(pieces, near, count, *whole[:2], radius)
            else:
                found = sphere_share(pieces, near, count, *whole, radius)
            known = _slow.circle_share(region, point, radius, 20_000)
            if known > 0:
                assert abs(found - known) < (2e-4 if region.dimension == 2 else 1.5e-3)


@pytest.mark.parametrize("name", list(REGIONS))
def test_pieces_enclose_the_region(name):
    """Divergence theorem: the boundary knows the size of what it encloses."""
    region = REGIONS[name]
    pieces = boundary_pieces(region)
    if region.dimension == 2:
        (x0, y0), (x1, y1) = pieces.begin[:, :2].T, pieces.end[:, :2].T
        size = 0.5 * (x0 * y1 - x1 * y0).sum()
    else:
        face = np.repeat(np.arange(len(pieces.reach)), np.diff(pieces.first))
        area = np.cross(pieces.begin, pieces.end)
        size = (area * pieces.centre[face]).sum() / 6
    np.testing.assert_allclose(size, region.size, rtol=1e-9)


@pytest.mark.parametrize("name", list(REGIONS))
@pytest.mark.parametrize("correction", ["translation", "rigid", "isotropic", "border"])
def test_random_points_look_random(name, correction):
    """Mean K over random patterns is that of randomness in every window, also with two patterns."""
    region = REGIONS[name]
    radii = np.array([4.0, 9.0])
    if correction == "border" and "mask" in name:
        radii = np.array([1.0, 2.0])
    ratio, cross = [], []
    for seed in range(8):
        points = region.sample_nm(600, seed)
        k = ns.ripley_k(points, radii, region=region, correction=correction)
        ratio.append(k.values / k.theory)
        assert not k.notes, k.notes
        k = ns.ripley_k(
            points[:300], radii, region=region, correction=correction, other=points[300:]
        )
        cross.append(k.values / k.theory)
    for found in (np.array(ratio), np.array(cross)):
        error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        assert (np.abs(found.mean(axis=0) - 1) < 4 * error + 0.003).all(), (
            found.mean(axis=0),
            error,
        )


@pytest.mark.parametrize("name", ["mask3", "ball", "tube"])
def test_interpolated_shares(name):
    """Isotropic K in meshes and masks draws lines between 32 distances: it costs nearly nothing."""
    from nanospine.statistics import isotropic

    region = REGIONS[name]
    points = region.sample_nm(150, 4)
    radii = np.array([8.0, 15.0, 24.0])
    found = ns.ripley_k(points, radii, region=region, correction="isotropic").values
    nodes = isotropic._NODES
    try:
        isotropic._NODES = 0
        exact = ns.ripley_k(points, radii, region=region, correction="isotropic").values
    finally:
        isotropic._NODES = nodes
    np.testing.assert_allclose(found, exact, rtol=5e-3)


def test_thin_windows_say_where_translation_ends():
    points = REGIONS["tube"].sample_nm(300, 1)
    radii = np.array([20.0, 50.0, 70.0, 150.0])
    k = ns.ripley_k(points, radii, region=REGIONS["tube"])
    assert np.isfinite(k.values).tolist() == [True, True, False, False]
    assert "2 of 4 radii have no value: translation needs distances below" in k.notes[0]
    assert "correction='rigid'" in k.notes[0]
    k = ns.ripley_k(points, radii, region=REGIONS["tube"], correction="rigid")
    assert np.isfinite(k.values).all()
    assert (np.abs(k.values / k.theory - 1) < 0.35).all()


@pytest.mark.parametrize("size", [(10, 10, 10), (100, 10, 10), (3, 50, 100), (80, 7)])
def test_depth_in_a_mask_of_long_voxels(size):
    """The nearest face need not be the one with the nearest centre."""
    generator = np.random.default_rng(3)
    region = ns.Mask(generator.random((6, 7, 8)[: len(size)]) < 0.85, size, (0,) * len(size))
    points = generator.uniform(-50, 500, (500, len(size)))
    faces = pixel_edges(region) if len(size) == 2 else voxel_faces(region)
    low, high = faces.min(axis=1), faces.max(axis=1)
    outside = np.maximum(low - points[:, None], points[:, None] - high)
    known = np.linalg.norm(np.maximum(outside, 0), axis=2).min(axis=1)
    np.testing.assert_allclose(region.distance_to_boundary_nm(points), known, atol=1e-9)


def test_limits_of_the_other_corrections():
    box = ns.Box((0, 0), (100, 60))
    points = box.sample_nm(300, 1)
    for correction, limit in (("translation", 60), ("periodic", 30), ("isotropic", 58.3)):
        k = ns.ripley_k(points, [limit - 1, limit + 1], region=box, correction=correction)
        assert np.isfinite(k.values).tolist() == [True, False]
        assert f"{correction} needs distances below {limit}" in k.notes[0]
    k = ns.ripley_k(points, [10, 40], region=box, correction="border")
    assert np.isfinite(k.values).tolist() == [True, False]
    assert k.notes[0].endswith("no point lies so far from the boundary")
    assert np.isfinite(ns.ripley_k(points, [500], region=box, correction="none").values).all()


def test_bad_corrections():
    points = REGIONS["star"].sample_nm(20, 1)
    with pytest.raises(ConfigError, match="periodic needs a box, the region is a Polygon"):
        ns.ripley_k(points, [5], region=REGIONS["star"], correction="periodic")
    with pytest.raises(ConfigError, match="one of none, border, translation"):
        ns.ripley_k(points, [5], region=REGIONS["star"], correction="ripley")
    with pytest.raises(GeometryError, match="all points lie on one line or plane"):
        ns.ripley_k([[0, 0], [1, 0], [2, 0]], [5])


def test_tables_are_kept_and_not_mixed_up():
    region = REGIONS["star"]
    one, again = window(region, "translation", 20.0), window(region, "translation", 20.0)
    assert one.weights is again.weights
    assert window(region, "translation", 25.0).weights is not one.weights
    assert window(region, "rigid", 20.0).weights is not one.weights

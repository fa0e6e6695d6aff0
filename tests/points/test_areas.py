"""What lies in a region is kept, and the region goes with it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import GeometryError, TooFewPointsError

RNG = np.random.default_rng(1)
XYZ = RNG.random((4000, 3)) * [2000.0, 1000.0, 500.0]


def cloud(dimension: int = 3, region: ns.Box | None = None) -> ns.Localizations:
    return ns.from_arrays(XYZ[:, :dimension], region=region)


def test_an_ellipse_keeps_what_its_equation_says() -> None:
    kept = ns.keep_ellipse(cloud(2), (900, 500), (400, 150), angle_deg=30)
    turn = np.deg2rad(30)
    x, y = XYZ[:, 0] - 900, XYZ[:, 1] - 500
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    radius = np.hypot(along / 400, across / 150)
    inside = np.flatnonzero(radius < 1)
    clear = np.abs(radius - 1) > 1e-4
    kept_rows = np.isin(XYZ[:, 0], kept.table["x_nm"])
    assert (kept_rows == (radius < 1))[clear].all()
    assert abs(len(kept) - len(inside)) <= 1
    np.testing.assert_allclose(kept.region.size, np.pi * 400 * 150, rtol=1e-9)


def test_a_box_in_3d_data_reaches_over_the_height() -> None:
    kept = ns.keep_box(cloud(), (100, 100), (300, 400))
    inside = (XYZ[:, :2] >= [100, 100]).all(1) & (XYZ[:, :2] <= [300, 400]).all(1)
    np.testing.assert_array_equal(kept.xyz_nm, XYZ[inside])
    assert isinstance(kept.region, ns.Box)
    height = np.ptp(XYZ[:, 2])
    np.testing.assert_allclose(kept.region.size, 200 * 300 * height)
    assert not kept.region.assumed


def test_a_polygon_in_3d_becomes_a_prism_and_in_2d_stays() -> None:
    corners = [(0, 0), (1000, 0), (0, 1000)]
    inside = XYZ[:, 0] + XYZ[:, 1] < 1000
    for dimension, name in ((3, "Prism"), (2, "Polygon")):
        kept = ns.keep_polygon(cloud(dimension), corners)
        assert len(kept) == inside.sum()
        assert type(kept.region).__name__ == name


def test_a_mask_of_pixels_keeps_its_pixels() -> None:
    data = np.zeros((10, 20), dtype=bool)
    data[2:5, 3:8] = True
    kept = ns.keep_region(cloud(), ns.Mask(data, (100.0, 100.0), (50.0, 50.0)))
    x, y = XYZ[:, 0], XYZ[:, 1]
    inside = (x > 300) & (x < 800) & (y > 200) & (y < 500)
    assert len(kept) == inside.sum()
    np.testing.assert_allclose(kept.region.size, 500 * 300 * np.ptp(XYZ[:, 2]))
    assert kept.region.contains(kept.xyz_nm).all()


def test_a_mesh_keeps_its_inside() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=200)
    ball.apply_translation([1000, 500, 250])
    kept = ns.keep_region(cloud(), ns.MeshRegion(ball))
    radius = np.linalg.norm(XYZ - [1000, 500, 250], axis=1)
    assert abs(len(kept) - (radius < 199.5).sum()) <= 3
    assert kept.region.size == pytest.approx(ball.volume)


def test_what_was_not_observed_is_not_gained() -> None:
    seen = cloud(2, ns.Box((0, 0), (2000, 1000)))
    kept = ns.keep_box(seen, (1500, 500), (9000, 9000))
    np.testing.assert_allclose(kept.region.bounds_nm, [[1500, 500], [2000, 1000]])
    reaching = ns.keep_ellipse(seen, (2000, 500), 100)
    said = re.match(r"about (\d+) % of the region lies outside", reaching.history[-1]["notes"][0])
    assert said is not None
    assert 40 <= int(said[1]) <= 60


def test_the_history_can_be_read_back() -> None:
    kept = ns.keep_ellipse(cloud(2), (900, 500), 100)
    step = kept.history[-1]
    assert (step["n_before"], step["n_after"]) == (4000, len(kept))
    assert step["arguments"]["region"]["kind"] == "polygon"


def test_nothing_inside_and_wrong_dimension_are_said() -> None:
    with pytest.raises(TooFewPointsError, match="none of 4000 localizations lies in the Box"):
        ns.keep_box(cloud(), (1e5, 1e5), (2e5, 2e5))
    with pytest.raises(GeometryError, match="the Box is 3-D, the data are 2-D"):
        ns.keep_box(cloud(2), (0, 0, 0), (1, 1, 1))
    with pytest.raises(GeometryError, match="positive radii"):
        ns.ellipse((0, 0), (-1, 5))

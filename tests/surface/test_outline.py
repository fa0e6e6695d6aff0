"""The outline of 2-D data: known shapes, the carved set by brute force, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app
from nanospine.core.errors import GeometryError, NanospineError, TooFewPointsError, WriteError
from nanospine.output.export import write_outline
from nanospine.surface.delaunay import delaunay
from nanospine.surface.outline import Outline, _planar_depth, outline

FloatArray = npt.NDArray[np.float64]


def disc(n: int, radius: float = 300.0, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    angle, r = rng.uniform(0, 2 * np.pi, n), radius * np.sqrt(rng.random(n))
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])


@pytest.mark.parametrize("n", [2000, 20_000])
def test_filled_disc(n: int) -> None:
    found = outline(disc(n))
    assert found.n_components == 1
    assert found.area_nm2 == pytest.approx(np.pi * 300**2, rel=0.06)
    assert found.contains([[0.0, 0.0], [290.0, 290.0]]).tolist() == [True, False]
    assert found.regions[0].size == pytest.approx(found.area_nm2)


def test_a_ring_is_filled_and_its_gap_closed() -> None:
    angle = np.random.default_rng(0).uniform(0.2, 2 * np.pi - 0.2, 3000)  # a gap of 120 nm
    ring = 300 * np.column_stack([np.cos(angle), np.sin(angle)])
    closed = outline(ring, alpha_nm=70.0)
    assert closed.area_nm2 == pytest.approx(np.pi * 300**2, rel=0.02)
    with pytest.raises(GeometryError, match="nothing is left"):
        outline(ring, alpha_nm=50.0)


def test_simulated_dendrite_in_projection() -> None:
    shape = ns.simulate.dendrite(5000, ["mushroom", "thin", "stubby"], seed=4)
    truth = shapely.union_all(shapely.polygons(shape.mesh.triangles[:, :, :2]))
    for options in (
        {"label": "membrane", "density_per_um2": 500},
        {"label": "filled", "density_per_um3": 4000},
    ):
        locs = ns.simulate.localize(shape, seed=0, **options)  # type: ignore[arg-type]
        found = outline(locs)
        both = found.polygon.intersection(truth).area / found.polygon.union(truth).area
        assert both > 0.85


def test_two_bodies_the_largest_first_and_crumbs_left_out() -> None:
    aside, crumb = disc(1500, 200) + np.array([1500, 0]), disc(20, 5) + np.array([0, 1500])
    points = np.concatenate([disc(3000), aside, crumb])
    found = outline(points, alpha_nm=40.0, min_component_fraction=0.01)
    assert found.n_components == 2
    assert found.regions[0].size > found.regions[1].size
    assert "1 separate bodies" in found.notes[0]
    assert outline(points, alpha_nm=40.0, min_component_fraction=0.0).n_components == 3


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(4, 30))
def test_depth_is_the_widest_way_in(seed: int, n: int) -> None:
    points = np.random.default_rng(seed).random((n, 2)) * 100
    made = delaunay(points)
    depth = _planar_depth(made)
    triangles, neighbors = made.triangles, made.neighbors
    # the gate of an edge: half its length if no point is in the circle over it, else the smaller
    # circumcircle beside it
    way = np.zeros(len(triangles))
    for _ in range(len(triangles) + 1):
        for t in range(len(triangles)):
            for j in range(3):
                a, b = points[triangles[t, (j + 1) % 3]], points[triangles[t, (j + 2) % 3]]
                inner = ((points - a) * (points - b)).sum(axis=1)
                other = neighbors[t, j]
                gate = np.linalg.norm(a - b) / 2
                if (inner < -1e-9).any():
                    beside = [t] + ([other] if other >= 0 else [])
                    gate = min(depth.circumradius_nm[i] for i in beside)
                way[t] = max(way[t], min(gate, np.inf if other < 0 else way[other]))
    np.testing.assert_allclose(depth.depth_nm, way, rtol=1e-9)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), alpha=st.floats(4, 60))
def test_area_is_that_of_the_kept_triangles(seed: int, alpha: float) -> None:
    points = np.random.default_rng(seed).random((80, 2)) * 100
    made = delaunay(points)
    depth = _planar_depth(made)
    area = depth.volume_nm3[depth.inside(alpha)].sum()
    if area == 0:
        with pytest.raises(GeometryError, match="nothing is left"):
            outline(points, alpha_nm=alpha)
        return
    found = outline(points, alpha_nm=alpha, min_component_fraction=0.0)
    assert found.polygon.is_valid
    # bodies that touch in a point may close a gap between them
    assert found.area_nm2 >= area * (1 - 1e-9)
    assert found.area_nm2 <= area * 1.5
    curve = found.alpha_curve
    assert (np.diff(curve["area_nm2"]) >= 0).all()


def test_envelope_of_2d_data_is_an_outline() -> None:
    locs = ns.from_arrays(disc(2000))
    found: Any = ns.envelope(locs, label="filled")
    assert isinstance(found, Outline)
    assert found.history[-1]["operation"] == "outline"
    hull: Any = ns.envelope(disc(500), method="convex-hull")
    expected = shapely.MultiPoint(disc(500)).convex_hull.area
    assert hull.area_nm2 == pytest.approx(expected)


def test_file_and_command_line(tmp_path: Path) -> None:
    table = tmp_path / "flat.csv"
    np.savetxt(table, disc(2000), delimiter=",", header="x [nm],y [nm]", comments="")
    out = tmp_path / "flat.geojson"
    result = CliRunner().invoke(app, ["envelope", str(table), "--label", "filled", "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "area" in result.stdout
    content = json.loads(out.read_text())
    assert content["unit"] == "nanometre"
    shape = shapely.from_geojson(json.dumps(content["features"][0]["geometry"]))
    assert shape.area == pytest.approx(content["features"][0]["properties"]["area_nm2"])
    with pytest.raises(WriteError, match=r"written as \.geojson; found '\.ply'"):
        write_outline(outline(disc(100)), tmp_path / "flat.ply")


@pytest.mark.parametrize(
    ("points", "arguments", "error", "words"),
    [
        (np.zeros((2, 2)), {}, TooFewPointsError, "outline: 2 points given"),
        (np.column_stack([np.arange(9), np.arange(9)]), {}, GeometryError, "on one line"),
        (disc(50), {"alpha_nm": 0.01}, GeometryError, "nothing is left"),
        (disc(50), {"alpha_nm": -1}, GeometryError, "positive number"),
        (disc(50), {"label": "x"}, GeometryError, "'membrane' or 'filled'"),
        (disc(50), {"min_component_fraction": 2}, GeometryError, "between 0 and 1"),
        (np.zeros(5), {}, GeometryError, r"shape \(n, 2\) were expected"),
    ],
)
def test_bad_input(
    points: Any, arguments: dict[str, Any], error: type[NanospineError], words: str
) -> None:
    with pytest.raises(error, match=words):
        outline(points, **arguments)

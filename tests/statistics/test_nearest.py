"""G, F and J: against their definitions written out, spatstat's values, and known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, NanospineError
from nanospine.statistics.distance_laws import distribution, eroded_size, places

FloatArray = npt.NDArray[np.float64]
CORRECTIONS = ("none", "border", "km", "hanisch")


def slow(
    d: FloatArray, b: FloatArray, r: FloatArray, correction: str, sides: FloatArray
) -> FloatArray:
    """The four estimators as their definitions stand, one sum at a time."""
    values = []
    for radius in r:
        if correction == "none":
            values.append(np.mean([x <= radius for x in d]))
        elif correction == "border":
            can = [x for x, y in zip(d, b, strict=True) if y >= radius]
            values.append(np.mean([x <= radius for x in can]) if can else np.nan)
        elif correction == "km":
            o = np.minimum(d, b)
            left = 1.0
            for s in sorted({x for x, y in zip(d, b, strict=True) if x <= y and x <= radius}):
                left *= 1 - sum((d == s) & (d <= b)) / sum(o >= s)
            values.append(np.nan if radius > o.max() and left > 0 else 1 - left)
        else:
            weights = [1 / np.prod(sides - 2 * x) if x <= y else 0.0
                       for x, y in zip(d, b, strict=True)]  # fmt: skip
            near = [w for w, x in zip(weights, d, strict=True) if x <= radius]
            values.append(sum(near) / sum(weights) if sum(weights) else np.nan)
    return np.array(values)


@settings(max_examples=40)
@given(
    d=st.integers(2, 3), n=st.integers(2, 25), m=st.integers(0, 12), rounded=st.booleans(),
    seed=st.integers(0, 10_000), correction=st.sampled_from(CORRECTIONS),
)  # fmt: skip
def test_g_is_its_definition(
    d: int, n: int, m: int, rounded: bool, seed: int, correction: str
) -> None:
    generator = np.random.default_rng(seed)
    sides = np.array([10.0, 7.0, 5.0])[:d]
    a = generator.uniform(0.01, 0.99, (n, d)) * sides
    b = generator.uniform(0.01, 0.99, (m, d)) * sides
    if rounded:  # equal distances, and points at one place
        a, b = np.round(a), np.round(b)
    gaps = np.linalg.norm(a[:, None] - (b if m else a)[None], axis=2)
    if not m:
        np.fill_diagonal(gaps, np.inf)
    distance = gaps.min(axis=1)
    depth = np.minimum(a, sides - a).min(axis=1)
    r = np.array([0.0, 0.5, 1.0, 2.0, 3.7, 9.0])
    found = ns.nearest_neighbour_g(
        a, r, region=ns.Box(np.zeros(d), sides), other=b if m else None, correction=correction
    )
    keep = ~((distance <= depth) & (distance >= sides.min() / 2))  # nothing is left of the box
    if keep.all():
        expected = slow(distance, depth, r, correction, sides)
        np.testing.assert_allclose(found.values, expected, atol=1e-12)
    known = found.values[np.isfinite(found.values)]
    assert ((known >= 0) & (known <= 1)).all()
    assert found.name == ("G_cross" if m else "G")


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("d", [2, 3])
def test_f_and_j_are_their_definitions(correction: str, d: int) -> None:
    sides = np.array([10.0, 7.0, 5.0])[:d]
    box = ns.Box(np.zeros(d), sides)
    a = box.sample_nm(30, 1)
    r = np.linspace(0, 1.5, 7)
    at, depth = places(box, 500)
    distance = np.linalg.norm(at[:, None] - a[None], axis=2).min(axis=1)
    f = ns.empty_space_f(a, r, region=box, correction=correction, n_places=500)
    np.testing.assert_allclose(f.values, slow(distance, depth, r, correction, sides), atol=1e-12)
    g = ns.nearest_neighbour_g(a, r, region=box, correction=correction)
    j = ns.j_function(a, r, region=box, correction=correction, n_places=500)
    np.testing.assert_allclose(j.values * (1 - f.values), 1 - g.values, atol=1e-12)
    assert any("500 places" in note for note in f.notes)


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> Path:
    folder = shared_data.parent / "reference" / "oracle"
    if not folder.is_dir():
        pytest.skip(f"no values of spatstat in {folder}")
    return folder


def window(oracle: Path, name: str) -> ns.Polygon | ns.Box:
    corners = pd.read_csv(oracle / "window_polygon.csv")
    rings = {k: v[["x", "y"]].to_numpy() for k, v in corners.groupby("ring")}
    if name in "ABM":
        return ns.Box((0, 0), (10, 6))
    return ns.Polygon(rings["outer"], () if name == "C" else (rings["hole"],))


PATTERNS = {
    "A": "A_rect_uniform", "B": "B_rect_thomas", "C": "C_poly_uniform", "D": "D_polyhole_uniform",
    "M": "M_rect_bivariate", "N": "N_polyhole_bivariate",
}  # fmt: skip


def curves(oracle: Path, name: str) -> tuple[pd.DataFrame, list[FloatArray]]:
    kind = "GJcross" if name in "MN" else "GFJ"
    points = pd.read_csv(oracle / f"pts_{PATTERNS[name]}.csv")
    marks = [points] if "mark" not in points else [points[points.mark == m] for m in "ab"]
    return pd.read_csv(oracle / f"{kind}_{name}.csv"), [m[["x", "y"]].to_numpy() for m in marks]


@pytest.mark.parametrize("name", PATTERNS)
def test_values_of_spatstat(oracle: Path, name: str) -> None:
    table, patterns = curves(oracle, name)
    r = table["r"].to_numpy()
    options = {"region": window(oracle, name), "other": patterns[1] if len(patterns) > 1 else None}

    def far(ours: FloatArray, column: str, up_to: float = 1.0) -> float:
        return float(np.nanmax(np.abs(ours - table[column])[r <= up_to]))

    g = {
        c: ns.nearest_neighbour_g(patterns[0], r, correction=c, **options).values
        for c in CORRECTIONS
    }
    assert far(g["none"], "G.raw") < 1e-9
    # spatstat puts the censoring distances into bins: up to a bin's share of points may differ.
    assert far(g["km"], "G.km") < 4e-4
    assert far(g["border"], "G.rs") < 8e-3
    # It divides Hanisch's estimate by its value at the last radius, and its polygons are eroded
    # in pixels.
    exact = name in "ABM"
    assert far(g["hanisch"] / g["hanisch"][-1], "G.han") < (2e-5 if exact else 1.2e-3)
    if len(patterns) == 1:
        f = {
            c: ns.empty_space_f(patterns[0], r, correction=c, **options).values for c in CORRECTIONS
        }
        for ours, column in (("none", "raw"), ("border", "rs"), ("km", "km"), ("hanisch", "cs")):
            values, theirs = f[ours], table[f"F.{column}"].to_numpy()
            if ours == "hanisch":
                values, theirs = values / values[-1], theirs / theirs[-1]
            # Its places are pixels, and so are its eroded polygons.
            tolerance = 1e-3 if ours != "hanisch" or exact else 2e-3
            assert np.nanmax(np.abs(values - theirs)) < tolerance
    j = ns.j_function(patterns[0], r, **options).values
    empty = 1 - ns.empty_space_f(patterns[0], r, **options).values
    used = (r <= 0.45) & (j > 0)
    # An error of e in F is one of J e / (1 - F) in J. Its J places its pixels anew and coarser than
    # was asked (spatstat issue 165): it differs from (1 - G) / (1 - F) of its own G and F by 3e-3.
    assert (np.abs(j - table["J.km"]) * empty < 3.5e-3 * j + 4e-4)[used].all()
    if len(patterns) == 1:
        theirs = (1 - table["G.km"]) / (1 - table["F.km"])
        assert (np.abs(j - theirs) * empty < 1e-3 * j + 4e-4)[used].all()


@pytest.mark.parametrize("name", ["P", "Q"])
def test_g_of_spatstat_in_a_box(oracle: Path, name: str) -> None:
    table = pd.read_csv(oracle / f"K3_{name}.csv")
    file = {"P": "pts_P_box_uniform.csv", "Q": "pts_Q_box_clustered.csv"}[name]
    points = pd.read_csv(oracle / file).to_numpy()
    r = table["r"].to_numpy()
    box = ns.Box((0, 0, 0), (4, 3, 2))
    km = ns.nearest_neighbour_g(points, r, region=box).values
    used = np.isfinite(km)
    # 46 radii: its censoring distances are rounded to steps of 0.02.
    assert np.abs(km - table["G.km"])[used].max() < 0.02
    han = ns.nearest_neighbour_g(points, r, region=box, correction="hanisch").values
    assert np.abs(han / han[-1] - table["G.han"]).max() < 0.02


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("correction", ["km", "border", "hanisch"])
def test_randomness_has_its_theory(d: int, correction: str) -> None:
    sides = np.array([1000.0, 600.0, 400.0])[:d]
    box = ns.Box(np.zeros(d), sides)
    n = 150
    scale = (box.size / n) ** (1 / d)
    r = scale * np.array([0.15, 0.3, 0.45])
    found = []
    for seed in range(60):
        points = box.sample_nm(n, seed)
        options = {"region": box, "correction": correction, "n_places": 2000}
        g = ns.nearest_neighbour_g(points, r, region=box, correction=correction)
        f = ns.empty_space_f(points, r, **options)
        j = ns.j_function(points, r, **options)
        found.append([g.values, f.values, j.values])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(60)
    truth = np.stack([g.theory, g.theory, np.ones(3)])
    # 4 standard errors, and the bias of order 1/n that a ratio of estimates has.
    assert (np.abs(mean - truth) < 4 * error + 0.004).all()


def test_clusters_and_grids_are_on_their_sides_of_one() -> None:
    box = ns.Box((0, 0), (1000, 1000))
    generator = np.random.default_rng(3)
    parents = generator.uniform(50, 950, (20, 2))
    clustered = np.repeat(parents, 8, axis=0) + generator.normal(0, 8, (160, 2))
    assert ns.j_function(clustered, [15], region=box).values[0] < 0.6
    grid = np.stack(np.meshgrid(np.arange(25, 1000, 50), np.arange(25, 1000, 50)), -1)
    assert ns.j_function(grid.reshape(-1, 2), [20], region=box).values[0] > 1.5


def test_one_box_in_four_descriptions_gives_one_answer() -> None:
    low, high = np.zeros(3), np.array([400.0, 300.0, 200.0])
    mesh = trimesh.creation.box(bounds=(low, high))
    outline = [(0, 0), (400, 0), (400, 300), (0, 300)]
    regions = [
        ns.Box(low, high), ns.Prism(ns.Polygon(outline), 0, 200), ns.MeshRegion(mesh),
        ns.Mask(np.ones((10, 15, 20), dtype=bool), (20, 20, 20), (10, 10, 10)),
    ]  # fmt: skip
    points = regions[0].sample_nm(80, 5)
    r = np.arange(10, 60, 10)
    for correction in ("km", "hanisch"):
        g = [
            ns.nearest_neighbour_g(points, r, region=x, correction=correction).values
            for x in regions
        ]
        f = [
            ns.empty_space_f(points, r, region=x, correction=correction, n_places=4000).values
            for x in regions
        ]
        # Masks and meshes are eroded by 65,536 places.
        tolerance = 2e-3 if correction == "hanisch" else 1e-9
        for values in (g, f):
            for other in values[1:]:
                np.testing.assert_allclose(other, values[0], atol=tolerance)


def test_a_polygon_is_eroded_exactly() -> None:
    square = ns.Polygon([(0, 0), (10, 0), (10, 10), (0, 10)],
                        [[(4, 4), (6, 4), (6, 6), (4, 6)]])  # fmt: skip
    d = np.array([0.0, 0.5, 1.0])
    hole = 4 + 8 * d + np.pi * d**2
    np.testing.assert_allclose(eroded_size(square, d), (10 - 2 * d) ** 2 - hole, rtol=1e-5)
    many = np.linspace(0, 1, 2000)
    hole = 4 + 8 * many + np.pi * many**2
    np.testing.assert_allclose(eroded_size(square, many), (10 - 2 * many) ** 2 - hole, rtol=1e-5)


def test_places_fill_thin_regions_too() -> None:
    needle = trimesh.creation.cylinder(radius=5, height=1000, sections=16)
    needle.apply_transform(trimesh.transformations.rotation_matrix(0.7, (1, 1, 0)))
    region = ns.MeshRegion(needle)
    at, depth = places(region, 100)
    assert region.contains(at).all()
    assert depth.max() <= 5
    assert places(region, 100)[0] is at


def test_what_no_place_tells_is_unknown() -> None:
    d, b = np.array([3.0, 9.0]), np.array([1.0, 2.0])
    box = ns.Box((0, 0), (4, 4))
    values = distribution(d, b, np.array([1.0, 5.0]), "km", box)
    assert values[0] == 0
    assert np.isnan(values[1])
    assert np.isnan(distribution(d, b, np.array([5.0]), "border", box)).all()
    assert np.isnan(distribution(d, b, np.array([5.0]), "hanisch", box)).all()
    found = ns.nearest_neighbour_g([[1, 1], [3, 3]], [0.5, 9], region=box)
    assert any("last 1 of 2 radii" in note for note in found.notes)


def test_nearest_distances_keep_rows_and_never_name_themselves() -> None:
    points = np.array([[0.0, 0], [0, 0], [0, 0], [5, 0]])
    own = ns.nearest_distances(points)
    assert own.distances_nm.tolist() == [0, 0, 0, 5]
    assert (own.index != np.arange(4)).all()
    both = ns.nearest_distances(ns.from_arrays(points), [[4, 0], [9, 9]])
    assert both.to_frame().columns.tolist() == ["distance_nm", "index"]
    assert both.index.tolist() == [0, 0, 0, 0]
    # Nothing depends on a region: points outside of it have neighbours like all others.
    locs = ns.from_arrays(points, region=ns.Box((0, 0), (1, 1)))
    assert len(ns.nearest_distances(locs).index) == 4


BOX = ns.Box((0, 0), (100, 100))
OK = [[1.0, 2.0], [30.0, 40.0]]
BAD = {
    "no point": (lambda: ns.nearest_neighbour_g(np.zeros((0, 2)), [1], region=BOX), "none"),
    "one point": (lambda: ns.nearest_neighbour_g([[1, 1]], [1], region=BOX), "at least 2"),
    "all outside": (lambda: ns.j_function([[-9, 1], [-8, 1]], [1], region=BOX), "inside the reg"),
    "NaN": (lambda: ns.empty_space_f([[np.nan, 1]], [1], region=BOX), "finite positions"),
    "empty channel": (
        lambda: ns.nearest_neighbour_g(OK, [1], region=BOX, other=np.zeros((0, 2))), "other: at l"),
    "on one line": (
        lambda: ns.nearest_neighbour_g([[1, 1], [1, 2], [1, 3]], [1]), "one line, plane or place"),
    "at one place": (lambda: ns.empty_space_f([[1, 1], [1, 1]], [1]), "one line, plane or place"),
    "in one plane": (
        lambda: ns.clark_evans([[1, 1, 0], [2, 5, 0], [3, 3, 0]]), "has no volume; say where"),
    "at one place, simulated": (
        lambda: ns.simulation_envelope([[1, 1], [1, 1]], "G", [1]), "one line, plane or place"),
    "radii descend": (lambda: ns.nearest_neighbour_g(OK, [2, 1], region=BOX), "ascending"),
    "correction": (
        lambda: ns.nearest_neighbour_g(OK, [1], region=BOX, correction="rs"), "km, border"),
    "no places": (lambda: ns.empty_space_f(OK, [1], region=BOX, n_places=0), "one place"),
    "3-D region": (
        lambda: ns.j_function(OK, [1], region=ns.Box((0, 0, 0), (1, 1, 1))), "3 dimensions"),
    "dimensions": (lambda: ns.nearest_distances(OK, [[1, 2, 3]]), "a with 2 and b with 3"),
    "nothing near": (lambda: ns.nearest_distances([[1, 2]]), "at least 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case: str) -> None:
    call, says = BAD[case]
    with pytest.raises(NanospineError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_identical_points_and_radii_beyond_the_region_are_answered() -> None:
    same = np.full((20, 2), 50.0)
    assert ns.nearest_neighbour_g(same, [0, 500], region=BOX).values.tolist() == [1, 1]
    f = ns.empty_space_f(same, [500.0], region=BOX, correction="border")
    assert np.isnan(f.values).all()
    assert f.notes


def falling(n: int, dimension: int, seed: int) -> np.ndarray:
    """Points of the unit cube, five times as dense at one end as at the other."""
    rng = np.random.default_rng(seed)
    places = rng.random((4 * n, dimension))
    return places[rng.random(4 * n) < 1 - 0.8 * places[:, 0]][:n]


@pytest.mark.parametrize("dimension", [2, 3])
def test_uneven_g_and_f_by_brute_force(dimension: int) -> None:
    points, others = falling(40, dimension, 1), falling(30, dimension, 2)
    box = ns.Box(np.zeros(dimension), np.ones(dimension))
    radii = np.array([0.05, 0.15, 0.3, 0.45])

    def density(xy: np.ndarray) -> np.ndarray:
        return 50 * (1 - 0.8 * xy[:, 0])

    depth = box.distance_to_boundary_nm(points)
    for other in (None, others):
        searched = points if other is None else others
        factor = 1 - density(searched).min() / density(searched)
        found = ns.nearest_neighbour_g(points, radii, region=box, other=other, intensity=density)
        assert found.name == ("G_inhom" if other is None else "G_cross_inhom")
        for r, value in zip(radii, found.values, strict=True):
            left = []
            for i in np.flatnonzero(depth >= r):
                near = np.linalg.norm(searched - points[i], axis=1) <= r
                if other is None:
                    near[i] = False
                left.append(np.prod(factor[near]))
            expected = 1 - np.mean(left) if left else np.nan
            np.testing.assert_allclose(value, expected, atol=1e-12)


def test_uneven_functions_of_independent_points_are_those_of_theory() -> None:
    box, radii = ns.Box((0, 0), (1, 1)), np.array([0.005, 0.01, 0.02])

    def density(xy: np.ndarray) -> np.ndarray:
        return 3000 / 0.6 * (1 - 0.8 * xy[:, 0])

    points = falling(3000, 2, 3)
    g = ns.nearest_neighbour_g(points, radii, region=box, intensity=density)
    f = ns.empty_space_f(points, radii, region=box, intensity=density, n_places=20_000)
    j = ns.j_function(points, radii, region=box, intensity=density, n_places=20_000)
    np.testing.assert_allclose(g.values, g.theory, atol=0.03)
    np.testing.assert_allclose(f.values, f.theory, atol=0.03)
    np.testing.assert_allclose(j.values, 1, atol=0.08)
    assert j.name == "J_inhom"
    even = ns.nearest_neighbour_g(points, radii, region=box, intensity=3000.0)
    plain = ns.nearest_neighbour_g(points, radii, region=box, correction="border")
    np.testing.assert_allclose(even.values, plain.values, atol=1e-12)
    with pytest.raises(ConfigError, match="with an intensity"):
        ns.empty_space_f(points, radii, region=box, intensity=density, correction="hanisch")

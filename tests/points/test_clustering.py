"""Clusters: scikit-learn as oracle, planted clusters, invariances, degenerate input."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.metrics import adjusted_rand_score

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError, SchemaError, TooFewPointsError
from nanospine.points.clustering import Clusters, cluster, mark_clusters
from nanospine.points.grid_dbscan import dbscan_labels
from nanospine.points.spanning_tree import spanning_tree

FloatArray = npt.NDArray[np.float64]

METHODS: dict[str, dict[str, Any]] = {
    "dbscan": {"radius_nm": 25.0, "min_points": 8},
    "hdbscan": {"method": "hdbscan", "min_points": 15},
    "voronoi": {"method": "voronoi", "density_factor": 2.0, "min_points": 15},
}


def lattice_clouds(dimension: int) -> st.SearchStrategy[FloatArray]:
    """Small integers: many duplicates, many distances that equal the radius."""
    shape = st.tuples(st.integers(1, 60), st.just(dimension))
    return hnp.arrays(np.float64, shape, elements=st.integers(0, 12).map(float))


def planted(dimension: int, seed: int = 0) -> tuple[ns.Localizations, npt.NDArray[np.int64]]:
    """20 Gaussian clusters of 60 and sd 10 nm on a lattice with jitter, and background."""
    rng = np.random.default_rng(seed)
    side, height = (5, 4) if dimension == 2 else (3, 3)
    axes = [side, height, 3][:dimension]
    grid = np.stack(np.meshgrid(*[np.arange(a) for a in axes], indexing="ij"), -1)
    centres = (grid.reshape(-1, dimension)[:20] + 0.5) * 500 + rng.uniform(
        -100, 100, (20, dimension)
    )
    truth = np.repeat(np.arange(20), 60)
    spots = rng.normal(centres[truth], 10.0)
    size = np.array(axes) * 500.0
    background = rng.uniform(0, size, (150, dimension))
    xyz = np.concatenate([spots, background])
    truth = np.concatenate([truth, np.full(150, -1)])
    order = rng.permutation(len(xyz))
    region = ns.Box(np.zeros(dimension) - 50, size + 50)
    return ns.from_arrays(xyz[order], region=region, frame=np.arange(len(xyz))), truth[order]


def same_partition(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> bool:
    pairs = {(int(x), int(y)) for x, y in zip(a, b, strict=True)}
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


def check_against_sklearn(points: FloatArray, radius: float, least: int) -> None:
    found = dbscan_labels(points, radius, least)
    model = DBSCAN(eps=radius, min_samples=least).fit(points)
    core = model.core_sample_indices_
    assert same_partition(found[core], model.labels_[core])
    np.testing.assert_array_equal(found < 0, model.labels_ < 0)
    # the rule for border points: the nearest core point, of equally near ones the smallest
    for row in np.setdiff1d(np.flatnonzero(found >= 0), core):
        distance = ((points[core] - points[row]) ** 2).sum(axis=1)
        near = core[distance == distance.min()]
        first = near[np.lexsort(points[near].T[::-1])[0]]
        assert found[row] == found[first]


@given(
    points=st.sampled_from([2, 3]).flatmap(lattice_clouds),
    radius=st.sampled_from([0.5, 1.0, 2.5, 5.0, 40.0]),
    least=st.integers(1, 9),
)
def test_dbscan_equals_sklearn_on_lattices(points: FloatArray, radius: float, least: int) -> None:
    check_against_sklearn(points, radius, least)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(("radius", "least"), [(12.0, 3), (30.0, 10), (80.0, 4), (300.0, 30)])
def test_dbscan_equals_sklearn_on_clusters(dimension: int, radius: float, least: int) -> None:
    locs, _ = planted(dimension)
    check_against_sklearn(locs.xyz_nm[:, :dimension], radius, least)


def test_dbscan_with_far_outliers_and_tiny_radius() -> None:
    # the cells of x times those of y overflow 64 bits unless gaps are shortened
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.random((200, 3)), rng.random((200, 3)) * 1e12])
    check_against_sklearn(points, 0.2, 3)
    with pytest.raises(GeometryError, match="a radius above"):
        dbscan_labels(points, 1e-5, 3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimension", [2, 3])
def test_planted_clusters_are_found(method: str, dimension: int) -> None:
    locs, truth = planted(dimension)
    found = cluster(locs, **METHODS[method])
    assert len(found) == 20
    # hdbscan takes background along, cells at the rim of a cluster are large and lost
    least = {"dbscan": 0.95, "hdbscan": 0.8, "voronoi": 0.55}[method]
    assert adjusted_rand_score(truth, found.labels) > least
    centres = np.array([locs.xyz_nm[truth == i, :dimension].mean(axis=0) for i in range(20)])
    gap = np.linalg.norm(centres[:, None] - found.centroids_nm[None], axis=2)
    assert gap.min(axis=1).max() < (15 if method == "hdbscan" else 8)
    assert found.table["n_localizations"].median() == pytest.approx(60, abs=9)
    assert np.isfinite(found.table.to_numpy(np.float64)).all()
    if method == "hdbscan":
        return
    # sd 10 nm along each axis; what the method cuts off or adds changes it a little
    expected = 10 * np.sqrt(dimension)
    assert found.table["radius_of_gyration_nm"].median() == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15)
@given(seed=st.integers(0, 1000), shift=st.sampled_from([0.0, 1e8, -1e8]))
def test_order_and_place_do_not_matter(method: str, seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    spots = rng.normal(np.repeat(rng.uniform(0, 1000, (6, 2)), 30, axis=0), 12)
    # multiples of 1/1024 nm survive an offset of 1e8 nm without rounding
    points = np.round(np.concatenate([spots, rng.uniform(0, 1000, (40, 2))]) * 1024) / 1024
    here = cluster(ns.from_arrays(points), **METHODS[method])
    order = rng.permutation(len(points))
    there = cluster(ns.from_arrays(points[order] + shift), **METHODS[method])
    back = np.empty(len(points), dtype=np.int64)
    back[order] = there.labels
    assert same_partition(here.labels, back)
    columns = ["n_localizations", "area_nm2", "radius_of_gyration_nm", "sd_minor_nm"]
    a = np.sort(here.table[columns].to_numpy(), axis=0)
    b = np.sort(there.table[columns].to_numpy(), axis=0)
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-6)


def test_numbers_follow_the_first_row_and_gaps_are_closed() -> None:
    x = [500, 0, 500, 500, 0, 900, 0, 1500, 1500]
    locs = ns.from_arrays(np.column_stack([x, np.zeros(9)]))
    assert cluster(locs, radius_nm=1, min_points=2).labels.tolist() == [0, 1, 0, 0, 1, -1, 1, 2, 2]
    kept = cluster(locs, radius_nm=1, min_points=2, min_localizations=3)
    assert kept.labels.tolist() == [0, 1, 0, 0, 1, -1, 1, -1, -1]
    assert kept.table["cluster"].tolist() == [0, 1]


def test_radius_along_z() -> None:
    # two stacks of points 40 nm apart along z, 100 nm apart along x
    z = np.arange(10) * 40.0
    points = np.concatenate([np.column_stack([0 * z + x, 0 * z, z]) for x in (0, 100)])
    locs = ns.from_arrays(points)
    assert len(cluster(locs, radius_nm=20, min_points=2)) == 0
    assert len(cluster(locs, radius_nm=20, radius_z_nm=40, min_points=2)) == 2
    with pytest.raises(ConfigError, match="3-D"):
        cluster(ns.from_arrays(points[:, :2]), radius_nm=20, radius_z_nm=40)


@pytest.mark.parametrize("method", METHODS)
def test_channels_for_themselves(method: str) -> None:
    first, _ = planted(2, seed=1)
    second, _ = planted(2, seed=2)
    xy = np.concatenate([first.xyz_nm, second.xyz_nm])[:, :2]
    names = np.repeat(["pre", "post"], [len(first), len(second)])
    order = np.random.default_rng(0).permutation(len(xy))
    locs = ns.from_arrays(xy[order], channel=names[order], region=first.region)
    found = cluster(locs, by_channel=True, **METHODS[method])
    assert found.table["channel"].value_counts().to_dict() == {"pre": 20, "post": 20}
    for name, part in (("pre", first), ("post", second)):
        alone = cluster(part, **METHODS[method])
        mine = found.labels[np.argsort(order)][np.repeat(["pre", "post"], len(first)) == name]
        assert same_partition(mine, alone.labels)
    objects = found.as_localizations()
    assert set(objects.channels) == {"pre", "post"}
    assert len(objects.channel("pre")) == 20
    with pytest.raises(SchemaError, match=r"needs a column 'channel'; the table has x_nm, y_nm"):
        cluster(first, radius_nm=20, by_channel=True)


def test_empty_channels_are_named() -> None:
    locs = ns.from_arrays(np.zeros((24, 2)), channel=["a"] * 12 + ["b"] * 12)
    table = locs.table.copy()
    table.loc[20:, "channel"] = None
    found = cluster(
        locs.replace(table=table, operation="test"), radius_nm=5, by_channel=True, min_points=10
    )
    assert found.notes == (
        "4 localizations without a channel are in no cluster",
        "channel b: no cluster: 8 localizations are fewer than min_points (10)",
    )
    assert found.labels.tolist() == [0] * 12 + [-1] * 12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(
    "kind", ["none", "one", "few", "same", "line", "diagonal", "plane", "lattice", "pairs"]
)
def test_degenerate_input(method: str, dimension: int, kind: str) -> None:
    rng = np.random.default_rng(0)
    t = np.arange(40.0)
    points = {
        "none": np.zeros((0, dimension)),
        "one": np.ones((1, dimension)),
        "few": rng.random((5, dimension)) * 100,
        "same": np.full((40, dimension), 7.0),
        "line": np.column_stack([t] + [0 * t + 1] * (dimension - 1)),
        "diagonal": np.column_stack([t] * dimension),
        "plane": np.column_stack([rng.random((40, 2)) * 50, np.ones((40, dimension - 2))]),
        "lattice": np.indices((5,) * dimension).reshape(dimension, -1).T * 10.0,
        "pairs": np.repeat(rng.random((30, dimension)) * 100, 2, axis=0),
    }[kind]
    locs = ns.from_arrays(points)
    found = cluster(locs, **METHODS[method])
    assert found.labels.shape == (len(points),)
    assert found.labels.dtype == np.int64
    assert not found.table.isna().any().any()
    if len(found) == 0:
        assert "no cluster" in " ".join(found.notes)
    assert len(found.as_localizations()) == len(found)
    assert len(found.add_to(locs)) == len(points)


def test_many_points_on_each_other_are_dense() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(0, 1000, (100, 2)), np.full((30, 2), 500.0)])
    for method in ("dbscan", "voronoi"):
        found = cluster(
            ns.from_arrays(points), method=method, radius_nm=10, min_points=20, density_rank=0
        )
        assert found.table["n_localizations"].tolist() == [30]


def test_random_points_make_no_clusters() -> None:
    rng = np.random.default_rng(7)
    for dimension in (2, 3):
        region = ns.Box(np.zeros(dimension), np.full(dimension, 2000.0))
        locs = ns.from_arrays(rng.uniform(0, 2000, (4000, dimension)), region=region)
        found = cluster(locs, method="voronoi", random_fraction=0.01, min_points=8)
        assert len(found) == 0
        assert "times the mean" in found.notes[0]
        loose = cluster(locs, method="voronoi", random_fraction=0.2, min_points=1)
        # what is called random is 20 % of random localizations
        assert (loose.labels >= 0).mean() == pytest.approx(0.2, abs=0.03)


def test_history_and_columns() -> None:
    locs, _ = planted(2)
    found = cluster(locs, **METHODS["dbscan"])
    marked = found.add_to(locs)
    assert marked.table["cluster"].dtype == np.int64
    assert marked.history[-1]["operation"] == "cluster"
    assert marked.history[-1]["arguments"]["radius_nm"] == 25.0
    assert marked.region is locs.region
    objects = found.as_localizations()
    assert objects.region is locs.region
    assert objects.history[-1]["n_after"] == 20
    assert found.to_frame() is not found.table
    with pytest.raises(SchemaError, match="1350 localizations that were clustered were expected"):
        found.add_to(objects)
    with pytest.raises(AttributeError):
        found.labels = found.labels  # type: ignore[misc]
    assert isinstance(found, Clusters)


def test_progress_reaches_the_end() -> None:
    seen: list[float] = []
    cluster(planted(2)[0], radius_nm=20, progress=lambda _, fraction: seen.append(fraction))
    assert seen[-1] == 1.0
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ConfigError, "dbscan needs radius_nm"),
        ({"radius_nm": -1}, GeometryError, "radius_nm: a positive number"),
        ({"radius_nm": float("nan")}, GeometryError, "positive number"),
        ({"radius_nm": 9, "min_points": 0}, ConfigError, "min_points of at least 1"),
        ({"method": "hdbscan", "min_points": 1}, ConfigError, "min_points of at least 2"),
        ({"method": "optics"}, ConfigError, "methods: dbscan, hdbscan, voronoi"),
        ({"method": "voronoi", "density_factor": 0}, ConfigError, "positive density_factor"),
        ({"method": "voronoi", "random_fraction": 2}, ConfigError, "between 0 and 1"),
        ({"method": "voronoi", "density_rank": 3}, ConfigError, "0 or 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cluster(planted(2)[0], **arguments)


def test_localizations_out_of_clusters() -> None:
    locs, _ = planted(2)
    found = cluster(locs, radius_nm=25, min_points=8)
    marked = mark_clusters(locs, 25, min_points=8)
    np.testing.assert_array_equal(marked.table["cluster"], found.labels)
    members = mark_clusters(locs, 25, min_points=8, result="members")
    assert len(members) == (found.labels >= 0).sum()
    assert [step["operation"] for step in members.history[-2:]] == ["cluster", "keep_clusters"]
    centres = mark_clusters(locs, 25, min_points=8, result="centroids")
    np.testing.assert_array_equal(centres.xyz_nm[:, :2], found.centroids_nm)
    with pytest.raises(TooFewPointsError, match="no cluster among 1350 localizations"):
        mark_clusters(locs, 0.01, result="centroids")
    with pytest.raises(ConfigError, match="results: label, members, centroids"):
        mark_clusters(locs, 25, result="hulls")  # type: ignore[arg-type]


def test_memory_for_each_point_does_not_grow_with_the_neighbours() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 30, (100_000, 3))  # within 20 nm: some 7000 neighbours each
    dbscan_labels(points[:100], 20.0, 10)
    tracemalloc.start()
    labels = dbscan_labels(points, 20.0, 10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert labels.max() == 0
    assert peak / len(points) < 300


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("k", [1, 2, 8])
def test_spanning_tree_is_the_shortest(dimension: int, k: int) -> None:
    xyz = planted(dimension)[0].xyz_nm[:, :dimension]
    xyz = np.concatenate([xyz, xyz[:40], xyz[:7]])  # some places twice or three times
    gap = np.sqrt(((xyz[:, None] - xyz[None]) ** 2).sum(axis=2))
    core = np.sort(gap, axis=1)[:, k - 1]
    reach = np.maximum(gap, np.maximum(core[:, None], core[None]))
    # scipy takes a zero for no edge
    expected = minimum_spanning_tree(reach + 1).data - 1
    a, b, length = spanning_tree(xyz, k)
    np.testing.assert_allclose(length, np.sort(expected), atol=1e-9)
    np.testing.assert_allclose(length, reach[a, b], atol=1e-9)
    joined = coo_matrix((np.ones(len(a)), (a, b)), shape=gap.shape)
    assert connected_components(joined)[0] == 1


@pytest.mark.parametrize("dimension", [2, 3])
def test_hdbscan_equals_sklearn_up_to_ties(dimension: int) -> None:
    xyz = planted(dimension)[0].xyz_nm[:, :dimension]
    ours = cluster(ns.from_arrays(xyz), method="hdbscan", min_points=15).labels
    theirs = HDBSCAN(min_cluster_size=15, copy=True).fit(xyz).labels_
    # what sklearn makes of the same points in another order is as far from its own labels
    order = np.random.default_rng(0).permutation(len(xyz))
    again = np.empty_like(theirs)
    again[order] = HDBSCAN(min_cluster_size=15, copy=True).fit(xyz[order]).labels_
    own = adjusted_rand_score(theirs, again)
    assert adjusted_rand_score(theirs, ours) > min(own, 1.0) - 0.01
    assert ours.max() == theirs.max()

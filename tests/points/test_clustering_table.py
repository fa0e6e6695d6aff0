"""The table of clusters: planted shapes, hulls against Qhull, noise taken off."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import ConvexHull

import nanospine as ns
from nanospine.points.cluster_table import cluster_table, hull_sizes

FloatArray = npt.NDArray[np.float64]


@pytest.mark.parametrize("dimension", [2, 3])
def test_hulls_equal_qhull(dimension: int) -> None:
    rng = np.random.default_rng(0)
    clouds = [rng.normal(0, 30, (n, dimension)) for n in rng.integers(dimension + 1, 90, 150)]
    clouds += [np.repeat(cloud, 3, axis=0) for cloud in clouds[:20]]
    starts = np.concatenate([[0], np.cumsum([len(cloud) for cloud in clouds])])
    expected = [ConvexHull(cloud).volume for cloud in clouds]
    np.testing.assert_allclose(hull_sizes(np.concatenate(clouds), starts), expected, rtol=1e-9)


@given(
    points=st.sampled_from([2, 3]).flatmap(
        lambda d: hnp.arrays(
            np.float64,
            st.tuples(st.integers(1, 30), st.just(d)),
            elements=st.integers(-3, 3).map(float),
        )
    )
)
def test_hulls_of_few_and_flat_points(points: FloatArray) -> None:
    size = float(hull_sizes(points, np.array([0, len(points)]))[0])
    rank = np.linalg.matrix_rank(points - points[0])
    if rank < points.shape[1]:
        assert size == 0.0
    else:
        assert size == pytest.approx(ConvexHull(points).volume)


def planted_ellipses(dimension: int, *, precision: float) -> tuple[ns.Localizations, FloatArray]:
    """40 clusters of 2000: sd 40, 20, (10) nm, turned by 30 degrees in x, y; then noise."""
    rng = np.random.default_rng(1)
    turn = np.deg2rad(30)
    matrix = np.eye(dimension)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    sd = np.array([40.0, 20.0, 10.0])[:dimension]
    labels = np.repeat(np.arange(40), 2000)
    xyz = rng.normal(0, 1, (len(labels), dimension)) * sd @ matrix.T + labels[:, None] * 1000.0
    xyz += rng.normal(0, precision, xyz.shape)
    return ns.from_arrays(xyz, precision_nm=precision), labels


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("precision", [0.0, 15.0])
def test_planted_shape(dimension: int, precision: float) -> None:
    locs, labels = planted_ellipses(dimension, precision=precision)
    table = cluster_table(locs, labels)
    names = ["sd_major_nm", "sd_middle_nm", "sd_minor_nm"]
    if dimension == 2:
        names.pop(1)
    expected = [40.0, 20.0, 10.0][:dimension]
    np.testing.assert_allclose(table[names].mean(), expected, rtol=0.03)
    assert table["elongation"].mean() == pytest.approx(1 - expected[-1] / 40, abs=0.02)
    np.testing.assert_allclose(table["angle_deg"], 30, atol=4)
    # the radius of gyration is of what was seen, noise included
    seen = np.sqrt(np.sum(np.square(expected)) + dimension * precision**2)
    assert table["radius_of_gyration_nm"].mean() == pytest.approx(seen, rel=0.02)
    if dimension == 3:
        axis = table[["axis_x", "axis_y", "axis_z"]].mean().to_numpy()
        np.testing.assert_allclose(axis, [np.cos(np.pi / 6), 0.5, 0], atol=0.03)


def test_columns_against_pandas() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(-1, 6, 300)
    frame = rng.integers(0, 1000, 300)
    locs = ns.from_arrays(rng.normal(0, 50, (300, 3)), frame=frame)
    table = cluster_table(locs, labels)
    groups = locs.table.groupby(labels)
    inside = [label for label in groups.groups if label >= 0]
    assert table["cluster"].tolist() == inside == list(range(6))
    np.testing.assert_array_equal(table["n_localizations"], groups.size()[inside])
    for axis in ("x_nm", "y_nm", "z_nm"):
        np.testing.assert_allclose(table[axis], groups[axis].mean()[inside], atol=1e-9)
    np.testing.assert_array_equal(table["first_frame"], groups["frame"].min()[inside])
    np.testing.assert_array_equal(table["last_frame"], groups["frame"].max()[inside])
    spread = sum(groups[axis].var(ddof=0) for axis in ("x_nm", "y_nm", "z_nm"))
    np.testing.assert_allclose(table["radius_of_gyration_nm"], np.sqrt(spread[inside]))
    # noise-free: the squared axes add up to the whole variance
    axes = table[["sd_major_nm", "sd_middle_nm", "sd_minor_nm"]].to_numpy()
    whole = sum(groups[axis].var(ddof=1) for axis in ("x_nm", "y_nm", "z_nm"))
    np.testing.assert_allclose((axes**2).sum(axis=1), whole[inside])
    density = table["n_localizations"] / table["volume_nm3"] * 1e9
    np.testing.assert_allclose(table["density_per_um3"], density)


def test_noise_wider_than_the_cluster_gives_zero() -> None:
    locs = ns.from_arrays(np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]]), precision_nm=50)
    row = cluster_table(locs, np.zeros(4, dtype=np.int64)).iloc[0]
    assert (row["sd_major_nm"], row["sd_minor_nm"], row["elongation"]) == (0, 0, 0)
    assert row["angle_deg"] == 0


def test_axial_precision_that_is_not_known_is_not_taken_off() -> None:
    rng = np.random.default_rng(3)
    xyz = rng.normal(0, [5, 5, 40], (4000, 3))
    table = ns.from_arrays(xyz).table.assign(precision_x_nm=4.0, precision_y_nm=4.0)
    row = cluster_table(ns.Localizations(table), np.zeros(4000, dtype=np.int64)).iloc[0]
    assert row["sd_major_nm"] == pytest.approx(40, rel=0.05)
    assert row["sd_minor_nm"] == pytest.approx(3, rel=0.05)


def test_one_point_and_a_line_have_no_size_and_no_empty_value() -> None:
    locs = ns.from_arrays([[0, 0], [5, 5], [6, 6], [7, 7]])
    table = cluster_table(locs, np.array([0, 1, 1, 1]))
    assert table["area_nm2"].tolist() == [0.0, 0.0]
    assert np.isinf(table["density_per_um2"]).all()
    assert table["elongation"].tolist() == [0.0, pytest.approx(1.0)]
    assert table["angle_deg"].tolist() == [0.0, pytest.approx(45.0)]
    assert not table.isna().any().any()


def test_most_frequent_channel() -> None:
    locs = ns.from_arrays(np.zeros((7, 2)), channel=["b", "a", "b", "a", "a", "b", "b"])
    table = cluster_table(locs, np.array([0, 0, 0, 1, 1, 1, -1]))
    assert table["channel"].tolist() == ["b", "a"]
    assert isinstance(table["channel"].dtype, pd.CategoricalDtype)


def test_far_from_the_origin_digits_stay() -> None:
    rng = np.random.default_rng(4)
    xyz = np.round(rng.normal(0, 20, (200, 3)) * 64) / 64
    labels = np.repeat([0, 1], 100)
    near, far = (cluster_table(ns.from_arrays(xyz + shift), labels) for shift in (0.0, 1e8))
    names = [name for name in near.columns if name not in ("x_nm", "y_nm", "z_nm")]
    np.testing.assert_allclose(far[names], near[names], rtol=1e-9)

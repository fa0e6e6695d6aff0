"""Neighbour filters against brute force and planted outliers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import nanospine as ns
from nanospine.core.errors import GeometryError, TooFewPointsError

clouds = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(0, 12).map(float)
)


@given(xyz=clouds, radius=st.sampled_from([0.5, 1.0, 2.5, 4.0]), shift=st.sampled_from([0.0, 1e8]))
def test_counts_agree_with_all_pairs(
    xyz: npt.NDArray[np.float64], radius: float, shift: float
) -> None:
    locs = ns.from_arrays(xyz + shift)
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=2)
    expected = (distance <= radius).sum(1) - 1
    near = np.abs(distance - radius) < 1e-6  # the offset costs digits
    found = ns.neighbour_counts(locs, radius)
    if not (near.any() and shift):
        np.testing.assert_array_equal(found, expected)


def test_density_keeps_the_cluster_and_its_counts() -> None:
    rng = np.random.default_rng(3)
    cluster, lone = rng.normal(0, 5, (200, 3)), rng.uniform(1000, 9000, (100, 3))
    locs = ns.from_arrays(np.vstack([cluster, lone]))
    dense = ns.keep_density(locs, 30, low=100)
    assert len(dense) == 200
    assert dense.table["n_neighbours"].min() >= 100
    assert len(ns.keep_density(locs, 30, high=5)) == 100
    assert len(ns.drop_sparse(locs, 30, min_neighbours=5)) == 200
    with pytest.raises(TooFewPointsError, match="the counts run from 0 to"):
        ns.keep_density(locs, 30, low=1000)
    with pytest.raises(TooFewPointsError, match="larger radius"):
        ns.drop_sparse(locs, 1e-6, min_neighbours=5)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_planted_outliers_go_and_the_rest_stays(scale: float) -> None:
    rng = np.random.default_rng(5)
    body = rng.random((5000, 3)) * 1000
    far = rng.random((50, 3)) * 1000 + [4000, 0, 0]
    far[:, 1] *= 40
    kept = ns.drop_outliers(ns.from_arrays(np.vstack([body, far]) * scale), k=4)
    n_body = (kept.table["x_nm"] < 3000 * scale).sum()
    assert len(kept) == n_body
    assert n_body >= 4950  # the corners of a cloud have their neighbours on one side only


def test_outliers_of_points_on_each_other() -> None:
    locs = ns.from_arrays(np.vstack([np.zeros((50, 3)), [[1e4, 0, 0]]]))
    assert len(ns.drop_outliers(locs, n_neighbours=5)) == 50
    with pytest.raises(TooFewPointsError, match="more than 60 localizations"):
        ns.drop_outliers(locs, n_neighbours=60)


@given(xyz=clouds, frames=st.integers(1, 3))
@settings(max_examples=60)
def test_duplicates_leave_one_of_each(xyz: npt.NDArray[np.float64], frames: int) -> None:
    frame = np.arange(len(xyz)) % frames
    locs = ns.from_arrays(xyz, frame=frame, photons=np.arange(len(xyz)) + 1.0)
    exact = ns.drop_duplicates(locs)
    assert len(exact) == len({(*row, f) for row, f in zip(xyz.tolist(), frame, strict=True)})
    near = ns.drop_duplicates(locs, tolerance_nm=1.5)
    kept = near.xyz_nm
    for f in range(frames):
        same = kept[near.table["frame"] == f]
        gaps = np.linalg.norm(same[:, None] - same[None], axis=2) + np.eye(len(same)) * 9
        assert (gaps > 1.5).all()
    # Everything that went is near something that stayed, and no brighter.
    for row, f, light in zip(xyz, frame, locs.table["photons"], strict=True):
        covers = (near.table["frame"] == f) & (np.linalg.norm(kept - row, axis=1) <= 1.5)
        assert near.table["photons"][covers].max() >= light or any((kept == row).all(1))


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf")])
def test_radii_must_be_positive(radius: float) -> None:
    locs = ns.from_arrays([[0, 0, 1], [1, 1, 1]])
    with pytest.raises(GeometryError, match="positive number of nanometres"):
        ns.neighbour_counts(locs, radius)
    with pytest.raises(GeometryError):
        ns.drop_duplicates(locs, tolerance_nm=-1.0)

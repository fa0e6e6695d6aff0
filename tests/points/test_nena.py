"""NeNA: planted precisions, a brute-force search for neighbours, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import GeometryError, NanospineError, SchemaError, TooFewPointsError
from nanospine.points.nena import _pairs, nena


def movie(
    n: int,
    precision: float,
    *,
    on: float = 3.0,
    per_frame: int = 50,
    clusters: bool = False,
    background: float = 0.1,
    precision_z: float | None = None,
    seed: int = 0,
) -> ns.Localizations:
    """Blinks of random length at random times and places, and false localizations."""
    rng = np.random.default_rng(seed)
    count, field, frames = int(n / on), 10_000, n // per_frame
    length = rng.geometric(1 / on, count)
    place = rng.uniform(0, field, (count, 3))
    if clusters:
        centres = rng.uniform(0, field, (60, 3))
        place = centres[rng.integers(0, 60, count)] + rng.normal(0, 80, (count, 3))
    blink = np.repeat(np.arange(count), length)
    step = np.arange(len(blink)) - np.repeat(np.cumsum(length) - length, length)
    false = int(background * len(blink))
    noise = rng.normal(size=(len(blink), 3)) * [precision, precision, precision_z or 1.0]
    xyz = np.concatenate([place[blink] + noise, rng.uniform(0, field, (false, 3))])
    frame = np.concatenate(
        [rng.integers(0, frames, count)[blink] + step, rng.integers(0, frames, false)]
    )
    order = rng.permutation(len(xyz))
    return ns.from_arrays((xyz if precision_z else xyz[:, :2])[order], frame=frame[order])


@pytest.mark.parametrize(
    ("precision", "arguments"),
    [
        (5.0, {}),
        (10.0, {}),
        (20.0, {}),
        (30.0, {}),
        (10.0, {"on": 1.2}),
        (10.0, {"on": 20.0}),
        (10.0, {"background": 1.0}),
        (20.0, {"per_frame": 300}),
        (10.0, {"clusters": True}),
        (15.0, {"clusters": True, "per_frame": 150}),
    ],
    ids=str,
)
def test_planted_precision_within_five_percent(precision: float, arguments: dict[str, Any]) -> None:
    for seed in (0, 1):
        found = nena(movie(30_000, precision, seed=seed, **arguments))
        assert found.precision_nm == pytest.approx(precision, rel=0.05)
        assert found.std_error_nm < 0.05 * precision


def test_every_pair_of_one_molecule() -> None:
    # nothing but pairs: random neighbours of the same distances would explain them as well
    found = nena(movie(20_000, 10.0, on=50.0, per_frame=4, background=0.0))
    assert found.precision_nm == pytest.approx(10, rel=0.03)
    assert found.fraction > 0.9


def test_error_tells_the_spread() -> None:
    found = [nena(movie(3000, 10.0, seed=seed)) for seed in range(20)]
    pull = [(item.precision_nm - 10) / item.std_error_nm for item in found]
    assert 0.6 < np.std(pull) < 1.6


def test_along_z() -> None:
    found = nena(movie(30_000, 10.0, precision_z=25.0))
    assert found.precision_nm == pytest.approx(10, rel=0.03)
    assert found.precision_z_nm == pytest.approx(25, rel=0.05)
    assert np.isnan(nena(movie(5000, 10.0)).precision_z_nm)


def test_curve_and_frame() -> None:
    found = nena(movie(20_000, 10.0))
    curve = found.curve
    assert curve["count"].sum() <= found.n_pairs
    # the fit is where the counts are, within their noise
    pull = (curve["count"] - curve["fit"]) / np.sqrt(curve["fit"])
    assert pull.std() < 1.25
    assert found.to_frame()["precision_nm"][0] == found.precision_nm


def test_few_molecules_are_doubted() -> None:
    rng = np.random.default_rng(0)
    locs = ns.from_arrays(rng.uniform(0, 5000, (20_000, 2)), frame=rng.integers(0, 400, 20_000))
    assert any("seen again" in note or "uncertain" in note for note in nena(locs).notes)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 80))
def test_neighbours_equal_brute_force(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    xyz, frame = rng.random((n, 3)) * 100, rng.integers(0, 12, n)
    locs = ns.from_arrays(xyz, frame=frame)
    expected = []
    for i in range(n):
        there = np.flatnonzero(frame == frame[i] + 1)
        if len(there):
            gap = np.hypot(*(xyz[there, :2] - xyz[i, :2]).T)
            expected.append((gap.min(), xyz[there[gap.argmin()], 2] - xyz[i, 2]))
    distance, rise, _, _ = _pairs(locs)
    found = sorted(zip(distance.tolist(), rise.tolist(), strict=True))
    np.testing.assert_allclose(found or np.empty((0, 2)), sorted(expected) or np.empty((0, 2)))


def test_channels_are_kept_apart() -> None:
    locs = ns.from_arrays([[0, 0], [1, 0], [50, 0]], frame=[0, 1, 1], channel=["a", "b", "a"])
    assert _pairs(locs)[0].tolist() == [50.0]


def test_precisions_are_filled_in() -> None:
    locs = movie(20_000, 10.0, precision_z=25.0)
    done = ns.add_nena_precision(locs)
    assert done.precision_nm is not None
    np.testing.assert_allclose(done.precision_nm[0], [10, 10, 25], rtol=0.06)
    assert "NeNA: " in done.history[-1]["notes"][0]
    table = locs.to_frame()
    table["precision_x_nm"] = np.where(np.arange(len(table)) < 5, 3.0, np.nan)
    some = locs.replace(table=table, operation="test")
    kept = ns.add_nena_precision(some).table["precision_x_nm"]
    assert kept[:5].tolist() == [3.0] * 5
    assert kept[5] == pytest.approx(10, rel=0.05)
    assert ns.add_nena_precision(some, overwrite=True).table["precision_x_nm"][0] > 5


@pytest.mark.parametrize(
    ("columns", "arguments", "error", "words"),
    [
        ({}, {}, SchemaError, "column 'frame' was expected; the columns are x_nm, y_nm"),
        ({"frame": np.arange(50)}, {}, TooFewPointsError, "49 localizations have another"),
        ({"frame": np.arange(50)}, {"max_distance_nm": 0}, GeometryError, "positive max_distance"),
    ],
)
def test_bad_input(
    columns: dict[str, npt.NDArray[Any]],
    arguments: dict[str, Any],
    error: type[NanospineError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        nena(ns.from_arrays(np.zeros((50, 2)), **columns), **arguments)

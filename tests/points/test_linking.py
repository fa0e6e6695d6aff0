"""Linking: planted blinks, a brute-force oracle, and what becomes of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nanospine as ns
from nanospine.core.errors import ConfigError, SchemaError
from nanospine.points.grouping import merged_rows, runs_of
from nanospine.points.linking import link_ids, link_localizations


def brute_force(
    xyz: npt.NDArray[np.float64],
    frame: npt.NDArray[np.int64],
    channel: npt.NDArray[np.int64],
    distance: float,
    dark: int,
    distance_z: float,
    nearest: bool,
) -> list[int]:
    """Link by looking at every localization of every frame."""
    ids = [-1] * len(xyz)
    count = 0
    for i in sorted(range(len(xyz)), key=lambda row: (frame[row], row)):
        if ids[i] >= 0:
            continue
        current: int | None = i
        while current is not None:
            ids[current] = count
            found = None
            for later in range(1, dark + 2):
                free = [
                    j
                    for j in range(len(xyz))
                    if frame[j] == frame[current] + later
                    and ids[j] < 0
                    and channel[j] == channel[current]
                    and np.hypot(*(xyz[j, :2] - xyz[current, :2])) <= distance
                    and abs(xyz[j, 2] - xyz[current, 2]) <= distance_z
                ]
                if free:
                    here = xyz[current, :2]
                    key = (lambda j, h=here: np.hypot(*(xyz[j, :2] - h))) if nearest else None
                    found = min(free, key=key)
                    break
            current = found
        count += 1
    return ids


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 60),
    dark=st.integers(0, 4),
    nearest=st.booleans(),
    three=st.booleans(),
)
def test_ids_equal_brute_force(seed: int, n: int, dark: int, nearest: bool, three: bool) -> None:
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, 100, (n, 3 if three else 2))
    frame = rng.integers(-3, 8, n)
    channel = rng.choice(["a", "b"], n)
    locs = ns.from_arrays(xyz, frame=frame, channel=channel)
    distance, distance_z = rng.uniform(1, 60), rng.uniform(5, 60) if three else None
    found = link_ids(
        locs, distance, dark_frames=dark, distance_z_nm=distance_z,
        ambiguous="nearest" if nearest else "first",
    )  # fmt: skip
    number = (channel == "b").astype(np.int64)
    assert found.tolist() == brute_force(
        locs.xyz_nm, frame, number, distance, dark, distance_z or np.inf, nearest
    )


def blinking(
    n: int, precision: float, dark: int, seed: int = 0, three: bool = False
) -> tuple[ns.Localizations, npt.NDArray[np.int64]]:
    """Blinks of molecules that stand far apart, each on for some frames, some of them dark."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) * 500.0
    rows = []
    for blink in range(n):
        place = places[blink % len(places)]
        start = 200 * (blink // len(places)) + int(rng.integers(0, 50))
        for _ in range(int(rng.integers(1, 12))):
            # never more than `dark` frames missing, and never the first
            rows.append((*place, start, blink))
            start += 1 + int(rng.integers(0, dark + 1))
    table = np.array(rows)
    noise = rng.normal(0, precision, (len(table), 2))
    xyz = np.column_stack([table[:, :2] + noise, rng.normal(0, 2 * precision, len(table))])
    order = rng.permutation(len(table))
    locs = ns.from_arrays(
        (xyz if three else xyz[:, :2])[order],
        frame=table[order, 2].astype(np.int64),
        photons=rng.uniform(500, 1500, len(table)),
        precision_nm=precision,
    )
    return locs, table[order, 3].astype(np.int64)


@pytest.mark.parametrize("dark", [0, 3])
def test_planted_blinks_come_back(dark: int) -> None:
    locs, blink = blinking(2000, 10.0, dark)
    linked = link_localizations(locs, 100.0, dark_frames=dark)
    assert len(linked) == 2000
    assert linked.table["photons"].sum() == pytest.approx(locs.table["photons"].sum())
    assert linked.table["n_localizations"].sum() == len(locs)
    ids = link_ids(locs, 100.0, dark_frames=dark)
    pairs = pd.DataFrame({"ours": ids, "planted": blink}).drop_duplicates()
    assert len(pairs) == 2000
    # the error of a mean of n is precision / sqrt(n), and that is what is written
    truth = pd.DataFrame({"ours": ids, "planted": blink}).groupby("ours")["planted"].first()
    place = truth.to_numpy() % 400
    away = linked.table["x_nm"].to_numpy() - (place % 20) * 500.0
    pull = away / linked.table["precision_x_nm"].to_numpy()
    assert pull.std() == pytest.approx(1, abs=0.06)
    assert linked.history[-1]["operation"] == "link_localizations"
    assert (linked.history[-1]["n_before"], linked.history[-1]["n_after"]) == (len(locs), 2000)


def test_weights_are_the_inverse_square_of_each_axis() -> None:
    locs = ns.from_arrays(
        [[0.0, 0, 0], [30, 30, 30]], frame=[0, 1],
        precision_x_nm=[10.0, 20.0], precision_y_nm=[20.0, 10.0], precision_z_nm=[5.0, np.nan],
    )  # fmt: skip
    row = link_localizations(locs, 100).table.iloc[0]
    assert row["x_nm"] == pytest.approx(30 * (1 / 400) / (1 / 100 + 1 / 400))
    assert row["y_nm"] == pytest.approx(30 * (1 / 100) / (1 / 100 + 1 / 400))
    assert row["precision_x_nm"] == pytest.approx((1 / 100 + 1 / 400) ** -0.5)
    # a height whose precision is not known has no weight beside one that is
    assert (row["z_nm"], row["precision_z_nm"]) == (0.0, 5.0)


def test_channels_and_frames_with_fractions_and_empty_tables() -> None:
    locs = ns.from_arrays([[0, 0], [1, 0]], frame=[0, 1], channel=["a", "b"])
    assert len(link_localizations(locs, 50)) == 2
    empty = locs.select(np.zeros(2, dtype=bool))
    assert len(link_localizations(empty, 50)) == 0


def test_blinks_cut_by_the_recording() -> None:
    locs, _ = blinking(800, 10.0, 0)
    linked = link_localizations(locs, 100, drop_cut=True)
    last = locs.table["frame"].max()
    assert linked.table["last_frame"].max() < last
    assert linked.table["frame"].min() > locs.table["frame"].min()
    assert "blinks touch the first or last frame" in linked.history[-1]["notes"][0]


def test_linking_twice_keeps_the_count() -> None:
    locs, _ = blinking(800, 10.0, 1)
    once = link_localizations(locs, 100)
    twice = link_localizations(once, 100, dark_frames=2)
    assert len(twice) < len(once)
    assert twice.table["n_localizations"].sum() == len(locs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"distance_nm": 0}, "positive distance_nm was expected, found 0"),
        ({"distance_nm": float("nan")}, "positive distance_nm"),
        ({"distance_nm": 9, "distance_z_nm": -1}, "positive distance_z_nm"),
        ({"distance_nm": 9, "dark_frames": -1}, "dark_frames 0 or more"),
        ({"distance_nm": 9, "dark_frames": 1.5}, "dark_frames 0 or more"),
        ({"distance_nm": 9, "ambiguous": "best"}, "'nearest' or 'first'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], words: str) -> None:
    locs = ns.from_arrays([[0, 0]], frame=[0])
    with pytest.raises(ConfigError, match=words):
        link_localizations(locs, **arguments)


def test_without_frames() -> None:
    with pytest.raises(SchemaError, match="needs a column 'frame'; the columns are x_nm, y_nm"):
        link_localizations(ns.from_arrays([[0, 0]]), 10)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), groups=st.integers(1, 8))
def test_merged_rows_equal_pandas(seed: int, n: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "x_nm": rng.normal(0, 100, n) + 1e8,
            "y_nm": rng.normal(0, 100, n),
            "frame": rng.integers(0, 50, n),
            "photons": rng.uniform(1, 9, n),
            "sigma_x_nm": np.where(rng.random(n) < 0.3, np.nan, rng.uniform(1, 9, n)),
        }
    )
    group = rng.integers(0, groups, n)
    merged = merged_rows(table, group)
    by = table.groupby(group)
    np.testing.assert_allclose(merged["x_nm"], by["x_nm"].mean(), rtol=1e-15)
    np.testing.assert_allclose(merged["photons"], by["photons"].sum())
    np.testing.assert_allclose(merged["sigma_x_nm"], by["sigma_x_nm"].mean())
    np.testing.assert_array_equal(merged["frame"], by["frame"].first())
    np.testing.assert_array_equal(merged["last_frame"], by["frame"].last())
    np.testing.assert_array_equal(merged["n_localizations"], by.size())
    rows, begins = runs_of(group)
    assert sorted(rows.tolist()) == list(range(n))
    assert len(begins) == len(merged)

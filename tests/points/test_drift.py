"""Drift: planted traces in 2-D and 3-D, sparse and with gaps, its error, beads, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import nanospine as ns
from nanospine.core.errors import ConfigError, NanospineError, SchemaError, TooFewPointsError
from nanospine.points.drift import Drift, correct_drift, estimate_drift
from nanospine.points.drift_correlation import segment_drift
from nanospine.points.drift_fiducials import find_fiducials

FloatArray = npt.NDArray[np.float64]
FRAMES = 20_000


def planted(dimension: int, span: float, seed: int) -> FloatArray:
    """A smooth random walk over the frames, shape (frames, d)."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, FRAMES)[:, None]
    trace = t * rng.normal(size=dimension)
    for wave in range(1, 6):
        phase = rng.uniform(0, 2 * np.pi, dimension)
        trace = trace + rng.normal(size=dimension) * np.sin(np.pi * wave * t + phase) / wave
    return np.asarray(trace * span / np.ptp(trace, axis=0))


def movie(
    n: int, dimension: int, *, span: float = 200.0, seed: int = 0, gaps: bool = False
) -> tuple[ns.Localizations, FloatArray]:
    """Molecules on a bent tube, blinking over and over, that drift."""
    rng = np.random.default_rng(seed + 50)
    count = max(n // 15, 50)
    along, turn = rng.random(count) * 8000, rng.uniform(0, 2 * np.pi, count)
    tube = [along, 1500 * np.sin(along / 1500) + 400 * np.cos(turn), 400 * np.sin(turn)]
    place = np.column_stack(tube)[:, :dimension]
    which = np.repeat(rng.integers(0, count, n // 3), 3)
    frame = (rng.integers(0, FRAMES - 3, n // 3)[:, None] + np.arange(3)).ravel()
    xyz = place[which]
    false = n // 20
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    xyz = np.concatenate([xyz, rng.uniform(low, high, (false, dimension))])
    frame = np.concatenate([frame, rng.integers(0, FRAMES, false)])
    if gaps:
        kept = (frame // 1000) % 3 != 1
        xyz, frame = xyz[kept], frame[kept]
    trace = planted(dimension, span, seed)
    noise = rng.normal(size=xyz.shape) * np.array([10.0, 10, 20])[:dimension]
    order = rng.permutation(len(xyz))
    columns = {"precision_x_nm": 10.0, "precision_y_nm": 10.0}
    if dimension == 3:
        columns["precision_z_nm"] = 20.0
    locs = ns.from_arrays(
        (xyz + trace[frame] + noise)[order],
        frame=frame[order] + 1,
        **{name: np.full(len(xyz), value) for name, value in columns.items()},
    )
    return locs, trace


def miss(found: Drift, locs: ns.Localizations, trace: FloatArray) -> FloatArray:
    """Error of each localization's drift, shape (n, d); a constant is no error."""
    frame = locs.table["frame"].to_numpy()
    error = found.at(frame) - trace[frame - 1]
    return np.asarray(error - error.mean(axis=0))


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("n", [5000, 20_000])
def test_planted_drift_of_200_nm(dimension: int, n: int) -> None:
    for seed in (0, 1):
        locs, trace = movie(n, dimension, seed=seed)
        found = estimate_drift(locs)
        error = miss(found, locs, trace)
        rms = np.sqrt((error**2).mean(axis=0))
        assert (rms < 3).all(), rms
        # and it knows how well it did
        told = np.sqrt((found.std_nm**2).mean(axis=0))
        assert (told < 2.5 * rms + 0.3).all()
        assert (told > 0.4 * rms).all()


def test_dense_gaps_and_a_larger_drift() -> None:
    locs, trace = movie(40_000, 3, span=800, gaps=True, seed=3)
    found = estimate_drift(locs)
    assert np.array_equal(found.frame, np.arange(found.frame[0], found.frame[-1] + 1))
    assert len(found.frame) > 15_000
    assert np.sqrt((miss(found, locs, trace) ** 2).mean(axis=0)).max() < 3


def test_cross_correlation_alone_is_coarser() -> None:
    locs, trace = movie(40_000, 3, seed=4)
    rms = {}
    for method in ("rcc", "overlap"):
        found = estimate_drift(locs, method=method)  # type: ignore[arg-type]
        error = miss(found, locs, trace)
        rms[method] = np.sqrt((error**2).mean())
        assert found.method == method
    assert rms["overlap"] < rms["rcc"] < 8


def test_correction_makes_molecules_sharp() -> None:
    locs, trace = movie(20_000, 2, seed=5)
    fixed = correct_drift(locs)
    frame = locs.table["frame"].to_numpy()
    error = fixed.xyz_nm[:, :2] - (locs.xyz_nm[:, :2] - trace[frame - 1])
    assert np.std(error, axis=0).max() < 2
    entry = fixed.history[-1]
    assert entry["operation"] == "correct_drift"
    assert entry["notes"][0].startswith("drift x 2")
    # a second time there is nothing left
    again = estimate_drift(fixed)
    assert again.span_nm.max() < 5


def test_no_drift_is_none() -> None:
    locs, _ = movie(20_000, 2, span=1e-6, seed=6)
    found = estimate_drift(locs)
    assert np.sqrt((found.drift_nm**2).mean(axis=0)).max() < 1.5


def test_molecules_that_are_seen_once() -> None:
    # nothing overlaps: the trace is that of the structure, and the error says how good it is
    rng = np.random.default_rng(0)
    frame = np.sort(rng.integers(0, FRAMES, 6000))
    trace = planted(2, 200, 7)
    angle = rng.uniform(0, 2 * np.pi, 6000)
    ring = 1500 * np.column_stack([np.cos(angle), np.sin(angle)])
    xy = ring + rng.normal(0, 10, (6000, 2)) + trace[frame]
    locs = ns.from_arrays(xy, frame=frame, precision_nm=10.0)
    found = estimate_drift(locs)
    error = found.at(frame) - trace[frame]
    rms = np.sqrt(((error - error.mean(axis=0)) ** 2).mean(axis=0))
    assert (rms < 5).all()
    assert (np.sqrt((found.std_nm**2).mean(axis=0)) > 0.3 * rms).all()


def test_a_seed_repeats_and_order_does_not_matter() -> None:
    locs, _ = movie(6000, 2, seed=8)
    shuffled = locs.select(np.random.default_rng(0).permutation(len(locs)))
    a, b, c = (estimate_drift(item) for item in (locs, locs, shuffled))
    np.testing.assert_array_equal(a.drift_nm, b.drift_nm)
    np.testing.assert_allclose(a.drift_nm, c.drift_nm, atol=1)


def beads(n: int, *, present: float = 1.0, seed: int = 0) -> tuple[ns.Localizations, FloatArray]:
    rng = np.random.default_rng(seed)
    trace = planted(3, 200, seed)[::20]
    rows = []
    for place in rng.uniform(0, 20_000, (n, 3)):
        frame = np.flatnonzero(rng.random(len(trace)) < present)
        noise = rng.normal(0, [4, 4, 8], (len(frame), 3))
        rows.append(np.column_stack([place + trace[frame] + noise, frame]))
    crowd = np.column_stack([rng.uniform(0, 20_000, (5000, 3)), rng.integers(0, len(trace), 5000)])
    table = np.concatenate([*rows, crowd])
    return ns.from_arrays(table[:, :3], frame=table[:, 3].astype(np.int64)), trace


def test_beads_are_found_and_followed() -> None:
    locs, trace = beads(6, present=0.9)
    found = estimate_drift(locs, method="fiducials", fiducial_radius_nm=300)
    frame = np.arange(len(trace))
    error = found.at(frame) - trace
    error -= error.mean(axis=0)
    rms = np.sqrt((error**2).mean(axis=0))
    np.testing.assert_allclose(rms, np.array([4, 4, 8]) / np.sqrt(6 * 0.9), rtol=0.35)
    pull = error / found.std_nm
    assert 0.5 < pull.std() < 2
    assert found.notes[0] == "6 fiducials in 1000 frames"


def test_a_bead_that_moves_by_itself_is_left_out() -> None:
    locs, trace = beads(5)
    table = locs.to_frame()
    own = slice(0, len(trace))  # rows of the first bead
    table.loc[table.index[own], "x_nm"] += 250 * np.sin(np.arange(len(trace)) / 40)
    found = estimate_drift(
        locs.replace(table=table, operation="move"), method="fiducials", fiducial_radius_nm=600
    )
    error = found.drift_nm[:, 0] - trace[:, 0]
    assert np.std(error) < 5
    assert any("left out" in note for note in found.notes)


def test_beads_whose_place_is_given() -> None:
    locs, trace = beads(2)
    centres = find_fiducials(locs, 300)
    assert len(centres) == 2
    found = estimate_drift(
        locs, method="fiducials", fiducials_nm=centres[:1], fiducial_radius_nm=300
    )
    assert "one fiducial" in found.notes[1]
    assert np.std(found.drift_nm[:, 0] - trace[:, 0]) == pytest.approx(4, rel=0.2)


def test_shifts_that_disagree_are_left_out() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 100, (10, 2))
    pairs = np.array([(a, b) for a in range(10) for b in range(a + 1, 10)])
    shift = truth[pairs[:, 1]] - truth[pairs[:, 0]] + rng.normal(0, 2, (len(pairs), 2))
    wrong = rng.permutation(len(pairs))[:8]
    shift[wrong] += rng.normal(0, 500, (8, 2))
    found, std, left_out = segment_drift(pairs, shift, 10)
    assert left_out >= 7
    np.testing.assert_allclose(found, truth - truth.mean(axis=0), atol=4)
    assert 0.2 < std.mean() < 2


def test_frame_and_at() -> None:
    drift = Drift(np.arange(3), np.array([[0.0, 0], [1, 2], [2, 4]]), np.ones((3, 2)), "me")
    assert drift.at([-5, 0.5, 9]).tolist() == [[0, 0], [0.5, 1], [2, 4]]
    assert list(drift.to_frame()) == [
        "frame", "drift_x_nm", "drift_y_nm", "std_x_nm", "std_y_nm"
    ]  # fmt: skip


def test_room_for_any_drift_does_not_spoil_it() -> None:
    # pixels used to grow with it: 13 nm of error that was told as 1 nm
    locs, trace = movie(20_000, 2, seed=0)
    found = estimate_drift(locs, max_drift_nm=1e6)
    rms = np.sqrt((miss(found, locs, trace) ** 2).mean(axis=0))
    assert (rms < 3).all(), rms


@pytest.mark.parametrize("method", ["overlap", "rcc"])
def test_frames_of_very_unequal_size(method: Any) -> None:
    # the quantiles of the frames are all one frame
    locs, _ = movie(6000, 2, seed=0)
    frame = locs.table["frame"].to_numpy()
    table = locs.to_frame().assign(frame=np.where(frame < 19_000, 0, frame))
    lopsided = locs.replace(table=table, operation="frames")
    assert np.isfinite(estimate_drift(lopsided, method=method).drift_nm).all()
    two = locs.replace(table=table.assign(frame=frame % 2), operation="frames")
    assert len(estimate_drift(two, method=method).frame) == 2


def test_a_drift_of_something_else() -> None:
    flat, deep = (movie(1500, dimension, seed=0)[0] for dimension in (2, 3))
    frame = np.arange(5000, 15_001)
    trace = np.column_stack([frame, frame, frame]) / 100.0
    drift = Drift(frame, trace, np.ones((len(frame), 3)), "me")
    notes = correct_drift(flat, drift).history[-1]["notes"]
    assert notes[0] == "drift x 100 +- 1 nm, y 100 +- 1 nm"
    at = flat.table["frame"].to_numpy()
    outside = int(((at < 5000) | (at > 15_000)).sum())
    assert notes[1].startswith(f"{outside} localizations before frame 5000 or after frame 15000")
    lateral = Drift(frame, trace[:, :2], np.ones((len(frame), 2)), "me")
    fixed = correct_drift(deep, lateral)
    np.testing.assert_array_equal(fixed.xyz_nm[:, 2], deep.xyz_nm[:, 2])
    assert "z is left as it was" in fixed.history[-1]["notes"][1]
    late = Drift(frame + 10**6, trace, np.ones((len(frame), 3)), "me")
    with pytest.raises(ConfigError, match="found frames 1005000 to 1015000"):
        correct_drift(flat, late)


def test_what_does_not_overlap_is_doubted() -> None:
    rng = np.random.default_rng(0)
    locs = ns.from_arrays(
        rng.random((3000, 2)) * 20_000, frame=rng.integers(0, 1000, 3000), precision_nm=10.0
    )
    found = estimate_drift(locs)
    assert "does not make the other half sharper" in found.notes[-1]
    assert (found.drift_nm == 0).all()
    assert (found.std_nm > 0).all()


def test_real_files(shared_data: Path) -> None:
    folder = shared_data / "localizations"
    # corrected by whoever took it; and 4884 localizations strewn over 26 x 26 x 5 um
    for name in ("pyme-import-tests/ThunderSTORM_TS3D.csv", "locan/smap_dstorm_data.mat"):
        found = estimate_drift(ns.read(folder / name))
        assert "does not make the other half sharper" in found.notes[-1]
        assert (found.drift_nm == 0).all()
    # simulated without drift
    found = estimate_drift(ns.read(folder / "picasso/raw_movie_locs.hdf5"))
    assert found.span_nm.max() < 2


@pytest.mark.parametrize(
    ("columns", "arguments", "error", "words"),
    [
        ({}, {}, SchemaError, "column 'frame' was expected; the columns are x_nm, y_nm"),
        ({"frame": np.arange(50)}, {}, TooFewPointsError, "50 localizations; at least 500"),
        ({"frame": np.zeros(50)}, {}, TooFewPointsError, "more than one frame"),
        ({"frame": np.arange(50)}, {"method": "magic"}, ConfigError, "overlap, rcc, fiducials"),
        ({"frame": np.arange(50)}, {"max_drift_nm": 0}, ConfigError, "positive max_drift_nm"),
        ({"frame": np.arange(50)}, {"n_segments": 1}, ConfigError, "n_segments of 2 or more"),
        ({"frame": np.arange(50)}, {"n_segments": 2.5}, ConfigError, "whole n_segments"),
        ({"frame": np.append(np.arange(49.0), np.nan)}, {}, SchemaError, "found 1 of 50 without"),
        (
            {"frame": np.arange(50)},
            {"method": "fiducials", "fiducials_nm": np.zeros((0, 2))},
            ConfigError,
            r"found \(0, 2\)",
        ),
        (
            {"frame": np.arange(50)},
            {"method": "fiducials", "fiducials_nm": [[np.nan, 0]]},
            ConfigError,
            "finite fiducials_nm",
        ),
        (
            {"frame": np.arange(50) % 10},
            {"method": "fiducials", "fiducial_radius_nm": 1.0},
            TooFewPointsError,
            "no fiducial was found",
        ),
        (
            {"frame": np.arange(50)},
            {"method": "fiducials", "fiducials_nm": [[1e6, 1e6]]},
            TooFewPointsError,
            r"0 localizations within 150 nm of the fiducial at \(1e\+06, 1e\+06\)",
        ),
        (
            {"frame": np.arange(50)},
            {"method": "fiducials", "fiducials_nm": [1.0, 2.0]},
            ConfigError,
            r"shape \(k, 2\) or \(k, 3\)",
        ),
    ],
)
def test_bad_input(
    columns: dict[str, Any], arguments: dict[str, Any], error: type[NanospineError], words: str
) -> None:
    xy = np.random.default_rng(0).random((50, 2)) * 1000
    with pytest.raises(error, match=words):
        estimate_drift(ns.from_arrays(xy, **columns), **arguments)

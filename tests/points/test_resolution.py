"""Fourier ring and shell correlation: a field whose curve is known in closed form, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError, NanospineError, TooFewPointsError
from nanospine.points.resolution import fourier_correlation


def field(
    n: int, each: float, precision: float, side: float, dimension: int, seed: int = 0
) -> ns.Localizations:
    """Random molecules, each localized a Poisson number of times, at random times."""
    rng = np.random.default_rng(seed)
    place = rng.random((n, dimension)) * side
    xyz = place.repeat(rng.poisson(each, n), axis=0)
    xyz = xyz + rng.normal(0, precision, xyz.shape)
    return ns.from_arrays(xyz, frame=rng.integers(0, 5000, len(xyz)))


def expected(each: float, precision: float, threshold: float = 1 / 7) -> float:
    """Resolution of such a field.

    With m = each / 2 localizations of a molecule in a half and e = exp(-4 pi² q² s²), the signal is
    m² e and the power m + m² e, so that FRC = m e / (1 + m e).
    """
    e = threshold / (1 - threshold) / (each / 2)
    return 2 * np.pi * precision / np.sqrt(-np.log(e))


@pytest.mark.parametrize(("each", "precision"), [(10, 10), (4, 20), (20, 5)])
def test_rings_in_the_plane(each: float, precision: float) -> None:
    locs = field(2500, each, precision, 250 * precision, 2)
    found = fourier_correlation(locs, pixel_nm=precision / 4)
    truth = expected(each, precision)
    assert found.resolution_nm == pytest.approx(truth, rel=0.05)
    assert 0 < found.std_nm < 0.05 * truth
    frequency, smooth = found.curve["frequency_per_nm"], found.curve["smooth"]
    e = np.exp(-((2 * np.pi * frequency * precision) ** 2))
    low = (frequency > 2e-3) & (frequency < 1.3 / truth)
    model = (each / 2) * e / (1 + (each / 2) * e)
    assert np.abs(smooth - model)[low].max() < 0.08


def test_shells_in_space_and_thresholds() -> None:
    locs = field(5000, 10, 20, 800, 3)
    for threshold in (1 / 7, 0.5):
        found = fourier_correlation(locs, repeats=3, threshold=threshold)
        assert found.resolution_nm == pytest.approx(expected(10, 20, threshold), rel=0.07)
    flat = fourier_correlation(locs, dimension=2, repeats=2)
    assert np.isfinite(flat.resolution_nm)


def test_parts_of_a_large_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanospine.points.resolution._MOST_PIXELS", 2**17)
    locs = field(8000, 10, 10, 6000, 2)
    found = fourier_correlation(locs, repeats=4)
    assert found.notes[0].startswith("measured in the 4 fullest of ")
    assert found.resolution_nm == pytest.approx(expected(10, 10), rel=0.07)


def test_without_frames_and_what_never_crosses() -> None:
    rng = np.random.default_rng(0)
    noise = ns.from_arrays(rng.random((3000, 2)) * 5000)
    found = fourier_correlation(noise, repeats=3)
    assert any("split at random" in note for note in found.notes)
    # nothing is seen twice: halves agree on the outline of the field only, a few waves across it
    assert np.isnan(found.resolution_nm) or found.resolution_nm > 5000 / 20
    same = ns.from_arrays((rng.random((500, 2)) * 5000).repeat(20, axis=0))
    assert any("stays above" in note for note in fourier_correlation(same, repeats=2).notes)


def test_a_seed_repeats() -> None:
    locs = field(1000, 10, 10, 2000, 2)
    a, b = (fourier_correlation(locs, repeats=2, seed=3).to_frame() for _ in range(2))
    assert a.equals(b)


@pytest.mark.parametrize(
    ("xyz", "arguments", "error", "words"),
    [
        (np.zeros((9, 2)), {}, TooFewPointsError, "9 localizations; at least 100"),
        (np.zeros((200, 2)), {}, GeometryError, "found x 0 nm, y 0 nm"),
        (np.zeros((200, 2)), {"dimension": 3}, ConfigError, "found 3 for 2-D data"),
        (np.zeros((200, 2)), {"pixel_nm": -1}, ConfigError, "positive pixel_nm"),
        (np.zeros((200, 2)), {"threshold": 2}, ConfigError, "threshold between 0 and 1"),
        (np.zeros((200, 2)), {"n_blocks": 1}, ConfigError, "n_blocks of 2 or more"),
    ],
)
def test_bad_input(
    xyz: Any, arguments: dict[str, Any], error: type[NanospineError], words: str
) -> None:
    with pytest.raises(error, match=words):
        fourier_correlation(ns.from_arrays(xyz), **arguments)

"""Which alpha is taken where the smallest sphere that the noise allows leaves handles by chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import ConvexHull

import nanospine as ns
from nanospine.surface.carving import _steadier_alpha_nm
from nanospine.surface.envelope_input import Options

# Twice this is the least alpha: 30 nm.
NOISE_NM = 15.0


def ball_with_arch(clear_nm: float) -> np.ndarray:
    """A dense ball of 250 nm and over it an arch through which a sphere of this radius passes."""
    random = np.random.default_rng(0)
    ball = random.normal(size=(40_000, 3))
    ball *= 250 / np.linalg.norm(ball, axis=1, keepdims=True)
    thick = 40.0
    ring, round_ = random.uniform(0, 2 * np.pi, (2, 12_000))
    wide = clear_nm + thick + thick * np.cos(round_)
    # its middle in the surface of the ball: half of it is inside
    arch = np.column_stack(
        [wide * np.cos(ring), thick * np.sin(round_), 250 + clear_nm + wide * np.sin(ring)]
    )
    outside = np.linalg.norm(arch, axis=1) > 245
    return np.concatenate([ball, arch[outside]])


@pytest.mark.parametrize(("clear_nm", "handles"), [(33.0, 0), (60.0, 1)])
def test_chance_handles(clear_nm: float, handles: int) -> None:
    locs = ns.from_arrays(ball_with_arch(clear_nm), precision_nm=NOISE_NM)
    finest = ns.envelope(locs, alpha_nm=2 * NOISE_NM, fit=False)
    assert finest.genus == 1
    found = ns.envelope(locs, fit=False)
    assert found.genus == handles
    told = [note for note in found.notes if "handles that are gone" in note]
    if handles:
        assert found.alpha_nm == pytest.approx(2 * NOISE_NM)
        assert not told
    else:
        assert 33 < found.alpha_nm < 1.2 * 2 * NOISE_NM
        assert told


@pytest.mark.parametrize("precision_nm", [None, 10.0])
def test_the_convex_hull_of_a_filled_label_has_no_other_alphas(precision_nm: float | None) -> None:
    points = np.random.default_rng(0).random((500, 3)) * 300
    hull = ns.envelope(points, method="convex-hull", label="filled", precision_nm=precision_nm)
    assert hull.genus == 0
    assert hull.volume_nm3 == pytest.approx(ConvexHull(points).volume)


def test_a_set_too_entangled_to_follow_keeps_its_alpha() -> None:
    """Then only the lowest of the alphas around the one chosen is known."""
    around = pd.DataFrame({"alpha_nm": [24.0], "n_components": [1], "genus": [9]})
    options = Options("auto", "filled", "carve", None, 0.002, "large", False, None)
    assert _steadier_alpha_nm(around, 30.0, "filled", None, options) == 30.0


def test_handles_of_a_specimen_stay() -> None:
    """Where gaps of the label decide on alpha, the noise has no say."""
    locs = ns.from_arrays(ball_with_arch(33.0), precision_nm=5.0)
    found = ns.envelope(locs, fit=False)
    assert found.genus == 1
    assert found.alpha_nm < 33

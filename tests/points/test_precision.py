"""Precision from photons: simulated spots that are fitted, limits, real files, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import nanospine as ns
from nanospine.core.errors import ConfigError, NanospineError, SchemaError, UnitsError
from nanospine.points.precision import add_precision, gaussian_precision_nm


@pytest.mark.parametrize("background", [0.5, 20.0])
@pytest.mark.parametrize("em_gain", [False, True])
def test_spots_that_are_fitted_by_maximum_likelihood(background: float, em_gain: bool) -> None:
    from scipy.special import erf

    rng = np.random.default_rng(0)
    pixel, sigma, photons, size = 100.0, 130.0, 800.0, 11
    edges = (np.arange(size + 1) - size / 2) * pixel

    def spot(x: float, y: float) -> Any:
        along = [np.diff(erf((edges - c) / (sigma * np.sqrt(2)))) / 2 for c in (x, y)]
        return photons * np.outer(*along) + background

    errors = []
    for _ in range(150):
        truth = rng.uniform(-50, 50, 2)
        image = rng.poisson(spot(*truth)).astype(float)
        if em_gain:  # each electron becomes an exponential number of them
            image = rng.gamma(np.maximum(image, 1e-9), 1.0)

        def misfit(p: Any, image: Any = image) -> float:
            expected = spot(*p)
            return float((expected - image * np.log(expected)).sum())

        errors.append(minimize(misfit, truth, method="Nelder-Mead").x - truth)
    expected = gaussian_precision_nm(
        photons, sigma, background, pixel, estimator="mle", em_gain=em_gain
    )
    # pixels integrate: the spot of the formula is the one that the camera sees
    assert np.std(errors) == pytest.approx(float(expected), rel=0.1)


def test_limits() -> None:
    many = gaussian_precision_nm([1e4], [130], [0.0], 1e-6, estimator="mle")
    assert many[0] == pytest.approx(1.3)  # s / sqrt(N)
    least = gaussian_precision_nm([1e4], [130], [0.0], 1e-6)
    assert least[0] == pytest.approx(1.3 * 4 / 3)  # sqrt(16 / 9) worse
    gain = gaussian_precision_nm([1e4], [130], [5.0], 100, em_gain=True)
    plain = gaussian_precision_nm([1e4], [130], [5.0], 100)
    assert gain[0] == pytest.approx(plain[0] * np.sqrt(2))
    assert np.isnan(gaussian_precision_nm([0, np.nan, 5], [130, 130, -1], [1, 1, 1], 100)).all()


def test_equals_picasso_on_its_own_file(shared_data: Path) -> None:
    folder = shared_data / "localizations/picasso"
    locs = ns.read(folder / "raw_movie_locs.hdf5")
    own = locs.table["precision_x_nm"].to_numpy()
    mle = add_precision(locs, estimator="mle", overwrite=True).table["precision_x_nm"].to_numpy()
    least = add_precision(locs, overwrite=True).table["precision_x_nm"].to_numpy()
    # Picasso writes the bound of its fit (MLE) or Mortensen's formula (least squares)
    ratio = min(np.median(np.abs(item / own - 1)) for item in (mle, least))
    assert ratio < 0.1


def test_rows_keep_what_they_have() -> None:
    locs = ns.from_arrays(
        np.zeros((3, 2)), photons=[1000.0, 1000.0, np.nan],
        precision_x_nm=[3.0, np.nan, np.nan], precision_y_nm=[4.0, np.nan, np.nan],
    )  # fmt: skip
    done = add_precision(locs, pixel_size_nm=100, sigma_nm=130, background=10)
    assert done.table["precision_x_nm"][0] == 3.0
    assert done.table["precision_y_nm"][1] == pytest.approx(6.28, abs=0.01)
    assert np.isnan(done.table["precision_x_nm"][2])
    assert done.history[-1]["notes"] == [
        "precision from photons for 1 of 3 localizations",
        "1 localizations have no photons or no width, and no precision",
    ]
    again = add_precision(locs, pixel_size_nm=100, sigma_nm=130, background=10, overwrite=True)
    assert again.table["precision_x_nm"][0] == pytest.approx(6.28, abs=0.01)


def test_widths_of_each_axis_and_one_width_for_both() -> None:
    both = ns.from_arrays([[0, 0]], photons=[1000.0], sigma_x_nm=[130.0], sigma_y_nm=[260.0])
    table = add_precision(both, pixel_size_nm=100, background=0).table
    assert table["precision_y_nm"][0] > 1.9 * table["precision_x_nm"][0]
    one = ns.from_arrays([[0, 0]], photons=[1000.0], sigma_x_nm=[130.0])
    table = add_precision(one, pixel_size_nm=100, background=0).table
    assert table["precision_y_nm"][0] == table["precision_x_nm"][0]


@pytest.mark.parametrize(
    ("columns", "arguments", "error", "words"),
    [
        ({}, {}, SchemaError, "a column 'photons' was expected; the columns are x_nm"),
        ({"photons": [5.0]}, {}, SchemaError, r"'background_photons' or background=\.\.\."),
        ({"photons": [5.0]}, {"background": 1}, UnitsError, "pass pixel_size_nm=..."),
        ({"photons": [5.0]}, {"background": 1, "pixel_size_nm": 9}, SchemaError, "sigma_nm=..."),
        ({}, {"background": -1}, ConfigError, "background of 0 or more"),
        ({}, {"pixel_size_nm": 0}, ConfigError, "positive pixel_size_nm"),
        ({}, {"sigma_nm": float("nan")}, ConfigError, "positive sigma_nm"),
        ({}, {"estimator": "best"}, ConfigError, "'least-squares' or 'mle'"),
    ],
)
def test_bad_input(
    columns: dict[str, Any], arguments: dict[str, Any], error: type[NanospineError], words: str
) -> None:
    with pytest.raises(error, match=words):
        add_precision(ns.from_arrays([[0, 0]], **columns), **arguments)

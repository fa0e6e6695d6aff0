"""legacy="icy" against what the plugin's own classes computed for stored patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ConfigError
from nanospine.statistics.soda_icy import coupling_of, icy_result, image_of
from nanospine.statistics.soda_input import channels

RADII = [1.0, 2.0, 3.0, 4.0, 5.0]
CASES = [("2d", 300), ("2d", 1000), ("3d", 300), ("3d", 1000)]
COLUMNS = ["g", "variance", "probability", "maximum", "p_value"]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request, shared_data):
    kind, n = request.param
    folder = Path(shared_data).parent / "reference" / "oracle"
    if not folder.is_dir():
        pytest.skip(f"no oracle values in {folder}")
    name = f"java_{kind}_{n}"
    a, b = (np.loadtxt(folder / f"{name}_{side}.txt") for side in "AB")
    size = (256.0, 256.0) if kind == "2d" else (64.0, 64.0, 32.0)
    return a, b, ns.Box(np.zeros(len(size)), size), np.loadtxt(folder / f"{name}.txt")


def test_ring_vector_is_the_plugins(case):
    """Rings 1, 4, 5, and 2 and 3 together.

    The partners of these patterns stand at exactly 2, the edge between rings 2 and 3; the stored
    12 digits do not tell on which side rounding had put each in the run of the plugin.
    """
    a, b, region, oracle = case
    found = ns.soda(a, b, RADII, region=region, legacy="icy").rings["g"].to_numpy()
    np.testing.assert_allclose(found[[0, 3, 4]], oracle[[0, 3, 4], 1], rtol=1e-9)
    assert found[1:3].sum() == pytest.approx(oracle[1:3, 1].sum(), rel=1e-9)


def test_variance_is_the_plugins(case):
    a, b, region, oracle = case
    found = ns.soda(a, b, RADII, region=region, legacy="icy").rings["variance"]
    np.testing.assert_allclose(found, oracle[:, 2], rtol=1e-9)


def test_all_columns_from_the_plugins_ring_vector(case):
    a, b, region, oracle = case
    image = image_of(channels(a, b, RADII, region), 1.0)
    found = coupling_of(image, np.ascontiguousarray(oracle[:, 1]))
    for column, name in enumerate(COLUMNS, start=1):
        np.testing.assert_allclose(found[name], oracle[:, column], rtol=1e-9, atol=1e-10)


def test_pixels_of_any_size_and_masks_give_the_same():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 64, (2, 80, 2))
    box = ns.soda(a, b, RADII, region=ns.Box((0, 0), (64, 64)), legacy="icy")
    scaled = ns.soda(
        a * 40 + 300, b * 40 + 300, np.multiply(RADII, 40), legacy="icy", pixel_nm=40,
        region=ns.Box((300, 300), (300 + 64 * 40, 300 + 64 * 40)),
    )  # fmt: skip
    np.testing.assert_allclose(scaled.rings["g"], box.rings["g"], rtol=1e-9)
    np.testing.assert_allclose(scaled.rings["variance"], box.rings["variance"], rtol=1e-9)
    mask = ns.Mask(np.ones((64, 64), dtype=bool), (1.0, 1.0), (0.5, 0.5))
    masked = ns.soda(a, b, RADII, region=mask, legacy="icy")
    np.testing.assert_allclose(masked.rings["variance"], box.rings["variance"], rtol=1e-9)
    np.testing.assert_allclose(masked.rings["g"], box.rings["g"], rtol=1e-9)


def test_a_mask_in_three_dimensions_is_that_of_its_box():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, (20, 16, 12), (2, 60, 3))
    box = ns.soda(a, b, [1, 2, 3], region=ns.Box((0, 0, 0), (20, 16, 12)), legacy="icy")
    mask = ns.Mask(np.ones((12, 16, 20), dtype=bool), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    masked = ns.soda(a, b, [1, 2, 3], region=mask, legacy="icy")
    np.testing.assert_allclose(masked.rings["variance"], box.rings["variance"], rtol=1e-9)


def test_result_cuts_couples_to_integers_and_has_no_intervals():
    rng = np.random.default_rng(3)
    a = rng.uniform(10, 246, (100, 2))
    b = np.concatenate([a[:50] + np.array([2.3, 0.0]), rng.uniform(0, 256, (50, 2))])
    found = ns.soda(a, b, RADII, region=ns.Box((0, 0), (256, 256)), legacy="icy")
    assert found.coupled_pairs == int(found.coupled_pairs)
    assert found.coupled_fraction_b == found.coupled_pairs / 100
    assert np.isnan(found.coupled_fraction_b_low)
    assert (found.pairs["probability"] > 0).all()
    assert found.mean_distance_nm == pytest.approx(2.3, abs=0.3)
    assert any("legacy='icy'" in note for note in found.notes)
    data = channels(a, b, RADII, ns.Box((0, 0), (256, 256)))
    assert icy_result(data, 1.0).coupled_pairs == found.coupled_pairs


def test_dense_patterns_lose_coupling_in_the_plugin_only():
    """The overlap matrix that is not centred: the plugin finds less the denser the points are."""
    rng = np.random.default_rng(5)
    a = rng.uniform(0, 256, (2000, 2))
    way = rng.uniform(0, 2 * np.pi, 2000)
    step = np.abs(rng.normal(2, 0.5, 2000))
    b = np.clip(a + np.column_stack([np.cos(way), np.sin(way)]) * step[:, None], 0, 256)
    region = ns.Box((0, 0), (256, 256))
    icy = ns.soda(a, b, RADII, region=region, legacy="icy")
    ours = ns.soda(a, b, RADII, region=region, n_simulations=0)
    assert icy.coupled_fraction_b < 0.85
    assert ours.coupled_fraction_b == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize(
    ("region", "options", "message"),
    [
        (ns.Polygon([(0, 0), (100, 0), (0, 100)]), {}, "takes a Box or a Mask"),
        (ns.Box((0, 0), (100, 100)), {"pixel_nm": 0.0}, "pixel_nm above 0"),
        (ns.Mask(np.ones((50, 50), dtype=bool), (1.0, 2.0), (0.5, 1.0)), {}, "cubic voxels"),
    ],
)
def test_bad_input(region, options, message):
    points = np.random.default_rng(0).uniform(5, 40, (20, 2))
    with pytest.raises(ConfigError, match=message):
        ns.soda(points, points + 1, [2, 4], region=region, legacy="icy", **options)

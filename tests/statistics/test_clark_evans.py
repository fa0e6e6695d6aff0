"""The Clark-Evans index: spatstat's values, a grid, and p-values that keep their level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import nanospine as ns
from nanospine.core.errors import NanospineError

BOX = ns.Box((0, 0), (10, 6))


def test_values_of_spatstat(shared_data: Path) -> None:
    folder = shared_data.parent / "reference" / "oracle"
    if not folder.is_dir():
        pytest.skip(f"no values of spatstat in {folder}")
    points = pd.read_csv(folder / "pts_A_rect_uniform.csv")[["x", "y"]].to_numpy()
    theirs = pd.read_csv(folder / "clarkevans_A.csv").iloc[0]
    plain = ns.clark_evans(points, region=BOX, correction="none")
    assert plain.index == pytest.approx(theirs["naive"], abs=1e-9)
    donnelly = ns.clark_evans(points, region=BOX, correction="donnelly")
    assert donnelly.index == pytest.approx(theirs["Donnelly"], abs=1e-9)
    # Its mean takes the lower end of bins 1 / 513 of 1.05 wide: half a bin, 0.0037, too small.
    cdf = ns.clark_evans(points, region=BOX, n_simulations=19)
    assert 0 < cdf.index - theirs["cdf"] < 0.0075


@pytest.mark.parametrize("n", [20, 100])
def test_donnelly_keeps_its_level(n: int) -> None:
    p = [ns.clark_evans(BOX.sample_nm(n, seed), region=BOX, correction="donnelly").p_value
         for seed in range(600)]  # fmt: skip
    low, high = binom.interval(0.999, 600, 0.05)
    assert low <= np.sum(np.array(p) < 0.05) <= high


@pytest.mark.parametrize("region", [
    BOX, ns.Box((0, 0, 0), (9, 6, 5)), ns.Polygon([(0, 0), (9, 0), (9, 9), (5, 2)]),
], ids=["rectangle", "box", "polygon"])  # fmt: skip
def test_the_estimate_in_any_region_is_unbiased_and_keeps_its_level(region: ns.Box) -> None:
    runs = [ns.clark_evans(region.sample_nm(60, [7, k]), region=region, n_simulations=39, seed=k)
            for k in range(150)]  # fmt: skip
    index = np.array([run.index for run in runs])
    assert abs(index.mean() - 1) < 4 * index.std() / np.sqrt(len(runs)) + 0.01
    low, high = binom.interval(0.999, 150, 0.05)
    assert low <= sum(run.p_value <= 0.05 for run in runs) <= high


def test_structure_is_seen() -> None:
    generator = np.random.default_rng(1)
    clustered = np.repeat(BOX.sample_nm(15, 2), 6, axis=0) + generator.normal(0, 0.05, (90, 2))
    found = ns.clark_evans(clustered, region=BOX)
    assert found.index < 0.5
    assert found.z < -5
    assert found.p_value == pytest.approx(0.01)
    grid = np.stack(np.meshgrid(np.arange(0.5, 10), np.arange(0.5, 6)), -1).reshape(-1, 2)
    regular = ns.clark_evans(grid, region=BOX, correction="donnelly")
    assert regular.index > 1.5
    assert regular.p_value < 1e-6
    assert found.to_frame().loc[0, "n_simulations"] == 199


BAD = {
    "unknown": ({"correction": "km"}, "cdf, donnelly or none"),
    "donnelly in a polygon": (
        {"correction": "donnelly", "region": ns.Polygon([(0, 0), (9, 0), (9, 9)])}, "rectangles"),
    "one point": ({"region": ns.Box((0, 0), (1.5, 1.5))}, "at least 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case: str) -> None:
    options, says = BAD[case]
    with pytest.raises(NanospineError, match=says):
        ns.clark_evans([[1, 1], [5, 2]], **options)


def test_what_cannot_be_told_is_nan() -> None:
    # Both points are nearer to the edge than to each other.
    found = ns.clark_evans([[0.1, 3], [9.9, 3]], region=BOX, n_simulations=9)
    assert np.isnan([found.index, found.z, found.p_value]).all()

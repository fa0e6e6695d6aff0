"""Ripley's family against R spatstat, number by number, on its stored patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nanospine as ns
from nanospine.statistics import _slow

PATTERNS = {
    "A": "A_rect_uniform", "B": "B_rect_thomas", "C": "C_poly_uniform", "D": "D_polyhole_uniform",
    "M": "M_rect_bivariate", "N": "N_polyhole_bivariate", "I": "I_rect_inhom",
    "P": "P_box_uniform", "Q": "Q_box_clustered",
}  # fmt: skip
EXACT = {"rtol": 1e-9, "atol": 1e-12}
# spatstat's bandwidth is the standard deviation of the kernel
HALF = np.sqrt(5) * 0.1


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> Path:
    folder = Path(shared_data).parent / "reference" / "oracle"
    if not folder.is_dir():
        pytest.skip(f"no oracle values in {folder}")
    return folder


def points_of(oracle: Path, letter: str) -> pd.DataFrame:
    return pd.read_csv(oracle / f"pts_{PATTERNS[letter]}.csv")


def window_of(oracle: Path, letter: str) -> ns.core.region.Region:
    if letter in "PQ":
        return ns.Box((0, 0, 0), (4, 3, 2))
    if letter in "ABMI":
        return ns.Box((0, 0), (10, 6))
    corners = pd.read_csv(oracle / "window_polygon.csv")
    outer, hole = (corners[corners.ring == ring][["x", "y"]] for ring in ("outer", "hole"))
    return ns.Polygon(outer, () if letter == "C" else (hole,))


@pytest.mark.parametrize("letter", ["A", "B", "C", "D"])
def test_k(oracle, letter):
    known = pd.read_csv(oracle / f"K_{letter}.csv")
    points, region = points_of(oracle, letter).to_numpy(), window_of(oracle, letter)
    columns = {"none": "K.un", "isotropic": "K.iso", "border": "Kfast.border"}
    if letter in "AB":
        columns |= {"translation": "K.trans", "periodic": "K.per"}
    for correction, column in columns.items():
        found = ns.ripley_k(points, known.r, region=region, correction=correction)
        np.testing.assert_allclose(found.values, known[column], **EXACT, err_msg=column)
        length = ns.ripley_l(points, known.r, region=region, correction=correction)
        np.testing.assert_allclose(length.values, np.sqrt(known[column] / np.pi), rtol=1e-9)
    # spatstat's rigid correction is read from a raster
    found = ns.ripley_k(points, known.r, region=region, correction="rigid")
    np.testing.assert_allclose(found.values, known["K.rigid"], rtol=3.5e-3, atol=1e-12)


@pytest.mark.parametrize("letter", ["C", "D"])
def test_translation_in_a_polygon_is_shapely_pair_by_pair(oracle, letter):
    """spatstat takes a raster here (0.1 to 0.5 % off), so it cannot tell."""
    known = pd.read_csv(oracle / f"K_{letter}.csv")
    points, region = points_of(oracle, letter).to_numpy(), window_of(oracle, letter)
    radii = known.r.to_numpy()
    found = ns.ripley_k(points, radii, region=region).values
    np.testing.assert_allclose(found, _slow.ripley_k(points, radii, region), rtol=2e-5)
    np.testing.assert_allclose(found, known["K.trans"], rtol=6e-3)


def border(points, other, radii, depth, size, rounded):
    """Border pair by pair; spatstat's slow engine rounds each depth up to the grid of radii."""
    up = depth
    if rounded:
        up = np.append(radii, np.inf)[np.searchsorted(radii, depth)]
    i, _, shift = _slow.pair_table(points, other)
    distance = np.linalg.norm(shift, axis=1)
    near = (distance[:, None] <= radii) & (distance <= depth[i])[:, None]
    deep = up[:, None] >= radii
    others = len(points) if other is None else len(other)
    return size * (near & deep[i]).sum(axis=0) / (deep.sum(axis=0) * others)


@pytest.mark.parametrize("letter", ["M", "N"])
def test_cross_k(oracle, letter):
    known = pd.read_csv(oracle / f"Kcross_{letter}.csv")
    table, region = points_of(oracle, letter), window_of(oracle, letter)
    a, b = (table[table.mark == mark][["x", "y"]].to_numpy() for mark in "ab")
    columns = {"none": "un", "isotropic": "iso"}
    if letter == "M":
        columns |= {"translation": "trans", "periodic": "per"}
    for first, second, name in ((a, b, "Kab"), (b, a, "Kba")):
        for correction, column in columns.items():
            found = ns.ripley_k(first, known.r, other=second, region=region, correction=correction)
            np.testing.assert_allclose(found.values, known[f"{name}.{column}"], **EXACT)
        exact = _slow.ripley_k(first, known.r.to_numpy(), region, second)
        found = ns.ripley_k(first, known.r, other=second, region=region)
        np.testing.assert_allclose(found.values, exact, rtol=2e-5)
        depth = region.distance_to_boundary_nm(first)
        args = (first, second, known.r.to_numpy(), depth, region.size)
        np.testing.assert_allclose(border(*args, True), known[f"{name}.border"], **EXACT)
        found = ns.ripley_k(first, known.r, other=second, region=region, correction="border")
        np.testing.assert_allclose(found.values, border(*args, False), **EXACT)


@pytest.mark.parametrize("power", [0, 1])
def test_inhomogeneous_k(oracle, power):
    known = pd.read_csv(oracle / "Kinhom_I.csv")
    points, region = points_of(oracle, "I").to_numpy(), window_of(oracle, "I")
    intensity = 1 + 0.4 * points[:, 0]
    name = "K_renorm1" if power else "K_norenorm"
    for correction in ("translation", "isotropic", "border"):
        found = ns.ripley_k(
            points, known.r, region=region, correction=correction, intensity=intensity,
            renormalise=power,
        )  # fmt: skip
        column = {"translation": "trans", "isotropic": "iso"}.get(correction, correction)
        np.testing.assert_allclose(found.values, known[f"{name}.{column}"], **EXACT)


@pytest.mark.parametrize("letter", ["P", "Q"])
def test_k_and_g_in_a_box(oracle, letter):
    known = pd.read_csv(oracle / f"K3_{letter}.csv")
    points, region = points_of(oracle, letter).to_numpy(), window_of(oracle, letter)
    # K3est divides by n², Kest and ours by n (n - 1)
    factor = (len(points) - 1) / len(points)
    for correction, column in (("translation", "trans"), ("isotropic", "iso")):
        found = ns.ripley_k(points, known.r, region=region, correction=correction)
        np.testing.assert_allclose(found.values * factor, known[f"K.{column}"], **EXACT)
        for biased, name in ((True, "gbc"), (False, "g")):
            g = ns.pair_correlation(
                points, known.r, region=region, correction=correction, half_width_nm=0.1,
                bias_correction=biased,
            )  # fmt: skip
            np.testing.assert_allclose(g.values * factor, known[f"{name}.{column}"], **EXACT)


@pytest.mark.parametrize("letter", ["A", "B", "C", "D"])
def test_local_k(oracle, letter):
    known = pd.read_csv(oracle / f"localK_{letter}.csv")
    points, region = points_of(oracle, letter).to_numpy(), window_of(oracle, letter)
    radii = np.unique(known.r)
    columns = {"none": "none", "isotropic": "iso"} | (
        {"translation": "trans"} if letter in "AB" else {}
    )
    for correction, column in columns.items():
        found = ns.local_k(points, radii, region=region, correction=correction)
        values = known[column].to_numpy().reshape(len(radii), -1)
        np.testing.assert_allclose(found.values.T, values, **EXACT)
        length = ns.local_l(points, radii, region=region, correction=correction)
        np.testing.assert_allclose(length.values.T, np.sqrt(values / np.pi), rtol=1e-9)
        whole = ns.ripley_k(points, radii, region=region, correction=correction)
        np.testing.assert_allclose(found.values.mean(axis=0), whole.values, rtol=1e-12)


def density_default(distance, weight, radii, bandwidth):
    """R's `density.default`: weights binned linearly on 512 places, smoothed, read off."""
    low, high = radii[0] - 4 * bandwidth, radii[-1] + 4 * bandwidth
    place = (distance - low) / (high - low) * 511
    cell = np.floor(place).astype(int)
    keep = (cell >= -1) & (cell <= 511)
    bins = np.zeros(1024)
    for step in (0, 1):
        share = 1 - np.abs(place - cell - step)
        held = keep & (cell + step >= 0) & (cell + step < 512)
        np.add.at(bins, cell[held] + step, (share * weight)[held])
    far = np.linspace(0, 2 * (high - low), 1024)
    far[513:] = -far[511:0:-1]
    half = np.sqrt(5) * bandwidth
    kernel = np.where(np.abs(far) < half, 0.75 * (1 - (far / half) ** 2) / half, 0)
    smooth = np.fft.ifft(np.fft.fft(bins) * np.conj(np.fft.fft(kernel))).real[:512]
    return np.interp(radii, np.linspace(low, high, 512), smooth)


@pytest.mark.parametrize("letter", ["A", "B"])
def test_pair_correlation(oracle, letter):
    """Ours is exact; with R's 512 places in its stead spatstat's own numbers come out."""
    known = pd.read_csv(oracle / f"pcf_{letter}.csv")
    points, region = points_of(oracle, letter).to_numpy(), window_of(oracle, letter)
    radii = known.r.to_numpy()
    _, _, shift = _slow.pair_table(points)
    distance = np.linalg.norm(shift, axis=1)
    weight = region.size / np.prod(region.high_nm - region.low_nm - np.abs(shift), axis=1)
    scale = region.size / (2 * np.pi * len(distance))
    t = (radii[:, None] - distance) / HALF
    kernel = np.where(np.abs(t) < 1, 0.75 * (1 - t**2) / HALF, 0)
    for divisor in "rd":
        found = ns.pair_correlation(
            points, radii, region=region, half_width_nm=HALF, divisor=divisor,
            bias_correction=False,
        ).values  # fmt: skip
        each = weight / distance if divisor == "d" else weight
        over = radii if divisor == "r" else np.ones(len(radii))
        with np.errstate(divide="ignore", invalid="ignore"):
            exact = scale * (kernel @ each) / over
            as_r = scale * density_default(distance, each, radii, 0.1) / over
        np.testing.assert_allclose(found[1:], exact[1:], rtol=1e-9)
        column = known[f"g_div{divisor}.trans"].to_numpy()
        np.testing.assert_allclose(as_r[1:], column[1:], rtol=1e-6)
        np.testing.assert_allclose(found[1:], column[1:], rtol=2e-3)


def test_pair_correlation_of_the_others(oracle):
    """Isotropic weights, polygons, two patterns, uneven intensity: within what R's places cost."""
    for letter in "CD":
        known = pd.read_csv(oracle / f"pcf_{letter}.csv")
        points, region = points_of(oracle, letter).to_numpy(), window_of(oracle, letter)
        for divisor in "rd":
            found = ns.pair_correlation(
                points, known.r, region=region, correction="isotropic", half_width_nm=HALF,
                divisor=divisor, bias_correction=False,
            )  # fmt: skip
            close(found, known[f"g_div{divisor}.iso"])
    for letter in "MN":
        known = pd.read_csv(oracle / f"pcfcross_{letter}.csv")
        table, region = points_of(oracle, letter), window_of(oracle, letter)
        a, b = (table[table.mark == mark][["x", "y"]].to_numpy() for mark in "ab")
        found = ns.pair_correlation(
            a, known.r, other=b, region=region, correction="isotropic", half_width_nm=HALF,
            divisor="r", bias_correction=False,
        )  # fmt: skip
        close(found, known["g.iso"])
    known = pd.read_csv(oracle / "Kinhom_I.csv")
    points, region = points_of(oracle, "I").to_numpy(), window_of(oracle, "I")
    for correction, column in (("translation", "g.trans"), ("isotropic", "g.iso")):
        found = ns.pair_correlation(
            points, known.r, region=region, correction=correction, half_width_nm=HALF,
            divisor="r", bias_correction=False, renormalise=0,
            intensity=lambda places: 1 + 0.4 * places[:, 0],
        )  # fmt: skip
        close(found, known[column])


def close(found, known):
    np.testing.assert_allclose(found.values[1:], known[1:], rtol=3e-3)
    assert np.median(np.abs(found.values[1:] / known[1:] - 1)) < 1.2e-3

"""SODA as the Icy plugin "SODA suite" computes it, its errors included, to compare old results.

The formulas are the published ones (Lagache et al. 2018) where the plugin follows them. Where it
departs, so does this module, on purpose:

* in 3-D 4/3 pi is pi (a division of integers), and the variance has the partial overlap of two
  balls once instead of twice;
* the overlap matrix is not centred: independent neighbours are taken off twice;
* overlaps are summed over neighbouring cells of one largest radius, although balls overlap up to
  two;
* the edge term of the variance is summed in steps of a tenth of the largest radius *in pixels*;
* the distance to the boundary is that to the nearest contour pixel, in 3-D of each slice;
* the number of couples is cut to an integer ring by ring, and products of counts overflow above
  46,340 points;
* the normal distribution is a fit with an error of 1e-7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.region import Box, Mask, Region
from nanospine.statistics.soda_input import Channels
from nanospine.statistics.soda_result import SodaResult

__all__ = ["Image", "coupling_of", "icy_result", "image_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_TABLE = 101  # entries of the table of edge terms
# Coefficients of the error function, Numerical Recipes 6.2.
_ERF = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
    1.48851587, -0.82215223, 0.17087277,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Image:
    """Points and rings in pixels, and the window as pixels."""

    a: FloatArray
    b: FloatArray
    radii: FloatArray
    size: float
    depth: FloatArray
    """Distance of each point of `a` to the nearest contour pixel."""

    @property
    def products(self) -> float:
        """Product of the two counts, as an integer of 32 bits."""
        return float(_int32(len(self.a) * len(self.b)))

    @property
    def contents(self) -> FloatArray:
        """Area, or what the plugin takes for the volume, within each radius."""
        return np.pi * self.radii ** self.a.shape[1]


def icy_result(data: Channels, pixel_nm: float) -> SodaResult:
    """Compute what the plugin computes.

    `rings` has the plugin's G, its variance, the coupling probability, the maximum and the p-value
    up to the ring. There are no intervals: the plugin has none.
    """
    image = image_of(data, pixel_nm)
    coupling = coupling_of(image, _ring_vector(image))
    rings = pd.DataFrame({"low_nm": data.edges_nm[:-1], "high_nm": data.edges_nm[1:]})
    table = pd.concat([rings, coupling.drop(columns="kept")], axis=1)
    return _result(data, table, coupling["kept"].to_numpy())


def coupling_of(image: Image, counts: FloatArray) -> pd.DataFrame:
    """Go from the ring vector G to coupled pairs, probability, maximum and p-value per ring."""
    variance = _variance(image)
    factor = image.products / image.size
    expected = np.diff(image.contents)
    overlap = _overlap_matrix(image)
    coupled = np.linalg.inv(overlap) @ ((counts - expected) * factor)
    ring = np.arange(1, len(coupled) + 1)
    threshold = np.sqrt(2 * np.log(np.where(ring == 1, np.e, ring)))
    sigma = factor * np.sqrt(variance)
    maximum = np.maximum(np.maximum.accumulate(coupled / sigma), -100.0)
    p_values = 1 - (0.5 * (1 + _erf(maximum / np.sqrt(2)))) ** ring
    kept = np.where(coupled < threshold * sigma, 0.0, coupled)
    total = counts * factor
    return pd.DataFrame(
        {
            "g": counts,
            "g_expected": expected,
            "variance": variance,
            "coupled_pairs": coupled,
            "probability": np.divide(kept, total, out=np.zeros_like(kept), where=total > 0),
            "maximum": maximum,
            "p_value": p_values,
            "significant": kept > 0,
            "kept": kept,
        }
    )


def _result(data: Channels, table: pd.DataFrame, kept: FloatArray) -> SodaResult:
    n_a, n_b = len(data.a), len(data.b)
    couples = 0
    for pairs in kept:
        couples = int(couples + pairs)
    pairs = _pairs(data, table["probability"].to_numpy())
    distance = pairs["distance_nm"].to_numpy()
    nan = float("nan")
    lists: dict[str, Any] = {}
    for side, points in (("a", data.a), ("b", data.b)):
        found = np.unique(pairs[f"index_{side}"].to_numpy())
        lists[f"coupled_{side}"] = found
        lists[f"single_{side}"] = np.setdiff1d(points.rows, found)
    return SodaResult(
        coupled_fraction_a=couples / n_a,
        coupled_fraction_a_low=nan,
        coupled_fraction_a_high=nan,
        coupled_fraction_b=couples / n_b,
        coupled_fraction_b_low=nan,
        coupled_fraction_b_high=nan,
        coupled_pairs=float(couples),
        coupled_pairs_se=nan,
        mean_distance_nm=float(distance.mean()) if len(distance) else nan,
        mean_distance_nm_low=nan,
        mean_distance_nm_high=nan,
        std_distance_nm=float(distance.std()) if len(distance) else nan,
        std_distance_nm_low=nan,
        std_distance_nm_high=nan,
        p_value=float(table["p_value"].iloc[-1]),
        rings=table,
        pairs=pairs,
        **lists,
        n_a=n_a,
        n_b=n_b,
        region=data.region,
        notes=(
            *data.notes,
            "legacy='icy': as the plugin computes it, its known errors included; not for new "
            "results",
        ),
    )


def image_of(data: Channels, pixel_nm: float) -> Image:
    """Put points, rings and window into pixels."""
    region = data.region
    if isinstance(region, Mask):
        voxel = region.voxel_nm
        if not np.allclose(voxel, voxel[0]):
            raise ConfigError("soda: legacy='icy' takes masks of cubic voxels only.")
        # Pixel coordinates of the plugin: a pixel reaches from its number to the next.
        low = region.origin_nm[::-1] - voxel[0] / 2
        pixel = float(voxel[0])
        size = float(region.data.sum())
    elif isinstance(region, Box):
        if not np.isfinite(pixel_nm) or pixel_nm <= 0:
            raise ConfigError(f"soda: pixel_nm above 0 was expected, found {pixel_nm}.")
        low, pixel = region.low_nm, pixel_nm
        size = float(np.prod(_shape(region, pixel)))
    else:
        raise ConfigError(
            f"soda: legacy='icy' takes a Box or a Mask as region, found {type(region).__name__}."
        )
    a = (data.a.points_nm - low) / pixel
    b = (data.b.points_nm - low) / pixel
    return Image(a, b, data.edges_nm / pixel, size, _depth(a, region, pixel))


def _shape(region: Box, pixel: float) -> FloatArray:
    return np.maximum(np.round((region.high_nm - region.low_nm) / pixel), 1.0)


def _depth(points: FloatArray, region: Region, pixel: float) -> FloatArray:
    """Distance to the nearest contour pixel; in 3-D of each slice, top and bottom are none."""
    if isinstance(region, Mask):
        from scipy import ndimage
        from scipy.spatial import cKDTree

        cross = ndimage.generate_binary_structure(2, 1)
        layers = np.atleast_3d(region.data) if region.data.ndim == 3 else region.data[None]
        contour = np.stack([layer & ~ndimage.binary_erosion(layer, cross) for layer in layers])
        pixels = np.argwhere(contour)[:, ::-1][:, : region.dimension].astype(np.float64)
        return np.asarray(cKDTree(pixels).query(points)[0], dtype=np.float64)
    assert isinstance(region, Box)
    last = _shape(region, pixel) - 1
    nearest = np.clip(np.round(points), 0, last)
    found = np.full(len(points), np.inf)
    for axis in (0, 1):
        for wall in (0.0, last[axis]):
            place = nearest.copy()
            place[:, axis] = wall
            found = np.minimum(found, np.sqrt(((points - place) ** 2).sum(axis=1)))
    return found


def _neighbours(
    first: FloatArray, second: FloatArray, side: float, reach: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """Pairs nearer than `reach` that lie in the same or in neighbouring cells."""
    from scipy.spatial import cKDTree

    found = cKDTree(first).sparse_distance_matrix(cKDTree(second), reach, output_type="coo_matrix")
    i, j = found.row.astype(np.int64), found.col.astype(np.int64)
    near = (np.abs(np.floor(first[i] / side) - np.floor(second[j] / side)) <= 1).all(axis=1)
    i, j = i[near], j[near]
    return i, j, np.sqrt(((first[i] - second[j]) ** 2).sum(axis=1))


def _ring_vector(image: Image) -> FloatArray:
    """G: pairs in each ring, weighted for one straight edge, times the size over both counts."""
    i, _, distance = _neighbours(image.a, image.b, image.radii[-1], image.radii[-1])
    if image.a.shape[1] == 3:
        i, distance = i[distance > 0], distance[distance > 0]
    depth = image.depth[i]
    outer = distance > depth
    share = np.divide(depth, distance, out=np.ones_like(depth), where=outer)
    if image.a.shape[1] == 2:
        weight = np.where(outer, 1 - np.arccos(share) / np.pi, 1.0)
    else:
        weight = np.where(outer, 0.5 + share / 2, 1.0)
    ring = np.searchsorted(image.radii, distance, side="right") - 1
    inside = ring < len(image.radii) - 1
    sums = np.bincount(ring[inside], 1 / weight[inside], minlength=len(image.radii) - 1)
    return np.asarray(sums * image.size / image.products)


def _variance(image: Image) -> FloatArray:
    """Variance of G as the plugin has it: edge terms, overlap of neighbours, expectation."""
    n_a, n_b = len(image.a), len(image.b)
    contents, radii = image.contents, image.radii
    rim = np.array([_rim(image, radius) for radius in radii])
    _, _, distance = _neighbours(image.a, image.a, radii[-1], 2 * radii[-1])
    distance = distance[distance > 0]
    dimension = image.a.shape[1]
    same = np.array([_lens(distance, radius, radius, dimension).sum() for radius in radii])
    result = np.zeros(len(radii) - 1)
    pairs_of_a = float(_int32(n_a * (n_a - 1)))
    for k in range(len(result)):
        mixed = _mixed(distance, radii[k], radii[k + 1], dimension)
        square = (contents[k + 1] - contents[k]) ** 2 / image.size
        own = contents[k + 1] * rim[k + 1] - contents[k] * rim[k] - n_a * square
        other = same[k] + same[k + 1] - mixed - square * pairs_of_a
        result[k] = (image.size / image.products) ** 2 * (own + other) * n_b / image.size
    return result


def _mixed(distance: FloatArray, small: float, large: float, dimension: int) -> float:
    """Twice the overlap of two radii; the plugin has that of balls that overlap in part once."""
    if small == 0:
        return 0.0
    within = distance + small < large
    part = float(_lens(distance[~within], small, large, dimension).sum())
    whole = float(within.sum()) * np.pi * small**dimension
    return 2 * whole + (2 * part if dimension == 2 else part)


def _rim(image: Image, radius: float) -> float:
    """Sum of the second moments of the edge weight over the points."""
    if radius == 0:
        return 0.0
    depth = image.depth
    if image.a.shape[1] == 2:
        near = depth < radius
        entry = np.ceil(_TABLE * depth[near] / radius).astype(np.int64)
        return float(_edge_table(image.radii[-1])[entry].sum() + (~near).sum())
    near = (depth < radius) & (depth > 0)
    x = depth[near] / radius
    bent = 6 * x**3 * (x * np.log(2 * x) - np.log(1 + x))
    return float((-4 * x**3 + 6 * x**2 - 3 * x + 2 + bent).sum() + (~near).sum())


def _edge_table(largest: float) -> FloatArray:
    """Table of the edge terms, summed in steps of a tenth of the largest radius, up to 1."""
    step = largest / 10
    result = np.zeros(_TABLE + 1)
    for i in range(_TABLE + 1):
        alpha = i / _TABLE
        total, j = 0.0, 2
        place = alpha + step
        while place <= 1:
            total += place * step / (1 - 1 / np.pi * np.arccos(alpha / place))
            place = alpha + j * step
            j += 1
        result[i] = 2 * total + alpha**2
    return result


def _lens(distance: FloatArray, small: float, large: float, dimension: int) -> FloatArray:
    """Overlap of two discs or balls of which none holds the other; 0 where they are apart."""
    result = np.zeros(len(distance))
    meets = distance < small + large
    d = distance[meets]
    if small == 0 or not len(d):
        return result
    if dimension == 3:
        result[meets] = (
            np.pi / (12 * d) * (large + small - d) ** 2
            * (d**2 + 2 * d * small - 3 * small**2 + 2 * d * large + 6 * large * small
               - 3 * large**2)
        )  # fmt: skip
        return result
    first = small**2 * np.arccos((d**2 + small**2 - large**2) / (2 * d * small))
    second = large**2 * np.arccos((d**2 + large**2 - small**2) / (2 * d * large))
    corners = (small + large - d) * (d + small - large) * (d - small + large) * (d + small + large)
    result[meets] = first + second - 0.5 * np.sqrt(corners)
    return result


def _overlap_matrix(image: Image) -> FloatArray:
    """A: partners in ring j that are counted in ring i of other points, without the centring."""
    dimension = image.a.shape[1]
    _, _, distance = _neighbours(image.a, image.a, image.radii[-1], 2 * image.radii[-1])
    distance = distance[distance > 0]
    n = len(image.radii)
    common = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            small, large = sorted((image.radii[i], image.radii[j]))
            within = distance + small < large
            whole = float(within.sum()) * np.pi * small**dimension
            common[i, j] = whole + _lens(distance[~within], small, large, dimension).sum()
    rings = np.diff(np.diff(common, axis=0), axis=1) / np.diff(image.contents)
    return np.eye(n - 1) + rings / len(image.a)


def _pairs(data: Channels, probability: FloatArray) -> pd.DataFrame:
    """Pairs in rings with a coupling probability above 0."""
    from scipy.spatial import cKDTree

    found = cKDTree(data.a.points_nm).sparse_distance_matrix(
        cKDTree(data.b.points_nm), float(data.edges_nm[-1]), output_type="coo_matrix"
    )
    ring = np.searchsorted(data.edges_nm, found.data, side="right") - 1
    chance = np.append(probability, 0.0)[ring]
    keep = chance > 0
    return pd.DataFrame(
        {
            "index_a": data.a.rows[found.row[keep]],
            "index_b": data.b.rows[found.col[keep]],
            "distance_nm": found.data[keep],
            "probability": chance[keep],
        }
    )


def _int32(value: int) -> int:
    """Wrap around as an integer of 32 bits does."""
    return (value + 2**31) % 2**32 - 2**31


def _erf(z: FloatArray) -> FloatArray:
    t = 1 / (1 + 0.5 * np.abs(z))
    series = np.zeros_like(t)
    for coefficient in reversed(_ERF):
        series = coefficient + t * series
    return np.asarray(np.sign(z) * (1 - t * np.exp(-(z**2) + series)))

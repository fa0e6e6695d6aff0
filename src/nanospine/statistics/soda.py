"""SODA: which objects of two channels are coupled, how many, and at what distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.region import Region
from nanospine.statistics.patterns import Pattern, Points, checked_radii, pattern, shared_region
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_estimate import (
    Chance,
    Scatter,
    meet_by_chance,
    scatter_of_scores,
)
from nanospine.statistics.soda_null import holm, overall_p, ring_p
from nanospine.statistics.soda_result import SodaResult
from nanospine.statistics.soda_window import Rings

__all__ = ["SodaResult", "soda"]

FloatArray = npt.NDArray[np.float64]
Target = Literal["sample", "population"]


def soda(
    a: Points,
    b: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    level: float = 0.95,
    target: Target = "sample",
    n_simulations: int = 999,
    seed: int = 0,
) -> SodaResult:
    """Statistical object distance analysis: coupled pairs of two channels.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(1)
    >>> a = rng.uniform(0, 10_000, (400, 2))
    >>> b = np.vstack([a[:200] + rng.normal(0, 40, (200, 2)), rng.uniform(0, 10_000, (200, 2))])
    >>> found = ns.soda(a, b, [40, 80, 120], region=ns.Box((-200, -200), (10200, 10200)))
    >>> round(found.coupled_fraction_b, 1), found.p_value
    (0.5, 0.001)
    """
    edges = _edges(radii_nm)
    region = shared_region(a, b, region)
    first = pattern(a, region, name="a", least=2)
    second = pattern(b, region, name="b", least=2)
    _check(first, second, edges, level)
    cells = Cells(first.points_nm, float(edges[-1]))
    rings = Rings(first.points_nm, region, edges, seed)
    chance = meet_by_chance(rings, cells)
    counts, distance, square = cells.ring_sums(second.points_nm, edges)
    estimate = _estimate(counts, distance, square, chance, rings)
    shares = np.maximum(estimate.coupled, 0.0)
    shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(shares), 1 / len(shares))
    scatter = scatter_of_scores(rings, cells, chance.weights, shares)
    low, high, error = _interval(estimate, chance, scatter, len(first), level, target)
    observed = counts.sum(axis=0)
    p_value = overall_p(observed, len(second), chance, cells, edges, region, n_simulations, seed)
    table = _ring_table(edges, observed, len(first), len(second), region, chance, estimate)
    pairs = _pairs(first, second, cells, edges, table)
    n_a, n_b = len(first), len(second)
    total = estimate.total
    coupled = pairs[pairs["probability"] > 0]
    coupled_a = np.unique(coupled["index_a"].to_numpy())
    coupled_b = np.unique(coupled["index_b"].to_numpy())
    spread = estimate.distances(level)
    return SodaResult(
        coupled_fraction_a=total / n_a,
        coupled_fraction_a_low=low * n_b / n_a,
        coupled_fraction_a_high=high * n_b / n_a,
        coupled_fraction_b=total / n_b,
        coupled_fraction_b_low=low,
        coupled_fraction_b_high=high,
        coupled_pairs=total,
        coupled_pairs_se=error,
        mean_distance_nm=spread[0],
        mean_distance_nm_low=spread[1],
        mean_distance_nm_high=spread[2],
        std_distance_nm=spread[3],
        std_distance_nm_low=spread[4],
        std_distance_nm_high=spread[5],
        p_value=p_value,
        rings=table,
        pairs=pairs,
        single_a=np.setdiff1d(first.rows, coupled_a),
        single_b=np.setdiff1d(second.rows, coupled_b),
        coupled_a=coupled_a,
        coupled_b=coupled_b,
        n_a=n_a,
        n_b=n_b,
        region=region,
        level=level,
        target=target,
        notes=first.notes + second.notes,
    )


@dataclass(frozen=True, eq=False)
class _Estimate:
    """Coupled pairs and their distances, with the share of each point of `b` in them."""

    coupled: FloatArray
    scores: FloatArray
    """Columns: pairs, sum of distances, sum of squared distances; shape (n, 3)."""

    @property
    def total(self) -> float:
        return float(self.coupled.sum())

    def distances(self, level: float) -> tuple[float, ...]:
        """Mean and standard deviation of the coupled distances, each with its interval."""
        from scipy.special import ndtri

        total, sum_, square = self.scores.sum(axis=0)
        if total <= 0:
            return (float("nan"),) * 6
        mean = sum_ / total
        variance = square / total - mean**2
        reach = float(ndtri((1 + level) / 2)) * np.sqrt(len(self.scores))
        centred = self.scores[:, 1] - mean * self.scores[:, 0]
        error = reach * centred.std() / total
        if variance <= 0:
            return mean, mean - error, mean + error, *(float("nan"),) * 3
        std = float(np.sqrt(variance))
        bent = self.scores[:, 2] - (variance + mean**2) * self.scores[:, 0] - 2 * mean * centred
        std_error = reach * bent.std() / total / (2 * std)
        return mean, mean - error, mean + error, std, max(std - std_error, 0.0), std + std_error


def _estimate(
    counts: FloatArray, distance: FloatArray, square: FloatArray, chance: Chance, rings: Rings
) -> _Estimate:
    """Turn the ring counts of each point of `b` into coupled pairs and their distances.

    Chance pairs are spread evenly over the volume of their ring; what the observed pairs of the
    ring have more or less of distance is the coupled pairs' own.
    """
    excess = (counts - chance.mean) @ chance.inverse.T
    first, second = _ring_moments(rings.edges_nm, rings.points_nm.shape[1])
    scores = np.column_stack(
        [
            excess.sum(axis=1),
            (distance - first * counts).sum(axis=1) + excess @ first,
            (square - second * counts).sum(axis=1) + excess @ second,
        ]
    )
    return _Estimate(excess.sum(axis=0), scores)


def _ring_moments(edges: FloatArray, dimension: int) -> tuple[FloatArray, FloatArray]:
    """Mean distance and mean squared distance of points spread evenly in each ring."""
    d = dimension
    volume = np.diff(edges**d) / d
    return np.diff(edges ** (d + 1)) / (d + 1) / volume, np.diff(edges ** (d + 2)) / (
        d + 2
    ) / volume


def _interval(
    estimate: _Estimate, chance: Chance, scatter: Scatter, n_a: int, level: float, target: Target
) -> tuple[float, float, float]:
    """Ends of the interval of the coupled fraction of `b`, and the standard error of the pairs.

    The variance depends on the fraction itself: the ends are the fractions from which the found
    one is just so far away as the level allows (a score interval).
    """
    from scipy.special import ndtri

    n_b = len(estimate.scores)
    found = estimate.total / n_b
    background = float(chance.weights @ chance.covariance @ chance.weights)

    def error(fraction: float) -> float:
        share = min(max(fraction, 0.0), 1.0)
        free = max(1 - share * n_b / n_a, 0.0)
        own = scatter.within + free * scatter.between
        variance = (1 - share) * background + share * own
        if target == "population":
            variance += share * (1 - share)
        return float(np.sqrt(max(variance, 0.0) / n_b))

    reach = float(ndtri((1 + level) / 2))
    ends = []
    for sign in (-1.0, 1.0):
        end = found
        for _ in range(60):
            end = (end + found + sign * reach * error(end)) / 2
        ends.append(end)
    return ends[0], ends[1], error(found) * n_b


def _ring_table(
    edges: FloatArray,
    observed: FloatArray,
    n_a: int,
    n_b: int,
    region: Region,
    chance: Chance,
    estimate: _Estimate,
) -> pd.DataFrame:
    coupled = np.maximum(estimate.coupled, 0.0)
    free = max(n_b - coupled.sum(), 0.0)
    covariance = free * chance.covariance
    covariance = covariance + np.einsum("l,lkm->km", coupled, chance.partner_covariance)
    variance = np.einsum("ik,kl,il->i", chance.inverse, covariance, chance.inverse)
    expected = n_b * chance.mean
    p_values = ring_p(observed, expected, n_b * np.diag(chance.covariance))
    scale = region.size / (n_a * n_b)
    return pd.DataFrame(
        {
            "low_nm": edges[:-1],
            "high_nm": edges[1:],
            "observed": observed.astype(np.int64),
            "expected": expected,
            "g": observed * scale,
            "g_expected": expected * scale,
            "coupled_pairs": estimate.coupled,
            "coupled_pairs_se": np.sqrt(np.maximum(variance, 0.0)),
            "p_value": p_values,
            "significant": holm(p_values),
        }
    )


def _pairs(
    first: Pattern, second: Pattern, cells: Cells, edges: FloatArray, table: pd.DataFrame
) -> pd.DataFrame:
    """All pairs within the largest radius, with the coupled share of their ring."""
    index_a, index_b, distance = cells.pairs(second.points_nm)
    observed = np.maximum(table["observed"].to_numpy(), 1)
    share = np.clip(table["coupled_pairs"].to_numpy() / observed, 0.0, 1.0)
    share = np.where(table["significant"].to_numpy(), share, 0.0)
    ring = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, len(share) - 1)
    return pd.DataFrame(
        {
            "index_a": first.rows[index_a],
            "index_b": second.rows[index_b],
            "distance_nm": distance,
            "probability": share[ring],
        }
    )


def _edges(radii_nm: npt.ArrayLike) -> FloatArray:
    radii = checked_radii(radii_nm)
    edges = radii if radii[0] == 0 else np.concatenate([[0.0], radii])
    if len(edges) < 2:
        raise ConfigError("soda: radii_nm needs at least one radius above 0.")
    return edges


def _check(first: Pattern, second: Pattern, edges: FloatArray, level: float) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"soda: level between 0 and 1 was expected, found {level}.")
    size = first.region.bounds_nm[1] - first.region.bounds_nm[0]
    if edges[-1] >= size.max():
        raise ConfigError(
            f"soda: the largest radius, {edges[-1]:g} nm, reaches across the whole region, whose "
            f"longest side is {size.max():g} nm; use smaller radii_nm or a larger region."
        )
    for name, points in (("a", first), ("b", second)):
        if (points.points_nm == points.points_nm[0]).all():
            raise GeometryError(
                f"soda: all {len(points)} points of {name} inside the region are at one place; "
                "two points apart are needed."
            )

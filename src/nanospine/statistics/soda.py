"""SODA: which objects of two channels are coupled, how many, and at what distance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.progress import Progress, report
from nanospine.core.region import Region
from nanospine.statistics.soda_blinking import warn_of_blinking
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_distance import (
    DistanceFit,
    Neighbours,
    fit_distance,
    likely_distances,
    ring_chances,
)
from nanospine.statistics.soda_errors import axis_errors, combined_precision, position_variance
from nanospine.statistics.soda_estimate import (
    Chance,
    excess,
    meet_by_chance,
    scatter_of_scores,
)
from nanospine.statistics.soda_input import Channels, Objects, channels, order_note
from nanospine.statistics.soda_interval import (
    FractionError,
    coupled_distance,
    fraction_interval,
)
from nanospine.statistics.soda_null import holm, overall_p, ring_p
from nanospine.statistics.soda_partners import sharing
from nanospine.statistics.soda_result import SodaResult
from nanospine.statistics.soda_window import Rings

__all__ = ["SodaResult", "soda"]

FloatArray = npt.NDArray[np.float64]

# Scatter of what the window leaves of the rings of the points, above which it is looked at.
_EVEN = 0.02
_SHARING = {"one": 0.0, "any": 1.0}


def soda(
    a: Objects,
    b: Objects,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    level: float = 0.95,
    target: Literal["sample", "population"] = "sample",
    partners: Literal["auto", "one", "any"] = "auto",
    registration_error_nm: npt.ArrayLike | None = None,
    precision_nm: npt.ArrayLike | None = None,
    size_a_nm: npt.ArrayLike | None = None,
    size_b_nm: npt.ArrayLike | None = None,
    legacy: Literal["icy"] | None = None,
    pixel_nm: float = 1.0,
    n_simulations: int = 999,
    seed: int = 0,
    progress: Progress | None = None,
) -> SodaResult:
    """Statistical object distance analysis: coupled pairs of two channels.

    Points of `a` are taken as they are. Points of `b` are anywhere in the region, or coupled: in a
    ring around a point of `a`. The pairs in each ring, less those expected of points anywhere
    (with the exact part of each ring that lies in the region), are C times the matrix of how many
    pairs in ring k a pair coupled in ring l makes by the other points of `a`; its inverse gives
    C, the coupled pairs per ring, without bias at any density and however `a` is clustered. After
    Lagache et al. 2018, with the overlap matrix centred. Put the channel that has structure of its
    own first: `b` apart from its coupling is taken as spread evenly.

    Parameters
    ----------
    a, b : Localizations, Clusters, DataFrame or array_like, shape (n, 2) or (n, 3)
        Objects, nanometres. Blinking molecules should be linked or clustered first.
    radii_nm : array_like
        Ascending edges of the rings, nm; the first starts at 0. Coupling farther than the last is
        not seen.
    region : Region, optional
        Where objects could be seen; default: that of the data, else their bounding box (noted).
    level : float
        Of the intervals.
    target : {"sample", "population"}
        The interval is for the share of the objects seen that are coupled, or for the probability
        of which these are a sample (wider: binomial variation on top).
    partners : {"auto", "one", "any"}
        Whether a point of `a` has at most one partner, or partners choose theirs independently,
        which gives wider intervals; "auto" judges by how many points of `b` crowd around one of
        `a`.
    registration_error_nm : float or (d,), optional
        Standard deviation of the shift that is left between the channels; enters the intervals.
    precision_nm : float, (d,), (n_b,) or (n_b, d), optional
        Standard deviation of the positions of `a` and `b` relative to each other; default: what
        the localizations carry. Enters the intervals.
    size_a_nm, size_b_nm : float or (n,), optional
        Radii of the objects: `pairs` gets `gap_nm`, the distance between their rims.
    legacy : "icy", optional
        Compute what the Icy plugin "SODA suite" computes, its errors included, to compare with
        old results: see :mod:`nanospine.statistics.soda_icy`. No intervals.
    pixel_nm : float
        Pixel of the image in which the plugin would see a Box; for `legacy` only.
    n_simulations : int
        For the p-value; 0 leaves the Bonferroni bound of the rings.
    seed : int
        Everything drawn is drawn from it.
    progress : callable, optional
        Called with the stage and the fraction that is done.

    Returns
    -------
    SodaResult
        See :class:`SodaResult`.

    Raises
    ------
    GeometryError, TooFewPointsError, ConfigError
        For positions that are not finite or all at one place, fewer than two points in the
        region, radii beyond it, options that are unknown.

    Warns
    -----
    BlinkingWarning
        When localizations look like several of each molecule.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(1)
    >>> a = rng.uniform(0, 10_000, (400, 2))
    >>> b = np.vstack([a[:200] + rng.normal(0, 40, (200, 2)), rng.uniform(0, 10_000, (200, 2))])
    >>> window = ns.Box((-200, -200), (10_200, 10_200))
    >>> found = ns.soda(a, b, [40, 80, 120], region=window)
    >>> round(found.coupled_fraction_b, 1), found.p_value
    (0.5, 0.001)
    """
    _check(level, target, partners, n_simulations, legacy)
    data = channels(a, b, radii_nm, region)
    if legacy is not None:
        from nanospine.statistics.soda_icy import icy_result

        return icy_result(data, pixel_nm)
    data = replace(data, notes=data.notes + warn_of_blinking(a, b) + order_note(data))
    dimension = data.region.dimension
    errors = (
        axis_errors(registration_error_nm, "registration_error_nm", dimension),
        combined_precision(a, b, data.b.rows, precision_nm, dimension),
    )
    report(progress, "rings", 0.0)
    found = _count(data, errors, seed)
    report(progress, "intervals", 0.4)
    numbers = _numbers(found, level, target, partners)
    report(progress, "simulations", 0.7)
    table = _ring_table(found)
    if n_simulations:
        p_value = overall_p(found.observed, len(data.b), found.chance, n_simulations, seed)
    else:
        p_value = float(min(1.0, len(table) * table["p_value"].min()))
    pairs = _pairs(found, table, (size_a_nm, size_b_nm))
    report(progress, "done", 1.0)
    return SodaResult(
        **numbers,
        p_value=p_value,
        rings=table,
        pairs=pairs,
        **_lists(data, pairs),
        region=data.region,
        level=level,
        target=target,
        notes=data.notes,
    )


@dataclass(frozen=True, eq=False)
class _Counted:
    """The pairs of two channels, and what chance gives."""

    data: Channels
    cells: Cells
    rings: Rings
    near: Neighbours
    chance: Chance
    observed: FloatArray
    """Pairs in each ring."""
    scores: FloatArray
    """What of each point of `b` is coupled, see :func:`excess`."""
    likely: list[DistanceFit] = field(default_factory=list)
    """Distributions of the distance."""
    extra: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Variances of pairs, mean and spread of the distance from uncertain positions."""

    @property
    def ring_chances(self) -> FloatArray:
        """Chance of each ring for a partner in open space, shape (m,)."""
        edges = self.data.edges_nm
        if not self.likely:
            return np.full(len(edges) - 1, 1 / (len(edges) - 1))
        return ring_chances(self.likely[0].law, edges)

    def covariance_of(self, pairs: FloatArray) -> FloatArray:
        """Covariance of the coupled pairs per ring for true ones, a sample's included."""
        by_chance = self.chance.covariance_of_pairs(pairs, len(self.data.b))
        return np.asarray(by_chance + np.diag(np.maximum(pairs, 0.0)))

    @property
    def coupled(self) -> FloatArray:
        """Coupled pairs in each ring."""
        return np.asarray(self.scores[:, :-2].sum(axis=0))


def _count(data: Channels, errors: tuple[FloatArray, FloatArray], seed: int) -> _Counted:
    edges = data.edges_nm
    cells = Cells(data.a.points_nm, float(edges[-1]))
    rings = Rings(data.a.points_nm, data.region, edges, seed)
    chance = meet_by_chance(rings, cells)
    near = Neighbours(
        *cells.pairs(data.b.points_nm), len(data.b), data.region.size, data.region.dimension,
        edges, chance.shares,
    )  # fmt: skip
    sums = cells.ring_sums(data.b.points_nm, edges)
    observed = sums[0].sum(axis=0)
    found = _Counted(data, cells, rings, near, chance, observed, excess(sums, chance))
    likely = likely_distances(near, found.coupled, found.covariance_of(found.coupled))
    found = replace(found, likely=likely)
    # Where the window cuts the same part off all points the law makes no difference.
    if likely and (chance.shares @ found.ring_chances).std() > _EVEN:
        chance = meet_by_chance(rings, cells, likely[0].law)
        found = replace(found, chance=chance, scores=excess(sums, chance))
    extra = position_variance(
        cells, chance, data.b, edges, seed=seed,
        registration_nm=errors[0], precision_nm=errors[1],
    )  # fmt: skip
    return replace(found, extra=extra)


def _numbers(found: _Counted, level: float, target: str, partners: str) -> dict[str, Any]:
    """Fractions, pairs and distances with their intervals, by the names of the result."""
    data, chance, coupled = found.data, found.chance, found.coupled
    n_a, n_b, total = len(data.a), len(data.b), float(coupled.sum())
    scatter = scatter_of_scores(found.rings, found.cells, chance.weights, found.ring_chances)
    shared = _SHARING.get(partners)
    if shared is None:
        shared = sharing(found.rings, data.b.points_nm, coupled)
    error = FractionError.of(
        chance, scatter, n_a, n_b, sharing=shared, population=target == "population",
        extra=found.extra[0] / n_b**2,
    )  # fmt: skip
    ends = fraction_interval(total / n_b, error, level)

    fit = fit_distance(found.likely, found.near, coupled, found.observed, found.covariance_of)
    distance = coupled_distance(
        found.scores, fit, found.covariance_of(coupled), data.edges_nm, level, found.extra[1:]
    )
    result: dict[str, Any] = {
        "coupled_pairs": total,
        "coupled_pairs_se": error.at(total / n_b)[0] * n_b,
        "distance_model": distance.model,
        "distance_parameters_nm": distance.parameters_nm,
    }
    for side, n in (("a", n_a), ("b", n_b)):
        for end, value in (("", total / n_b), ("_low", ends[0]), ("_high", ends[1])):
            result[f"coupled_fraction_{side}{end}"] = value * n_b / n
    for what, values in (("mean", distance.mean), ("std", distance.std)):
        for end, value in zip(("", "_low", "_high"), values, strict=True):
            result[f"{what}_distance_nm{end}"] = value
    return result


def _check(
    level: float, target: str, partners: str, n_simulations: int, legacy: str | None
) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"soda: level between 0 and 1 was expected, found {level}.")
    if target not in ("sample", "population"):
        raise ConfigError(f"soda: target 'sample' or 'population' was expected, found {target!r}.")
    if partners != "auto" and partners not in _SHARING:
        raise ConfigError(
            f"soda: partners 'auto', 'one' or 'any' was expected, found {partners!r}."
        )
    if legacy not in (None, "icy"):
        raise ConfigError(f"soda: legacy None or 'icy' was expected, found {legacy!r}.")
    if n_simulations < 0:
        raise ConfigError(f"soda: n_simulations of at least 0 was expected, found {n_simulations}.")


def _ring_table(found: _Counted) -> pd.DataFrame:
    data, chance, observed, coupled = found.data, found.chance, found.observed, found.coupled
    n_a, n_b = len(data.a), len(data.b)
    variance = np.diag(chance.covariance_of_pairs(coupled, n_b))
    expected = n_b * chance.mean[0]
    p_values = ring_p(observed, expected, n_b * np.diag(chance.covariance))
    scale = data.region.size / (n_a * n_b)
    return pd.DataFrame(
        {
            "low_nm": data.edges_nm[:-1],
            "high_nm": data.edges_nm[1:],
            "observed": observed.astype(np.int64),
            "expected": expected,
            "g": observed * scale,
            "g_expected": expected * scale,
            "coupled_pairs": coupled,
            "coupled_pairs_se": np.sqrt(np.maximum(variance, 0.0)),
            "p_value": p_values,
            "significant": holm(p_values),
        }
    )


def _pairs(found: _Counted, table: pd.DataFrame, sizes: tuple[Any, Any]) -> pd.DataFrame:
    """All pairs within the largest radius, with the coupled share of their ring."""
    data = found.data
    near = found.near
    index_a, index_b, distance = near.index_a, near.index_b, near.distance_nm
    observed = np.maximum(table["observed"].to_numpy(), 1)
    share = np.clip(table["coupled_pairs"].to_numpy() / observed, 0.0, 1.0)
    share = np.where(table["significant"].to_numpy(), share, 0.0)
    ring = np.searchsorted(data.edges_nm, distance, side="right") - 1
    result = pd.DataFrame(
        {
            "index_a": data.a.rows[index_a],
            "index_b": data.b.rows[index_b],
            "distance_nm": distance,
            "probability": share[np.clip(ring, 0, len(share) - 1)],
        }
    )
    if sizes[0] is not None or sizes[1] is not None:
        gap = distance.copy()
        for size, rows in ((sizes[0], result["index_a"]), (sizes[1], result["index_b"])):
            radii = np.asarray(0.0 if size is None else size, dtype=np.float64)
            gap -= radii if radii.ndim == 0 else radii[rows.to_numpy()]
        result["gap_nm"] = gap
    return result


def _lists(data: Channels, pairs: pd.DataFrame) -> dict[str, Any]:
    certain = pairs["probability"].to_numpy() > 0
    result: dict[str, Any] = {}
    for side, points in (("a", data.a), ("b", data.b)):
        found = np.unique(pairs[f"index_{side}"].to_numpy()[certain])
        result[f"coupled_{side}"] = found
        result[f"single_{side}"] = np.setdiff1d(points.rows, found)
        result[f"n_{side}"] = len(points)
    return result

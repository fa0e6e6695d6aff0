"""Ripley's K, L and H in any window, in 2-D and 3-D, for one pattern or two."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nanospine.core.region import Box, Region
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.pair_sums import BORDER, PairWeights, pair_sums
from nanospine.statistics.pairs import box_translation_sums, pair_counts
from nanospine.statistics.patterns import Pattern, Points, checked_radii, pattern, shared_region
from nanospine.statistics.windows import Window, checked_correction, window

__all__ = ["ripley_h", "ripley_k", "ripley_l"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def ripley_k(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    threads: int | None = None,
) -> SummaryFunction:
    """Ripley's K: mean number of further points within r of a point, over the density.

    `K(r) = |W| / (n (n - 1)) sum_{i != j} e_ij 1{|x_i - x_j| <= r}`; for two patterns
    `|W| / (n m) sum_ij`. Under complete spatial randomness K is `pi r²` (2-D) or `4/3 pi r³`.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.random.default_rng(1).uniform(0, 1000, (2000, 2))
    >>> k = ripley_k(points, [20, 40], region=Box((0, 0), (1000, 1000)))
    >>> (k.values / k.theory).round(2).tolist()
    [0.97, 0.99]
    """
    task = _task(points, radii_nm, region, correction, other)
    values, notes = _limited(task, _k(task, threads))
    dimension = task.window.region.dimension
    theory = np.pi * task.radii_nm**2 if dimension == 2 else 4 / 3 * np.pi * task.radii_nm**3
    return SummaryFunction(
        "K" if task.b is None else "K_cross", task.radii_nm, values, theory, correction,
        len(task.a), 0 if task.b is None else len(task.b), task.window.region, notes,
    )  # fmt: skip


def ripley_l(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    threads: int | None = None,
) -> SummaryFunction:
    """Give Besag's L: K as the radius it would have under randomness, nm."""
    k = ripley_k(
        points, radii_nm, region=region, correction=correction, other=other, threads=threads
    )
    return _as_l(k)


def ripley_h(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    threads: int | None = None,
) -> SummaryFunction:
    """H = L - r, nm: above 0 where points attract each other, below where they repel."""
    value = ripley_l(
        points, radii_nm, region=region, correction=correction, other=other, threads=threads
    )
    return replace(
        value, name=value.name.replace("L", "H"), values=value.values - value.radii_nm,
        theory=np.zeros_like(value.theory),
    )  # fmt: skip


def _as_l(k: SummaryFunction) -> SummaryFunction:
    if k.region.dimension == 2:
        values = np.sqrt(k.values / np.pi)
    else:
        values = np.cbrt(k.values * 0.75 / np.pi)
    return replace(k, name=k.name.replace("K", "L"), values=values, theory=k.radii_nm.copy())


@dataclass(frozen=True, eq=False)
class _Task:
    a: Pattern
    b: Pattern | None
    radii_nm: FloatArray
    window: Window
    notes: tuple[str, ...] = field(default=())


def _task(
    points: Points,
    radii_nm: npt.ArrayLike,
    region: Region | None,
    correction: str,
    other: Points | None,
) -> _Task:
    radii = checked_radii(radii_nm)
    checked_correction(correction)
    if other is None:
        a = pattern(points, region, least=2)
        b = None
    else:
        region = shared_region(points, other, region)
        a = pattern(points, region)
        b = pattern(other, region, name="other")
    notes = a.notes if b is None else (*a.notes, *b.notes)
    return _Task(a, b, radii, window(a.region, correction, float(radii[-1])), notes)


def _k(task: _Task, threads: int | None) -> FloatArray:
    a = task.a.points_nm
    b = None if task.b is None else task.b.points_nm
    number = len(a) * (len(a) - 1.0) if b is None else float(len(a)) * len(b)
    size = task.window.region.size
    radii = task.radii_nm
    if task.window.correction == "none":
        values: FloatArray = pair_counts(a, radii, other_nm=b, threads=threads) * (size / number)
        return values
    known = radii[radii < task.window.limit_nm]
    values = np.full(len(radii), np.nan)
    if not len(known):
        return values
    if task.window.correction == "periodic":
        period = task.window.period_nm
        counts = pair_counts(a, known, other_nm=b, period_nm=period, threads=threads)
        values[: len(known)] = size / number * counts
    elif task.window.correction == "border":
        values = _border_k(task, threads)
    elif isinstance(task.window.region, Box):
        sides = task.window.region.high_nm - task.window.region.low_nm
        sums = box_translation_sums(a, known, sides, other_nm=b, threads=threads)
        values[: len(known)] = size**2 / number * sums
    return values


def _border_k(task: _Task, threads: int | None) -> FloatArray:
    """Only points at least r inside count at r: `|W| sum_i N_i(r) / (n_r n)`."""
    a = task.a.points_nm
    b = None if task.b is None else task.b.points_nm
    depth = task.window.region.distance_to_boundary_nm(a)
    limits = np.searchsorted(task.radii_nm, depth, side="right") - 1
    weights = PairWeights(BORDER, limits=limits)
    sums = pair_sums(a, task.radii_nm, weights, other_nm=b, threads=threads)[0, 0]
    deep = (depth[:, None] >= task.radii_nm).sum(axis=0)
    others = len(a) if b is None else len(b)
    with np.errstate(invalid="ignore"):
        values: FloatArray = task.window.region.size * sums / (deep * float(others))
    return values


def _limited(task: _Task, values: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    """Say which radii the window does not support."""
    notes = list(task.notes)
    missing = int(np.isnan(values).sum())
    if missing:
        if task.window.correction == "border":
            why = "no point lies so far from the boundary"
        else:
            why = (
                f"{task.window.correction} needs radii below {task.window.limit_nm:.4g} nm, "
                f"{task.window.reason}"
            )
        notes.append(f"{missing} of {len(values)} radii have no value: {why}")
    return values, tuple(notes)

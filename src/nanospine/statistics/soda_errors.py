"""What uncertain positions do to the estimate: registration of the channels and precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.localizations import Localizations
from nanospine.statistics.patterns import Pattern
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_estimate import Chance, excess
from nanospine.statistics.soda_interval import three_numbers

__all__ = ["axis_errors", "combined_precision", "position_variance"]

FloatArray = npt.NDArray[np.float64]

_JITTERS = 12


def axis_errors(value: Any, name: str, dimension: int, n: int | None = None) -> FloatArray:
    """Give a standard deviation per axis, shape (d,) or (n, d); None is 0."""
    if value is None:
        return np.zeros(dimension)
    errors = np.asarray(value, dtype=np.float64)
    shapes = [(), (3,), (dimension,)] + ([(n,), (n, 3), (n, dimension)] if n is not None else [])
    if errors.shape not in shapes or not np.isfinite(errors).all() or (errors < 0).any():
        raise ConfigError(
            f"soda: {name} in nm must be a number, one per axis"
            f"{' or one per point' if n is not None else ''}, finite and not negative; found shape "
            f"{errors.shape}."
        )
    if n is not None and errors.shape == (n,) and n not in (2, 3):
        return np.repeat(errors[:, None], dimension, axis=1)
    if errors.ndim == 0:
        return np.full(dimension, float(errors))
    return np.ascontiguousarray(errors[..., :dimension])


def combined_precision(
    a: object, b: object, rows_b: npt.NDArray[np.int64], given: Any, dimension: int
) -> FloatArray:
    """Precision of a pair per axis: what was given, else that of the localizations, else 0."""
    if given is not None:
        n = len(b) if hasattr(b, "__len__") else None
        errors = axis_errors(given, "precision_nm", dimension, n)
        return errors[rows_b] if errors.ndim == 2 else errors
    own = []
    for points in (a, b):
        table = points.precision_nm if isinstance(points, Localizations) else None
        known = table is not None and bool(np.isfinite(table[:, :dimension]).all())
        own.append(
            table[:, :dimension] if known and table is not None else np.zeros((1, dimension))
        )
    per_point = own[1][rows_b] if len(own[1]) > 1 else own[1]
    return np.asarray(np.sqrt(per_point**2 + (own[0] ** 2).mean(axis=0)))


def position_variance(
    cells: Cells,
    chance: Chance,
    b: Pattern,
    edges_nm: FloatArray,
    *,
    registration_nm: FloatArray,
    precision_nm: FloatArray,
    seed: int,
) -> tuple[float, float, float]:
    """Variance of coupled pairs, mean and spread of the distance from uncertain positions.

    * An unknown shift between the channels: the estimate is made again with `b` shifted by
      sqrt(d) standard deviations to either side along each of d axes, which has the covariance of
      the shift, and the squared differences are averaged.
    * Precision: noise as large as what is in the data is added once more, twelve times; the mean
      change (as much again as the noise has already done) and its scatter are both counted.
    """
    dimension = b.points_nm.shape[1]

    def estimate(points: FloatArray) -> FloatArray:
        return np.array(three_numbers(excess(cells.ring_sums(points, edges_nm), chance)))

    found = estimate(b.points_nm)
    total = np.zeros(3)
    if registration_nm.any():
        steps = np.diag(registration_nm) * np.sqrt(dimension)
        shifted = np.array([estimate(b.points_nm + step) for step in (*steps, *-steps)])
        total += ((shifted - found) ** 2).mean(axis=0)
    if precision_nm.any():
        rng = np.random.default_rng([seed, 3])
        shape = (_JITTERS, *b.points_nm.shape)
        noisy = b.points_nm + rng.normal(size=shape) * precision_nm
        jittered = np.array([estimate(points) for points in noisy])
        total += (jittered.mean(axis=0) - found) ** 2 + jittered.var(axis=0)
    total = np.where(np.isfinite(total), total, 0.0)
    return float(total[0]), float(total[1]), float(total[2])

"""Cross pair-correlation of two channels and the fit of its amplitude and range."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.region import Region
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_estimate import meet_by_chance
from nanospine.statistics.soda_input import Objects, channels
from nanospine.statistics.soda_window import Rings

__all__ = ["CrossCorrelation", "cross_correlation_fit"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CrossCorrelation:
    """Cross pair-correlation g(r) = 1 + amplitude * shape(r / length).

    Attributes
    ----------
    amplitude, amplitude_se : float
        At distance 0, above 1; 0 is no correlation.
    length_nm, length_se_nm : float
        Range: of exp(-r / length), or of exp(-(r / length)^2 / 4), which two points of a Gaussian
        cluster of that standard deviation have.
    model : str
        "exponential" or "gaussian".
    extra_b : float
        Points of `b` around a point of `a` beyond chance: density of `b` times the integral of the
        fitted g - 1.
    misfit : float
        Chi-squared over the degrees of freedom.
    curve : pandas.DataFrame
        Per ring `low_nm`, `high_nm`, `g`, `g_se`, `fit`.
    notes : tuple of str
    """

    amplitude: float
    amplitude_se: float
    length_nm: float
    length_se_nm: float
    model: str
    extra_b: float
    misfit: float
    curve: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give the curve as a copy."""
        return self.curve.copy()


def cross_correlation_fit(
    a: Objects,
    b: Objects,
    radii_nm: npt.ArrayLike,
    *,
    model: Literal["exponential", "gaussian"] = "exponential",
    region: Region | None = None,
    seed: int = 0,
) -> CrossCorrelation:
    """Fit amplitude and range of the cross pair-correlation (Sengupta, Veatch et al. 2011).

    g in a ring is the number of pairs over that of points anywhere, with the exact part of each
    ring inside the region; errors are those of counts under chance, scaled with the square root
    of g.

    Parameters
    ----------
    a, b : Localizations, Clusters, DataFrame or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    radii_nm : array_like
        Ascending edges of at least 4 rings, from 0.
    model : {"exponential", "gaussian"}
        Shape.
    region : Region, optional
        Default: that of the data, else their bounding box.
    seed : int
        Of the places in the rings.

    Returns
    -------
    CrossCorrelation

    Raises
    ------
    ConfigError
        For fewer than 4 rings or an unknown model.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> spots = np.repeat(rng.uniform(0, 20_000, (150, 2)), 8, axis=0)
    >>> a, b = (np.mod(rng.normal(spots, 60), 20_000) for _ in "ab")
    >>> found = cross_correlation_fit(a, b, np.arange(20, 401, 20), model="gaussian",
    ...                               region=ns.Box((0, 0), (20_000, 20_000)))
    >>> bool(abs(found.length_nm - 60) < 6), bool(abs(found.extra_b - 8) < 1)
    (True, True)
    """
    from scipy import optimize

    data = channels(a, b, radii_nm, region, "cross correlation")
    edges = data.edges_nm
    _check(model, len(edges) - 1)
    cells = Cells(data.a.points_nm, float(edges[-1]))
    rings = Rings(data.a.points_nm, data.region, edges, seed)
    chance = meet_by_chance(rings, cells)
    observed = cells.ring_counts(data.b.points_nm, edges).sum(axis=0, dtype=np.int64)
    expected = len(data.b) * chance.mean[0]
    g = observed / expected
    spread = np.sqrt(len(data.b) * np.diag(chance.covariance)) / expected
    error = spread * np.sqrt(np.maximum(g, 0.25))
    dimension = data.region.dimension
    scale = float(edges[-1]) / 4
    shape = partial(_shape, model, edges, dimension)

    def residuals(values: FloatArray) -> FloatArray:
        return np.asarray((g - 1 - values[0] * shape(values[1] * scale)) / error)

    start = [max(float(g[0]) - 1, 0.1), 1.0]
    found = optimize.least_squares(residuals, start, bounds=([-1.0, 0.02], [np.inf, 40.0]))
    amplitude, length = float(found.x[0]), float(found.x[1]) * scale
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    notes = list(data.notes)
    if not found.success or length > 5 * edges[-1]:
        notes.append("the range is not determined: g does not fall to 1 within the radii")
    integral = _integral(model, length, dimension)
    return CrossCorrelation(
        amplitude=amplitude,
        amplitude_se=float(np.sqrt(covariance[0, 0])),
        length_nm=length,
        length_se_nm=float(np.sqrt(covariance[1, 1])) * scale,
        model=model,
        extra_b=amplitude * integral * len(data.b) / data.region.size,
        misfit=2 * float(found.cost) / (len(g) - 2),
        curve=pd.DataFrame(
            {
                "low_nm": edges[:-1],
                "high_nm": edges[1:],
                "g": g,
                "g_se": error,
                "fit": 1 + amplitude * shape(length),
            }
        ),
        notes=tuple(notes),
    )


def _check(model: str, n_rings: int) -> None:
    if model not in ("exponential", "gaussian"):
        raise ConfigError(
            f"cross correlation: model 'exponential' or 'gaussian' was expected, found {model!r}."
        )
    if n_rings < 4:
        raise ConfigError(
            f"cross correlation: at least 4 rings are needed for a fit, found {n_rings}."
        )


def _shape(model: str, edges: FloatArray, dimension: int, length: float) -> FloatArray:
    """Mean of the shape over each ring, by its volume (five nodes)."""
    nodes, weights = np.polynomial.legendre.leggauss(5)
    r = (edges[1:, None] + edges[:-1, None]) / 2 + nodes * (np.diff(edges) / 2)[:, None]
    weight = weights * r ** (dimension - 1)
    value = np.exp(-r / length) if model == "exponential" else np.exp(-((r / length) ** 2) / 4)
    return np.asarray((weight * value).sum(axis=1) / weight.sum(axis=1))


def _integral(model: str, length: float, dimension: int) -> float:
    """Integral of the shape over the plane or space."""
    if model == "gaussian":
        return float((4 * np.pi * length**2) ** (dimension / 2))
    return float(2 * np.pi * length**2 if dimension == 2 else 8 * np.pi * length**3)

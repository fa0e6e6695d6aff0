"""Local K and L: the share that each single point has in Ripley's functions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.region import Region
from nanospine.statistics.patterns import Points
from nanospine.statistics.problem import Intensity, edge_sums, prepare
from nanospine.statistics.ripley import ball_radius, ball_size

__all__ = ["LocalFunction", "local_k", "local_l"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LocalFunction:
    """A function of distance for each point.

    Attributes
    ----------
    name : str
        `K` or `L`, with `_cross` and `_inhom`.
    rows : ndarray of int64, shape (n,)
        Row of each point in the input; those outside the region have none.
    radii_nm : ndarray, shape (m,)
        Distances, nanometres.
    values : ndarray, shape (n, m)
        K in nm² or nm³, L in nm; NaN at radii that the region does not support.
    theory : ndarray, shape (m,)
        Under complete spatial randomness.
    correction : str
        Edge correction.
    region : Region
        Where the points could have been seen.
    notes : tuple of str
        What a reader must know.
    """

    name: str
    rows: IntArray = field(repr=False)
    radii_nm: FloatArray
    values: FloatArray = field(repr=False)
    theory: FloatArray = field(repr=False)
    correction: str
    region: Region
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give a row per point and radius: `row`, `radius_nm`, the function by its name, theory."""
        n, m = self.values.shape
        return pd.DataFrame(
            {
                "row": np.repeat(self.rows, m),
                "radius_nm": np.tile(self.radii_nm, n),
                self.name: self.values.ravel(),
                "theory": np.tile(self.theory, n),
            }
        )


def local_k(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    intensity: Intensity | None = None,
    other_intensity: Intensity | None = None,
    threads: int | None = None,
) -> LocalFunction:
    """Local K of Getis & Franklin (1987): K as each single point sees it.

    `K_i(r) = |W| / (n - 1) sum_{j != i} e_ij 1{d_ij <= r}`, for two patterns `|W| / m sum_j`; the
    mean over the points is K. With an intensity `sum_j e_ij 1{d_ij <= r} / lambda_j`.

    Parameters
    ----------
    points, radii_nm, region, correction, other, intensity, other_intensity, threads
        As for :func:`nanospine.ripley_k`; border is not defined for single points.

    Returns
    -------
    LocalFunction
        A row of `values` for each point inside the region. It needs n times m numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine import Box
    >>> points = [[10, 10], [12, 10], [80, 80]]
    >>> local_k(points, [5], region=Box((0, 0), (100, 100)), correction="none").values.ravel()
    array([5000., 5000.,    0.])
    """
    if correction == "border":
        raise ConfigError(
            "correction: border is not defined for single points; take translation, rigid or "
            "isotropic."
        )
    problem = prepare(
        points, radii_nm, region=region, correction=correction, other=other,
        intensity=intensity, other_intensity=other_intensity,
    )  # fmt: skip
    radii = problem.radii_nm
    values = np.full((len(problem.a), len(radii)), np.nan)
    known = radii[radii < problem.window.limit_nm]
    if len(known):
        values[:, : len(known)] = edge_sums(problem, known, local=True, threads=threads)[:, 0]
    if problem.u is None:
        values *= problem.size / (problem.pairs / len(problem.a))
    else:
        values /= problem.u[:, None]
    return LocalFunction(
        "K" + problem.suffix, problem.a.rows, radii, values, ball_size(radii, problem.dimension),
        correction, problem.window.region, problem.limited(values[0]),
    )  # fmt: skip


def local_l(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    intensity: Intensity | None = None,
    other_intensity: Intensity | None = None,
    threads: int | None = None,
) -> LocalFunction:
    """Local L: the radius at which a random pattern has the local K of each point, nm.

    Parameters, result and errors as for :func:`local_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine import Box
    >>> points = [[10, 10], [12, 10], [80, 80]]
    >>> box = Box((0, 0), (100, 100))
    >>> local_l(points, [5], region=box, correction="none").values.ravel().round(1)
    array([39.9, 39.9,  0. ])
    """
    k = local_k(
        points, radii_nm, region=region, correction=correction, other=other, intensity=intensity,
        other_intensity=other_intensity, threads=threads,
    )  # fmt: skip
    return replace(
        k, name="L" + k.name[1:], values=ball_radius(k.values, k.region.dimension),
        theory=k.radii_nm.copy(),
    )  # fmt: skip

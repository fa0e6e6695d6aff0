"""Ripley's K, L and H in any window, in 2-D and 3-D, for one pattern or two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.region import Region
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.pair_sums import BORDER, PairWeights, pair_sums
from nanospine.statistics.patterns import Points
from nanospine.statistics.problem import Intensity, Problem, edge_sums, prepare

__all__ = ["ball_radius", "ball_size", "level", "ripley_h", "ripley_k", "ripley_l"]

FloatArray = npt.NDArray[np.float64]


def ripley_k(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    intensity: Intensity | None = None,
    other_intensity: Intensity | None = None,
    renormalise: int = 1,
    threads: int | None = None,
) -> SummaryFunction:
    """Ripley's K: the mean number of further points within r of a point, over the density.

    `K(r) = |W| / (n (n - 1)) sum_{i != j} e_ij 1{|x_i - x_j| <= r}`, and for two patterns
    `|W| / (n m) sum_ij`. Under complete spatial randomness K is `pi r²` (2-D) or `4/3 pi r³`.
    With an intensity `lambda(x)` pairs count `1 / (lambda_i lambda_j)` (Baddeley, Moller &
    Waagepetersen 2000): clustering beyond what an uneven density explains.

    Parameters
    ----------
    points : Localizations or array_like, shape (n, 2) or (n, 3)
        Positions, nanometres. Those outside the region are left out, which a note says.
    radii_nm : array_like, shape (m,)
        Ascending distances r, nanometres, any spacing.
    region : Region, optional
        Where points could have been seen: box, polygon with holes, prism, voxel mask, closed
        mesh. Default: that of the localizations; the bounding box of an array, which is noted.
    correction : {"translation", "rigid", "isotropic", "border", "periodic", "none"}
        e_ij, see :func:`nanospine.statistics.windows.window`; every region takes all but
        periodic, which is for boxes.
    other : Localizations or array_like, optional
        Second pattern: K of its points around those of the first. All pairs count, also those
        at distance 0.
    intensity, other_intensity : float, array_like, callable, optional
        Points per nm² or nm³ at each point, or a function of positions (n, d) that gives it.
        :func:`nanospine.kernel_intensity` estimates it.
    renormalise : {1, 0, 2}
        With an intensity: multiply by `(|W| / sum 1/lambda)` to this power (for two patterns by
        the geometric mean of both factors), which corrects its overall level.
    threads : int, optional
        Default: NUMBA_NUM_THREADS. The result does not depend on it.

    Returns
    -------
    SummaryFunction
        K in nm² or nm³, never negative; NaN at radii that the region does not support, with a
        note that says why.

    Raises
    ------
    TooFewPointsError, GeometryError, ConfigError
        One sentence that says what is wrong.

    Notes
    -----
    Ripley 1976; Ohser & Stoyan 1981 (translation, rigid); Baddeley, Rubak & Turner 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine import Box
    >>> points = np.random.default_rng(1).uniform(0, 1000, (2000, 2))
    >>> k = ripley_k(points, [20, 40], region=Box((0, 0), (1000, 1000)))
    >>> (k.values / k.theory).round(2).tolist()
    [0.97, 0.99]
    """
    problem = prepare(
        points, radii_nm, region=region, correction=correction, other=other,
        intensity=intensity, other_intensity=other_intensity,
    )  # fmt: skip
    radii = problem.radii_nm
    if correction == "border":
        values = _border(problem, threads)
    else:
        values = np.full(len(radii), np.nan)
        known = radii[radii < problem.window.limit_nm]
        if len(known):
            values[: len(known)] = edge_sums(problem, known, threads=threads)[0, 0]
        values *= problem.size / problem.pairs if problem.u is None else 1 / problem.size
    values = values * level(problem, renormalise)
    return SummaryFunction(
        "K" + problem.suffix, radii, values, ball_size(radii, problem.dimension), correction,
        len(problem.a), 0 if problem.b is None else len(problem.b), problem.window.region,
        problem.limited(values),
    )  # fmt: skip


def ripley_l(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    intensity: Intensity | None = None,
    other_intensity: Intensity | None = None,
    renormalise: int = 1,
    threads: int | None = None,
) -> SummaryFunction:
    """Besag's L: the radius at which a random pattern has the same K, nm.

    `L = sqrt(K / pi)` in 2-D, `L = cbrt(3 K / (4 pi))` in 3-D; under complete spatial randomness
    L is r. Parameters, errors and notes as for :func:`ripley_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine import Box
    >>> points = np.random.default_rng(1).uniform(0, 1000, (2000, 3))
    >>> box = Box((0, 0, 0), (1000, 1000, 1000))
    >>> ripley_l(points, [100], region=box).values.round(0).tolist()
    [100.0]
    """
    k = ripley_k(
        points, radii_nm, region=region, correction=correction, other=other, intensity=intensity,
        other_intensity=other_intensity, renormalise=renormalise, threads=threads,
    )  # fmt: skip
    return replace(
        k, name="L" + k.name[1:], values=ball_radius(k.values, k.region.dimension),
        theory=k.radii_nm.copy(),
    )  # fmt: skip


def ripley_h(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    intensity: Intensity | None = None,
    other_intensity: Intensity | None = None,
    renormalise: int = 1,
    threads: int | None = None,
) -> SummaryFunction:
    """Ripley's H = L - r, nm: above 0 where points attract each other, below where they repel.

    Parameters, errors and notes as for :func:`ripley_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine import Box
    >>> spots = np.random.default_rng(1).uniform(0, 1000, (40, 1, 2))
    >>> points = (spots + np.random.default_rng(2).normal(0, 5, (40, 20, 2))).reshape(-1, 2)
    >>> h = ripley_h(points, [20, 300], region=Box((-50, -50), (1050, 1050)))
    >>> h.values.round(0).tolist()
    [76.0, 21.0]
    """
    k = ripley_l(
        points, radii_nm, region=region, correction=correction, other=other, intensity=intensity,
        other_intensity=other_intensity, renormalise=renormalise, threads=threads,
    )  # fmt: skip
    return replace(
        k, name="H" + k.name[1:], values=k.values - k.radii_nm, theory=np.zeros_like(k.theory)
    )


def ball_size(radii_nm: FloatArray, dimension: int) -> FloatArray:
    """Area of a disc, or volume of a ball."""
    size: FloatArray = np.pi * radii_nm**2 if dimension == 2 else 4 / 3 * np.pi * radii_nm**3
    return size


def ball_radius(sizes: FloatArray, dimension: int) -> FloatArray:
    """Radius of a disc of this area, or a ball of this volume."""
    radius: FloatArray = np.sqrt(sizes / np.pi) if dimension == 2 else np.cbrt(sizes * 0.75 / np.pi)
    return radius


def level(problem: Problem, power: int) -> float:
    """Give the factor that corrects the overall level of an intensity."""
    if power not in (0, 1, 2):
        raise ConfigError(f"renormalise: 0, 1 or 2 was expected, found {power!r}.")
    if problem.u is None or problem.v is None:
        return 1.0
    first, second = problem.size / problem.u.sum(), problem.size / problem.v.sum()
    return float(np.sqrt(first * second) ** power)


def _border(problem: Problem, threads: int | None) -> FloatArray:
    """Points at least r inside: `sum_i u_i sum_j v_j 1{d <= r} / sum_i u_i`, u = v = 1/lambda."""
    a, radii = problem.a.points_nm, problem.radii_nm
    b = None if problem.b is None else problem.b.points_nm
    depth = problem.window.region.distance_to_boundary_nm(a)
    limits = np.searchsorted(radii, depth, side="right").astype(np.int64) - 1
    sums = pair_sums(
        a, radii, PairWeights(BORDER, limits=limits), marks=problem.u, other_nm=b,
        other_marks=problem.v, threads=threads,
    )[0, 0]  # fmt: skip
    u = np.ones(len(a)) if problem.u is None else problem.u
    shallow = np.bincount(limits + 1, weights=u, minlength=len(radii) + 1)
    looking = u.sum() - np.cumsum(shallow)[: len(radii)]
    # What is left of a difference of sums is no point.
    looking[radii > depth.max()] = 0.0
    others = len(a) if b is None else len(b)
    scale = problem.size / others if problem.u is None else 1.0
    values = np.full(len(radii), np.nan)
    np.divide(scale * np.maximum(sums, 0.0), looking, out=values, where=looking > 0)
    return values

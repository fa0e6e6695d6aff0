"""The pair correlation function g: how much denser than random it is at a distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.region import Region
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.pairs import pair_counts
from nanospine.statistics.patterns import Points
from nanospine.statistics.problem import Intensity, Problem, edge_sums, prepare
from nanospine.statistics.ripley import level

__all__ = ["pair_correlation"]

FloatArray = npt.NDArray[np.float64]

# Half-width of the kernel times the density to the power 1/d: Stoyan's rule of thumb in the plane
# (Stoyan & Stoyan 1994), and that of Baddeley et al. 1993 in space.
_RULE = {2: 0.15, 3: 0.26}


def pair_correlation(
    points: Points,
    radii_nm: npt.ArrayLike,
    *,
    region: Region | None = None,
    correction: str = "translation",
    other: Points | None = None,
    half_width_nm: float | None = None,
    divisor: str = "d",
    bias_correction: bool = True,
    intensity: Intensity | None = None,
    other_intensity: Intensity | None = None,
    renormalise: int = 1,
    threads: int | None = None,
) -> SummaryFunction:
    """Pair correlation g(r): density of points at distance r from a point, over the mean density.

    `g(r) = |W| / (n (n - 1)) sum_{i != j} e_ij k(r - d_ij) / s(d_ij)` with the surface
    `s(d) = 2 pi d` or `4 pi d²` and Epanechnikov's kernel `k(t) = 3 / (4 h) (1 - t² / h²)`.
    1 under complete spatial randomness, above where points attract each other.

    Parameters
    ----------
    points, radii_nm, region, correction, other, intensity, other_intensity, renormalise, threads
        As for :func:`nanospine.ripley_k`; border is not defined for g.
    half_width_nm : float, optional
        Half-width h of the kernel, nanometres. Default: Stoyan's `0.15 / sqrt(density)` in 2-D,
        `0.26 / cbrt(density)` in 3-D, of the points that are looked for; the notes give it.
        (R's spatstat calls `h / sqrt(5)`, the kernel's standard deviation, the bandwidth.)
    divisor : {"d", "r"}
        Divide each pair by the surface at its own distance, or all by that at r. "d" is better
        at short distances (Guan 2007); pairs at distance 0 are then left out, which is noted.
    bias_correction : bool
        Make up for what the kernel loses below distance 0, exactly so for randomness.

    Returns
    -------
    SummaryFunction
        g without unit, never negative; NaN where `r + h` is more than the region supports.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine import Box
    >>> points = np.random.default_rng(1).uniform(0, 1000, (3000, 2))
    >>> g = pair_correlation(points, [10, 50], region=Box((0, 0), (1000, 1000)), half_width_nm=5)
    >>> g.values.round(1).tolist()
    [1.0, 1.0]
    """
    if correction == "border":
        raise ConfigError(
            "correction: border is not defined for the pair correlation; take translation, rigid "
            "or isotropic."
        )
    if divisor not in ("d", "r"):
        raise ConfigError(f"divisor: 'd' or 'r' was expected, found {divisor!r}.")
    if half_width_nm is not None and not (np.isfinite(half_width_nm) and half_width_nm > 0):
        raise ConfigError(f"half_width_nm: a width above 0 nm was expected, found {half_width_nm}.")
    problem = prepare(
        points, radii_nm, region=region, correction=correction, other=other,
        intensity=intensity, other_intensity=other_intensity,
        reach=_rule if half_width_nm is None else lambda *_: half_width_nm,
    )  # fmt: skip
    h = problem.reach_nm
    values = _smoothed(problem, h, divisor, bias_correction, threads)
    values *= problem.size / problem.pairs if problem.u is None else 1 / problem.size
    values *= level(problem, renormalise)
    notes = (*problem.limited(values), f"Epanechnikov kernel of half-width {h:.4g} nm")
    if divisor == "d":
        b = None if problem.b is None else problem.b.points_nm
        same = int(pair_counts(problem.a.points_nm, np.zeros(1), other_nm=b, threads=threads)[0])
        if same:
            notes = (*notes, f"{same} pairs at distance 0 were left out; divisor='r' counts them")
    return SummaryFunction(
        "g" + problem.suffix, problem.radii_nm, values, np.ones(len(values)), correction,
        len(problem.a), 0 if problem.b is None else len(problem.b), problem.window.region, notes,
    )  # fmt: skip


def _rule(number: int, region: Region) -> float:
    """Half-width by rule of thumb for so many points."""
    return _RULE[region.dimension] * float((region.size / number) ** (1 / region.dimension))


def _smoothed(
    problem: Problem, h: float, divisor: str, bias_correction: bool, threads: int | None
) -> FloatArray:
    """Sum the kernel over pairs.

    Within its width the kernel is a parabola in d, so the sum is made of the sums of 1, d and d²
    between r - h and r + h: no loop over radii for each pair, no grid of distances.
    """
    power = problem.dimension - 1
    radii = problem.radii_nm
    known = radii[radii + h < problem.window.limit_nm]
    values = np.full(len(radii), np.nan)
    if not len(known):
        return values
    edges = np.unique(np.concatenate([known - h, known + h]))
    edges = edges[edges > 0]
    low = -power if divisor == "d" else 0
    sums = edge_sums(problem, edges, powers=(low, low + 1, low + 2), threads=threads)[0]
    sums = np.concatenate([np.zeros((3, 1)), sums], axis=1)
    begin = np.searchsorted(edges, known - h, side="right")
    end = np.searchsorted(edges, known + h, side="right")
    begin[known - h <= 0] = 0
    s0, s1, s2 = sums[:, end] - sums[:, begin]
    kernel = 0.75 / h * (s0 * (1 - (known / h) ** 2) + 2 * known / h**2 * s1 - s2 / h**2)
    surface = 2 * np.pi if problem.dimension == 2 else 4 * np.pi
    below = _mass(known, h, 0 if divisor == "d" else power)
    if divisor == "r" and not bias_correction:
        below = known**power
    elif not bias_correction:
        below = np.ones(len(known))
    with np.errstate(divide="ignore", invalid="ignore"):
        values[: len(known)] = np.maximum(kernel, 0.0) / (surface * below)
    return values


def _mass(radii: FloatArray, h: float, power: int) -> FloatArray:
    """Integrate `k(r - t) t^power` over t >= 0: what randomness gives, in closed form."""
    low, high = np.maximum(radii - h, 0.0), radii + h

    def integral(t: FloatArray) -> FloatArray:
        value: FloatArray = (
            (1 - (radii / h) ** 2) * t ** (power + 1) / (power + 1)
            + 2 * radii / h**2 * t ** (power + 2) / (power + 2)
            - t ** (power + 3) / (power + 3) / h**2
        )
        return value

    return 0.75 / h * (integral(high) - integral(low))

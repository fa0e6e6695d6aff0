"""Tests of a summary function against simulations: envelopes, MAD and DCLF."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.progress import Progress
from nanospine.core.region import Region
from nanospine.statistics.curve_ranks import (
    Band,
    global_band,
    pointwise_band,
    pointwise_p,
    rank_band,
)
from nanospine.statistics.envelope_result import DeviationTest, EnvelopeTest, Reference
from nanospine.statistics.patterns import Points
from nanospine.statistics.randomisation import NullModel
from nanospine.statistics.simulated_curves import (
    CurveFunction,
    Curves,
    FunctionName,
    simulated_curves,
)

__all__ = ["DeviationTest", "EnvelopeTest", "dclf_test", "mad_test", "simulation_envelope"]

FloatArray = npt.NDArray[np.float64]
Kind = Literal["rank", "global", "pointwise"]


def simulation_envelope(
    points: Points,
    function: FunctionName | CurveFunction = "L",
    radii_nm: npt.ArrayLike = (),
    *,
    null: str | NullModel = "csr",
    n_simulations: int = 199,
    kind: Kind = "rank",
    level: float = 0.05,
    reference: Reference | None = None,
    other: Points | None = None,
    region: Region | None = None,
    correction: str | None = None,
    seed: int = 0,
    workers: int = 1,
    processes: bool = False,
    progress: Progress | None = None,
) -> EnvelopeTest:
    """Compare a summary function of the data with that of simulated patterns.

    Parameters
    ----------
    points : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    function : str or callable
        "K", "L", "H", "g", "G", "F", "J"; or a function `f(points, radii_nm, *, region)` (with
        `other=` for two patterns, `correction=` when one is given) that gives a
        :class:`SummaryFunction` or an array of values.
    radii_nm : array_like, shape (m,)
        Ascending distances, nm.
    null : str or NullModel
        "csr", "labelling", "shift", or a model: see :func:`null_patterns`.
    n_simulations : int
        Simulations; 199 give p-values down to 0.005.
    kind : {"rank", "global", "pointwise"}
        "rank": extreme rank lengths, a band that is as wide at each radius as the simulations are
        there; "global": one width at all radii, the greatest deviations; both are tests of the
        whole curve. "pointwise": holds at one radius chosen beforehand only; has no p-value.
    level : float
        Of the band: the share of null patterns that leave it.
    reference : {"theory", "simulations"}, optional
        Middle of the band of kind "global". Default: the theory where the null model is complete
        randomness, else the mean of the simulations.
    other : Localizations or array_like, optional
        Second pattern: the cross form.
    region : Region, optional
        Where points could have been seen; default: that of the localizations, or the bounding box.
    correction : str, optional
        Edge correction of the function; default: its own.
    seed : int
        Each simulation has a seed of its own that follows from it: the result does not depend on
        `workers`.
    workers : int
        Simulations at once.
    processes : bool
        In processes of their own, for functions written in Python; default: threads.
    progress : callable, optional
        Called with the stage and the fraction done.

    Returns
    -------
    EnvelopeTest
        The curve, the band, p; `.mad_test()` and `.dclf_test()` use the same simulations.

    Raises
    ------
    ConfigError
        For an unknown function, null model or kind, or less than one simulation.
    GeometryError, TooFewPointsError
        For points that are not finite, of another dimension, or too few inside the region.

    Notes
    -----
    A radius at which the data or any simulation leave the function unknown takes no part, and the
    notes say so. Deviations from the mean are from the mean of the other curves, so that the
    test is exact. Besag & Diggle, Applied Statistics 26 (1977) 327; Ripley, Spatial Statistics
    (1981); Myllymäki et al., J. R. Stat. Soc. B 79 (2017) 381.

    Examples
    --------
    >>> from nanospine import Box
    >>> generator = np.random.default_rng(1)
    >>> parents = generator.uniform(100, 900, (10, 2))
    >>> xy = np.repeat(parents, 10, axis=0) + generator.normal(0, 15, (100, 2))
    >>> found = simulation_envelope(xy, "G", [10, 20, 40], region=Box((0, 0), (1000, 1000)),
    ...                             n_simulations=39)
    >>> found.p_value, found.outside.tolist()
    (0.025, [True, True, True])
    """
    if kind not in ("rank", "global", "pointwise"):
        raise ConfigError(f"kind: rank, global or pointwise was expected, found {kind!r}.")
    if not 0 < level < 1:
        raise ConfigError(f"level: a share between 0 and 1 was expected, found {level!r}.")
    curves = simulated_curves(
        points, function, radii_nm, null=null, n_simulations=n_simulations, other=other,
        region=region, correction=correction, seed=seed, workers=workers, processes=processes,
        progress=progress,
    )  # fmt: skip
    return _tested(curves, kind, level, reference)


def mad_test(
    points: Points | EnvelopeTest,
    function: FunctionName | CurveFunction = "L",
    radii_nm: npt.ArrayLike = (),
    *,
    interval_nm: tuple[float, float] | None = None,
    reference: Reference = "simulations",
    **options: Any,
) -> DeviationTest:
    """Test the maximum absolute deviation: T = max over r of |f(r) - reference(r)|.

    Parameters
    ----------
    points, function, radii_nm
        As for :func:`simulation_envelope`; or its result as the only one, whose simulations are
        then used again.
    interval_nm : tuple of float, optional
        Distances to look at; default: all radii.
    reference : {"simulations", "theory"}
        The mean of the other curves; or the function of complete randomness.
    **options
        null, n_simulations, other, region, correction, seed, workers, processes, progress of
        :func:`simulation_envelope`.

    Returns
    -------
    DeviationTest

    Raises
    ------
    ConfigError, GeometryError, TooFewPointsError
        As for :func:`simulation_envelope`; for an interval without radii.

    Notes
    -----
    Ripley, J. R. Stat. Soc. B 39 (1977) 172; Baddeley et al., Ecological Monographs 84 (2014) 477.

    Examples
    --------
    >>> from nanospine import Box
    >>> xy = np.random.default_rng(1).uniform(0, 1000, (50, 2))
    >>> test = mad_test(xy, "G", [10, 50], region=Box((0, 0), (1000, 1000)), n_simulations=19)
    >>> 0.05 <= test.p_value <= 1
    True
    """
    found = _envelope_of(points, function, radii_nm, options)
    return found.mad_test(interval_nm, reference)


def dclf_test(
    points: Points | EnvelopeTest,
    function: FunctionName | CurveFunction = "L",
    radii_nm: npt.ArrayLike = (),
    *,
    interval_nm: tuple[float, float] | None = None,
    reference: Reference = "simulations",
    **options: Any,
) -> DeviationTest:
    """Test the squared deviation: T = mean over r of (f(r) - reference(r))² times the interval.

    The test of Diggle, Cressie, Loosmore and Ford. More powerful than MAD when the interval is no
    longer than the structure; the radii should be evenly spaced.

    Parameters
    ----------
    points, function, radii_nm, interval_nm, reference, **options
        As for :func:`mad_test`.

    Returns
    -------
    DeviationTest

    Raises
    ------
    ConfigError, GeometryError, TooFewPointsError
        As for :func:`mad_test`.

    Notes
    -----
    Loosmore & Ford, Ecology 87 (2006) 1925; Baddeley et al., Ecological Monographs 84 (2014) 477.

    Examples
    --------
    >>> from nanospine import Box
    >>> xy = np.random.default_rng(1).uniform(0, 1000, (50, 2))
    >>> test = dclf_test(xy, "G", [10, 50], region=Box((0, 0), (1000, 1000)), n_simulations=19)
    >>> 0.05 <= test.p_value <= 1
    True
    """
    found = _envelope_of(points, function, radii_nm, options)
    return found.dclf_test(interval_nm, reference)


def _envelope_of(
    points: Points | EnvelopeTest,
    function: FunctionName | CurveFunction,
    radii_nm: npt.ArrayLike,
    options: dict[str, Any],
) -> EnvelopeTest:
    if isinstance(points, EnvelopeTest):
        return points
    return simulation_envelope(points, function, radii_nm, **options)


def _tested(curves: Curves, kind: Kind, level: float, reference: Reference | None) -> EnvelopeTest:
    """Put the band of a kind around the curves."""
    observed, simulated = curves.observed.values, curves.simulated
    m = len(curves.observed.radii_nm)
    used = np.isfinite(observed) & np.isfinite(simulated).all(axis=0)
    notes = list(curves.observed.notes)
    if not used.any():
        raise ConfigError(
            f"radii_nm: {curves.observed.name} of the data or of a simulation is unknown at every "
            f"one of the {m} radii; give smaller ones."
        )
    if not used.all():
        notes.append(
            f"{m - int(used.sum())} of {m} radii take no part: the function is unknown there, "
            "for the data or for a simulation"
        )
    theory = curves.observed.theory
    if reference is None:
        # The theory is the natural middle where the null model is the one it is the theory of.
        reference = "theory" if curves.theory_holds else "simulations"
    centre = theory[used] if reference == "theory" and np.isfinite(theory[used]).all() else None
    band = _band(observed[used], simulated[:, used], centre, kind, level)
    if kind == "pointwise":
        notes.append("a pointwise band is no test of the whole curve: it has no p-value")
    if band.level > level * 1.001 or (kind == "rank" and level * (len(simulated) + 1) < 1):
        notes.append(
            f"{len(simulated)} simulations cannot give a band of level {level:g}; more are needed"
        )

    def spread(values: FloatArray) -> FloatArray:
        whole = np.full(m, np.nan)
        whole[used] = values
        return whole

    return EnvelopeTest(
        function=curves.observed.name,
        radii_nm=curves.observed.radii_nm,
        observed=observed,
        low=spread(band.low),
        high=spread(band.high),
        theory=theory,
        mean=spread(simulated[:, used].mean(axis=0)),
        p_value=band.p_value,
        p_pointwise=spread(pointwise_p(observed[used], simulated[:, used])),
        kind=kind,
        level=band.level,
        null=curves.null,
        n_simulations=len(simulated),
        simulated=simulated,
        correction=curves.observed.correction,
        n_points=curves.observed.n_points,
        n_other=curves.observed.n_other,
        dimension=curves.observed.region.dimension,
        notes=tuple(dict.fromkeys(notes)),
    )


def _band(
    observed: FloatArray,
    simulated: FloatArray,
    centre: FloatArray | None,
    kind: Kind,
    level: float,
) -> Band:
    if kind == "pointwise":
        return pointwise_band(simulated, level)
    if kind == "rank":
        return rank_band(observed, simulated, level)
    return global_band(observed, simulated, centre, level)

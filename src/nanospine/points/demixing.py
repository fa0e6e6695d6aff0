"""Spectral demixing: the fluorophore by the share of its photons in two detection channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.points.channel_labels import channel_names, check_probability, labelled, numbers
from nanospine.points.mixture import Mixture, fit_mixture

__all__ = ["assign_ratio"]

FloatArray = npt.NDArray[np.float64]

_FEWEST = 20
_SAMPLE = 10_000


def assign_ratio(
    localizations: Localizations,
    column_a: str,
    column_b: str,
    *,
    n_channels: int = 2,
    names: Sequence[str] | None = None,
    ratios: Sequence[float] | None = None,
    cut_off_probability: float = 0.95,
    max_deviations: float = 4.0,
    excess_noise: float = 1.0,
    seed: int = 0,
) -> Localizations:
    """Assign localizations by the share of their photons in detection channel a (demixing).

    The ratio is `r = a / (a + b)` and its Poisson error `sqrt(f r (1 - r) / (a + b))` with the
    excess noise factor f. Each fluorophore has a mean ratio and a spread of its own; the photon
    noise of each localization is added to it, so that few photons give doubtful assignments.

    Parameters
    ----------
    localizations : Localizations
        With both columns.
    column_a, column_b : str
        Photons of the localization in the two detection channels, background subtracted.
    n_channels : int
        Number of fluorophores, 2 or more.
    names : sequence of str, optional
        Names from the lowest ratio to the highest.
    ratios : sequence of float, optional
        Known ratios from controls, rising; without them they are fitted.
    cut_off_probability : float
        Below it a localization is doubtful.
    max_deviations : float
        A localization further than this many standard deviations from every ratio is doubtful.
    excess_noise : float
        Factor on the variance of the photons: 1 for sCMOS, 2 for EMCCD cameras.
    seed : int
        Of the fit.

    Returns
    -------
    Localizations
        With `channel`, `channel_probability`, `ratio` and `ratio_error`. Doubtful ones are kept as
        channel "unassigned"; how many and why stands in the history.

    Raises
    ------
    SchemaError, ConfigError, TooFewPointsError

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(1)
    >>> share = np.repeat([0.2, 0.7], 500)
    >>> a, b = rng.poisson(1000 * share), rng.poisson(1000 * (1 - share))
    >>> found = assign_ratio(ns.from_arrays(np.zeros((1000, 2)), a=a, b=b), "a", "b")
    >>> found.table["channel"].value_counts().to_dict()
    {'ratio_1': 500, 'ratio_2': 500}
    """
    check_probability(cut_off_probability, "assign_ratio")
    if n_channels < 2 or not max_deviations > 0 or not excess_noise > 0:
        raise ConfigError(
            "assign_ratio: n_channels of at least 2, max_deviations > 0 and excess_noise > 0 were "
            f"expected, found {n_channels}, {max_deviations}, {excess_noise}."
        )
    a = numbers(localizations, column_a, "assign_ratio")
    b = numbers(localizations, column_b, "assign_ratio")
    total = a + b
    usable = np.isfinite(total) & (total > 0) & (a >= 0) & (b >= 0)
    ratio = np.full(len(a), np.nan)
    ratio[usable] = a[usable] / total[usable]
    scale = np.full(len(a), np.nan)
    scale[usable] = excess_noise / total[usable]
    if ratios is not None:
        n_channels = len(ratios)
    labels = channel_names(names, n_channels, "ratio")
    mixture = _ratio_mixture(ratio[usable], scale[usable], n_channels, ratios, seed)
    posterior = mixture.posterior(ratio, scale)
    posterior[~usable] = 0.0
    best = posterior.argmax(axis=1)
    probability = posterior[np.arange(len(best)), best]
    weak = usable & (probability < cut_off_probability)
    far = usable & (_deviations(ratio, scale, mixture) > max_deviations)
    best[~usable | weak | far] = -1
    reasons = {
        "without photons in both": ~usable,
        f"less probable than {cut_off_probability:g}": weak,
        f"further than {max_deviations:g} deviations from every ratio": far & ~weak,
    }
    notes = [f"{int(rows.sum())} localizations unassigned: {reason}"
             for reason, rows in reasons.items() if rows.any()]  # fmt: skip
    if not mixture.converged:
        notes.append("the fit did not settle; its numbers are approximate")
    arguments = {
        "column_a": column_a, "column_b": column_b, "names": labels, "ratios": mixture.means,
        "spreads": mixture.deviations, "weights": mixture.weights, "fitted": ratios is None,
        "cut_off_probability": cut_off_probability, "max_deviations": max_deviations,
        "excess_noise": excess_noise, "seed": seed,
    }  # fmt: skip
    error = np.sqrt(scale * ratio * (1 - ratio))
    columns = {"channel_probability": probability, "ratio": ratio, "ratio_error": error}
    columns["channel_probability"][~usable] = np.nan
    return labelled(localizations, best, labels, columns, "assign_ratio", arguments, notes)


def _ratio_mixture(
    ratio: FloatArray,
    scale: FloatArray,
    n_channels: int,
    ratios: Sequence[float] | None,
    seed: int,
) -> Mixture:
    if ratios is not None:
        means = np.asarray(ratios, dtype=np.float64)
        rising = means.ndim == 1 and len(means) > 1 and bool((np.diff(means) > 0).all())
        if not rising or means.min() < 0 or means.max() > 1:
            raise ConfigError(
                f"assign_ratio: ratios between 0 and 1 that rise were expected, found {ratios!r}."
            )
        k = len(means)
        return Mixture(means, np.full(k, 0.005), np.full(k, 1 / k), np.nan, True)
    if len(ratio) < _FEWEST or np.ptp(ratio) == 0:
        raise TooFewPointsError(
            f"assign_ratio: at least {_FEWEST} localizations with photons in both columns and "
            f"different ratios were expected, found {len(ratio)}."
        )
    if len(ratio) > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(ratio), _SAMPLE, replace=False)
        ratio, scale = ratio[chosen], scale[chosen]
    return fit_mixture(ratio, n_channels, scale=scale, least_deviation=1e-3, seed=seed)


def _deviations(ratio: FloatArray, scale: FloatArray, mixture: Mixture) -> FloatArray:
    """Distance to the nearest mean in standard deviations of spread and photon noise."""
    nearest = np.full(len(ratio), np.inf)
    for mean, deviation in zip(mixture.means, mixture.deviations, strict=True):
        inside = min(max(mean, 1e-3), 1 - 1e-3)
        sigma = np.sqrt(deviation**2 + scale * inside * (1 - inside))
        nearest = np.fmin(nearest, np.abs(ratio - mean) / sigma)
    return nearest

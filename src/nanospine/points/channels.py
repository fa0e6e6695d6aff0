"""Which fluorophore a localization belongs to: MINFLUX detector ratio, spectral demixing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.points.channel_labels import channel_names, check_probability, labelled, numbers
from nanospine.points.combine import merge_localizations, split_channels
from nanospine.points.demixing import assign_ratio
from nanospine.points.mixture import Mixture, fit_mixture

__all__ = [
    "DcrModel",
    "assign_dcr",
    "assign_ratio",
    "fit_dcr",
    "merge_localizations",
    "split_channels",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BINS = 4096
_FEWEST = 20
# A Gaussian narrower than this part of all values is a spike on a few equal numbers.
_LEAST_DEVIATION = 0.03
_DOUBTFUL_MODEL = 0.1


@dataclass(frozen=True, eq=False)
class DcrModel:
    """A mixture of Gaussians on the detector channel ratio; components in order of the mean.

    Attributes
    ----------
    names : tuple of str
        Of the channels.
    means, standard_deviations, weights : ndarray, shape (k,)
    misassigned : ndarray, shape (k,)
        Fraction of the localizations of each component that the model would call another,
        `1 - integral of f_k where w_k f_k is the largest`.
    overlap : float
        Largest overlap of two neighbours, `integral of min(f_k, f_k+1)` (0 apart, 1 equal).
    n : int
        Number of values the model was fitted to.
    bic : tuple of float
        Bayesian information criterion of 1, 2, ... k components; the lowest describes best.
    notes : tuple of str
        Reasons to doubt the model.
    """

    names: tuple[str, ...]
    means: FloatArray
    standard_deviations: FloatArray
    weights: FloatArray
    misassigned: FloatArray
    overlap: float
    n: int
    bic: tuple[float, ...]
    notes: tuple[str, ...]
    mixture: Mixture

    @property
    def expected_misassignment(self) -> float:
        """Expected fraction of single localizations that get the wrong channel."""
        return float(self.weights @ self.misassigned)

    def posterior(self, dcr: npt.ArrayLike) -> FloatArray:
        """Probability of each channel given a ratio, shape (n, k); NaN where the ratio is."""
        return self.mixture.posterior(np.asarray(dcr, dtype=np.float64))

    def to_frame(self) -> pd.DataFrame:
        """One row per channel: `channel`, `mean`, `standard_deviation`, `weight`, `misassigned`."""
        return pd.DataFrame(
            {
                "channel": self.names,
                "mean": self.means,
                "standard_deviation": self.standard_deviations,
                "weight": self.weights,
                "misassigned": self.misassigned,
            }
        )


def fit_dcr(
    localizations: Localizations,
    *,
    n_channels: int = 2,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> DcrModel:
    """Fit a mixture of Gaussians to the MINFLUX detector channel ratio `dcr`.

    Parameters
    ----------
    localizations : Localizations
        With the column `dcr` (0 to 1).
    n_channels : int
        2 or 3.
    names : sequence of str, optional
        Names of the channels from the lowest mean to the highest.
    seed : int
        Of the random starts of the fit.

    Raises
    ------
    SchemaError, ConfigError, TooFewPointsError
        Without the column, for another number of channels, with fewer than 20 values.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(1)
    >>> dcr = np.concatenate([rng.normal(0.27, 0.05, 300), rng.normal(0.64, 0.05, 700)])
    >>> model = fit_dcr(ns.from_arrays(np.zeros((1000, 2)), dcr=dcr))
    >>> model.means.round(1).tolist(), model.weights.round(1).tolist()
    ([0.3, 0.6], [0.3, 0.7])
    """
    if n_channels not in (2, 3):
        raise ConfigError(f"fit_dcr: n_channels 2 or 3 was expected, found {n_channels!r}.")
    labels = channel_names(names, n_channels, "dcr")
    values = numbers(localizations, "dcr", "fit_dcr")
    values = values[np.isfinite(values)]
    if len(values) < _FEWEST or np.ptp(values) == 0:
        raise TooFewPointsError(
            f"fit_dcr: at least {_FEWEST} different values of dcr were expected, "
            f"found {len(np.unique(values))}."
        )
    # 4096 bins are finer than the detector's own steps: 5 million rows cost what 4096 do.
    counts, edges = np.histogram(values, bins=_BINS)
    kept = counts > 0
    centres = ((edges[1:] + edges[:-1]) / 2)[kept]
    weights = counts[kept].astype(np.float64)
    least = _LEAST_DEVIATION * float(values.std())
    fits = [
        fit_mixture(centres, k, counts=weights, least_deviation=least, seed=seed)
        for k in range(1, n_channels + 1)
    ]
    bic = tuple(
        (3 * k - 1) * float(np.log(len(values))) - 2 * fit.log_likelihood
        for k, fit in enumerate(fits, start=1)
    )
    return _model(fits[-1], labels, len(values), bic)


def _model(mixture: Mixture, names: tuple[str, ...], n: int, bic: tuple[float, ...]) -> DcrModel:
    means, deviations = mixture.means, mixture.deviations
    low, high = (means - 8 * deviations).min(), (means + 8 * deviations).max()
    grid = np.linspace(low, high, 20_001)
    z = (grid[:, None] - means) / deviations
    density = np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * deviations)
    step = grid[1] - grid[0]
    called = mixture.posterior(grid).argmax(axis=1)
    right = np.array([density[called == k, k].sum() * step for k in range(len(means))])
    misassigned = np.clip(1 - right, 0, 1)
    overlap = max(float(np.minimum(a, b).sum() * step) for a, b in zip(density.T, density.T[1:],
                                                                       strict=False))  # fmt: skip
    notes = []
    if int(np.argmin(bic)) + 1 < len(means):
        notes.append(
            f"{int(np.argmin(bic)) + 1} channel(s) describe the dcr better than {len(means)} "
            "(Bayesian information criterion)"
        )
    wrong = float(mixture.weights @ misassigned)
    if wrong > _DOUBTFUL_MODEL:
        notes.append(f"the channels overlap: {wrong:.0%} of single localizations would be wrong")
    if not mixture.converged:
        notes.append("the fit did not settle; its numbers are approximate")
    return DcrModel(
        names,
        means,
        deviations,
        mixture.weights,
        misassigned,
        overlap,
        n,
        bic,
        tuple(notes),
        mixture,
    )


def assign_dcr(
    localizations: Localizations,
    *,
    n_channels: int = 2,
    names: Sequence[str] | None = None,
    cut_off_probability: float = 0.5,
    by_trace: bool = True,
    seed: int = 0,
    model: DcrModel | None = None,
) -> Localizations:
    """Assign MINFLUX localizations to fluorophores by the detector channel ratio `dcr`.

    A mixture of Gaussians gives each localization the probability of each channel. All
    localizations of a trace are one molecule, so they get the channel that most of them have;
    equal counts are decided by the mean probability.

    Parameters
    ----------
    localizations : Localizations
        With the columns `dcr` and, for `by_trace`, `trace`.
    n_channels : int
        2 or 3.
    names : sequence of str, optional
        Names of the channels from the lowest mean ratio to the highest; `dcr_low`, `dcr_high`
        without them.
    cut_off_probability : float
        A localization of which no channel is at least that probable has no vote; without any
        vote it is "unassigned".
    by_trace : bool
        False judges each localization on its own.
    seed : int
        Of the random starts of the fit.
    model : DcrModel, optional
        A model that was fitted before (to a control, to all files of an experiment).

    Returns
    -------
    Localizations
        With `channel` and `channel_probability`: of the localization, or with `by_trace` the mean
        over its trace, so that a trace of two molecules shows as about 0.5.

    Raises
    ------
    SchemaError, ConfigError, TooFewPointsError
        Without the columns, for impossible options, with fewer than 20 values.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(1)
    >>> dcr = np.concatenate([rng.normal(0.27, 0.05, 300), rng.normal(0.64, 0.05, 700)])
    >>> locs = ns.from_arrays(np.zeros((1000, 2)), dcr=dcr, trace=np.arange(1000) // 10)
    >>> found = assign_dcr(locs, names=("CF660", "AF647"))
    >>> found.table["channel"].value_counts().to_dict()
    {'AF647': 700, 'CF660': 300}
    """
    check_probability(cut_off_probability, "assign_dcr")
    dcr = numbers(localizations, "dcr", "assign_dcr")
    if model is None:
        model = fit_dcr(localizations, n_channels=n_channels, names=names, seed=seed)
    labels = model.names if names is None else channel_names(names, len(model.means), "dcr")
    posterior = model.posterior(dcr)
    missing = np.isnan(dcr)
    posterior[missing] = 0.0
    best = posterior.argmax(axis=1)
    probability = posterior[np.arange(len(best)), best]
    doubtful = ~missing & (probability < cut_off_probability)
    best[doubtful | missing] = -1
    notes = list(model.notes)
    if missing.any():
        notes.append(f"{int(missing.sum())} localizations have no dcr")
    if doubtful.any():
        notes.append(f"{int(doubtful.sum())} localizations are below the cut-off probability")
    if by_trace:
        best, probability, mixed = _vote(localizations, best, posterior, missing)
        notes.append(f"{mixed} traces were of more than one channel before the vote")
    probability[best < 0] = np.nan
    arguments = {
        "n_channels": len(labels), "names": labels, "cut_off_probability": cut_off_probability,
        "by_trace": by_trace, "seed": seed, "means": model.means,
        "standard_deviations": model.standard_deviations, "weights": model.weights,
        "expected_misassignment": model.expected_misassignment,
    }  # fmt: skip
    columns = {"channel_probability": probability}
    return labelled(localizations, best, labels, columns, "assign_dcr", arguments, notes)


def _vote(
    localizations: Localizations,
    best: IntArray,
    posterior: FloatArray,
    missing: npt.NDArray[np.bool_],
) -> tuple[IntArray, FloatArray, int]:
    if "trace" not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(
            "assign_dcr: by_trace needs the column 'trace'; by_trace=False judges each "
            f"localization on its own. The columns: {known}."
        )
    trace, _ = pd.factorize(localizations.table["trace"])
    alone = np.flatnonzero(trace < 0)  # without a trace a localization votes for itself only
    n = int(trace.max(initial=-1)) + 1
    trace = trace.astype(np.int64)
    trace[alone] = n + np.arange(len(alone))
    n += len(alone)
    k = posterior.shape[1]
    voters = best >= 0
    votes = np.bincount(trace[voters] * k + best[voters], minlength=n * k).reshape(n, k)
    rows = np.maximum(np.bincount(trace[~missing], minlength=n), 1)
    mean = np.column_stack(
        [np.bincount(trace, weights=posterior[:, j], minlength=n) / rows for j in range(k)]
    )
    # Less than half a vote: it decides among equal counts and nothing else.
    winner = (votes + 0.49 * mean).argmax(axis=1)
    probability = mean[np.arange(n), winner]
    winner[votes.sum(axis=1) == 0] = -1
    mixed = int(((votes > 0).sum(axis=1) > 1).sum())
    return winner[trace], probability[trace], mixed

"""Cuts on the quality of MINFLUX localizations: emission frequency and centre frequency ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations

__all__ = [
    "FirstPeak",
    "Proposal",
    "cfr_cut",
    "efo_cut",
    "first_peak_bounds",
    "propose_cuts",
    "robust_bounds",
]

FloatArray = npt.NDArray[np.float64]

#: Standard deviation of a Gaussian whose median absolute deviation is 1.
MAD_TO_SIGMA = 1.4826

_FEWEST = 50
_BINS = 1024
_PROMINENCE = 0.05
_APART = float(np.log(1.5))
_WIDEST = 0.2
_HALF_WIDTH = float(np.sqrt(2 * np.log(2)))  # half width at half maximum of a Gaussian, in sigma


@dataclass(frozen=True)
class FirstPeak:
    """The first peak of a distribution: where it is, its width, and the bounds taken from them.

    `sigma` is the standard deviation of the peak, relative (of the logarithm) when `logarithmic`.
    `n_peaks` counts all peaks; `valley` is the minimum towards the second one, NaN without one.
    """

    position: float
    low: float
    high: float
    sigma: float
    logarithmic: bool
    n_peaks: int
    valley: float


@dataclass(frozen=True)
class Proposal:
    """A cut that the data suggest.

    Attributes
    ----------
    column : str
    low, high : float
        Bounds, rounded to three digits.
    fraction_kept : float
        Part of the localizations within them.
    sentence : str
        What to tell the user.
    filter : str
        Condition for `keep_where` and `nanospine filter`.
    """

    column: str
    low: float
    high: float
    fraction_kept: float
    sentence: str
    filter: str

    def to_frame(self) -> pd.DataFrame:
        """One row: `column`, `low`, `high`, `fraction_kept`, `filter`."""
        names = ("column", "low", "high", "fraction_kept", "filter")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])


def robust_bounds(values: npt.ArrayLike, k: float = 3.0) -> tuple[float, float]:
    """Median minus and plus k robust standard deviations, `1.4826 median(|x - median(x)|)`.

    The factor makes the median absolute deviation of a Gaussian its standard deviation; values
    that are not finite do not count.

    Raises
    ------
    ConfigError, TooFewPointsError, SchemaError
        When k is not positive, there is no value, or more than half of the values are equal.

    Examples
    --------
    >>> robust_bounds([1, 2, 3, 4, 1000], k=1)
    (1.5174, 4.4826)
    """
    if not k > 0:
        raise ConfigError(f"robust_bounds: a positive k was expected, found {k!r}.")
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    if len(array) == 0:
        raise TooFewPointsError("robust_bounds: there are no finite values.")
    middle = float(np.median(array))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(array - middle)))
    if spread == 0:
        raise SchemaError(
            f"robust_bounds: half of the {len(array)} values or more are {middle:g}; they have "
            "no spread to set bounds by (the quantity may not have been measured)."
        )
    return middle - k * spread, middle + k * spread


def first_peak_bounds(values: npt.ArrayLike, *, k: float = 2.5) -> FirstPeak:
    """Find the first peak of a distribution and the bounds around it: one emitter of several.

    Two emitters at once have twice the emission frequency, so the first peak of `efo_hz` is the
    single emitter. The density is smoothed (Silverman's bandwidth), on a logarithmic axis when
    all values are positive, since the noise of a frequency grows with it. The first maximum counts
    whose prominence is 5 % of the highest; peaks closer than a factor of 1.5 are smoothed into one
    (whole numbers of dwell times make a comb of them). The width is that of the steeper side, half
    width at half maximum / 1.1774, less the bandwidth; the bounds are k widths, but not beyond the
    valley to the next peak.

    Parameters
    ----------
    values : array_like
        Such as the column `efo_hz`; what is not finite does not count.
    k : float
        Half width of the range in standard deviations of the peak.

    Raises
    ------
    ConfigError, TooFewPointsError, SchemaError
        When k is not positive, for fewer than 50 values, or when all are equal.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one, two = rng.normal(40e3, 4e3, 3000), rng.normal(80e3, 6e3, 800)
    >>> peak = first_peak_bounds(np.concatenate([one, two]))
    >>> peak.n_peaks, round(peak.position / 1e3), bool(50e3 < peak.high < 65e3)
    (2, 40, True)
    """
    if not k > 0:
        raise ConfigError(f"first_peak_bounds: a positive k was expected, found {k!r}.")
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    if len(array) < _FEWEST:
        raise TooFewPointsError(
            f"first_peak_bounds: at least {_FEWEST} finite values were expected, "
            f"found {len(array)}."
        )
    logarithmic = bool(array.min() > 0)
    axis, density, bandwidth = _density(np.log(array) if logarithmic else array, logarithmic)
    peaks = _peaks(density)
    first = int(peaks[0])
    valley = np.nan
    end = len(axis) - 1
    if len(peaks) > 1:
        end = first + int(density[first : peaks[1]].argmin())
        valley = float(axis[end])
    left = _half_width(axis, density, first, -1, 0)
    right = _half_width(axis, density, first, 1, end)
    wide = min(left, right) / _HALF_WIDTH
    # what the smoothing added is taken off again, as variances add up
    sigma = float(np.sqrt(max(wide**2 - bandwidth**2, (0.3 * wide) ** 2)))
    low = float(axis[first]) - k * sigma
    high = min(float(axis[first]) + k * sigma, valley if np.isfinite(valley) else np.inf)
    position = float(axis[first])
    if logarithmic:
        position, low, high, valley = (float(np.exp(x)) for x in (position, low, high, valley))
    return FirstPeak(position, low, high, sigma, logarithmic, len(peaks), valley)


def _density(values: FloatArray, logarithmic: bool) -> tuple[FloatArray, FloatArray, float]:
    """Smooth density on a regular axis, from a histogram, so that millions of values are cheap."""
    from scipy.ndimage import gaussian_filter1d

    lowest, first, third, highest = np.percentile(values, [0.05, 25, 75, 99.95])
    spread = min(float(values.std()), float(third - first) / 1.349) or float(values.std())
    if not spread > 0:
        raise SchemaError(f"first_peak_bounds: all {len(values)} values are equal.")
    bandwidth = 0.9 * spread * len(values) ** -0.2
    margin = 5 * max(bandwidth, _WIDEST if logarithmic else 0.0)
    counts, edges = np.histogram(values, bins=_BINS, range=(lowest - margin, highest + margin))
    axis, step = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
    bandwidth = max(bandwidth, step)
    while True:
        density = gaussian_filter1d(counts.astype(np.float64), bandwidth / step, mode="constant")
        peaks = _peaks(density)
        near = len(peaks) > 1 and axis[peaks[1]] - axis[peaks[0]] < _APART
        # A frequency is counts by a small whole number of dwell times: a comb of peaks. Emitters
        # differ by a factor of 2, so peaks closer than 1.5 are teeth of the comb.
        if not (logarithmic and near and bandwidth < _WIDEST):
            return axis, density, bandwidth
        bandwidth *= 1.2


def _peaks(density: FloatArray) -> npt.NDArray[np.int64]:
    from scipy.signal import find_peaks

    # Ends of zero: a distribution that starts with its maximum has a peak there.
    padded = np.concatenate([[0.0], density, [0.0]])
    found, _ = find_peaks(padded, prominence=_PROMINENCE * density.max())
    return np.asarray(found - 1, dtype=np.int64)


def _half_width(axis: FloatArray, density: FloatArray, peak: int, step: int, end: int) -> float:
    """Distance to where the density is half of the peak; infinite when it is not before `end`."""
    side = density[peak : end + step if end + step >= 0 else None : step]
    below = np.flatnonzero(side <= density[peak] / 2)
    if len(below) == 0:
        return float("inf") if step > 0 else float(axis[peak] - axis[0])
    i = int(below[0])
    # between the last bin above half and the first below
    part = (side[i - 1] - density[peak] / 2) / (side[i - 1] - side[i])
    return float((i - 1 + part) * (axis[1] - axis[0]))


def efo_cut(localizations: Localizations, k: float = 3.0, *, method: str = "mad") -> Localizations:
    """Keep the localizations whose emission frequency `efo_hz` is that of one emitter.

    Parameters
    ----------
    localizations : Localizations
        With the column `efo_hz`.
    k : float
        Half width of the range in robust standard deviations.
    method : str
        "mad": median +- k times 1.4826 median absolute deviations, which assumes that most
        localizations are of one emitter. "first_peak": see :func:`first_peak_bounds`.

    Raises
    ------
    SchemaError, ConfigError, TooFewPointsError
        As :func:`robust_bounds` and :func:`first_peak_bounds`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays(np.zeros((5, 2)), efo_hz=[38e3, 40e3, 41e3, 43e3, 95e3])
    >>> efo_cut(locs).table["efo_hz"].tolist()
    [38000.0, 40000.0, 41000.0, 43000.0]
    """
    return _cut(localizations, "efo_hz", k, method, "efo_cut")


def cfr_cut(localizations: Localizations, k: float = 3.0, *, method: str = "mad") -> Localizations:
    """Keep the localizations whose centre frequency ratio `cfr` is near the median.

    A high ratio is emission while the beam's zero is on the molecule: background, a second
    emitter, or a zero beside the molecule. Parameters and errors as :func:`efo_cut`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays(np.zeros((5, 2)), cfr=[0.4, 0.5, 0.52, 0.55, 1.6])
    >>> cut = cfr_cut(locs)
    >>> len(cut), cut.history[-1]["arguments"]["k"]
    (4, 3.0)
    """
    return _cut(localizations, "cfr", k, method, "cfr_cut")


def _cut(
    localizations: Localizations, column: str, k: float, method: str, operation: str
) -> Localizations:
    values = _values(localizations, column, operation)
    try:
        if method == "mad":
            low, high = robust_bounds(values, k)
        elif method == "first_peak":
            peak = first_peak_bounds(values, k=k)
            low, high = peak.low, peak.high
        else:
            raise ConfigError(
                f"{operation}: method 'mad' or 'first_peak' was expected, found {method!r}."
            )
    except (SchemaError, TooFewPointsError) as error:
        reason = str(error).split(": ", 1)[-1]
        raise type(error)(f"{operation}: column {column!r}: {reason}") from None
    empty = int(np.isnan(values).sum())
    notes = [f"{empty} localizations without {column} are dropped"] if empty else []
    arguments = {"k": float(k), "method": method, "low": low, "high": high}
    kept = (values >= low) & (values <= high)
    return localizations.select(kept, operation=operation, arguments=arguments, notes=notes)


def propose_cuts(localizations: Localizations, *, k: float = 3.0) -> tuple[Proposal, ...]:
    """Propose cuts on the columns `efo_hz` and `cfr`, where they are there and would cut anything.

    The bounds of `efo_hz` are those of the first peak, where the distribution has more than one,
    else median +- k robust deviations; those of `cfr` always the latter.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> cfr = np.concatenate([rng.normal(0.5, 0.1, 950), rng.normal(1.5, 0.1, 50)])
    >>> [proposal.filter for proposal in propose_cuts(ns.from_arrays(np.zeros((1000, 2)), cfr=cfr))]
    ['cfr >= 0.191 and cfr <= 0.809']
    """
    proposals = []
    for column, unit in (("efo_hz", " Hz"), ("cfr", "")):
        if column not in localizations.table:
            continue
        values = _values(localizations, column, "propose_cuts")
        if int(np.isfinite(values).sum()) < _FEWEST:
            continue
        try:
            low, high, why = _bounds(values, column, k, unit)
        except SchemaError:
            continue  # not measured: nothing to cut by
        proposal = _proposal(values, column, unit, (_rounded(low), _rounded(high)), why)
        if 0 < proposal.fraction_kept < 1:
            proposals.append(proposal)
    return tuple(proposals)


def _bounds(values: FloatArray, column: str, k: float, unit: str) -> tuple[float, float, str]:
    low, high = robust_bounds(values, k)
    if column == "efo_hz":
        peak = first_peak_bounds(values)
        if peak.n_peaks > 1:
            where = f"{_rounded(peak.position):,g}{unit}"
            why = f"the first of {peak.n_peaks} peaks (one emitter) is at {where}"
            return peak.low, peak.high, why
    middle = _rounded(float(np.nanmedian(values)))
    return low, high, f"median {middle:,g}{unit}, bounds at {k:g} robust standard deviations"


def _proposal(
    values: FloatArray, column: str, unit: str, bounds: tuple[float, float], why: str
) -> Proposal:
    low, high = bounds
    kept = float(((values >= low) & (values <= high)).mean())
    # A bound beyond all values is noise to the reader.
    parts = []
    if low > np.nanmin(values):
        parts.append((f"{column} >= {low!r}", f"from {low:,g}{unit}"))
    if high < np.nanmax(values):
        parts.append((f"{column} <= {high!r}", f"up to {high:,g}{unit}"))
    words = " ".join(word for _, word in parts) or "all"
    sentence = f"{column}: {why}; keeping {words} leaves {kept:.1%} of {len(values):,} rows"
    condition = " and ".join(text for text, _ in parts)
    return Proposal(column, low, high, kept, sentence, condition)


def _rounded(value: float) -> float:
    """Three digits, so that people can read and type them."""
    result = float(f"{value:.3g}")
    return int(result) if abs(result) >= 100 else result


def _values(localizations: Localizations, column: str, where: str) -> FloatArray:
    if column not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(
            f"{where}: there is no column {column!r} (MINFLUX data have it); the columns: {known}."
        )
    return localizations.table[column].to_numpy().astype(np.float64)

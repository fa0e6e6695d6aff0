"""NeNA: the mean precision from neighbours in adjacent frames."""

from __future__ import annotations

# numba needs no annotations
# mypy: disable-error-code="no-untyped-def,misc"
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit

from nanospine.core.errors import GeometryError, SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations

__all__ = ["NenaResult", "add_nena_precision", "nena"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BINS = 300
_FEWEST = 100
_BLOCKS = 16
# The fit sees distances up to this many standard deviations of a difference.
_REACH = 6.0
# The logarithm of how much more crowded the next frame is than one far away, give or take.
_CROWDED = 0.7


@dataclass(frozen=True, eq=False)
class NenaResult:
    """The mean localization precision by NeNA.

    Attributes
    ----------
    precision_nm : float
        Standard deviation of a position along x or y.
    std_error_nm : float
        Of `precision_nm`, by leaving out blocks of frames.
    precision_z_nm : float
        Along z; NaN of 2-D data.
    fraction : float
        Of localizations whose molecule was seen in the next frame too.
    n_pairs : int
        Localizations with another one in the next frame.
    curve : DataFrame
        `distance_nm` (middles of bins), `count`, `fit`.
    notes : tuple of str
        What makes the result doubtful.
    """

    precision_nm: float
    std_error_nm: float
    precision_z_nm: float
    fraction: float
    n_pairs: int
    curve: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give the figures in one row."""
        names = ("precision_nm", "std_error_nm", "precision_z_nm", "fraction", "n_pairs")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])


def nena(localizations: Localizations, *, max_distance_nm: float | None = None) -> NenaResult:
    """Estimate the mean precision from the nearest neighbours in the next frame.

    Two localizations of one molecule are apart by r with density r / (2 s²) exp(-r² / (4 s²))
    (Endesfelder et al. 2014, eq. 3). The nearest localization of the next frame is the same
    molecule with probability q, unless another one is nearer. Others are random, with a density
    that varies from place to place like a gamma distribution (of shape k), so that the nearest is
    farther than r with probability

        S(r) = (1 - q (1 - exp(-r² / (4 s²)))) (1 + c r² / k)^-k,

    where the original adds a Gaussian and a line. About how large c and k are is known from frames
    far away in time, whose neighbours are random; all four are fitted by maximum likelihood to the
    distances up to 6 sqrt(2) s; longer ones count as such. Along z the differences of pairs are a
    Gaussian of variance 2 s² on a uniform background.

    Parameters
    ----------
    localizations : Localizations
        With a column `frame`, not linked: molecules must be seen in successive frames.
    max_distance_nm : float, optional
        Longest distance that the first fit sees; from the data otherwise.

    Raises
    ------
    SchemaError, TooFewPointsError, GeometryError
        Without frames; with fewer than 100 pairs; for a distance that is not positive.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> place = np.repeat(rng.random((2000, 2)) * 20_000, 5, axis=0)
    >>> frame = (np.arange(10_000) // 5) % 100 * 7 + np.arange(10_000) % 5
    >>> locs = ns.from_arrays(place + rng.normal(0, 10, (10_000, 2)), frame=frame)
    >>> round(ns.nena(locs).precision_nm)
    10
    """
    if max_distance_nm is not None and not (np.isfinite(max_distance_nm) and max_distance_nm > 0):
        raise GeometryError(
            f"nena: a positive max_distance_nm was expected, found {max_distance_nm!r}."
        )
    if not len(localizations):
        raise TooFewPointsError("nena: there are no localizations.")
    distance, rise, frame, far = _pairs(localizations)
    n = len(distance)
    if n < _FEWEST:
        raise TooFewPointsError(
            f"nena: {n} localizations have another one in the next frame; at least {_FEWEST} are "
            "needed. Linked (merged) localizations do not serve."
        )
    limit = float(max_distance_nm or _first_limit(distance))
    fit, edges = _settled(distance, far, limit)
    s, q, c, k = fit
    counts, _ = np.histogram(distance, edges)
    # Blocks of successive frames, as the blinks in them are.
    block = np.minimum((np.argsort(np.argsort(frame, kind="stable")) * _BLOCKS) // n, _BLOCKS - 1)
    by_block = np.stack([np.histogram(distance[block == i], edges)[0] for i in range(_BLOCKS)])
    sizes = np.bincount(block, minlength=_BLOCKS)
    crowd = _crowd(far, edges[-1])
    left_out = [
        _fitted(counts - by_block[i], n - sizes[i], edges, crowd, fit)[0] for i in range(_BLOCKS)
    ]
    spread = float(np.std(left_out) * np.sqrt(_BLOCKS - 1))
    notes = []
    if q < 0.05:
        notes.append(f"only {100 * q:.1f} % of the localizations are seen again in the next frame")
    if spread > 0.1 * s:
        notes.append(f"the precision is uncertain: {s:.3g} +- {spread:.2g} nm")
    axial = np.nan
    if localizations.dimension == 3:
        own = q * _pdf(distance, s) * (1 + c * distance**2 / k) ** -k
        other = (1 - q * -np.expm1(-(distance**2) / (4 * s * s))) * (
            2 * c * distance * (1 + c * distance**2 / k) ** (-k - 1)
        )
        near = distance < edges[-1]
        axial = _axial(rise[near], (own / np.maximum(own + other, 1e-300))[near])
    survival = _survival(edges, *fit)
    curve = pd.DataFrame(
        {
            "distance_nm": (edges[1:] + edges[:-1]) / 2,
            "count": counts,
            "fit": n * (survival[:-1] - survival[1:]),
        }
    )
    return NenaResult(s, spread, axial, q, n, curve, tuple(notes))


def add_nena_precision(
    localizations: Localizations, *, max_distance_nm: float | None = None, overwrite: bool = False
) -> Localizations:
    """Write the precision that :func:`nena` finds into the precision columns.

    Parameters
    ----------
    localizations : Localizations
        As for :func:`nena`.
    max_distance_nm : float, optional
        As for :func:`nena`.
    overwrite : bool
        Replace the precisions that are there; else only empty ones are filled.

    Raises
    ------
    SchemaError, TooFewPointsError, GeometryError
        As :func:`nena`.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> place = np.repeat(rng.random((2000, 2)) * 20_000, 5, axis=0)
    >>> frame = np.arange(10_000) // 50 * 9 + np.arange(10_000) % 5
    >>> locs = ns.from_arrays(place + rng.normal(0, 10, (10_000, 2)), frame=frame)
    >>> ns.add_nena_precision(locs).precision_nm[0].round().tolist()
    [10.0, 10.0, 0.0]
    """
    found = nena(localizations, max_distance_nm=max_distance_nm)
    table = localizations.to_frame()
    filled = 0
    for axis in "xyz"[: localizations.dimension]:
        value = found.precision_z_nm if axis == "z" else found.precision_nm
        name = f"precision_{axis}_nm"
        if name in table and not overwrite:
            present = table[name].to_numpy(np.float64)
            known = np.isfinite(present) & (present > 0)
            table[name] = np.where(known, present, value)
            filled = max(filled, int((~known).sum()))
        else:
            table[name] = value
            filled = len(table)
    notes = [
        f"NeNA: {found.precision_nm:.3g} +- {found.std_error_nm:.2g} nm"
        + (f", {found.precision_z_nm:.3g} nm along z" if localizations.dimension == 3 else "")
        + f"; for {filled} of {len(table)} localizations",
        *found.notes,
    ]
    return localizations.replace(
        table=table,
        operation="add_nena_precision",
        arguments={"max_distance_nm": max_distance_nm, "overwrite": overwrite},
        notes=notes,
    )


def _pairs(localizations: Localizations) -> tuple[FloatArray, FloatArray, IntArray, FloatArray]:
    """Distance in x, y to the nearest localization of the next frame, rise in z, and frame.

    The last is the distance to the nearest in a frame half of the recording away.
    """
    table = localizations.table
    if "frame" not in table:
        known = ", ".join(str(name) for name in table.columns)
        raise SchemaError(f"nena: a column 'frame' was expected; the columns are {known}.")
    frame = np.floor(table["frame"].to_numpy(np.float64)).astype(np.int64)
    channel = np.zeros(len(table), dtype=np.int64)
    if "channel" in table:
        channel = np.asarray(table["channel"].cat.codes, dtype=np.int64)
    xyz = localizations.xyz_nm
    order = np.lexsort((xyz[:, 0], frame))
    xyz, frame = np.ascontiguousarray(xyz[order]), frame[order]
    frames, begins = np.unique(frame, return_index=True)
    place = np.searchsorted(frames, frame)
    ends = np.append(begins, len(frame))
    following = np.where(np.diff(frames, append=frames[-1]) == 1, np.arange(len(frames)) + 1, -1)
    distance, rise = _nearest(xyz, ends, place, following, channel[order])
    half = (np.arange(len(frames)) + len(frames) // 2) % len(frames)
    away = np.where(np.abs(frames[half] - frames) > 2, half, -1)
    far, _ = _nearest(xyz, ends, place, away, channel[order])
    known = np.isfinite(distance)
    return distance[known], rise[known], frame[known], far[np.isfinite(far)]


@njit(cache=True)
def _nearest(xyz, begins, place, other, channel):
    """Find the nearest localization in the frame `other[frame]`, rows sorted by x in each."""
    n = xyz.shape[0]
    distance = np.full(n, np.inf)
    rise = np.zeros(n)
    for i in range(n):
        k = other[place[i]]
        if k < 0:
            continue
        low, high = begins[k], begins[k + 1]
        while low < high:
            middle = (low + high) // 2
            if xyz[middle, 0] < xyz[i, 0]:
                low = middle + 1
            else:
                high = middle
        best = np.inf
        for step in (1, -1):
            j = low if step == 1 else low - 1
            while begins[k] <= j < begins[k + 1]:
                along = (xyz[j, 0] - xyz[i, 0]) ** 2
                if along >= best:
                    break
                square = along + (xyz[j, 1] - xyz[i, 1]) ** 2
                if square < best and channel[j] == channel[i]:
                    best = square
                    rise[i] = xyz[j, 2] - xyz[i, 2]
                j += step
        distance[i] = np.sqrt(best)
    return distance, rise


def _survival(r: FloatArray, s: float, q: float, c: float, k: float) -> FloatArray:
    square = r * r
    own = 1 - q * -np.expm1(-square / (4 * s * s))
    return np.asarray(own * np.exp(-k * np.log1p(c * square / k)))


def _pdf(r: FloatArray, s: float) -> FloatArray:
    return np.asarray(r / (2 * s * s) * np.exp(-(r * r) / (4 * s * s)))


def _first_limit(distance: FloatArray) -> float:
    """Give a distance that holds the pairs of one molecule and not much more.

    At random the number within r grows with r²; pairs of one molecule are where the number within
    r exceeds that most, as a multiple of r.
    """
    ordered = np.sort(distance[distance > 0]) if (distance > 0).any() else np.ones(1)
    at = np.unique(np.geomspace(max(20, len(ordered) // 200), len(ordered), 60).astype(int)) - 1
    share, r = (at + 1) / len(ordered), ordered[at]
    return float(3.0 * r[int(np.argmax(share / r))])


def _settled(
    distance: FloatArray, far: FloatArray, limit: float
) -> tuple[tuple[float, float, float, float], FloatArray]:
    """Fit, with the range that the fit asks for."""
    fit: tuple[float, float, float, float] | None = None
    edges = np.empty(0)
    for _ in range(6):
        edges = np.linspace(0, limit, _BINS + 1)
        counts, _ = np.histogram(distance, edges)
        fit = _fitted(counts, len(distance), edges, _crowd(far, limit), fit)
        wanted = _REACH * np.sqrt(2) * fit[0]
        if abs(wanted - limit) < 0.1 * limit:
            break
        limit = min(wanted, 3 * limit)
    assert fit is not None
    return fit, edges


def _crowd(far: FloatArray, reach: float) -> tuple[float, float]:
    """Density c and shape k of random neighbours, from those in frames far away."""
    from scipy.optimize import minimize

    near = far[(far <= reach) & (far > 0)]
    if len(near) < 10:
        return max(len(near), 0.5) / max(len(far), 1) / reach**2, 1.0
    beyond = len(far) - len(near)
    square = (near / reach) ** 2

    def misfit(p: FloatArray) -> float:
        c, k = np.exp(np.clip(p, -20, 10))
        inside = np.log(2 * c / reach) - (k + 1) * np.log1p(c * square / k)
        return float(-inside.sum() + beyond * k * np.log1p(c / k)) / len(far)

    best = minimize(misfit, [np.log(len(near) / len(far)), 0.0], method="Nelder-Mead")
    c, k = np.exp(np.clip(best.x, -20, 10))
    return float(c / reach**2), float(k)


def _fitted(
    counts: npt.NDArray[np.integer],
    total: int,
    edges: FloatArray,
    crowd: tuple[float, float],
    start: tuple[float, float, float, float] | None,
) -> tuple[float, float, float, float]:
    """Maximum likelihood of the counts in bins; what is beyond the last edge counts as one bin."""
    from scipy.optimize import minimize

    beyond = total - int(counts.sum())
    reach, (density, shape) = edges[-1], crowd

    def unpack(p: FloatArray) -> tuple[float, float, float, float]:
        return (
            float(np.exp(p[0])), float(1 / (1 + np.exp(-p[1]))), density * float(np.exp(p[2])),
            shape * float(np.exp(p[3])),
        )  # fmt: skip

    def misfit(p: FloatArray) -> float:
        p = np.clip(p, low, high)
        survival = _survival(edges, *unpack(p))
        inside = np.maximum(survival[:-1] - survival[1:], 1e-300)
        told = (counts * np.log(inside)).sum() + beyond * np.log(max(survival[-1], 1e-300))
        # Frames differ in how crowded they are; not by orders of magnitude.
        doubt = 0.5 * ((p[2] / _CROWDED) ** 2 + p[3] ** 2)
        return float(doubt - told) / total

    low = np.array([np.log(reach / 300), -8.0, -4.0, -3.0])
    high = np.array([np.log(reach), 8.0, 4.0, 3.0])
    if start is not None:
        s, q, c, k = start
        starts = [[np.log(s), np.log(q / (1 - q)), np.log(c / density), np.log(k / shape)]]
    else:
        starts = [[np.log(reach / part), 0.0, 0.0, 0.0] for part in (4, 8, 16)]
    results = [
        minimize(misfit, np.clip(item, low, high), method="Nelder-Mead",
                 options={"xatol": 1e-5, "fatol": 1e-11, "maxiter": 2000, "maxfev": 2000})
        for item in starts
    ]  # fmt: skip
    best = min(results, key=lambda item: float(item.fun))
    return unpack(np.clip(best.x, low, high))


def _axial(rise: FloatArray, weight: FloatArray) -> float:
    """Standard deviation along z, of pairs that are one molecule with the given probability."""
    span = max(float(np.ptp(rise)), 1e-12)
    variance = float(np.average(np.minimum(rise**2, np.median(rise**2) * 9), weights=weight))
    for _ in range(200):
        density = np.exp(-(rise**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        own = weight * density / (weight * density + (1 - weight) / span + 1e-300)
        new = float((own * rise**2).sum() / own.sum())
        if abs(new - variance) < 1e-8 * variance:
            break
        variance = new
    return float(np.sqrt(variance / 2))

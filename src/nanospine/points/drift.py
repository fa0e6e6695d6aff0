"""Drift of the sample during the recording: estimated from the data or fiducials, and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress
from nanospine.points.drift_trace import Drift, frames_of, subtracted

__all__ = ["Drift", "correct_drift", "estimate_drift"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Method = Literal["overlap", "rcc", "fiducials"]

_FEWEST = 500
_FEWEST_PER_SEGMENT = 150
_MOST_SEGMENTS = 16
# The overlap begins with a kernel of between a third of this and this.
_WIDEST = 150.0
# Overlap must be better by so many standard errors.
_BETTER, _SURE = 3.0, 20.0
_BINS_OF_HALVES, _POINTS_OF_HALVES = 60, 20_000
# Without known precisions.
_USUAL_NM, _USUAL_Z_NM = 12.0, 25.0


def estimate_drift(
    localizations: Localizations,
    *,
    method: Method = "overlap",
    fiducials_nm: npt.ArrayLike | None = None,
    fiducial_radius_nm: float = 150.0,
    max_drift_nm: float = 1000.0,
    n_segments: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Drift:
    """Estimate the drift from the localizations.

    Parameters
    ----------
    localizations : Localizations
        With a column `frame`; 2-D or 3-D.
    method : {"overlap", "rcc", "fiducials"}
        "rcc": the recording is cut into segments of equal numbers of localizations, each shifted
        against each other one (redundant cross-correlation, Wang et al. 2014), a spline in between.
        "overlap": begins with that and refines it until localizations of different times overlap
        best (:func:`nanospine.points.drift_overlap.refine`). A drift that does not make the other
        half of the field sharper is none: the trace is then 0, its error what was found, and
        the notes say so.
        "fiducials": beads that are seen all the time (:mod:`nanospine.points.drift_fiducials`).
    fiducials_nm : array_like, shape (k, 2) or (k, 3), optional
        Where the beads are; searched for otherwise.
    fiducial_radius_nm : float
        Localizations within this of a bead, in x, y, are its own.
    max_drift_nm : float
        Largest shift between two segments.
    n_segments : int, optional
        Of the cross-correlation; one per 1000 localizations otherwise, from 4 to 16.
    seed : int
        Of the localizations that are drawn where there are too many.
    progress : callable, optional
        Told the stage and its fraction.

    Returns
    -------
    Drift
        With its standard error.

    Raises
    ------
    SchemaError, TooFewPointsError, ConfigError
        Without frames; too few localizations or beads; arguments out of range.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> place = rng.random((300, 2)) * 4000
    >>> frame = rng.integers(0, 1000, 6000)
    >>> planted = 100 * np.column_stack([frame, -frame]) / 1000
    >>> xy = place[rng.integers(0, 300, 6000)] + planted + rng.normal(0, 10, (6000, 2))
    >>> found = ns.estimate_drift(ns.from_arrays(xy, frame=frame, precision_nm=10.0))
    >>> found.span_nm.round(-1).tolist()
    [100.0, 100.0]
    """
    _check(localizations, method, max_drift_nm, n_segments, fiducial_radius_nm)
    if method == "fiducials":
        from nanospine.points.drift_fiducials import fiducial_drift

        return _expanded(
            localizations, *fiducial_drift(localizations, fiducials_nm, fiducial_radius_nm),
            "fiducials",
        )  # fmt: skip
    if len(localizations) < _FEWEST:
        raise TooFewPointsError(
            f"drift: {len(localizations)} localizations; at least {_FEWEST} are needed. Measure "
            "fiducials (method='fiducials')."
        )
    times, coarse, std, notes = _by_correlation(
        localizations, max_drift_nm, n_segments, seed, progress
    )
    if method == "rcc":
        frames = np.unique(np.floor(frames_of(localizations)))
        return _expanded(
            localizations, frames, *_interpolated(frames, times, coarse, std), notes, "rcc"
        )
    return _by_overlap(localizations, times, coarse, std, notes, seed, progress)


def correct_drift(
    localizations: Localizations,
    drift: Drift | None = None,
    *,
    method: Method = "overlap",
    fiducials_nm: npt.ArrayLike | None = None,
    fiducial_radius_nm: float = 150.0,
    max_drift_nm: float = 1000.0,
    progress: Progress | None = None,
) -> Localizations:
    """Subtract the drift, given or estimated (:func:`estimate_drift`).

    A drift in x, y only leaves z as it was. Localizations before its first frame or after its last
    one get the drift there; the history says both.

    Raises
    ------
    ConfigError
        When the drift knows none of the frames; else as :func:`estimate_drift`.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0], [10, 4]], frame=[0, 2])
    >>> drift = ns.Drift(np.arange(3), np.array([[0, 0], [5, 2], [10, 4.0]]), np.ones((3, 2)), "me")
    >>> ns.correct_drift(locs, drift).xyz_nm[:, :2].tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    if drift is None:
        drift = estimate_drift(
            localizations, method=method, fiducials_nm=fiducials_nm,
            fiducial_radius_nm=fiducial_radius_nm, max_drift_nm=max_drift_nm, progress=progress,
        )  # fmt: skip
    table, notes = subtracted(localizations, drift)
    return localizations.replace(
        table=table, operation="correct_drift", arguments={"method": drift.method}, notes=notes
    )


def _check(
    localizations: Localizations, method: str, most: float, segments: int | None, radius: float
) -> None:
    if method not in ("overlap", "rcc", "fiducials"):
        raise ConfigError(
            f"drift: method {method!r} is not known; methods: overlap, rcc, fiducials."
        )
    for name, value in (("max_drift_nm", most), ("fiducial_radius_nm", radius)):
        if not (np.isfinite(value) and value > 0):
            raise ConfigError(f"drift: a positive {name} was expected, found {value!r}.")
    if segments is not None and not (segments >= 2 and segments == int(segments)):
        raise ConfigError(
            f"drift: a whole n_segments of 2 or more was expected, found {segments!r}."
        )
    frame = frames_of(localizations)
    if len(frame) == 0 or frame.min() == frame.max():
        raise TooFewPointsError("drift: localizations in more than one frame are needed.")


def _expanded(
    localizations: Localizations,
    times: FloatArray,
    drift: FloatArray,
    std: FloatArray,
    notes: list[str],
    method: str,
) -> Drift:
    """Give every frame a value, by lines between the times."""
    frame = frames_of(localizations)
    frames = np.arange(int(np.floor(frame.min())), int(np.floor(frame.max())) + 1)
    traces: list[FloatArray] = [
        np.column_stack([np.interp(frames, times, column) for column in values.T])
        for values in (drift, std)
    ]
    middle = np.column_stack([np.interp(frame, frames, column) for column in traces[0].T])
    return Drift(frames, traces[0] - middle.mean(axis=0), traces[1], method, tuple(notes))


def _interpolated(
    frames: FloatArray, times: FloatArray, drift: FloatArray, std: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Natural spline through the segments; it may stray by a fifth of the second differences."""
    from scipy.interpolate import CubicSpline

    if len(times) < 4:
        lines = [np.interp(frames, times, column) for column in drift.T]
        return np.column_stack(lines), np.tile(std.max(axis=0), (len(frames), 1))
    trace = CubicSpline(times, drift, bc_type="natural")(frames)
    within = 0.2 * np.sqrt(np.mean(np.diff(drift, n=2, axis=0) ** 2, axis=0))
    error = np.column_stack([np.interp(frames, times, column) for column in std.T])
    return np.asarray(trace), np.asarray(np.hypot(error, within))


def _by_correlation(
    localizations: Localizations,
    max_drift_nm: float,
    n_segments: int | None,
    seed: int,
    progress: Progress | None,
) -> tuple[FloatArray, FloatArray, FloatArray, list[str]]:
    from nanospine.points.drift_correlation import redundant_shifts, segment_drift

    frame = frames_of(localizations)
    n = len(frame)
    count = n_segments or int(np.clip(n // 1000, 4, _MOST_SEGMENTS))
    count = min(count, max(n // _FEWEST_PER_SEGMENT, 2), len(np.unique(frame)))
    # Equal numbers of localizations, whole frames: by the middle of each, so that a frame with
    # nearly all of them leaves segments on its sides.
    _, at, sizes = np.unique(frame, return_inverse=True, return_counts=True)
    middle = (np.cumsum(sizes) - sizes / 2) / n
    used, segment = np.unique(np.floor(middle * count).astype(np.int64)[at], return_inverse=True)
    times = np.bincount(segment, frame) / np.bincount(segment)
    xyz = localizations.xyz_nm[:, : localizations.dimension]
    pairs, shift = redundant_shifts(
        xyz, segment, max_drift_nm=max_drift_nm, seed=seed, progress=progress
    )
    drift, std, left_out = segment_drift(pairs, shift, len(used))
    notes = []
    if left_out:
        notes.append(f"{left_out} of {len(pairs)} shifts between segments do not agree")
    if left_out > 0.3 * len(pairs):
        notes.append("the drift is doubtful: segments do not look alike")
    return times, drift, std, notes


def _by_overlap(
    localizations: Localizations,
    times: FloatArray,
    coarse: FloatArray,
    std: FloatArray,
    notes: list[str],
    seed: int,
    progress: Progress | None,
) -> Drift:
    from nanospine.points.drift_overlap import refine
    from nanospine.points.drift_pairs import overlap_gain

    frame = frames_of(localizations)
    d = localizations.dimension
    scale, noise = _scales(localizations)
    low, high = frame.min(), frame.max()
    n_bins = int(np.clip(len(frame) // 75, 20, 250))
    n_bins = min(n_bins, int(high - low) + 1)
    width = (high - low + 1) / n_bins
    middles = low + (np.arange(n_bins) + 0.5) * width - 0.5
    start = _interpolated(middles, times, coarse, std)[0] / scale
    # Wide enough for what the correlation may have missed.
    missed = float(np.clip(3 * np.median(std / scale), max(6 * noise, _WIDEST / 3), _WIDEST))
    widths = [missed]
    while widths[-1] > 1.5 * noise:
        widths.append(max(widths[-1] * 0.7, 1.5 * noise))
    scaled, place = localizations.xyz_nm[:, :d] / scale, (frame - low + 0.5) / width - 0.5
    apart = max(n_bins / 50, 1.0)
    drift, error = refine(
        scaled, place, start, np.array(widths), apart=apart, seed=seed, progress=progress
    )
    better = overlap_gain(scaled, place, drift, widths[-1], apart=apart, seed=seed)
    if better < _SURE:  # fitted to the same localizations: ask those of the other half
        better = _gain_in_halves(scaled, place, start, np.array(widths), apart, seed)
    if better < _BETTER:
        found = ", ".join(
            f"{axis} {span:.3g}"
            for axis, span in zip("xyz", np.ptp(drift * scale, axis=0), strict=False)
        )
        notes = [
            *notes,
            f"no drift: what one half of the field says ({found} nm) does not make the other half "
            f"sharper ({better:+.1f} standard errors)",
        ]
        error = np.tile(np.sqrt((drift**2).mean(axis=0)), (n_bins, 1))
        drift = np.zeros_like(drift)
    if not np.isfinite(error).all():
        notes = [*notes, "no molecule is seen twice: nothing but the correlation of segments"]
        error = np.full(error.shape, float(np.median(std / scale)))
    return _expanded(localizations, middles, drift * scale, error * scale, notes, "overlap")


def _gain_in_halves(
    scaled: FloatArray,
    place: FloatArray,
    start: FloatArray,
    widths: FloatArray,
    apart: float,
    seed: int,
) -> float:
    """Gain in each half of the field by the drift of the other half."""
    from nanospine.points.drift_overlap import refine
    from nanospine.points.drift_pairs import overlap_gain

    # Coarser in time and with fewer localizations: whether, not how well.
    n_bins = min(len(start), _BINS_OF_HALVES)
    ratio = n_bins / len(start)
    middles = (np.arange(n_bins) + 0.5) / ratio - 0.5
    start = np.column_stack([np.interp(middles, np.arange(len(start)), item) for item in start.T])
    place, apart = (place + 0.5) * ratio - 0.5, max(apart * ratio, 1.0)
    if len(scaled) > 2 * _POINTS_OF_HALVES:
        drawn = np.random.default_rng(seed).permutation(len(scaled))[: 2 * _POINTS_OF_HALVES]
        scaled, place = scaled[drawn], place[drawn]
    wide = np.floor((scaled - scaled.min(axis=0)) / (20 * widths[-1])).astype(np.int64)
    _, number = np.unique(wide, axis=0, return_inverse=True)
    half = np.random.default_rng(seed).random(int(number.max()) + 1)[number.ravel()] < 0.5
    if min(half.sum(), (~half).sum()) < _FEWEST // 2:
        return 0.0
    result = 0.0
    for rows in (half, ~half):
        other, _ = refine(scaled[rows], place[rows], start, widths, apart=apart, seed=seed)
        result += overlap_gain(
            scaled[~rows], place[~rows], other, widths[-1], apart=apart, seed=seed
        )
    return result / float(np.sqrt(2))


def _scales(localizations: Localizations) -> tuple[FloatArray, float]:
    """Scale of each axis, with which precisions are alike, and the precision in x, y."""
    d = localizations.dimension
    precision = localizations.precision_nm
    usual: list[float] = [_USUAL_NM, _USUAL_NM, _USUAL_Z_NM][:d]
    median: Callable[[FloatArray], float] = lambda item: float(np.median(item))  # noqa: E731
    for k in range(d):
        known = None if precision is None else precision[:, k]
        known = None if known is None else known[np.isfinite(known) & (known > 0)]
        if known is not None and len(known):
            usual[k] = median(known)
        elif k == 2:
            usual[k] = 2 * usual[0]
    lateral = float(np.hypot(usual[0], usual[1]) / np.sqrt(2))
    return np.array([1.0, 1.0, usual[-1] / lateral][:d]), lateral

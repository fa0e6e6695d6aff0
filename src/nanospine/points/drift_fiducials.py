"""Drift by fiducials: beads that are localized in nearly every frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, TooFewPointsError
from nanospine.core.localizations import Localizations

__all__ = ["fiducial_drift", "find_fiducials"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_PRESENT = 0.5
_ROUNDS = 20
_OUTLIER = 5.0
_FOREIGN = 18.0  # times the median squared distance: 5 standard deviations in 2-D


def find_fiducials(localizations: Localizations, radius_nm: float) -> FloatArray:
    """Find places in x, y with localizations in more than half of all frames.

    Returns
    -------
    ndarray, shape (k, 2)
        Median positions, the most complete first.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> xy = np.concatenate([rng.normal([500, 500], 5, (200, 2)), rng.random((300, 2)) * 5000])
    >>> frame = np.concatenate([np.arange(200), rng.integers(0, 200, 300)])
    >>> find_fiducials(ns.from_arrays(xy, frame=frame), 100).round(-1).tolist()
    [[500.0, 500.0]]
    """
    xy = localizations.xyz_nm[:, :2]
    frame = np.floor(localizations.table["frame"].to_numpy(np.float64)).astype(np.int64)
    n_frames = int(frame.max() - frame.min()) + 1
    # A bead is in few cells of the size of the radius, whatever its drift.
    cells = np.floor((xy - xy.min(axis=0)) / radius_nm).astype(np.int64)
    key = cells[:, 0] * (int(cells[:, 1].max()) + 1) + cells[:, 1]
    _, place, counts = np.unique(key, return_inverse=True, return_counts=True)
    found: list[FloatArray] = []
    for number in np.argsort(-counts):
        if counts[number] < _PRESENT * n_frames / 4:
            break
        centre = np.median(xy[place == number], axis=0)
        for _ in range(3):
            near = ((xy - centre) ** 2).sum(axis=1) < radius_nm**2
            centre = np.median(xy[near], axis=0)
        if any(np.hypot(*(centre - other)) < 2 * radius_nm for other in found):
            continue
        present = len(np.unique(frame[near])) / n_frames
        # several a frame are a crowd, not a bead
        if present > _PRESENT and near.sum() < 1.5 * present * n_frames:
            found.append(centre)
    return np.array(found).reshape(-1, 2)


def fiducial_drift(
    localizations: Localizations, fiducials_nm: npt.ArrayLike | None, radius_nm: float
) -> tuple[FloatArray, FloatArray, FloatArray, list[str]]:
    """Mean movement of beads, frame by frame.

    Positions of bead b in frame f are p_b + D_f + noise: both are found by alternating means, with
    weight 1 over the variance of the bead; beads whose noise is more than 5 times the median are
    left out. Frames without a bead get a line between their neighbours. The standard error is that
    of the mean over beads; no smoothing.

    Returns
    -------
    frame, drift_nm, std_nm, notes
        Of the frames with a bead.
    """
    d = localizations.dimension
    xyz = localizations.xyz_nm[:, :d]
    frame = np.floor(localizations.table["frame"].to_numpy(np.float64)).astype(np.int64)
    if fiducials_nm is None:
        centres = find_fiducials(localizations, radius_nm)
        if len(centres) == 0:
            raise TooFewPointsError(
                "drift: no fiducial was found: nothing is localized once in more than half of the "
                "frames. Pass fiducials_nm=..., or take another method."
            )
    else:
        centres = np.asarray(fiducials_nm, dtype=np.float64)
        if centres.ndim != 2 or centres.shape[1] not in (2, 3) or not len(centres):
            raise ConfigError(
                "drift: fiducials_nm of shape (k, 2) or (k, 3) was expected, found "
                f"{centres.shape}."
            )
        if not np.isfinite(centres).all():
            raise ConfigError("drift: finite fiducials_nm were expected, found NaN or infinity.")
    gap = np.stack([((xyz[:, :2] - c[:2]) ** 2).sum(axis=1) for c in centres])
    bead = np.where(gap.min(axis=0) <= radius_nm**2, gap.argmin(axis=0), -1)
    seen = np.bincount(bead[bead >= 0], minlength=len(centres))
    if (seen < 2).any():
        where = ", ".join(f"{value:g}" for value in centres[int(seen.argmin())])
        raise TooFewPointsError(
            f"drift: {int(seen.min())} localizations within {radius_nm:g} nm of the fiducial at "
            f"({where}) nm; give its place, or a larger fiducial_radius_nm."
        )
    rows = np.flatnonzero(bead >= 0)
    frames, at = np.unique(frame[rows], return_inverse=True)
    drift, spread, used = _alternate(xyz[rows], bead[rows], at, len(frames), len(centres))
    notes = [f"{int(used.sum())} fiducials in {len(frames)} frames"]
    if not used.all():
        notes.append(f"{int((~used).sum())} fiducials move unlike the others and were left out")
    if used.sum() == 1:
        notes.append("one fiducial: its own noise is taken for drift")
    return frames.astype(np.float64), drift, spread, notes


def _alternate(
    xyz: FloatArray, bead: IntArray, at: IntArray, n_frames: int, n_beads: int
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Means over frames and over beads in turn."""
    used = np.ones(n_beads, dtype=bool)
    variance = np.ones(n_beads)
    d = xyz.shape[1]
    drift = np.zeros((n_frames, d))
    own = np.ones(len(xyz))
    for number in range(_ROUNDS):
        rest = xyz - drift[at]
        sums = [np.bincount(bead, own * rest[:, k], minlength=n_beads) for k in range(d)]
        centre = np.column_stack(sums) / np.bincount(bead, own, minlength=n_beads)[:, None]
        moved = xyz - centre[bead]
        weight = np.where(used & (variance > 0), 1 / variance, 0.0)[bead] * own
        total = np.bincount(at, weight, minlength=n_frames)
        good = total > 0
        before = drift
        drift = np.column_stack(
            [
                np.interp(
                    np.arange(n_frames), np.flatnonzero(good),
                    (np.bincount(at, weight * moved[:, k], minlength=n_frames)[good] / total[good]),
                )
                for k in range(d)
            ]
        )  # fmt: skip
        drift -= drift.mean(axis=0)
        left = ((moved - drift[at]) ** 2).sum(axis=1)
        # Others that pass by a bead are not its own.
        median = np.array([np.median(left[bead == item]) for item in range(n_beads)])
        own = (left <= _FOREIGN * np.maximum(median, 1e-12)[bead]).astype(np.float64)
        mean = np.bincount(bead, left * own, minlength=n_beads) / np.bincount(
            bead, own, minlength=n_beads
        )
        variance = np.maximum(mean, 1e-6 * max(float(mean.max()), 1e-12))
        if number >= 2 and used.sum() > 2:
            used = variance < _OUTLIER**2 * np.median(variance[used])
        if number > 3 and np.abs(drift - before).max() < 1e-3:
            break
    single = np.bincount(at, own, minlength=n_frames)
    error = np.empty((n_frames, d))
    for k in range(d):
        square = (moved[:, k] - drift[at, k]) ** 2 * own
        mean = np.bincount(bead, square, minlength=n_beads) / np.bincount(bead, own)
        total = np.bincount(
            at, (own * used[bead]) / np.maximum(mean, 1e-12)[bead], minlength=n_frames
        )
        # a bead alone in a frame fits it exactly: what is left there tells nothing
        error[:, k] = np.where(single < 2, np.nan, 1 / np.sqrt(np.maximum(total, 1e-300)))
        if used.sum() == 1 or np.isnan(error[:, k]).all():
            steps = np.diff(drift[:, k])
            error[:, k] = np.sqrt(np.median(steps**2) / 0.455 / 2)
        error[:, k] = np.where(np.isnan(error[:, k]), np.nanmax(error[:, k]), error[:, k])
    return drift, error, used

"""The diameter of a neck along its centreline, with the localization precision taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from nanospine.core.errors import GeometryError, SchemaError
from nanospine.spines.centreline import Across, look_across
from nanospine.spines.ring import fit_disc, fit_ring

__all__ = ["Constriction", "NeckProfile", "measure_neck"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_Z95 = 1.959964
_ITERATIONS = 30
_MOST_BACKGROUND = 0.2
_LARGEST_RADIUS_NM = 900.0
_ENOUGH_POINTS = 400


@dataclass(frozen=True)
class Constriction:
    """The narrowest place of a neck: diameter with 95 % interval, and where it is, nm."""

    diameter_nm: float
    low_nm: float
    high_nm: float
    position_nm: float
    n_molecules: int


@dataclass(frozen=True, eq=False)
class NeckProfile:
    """Diameter along a centreline from base to tip.

    Attributes
    ----------
    position_nm, diameter_nm, low_nm, high_nm : ndarray, shape (k,)
        Arc length, diameter and its 95 % interval; NaN where too few molecules support it.
    n_molecules : ndarray of int, shape (k,)
        Molecules in the window of each position.
    constriction : Constriction or None
        None when the neck is not measurable.
    measurable : bool
    reason : str
        Why not, or a caveat; empty when all is well.
    """

    position_nm: FloatArray
    diameter_nm: FloatArray
    low_nm: FloatArray
    high_nm: FloatArray
    n_molecules: IntArray
    constriction: Constriction | None
    measurable: bool
    reason: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Give the profile as a table, one row per position."""
        return pd.DataFrame(
            {
                "position_nm": self.position_nm,
                "diameter_nm": self.diameter_nm,
                "low_nm": self.low_nm,
                "high_nm": self.high_nm,
                "n_molecules": self.n_molecules,
            }
        )


@dataclass(frozen=True, eq=False)
class _Points:
    """Points across a centreline, sorted along it, with the molecules they belong to."""

    position: FloatArray
    uv: FloatArray
    covariance: FloatArray
    molecule: IntArray
    length: float
    label: str


def measure_neck(
    xyz_nm: npt.ArrayLike,
    centreline_nm: npt.ArrayLike,
    *,
    precision_nm: npt.ArrayLike,
    label: str = "membrane",
    molecule: npt.ArrayLike | None = None,
    search: tuple[float, float] | None = None,
    step_nm: float = 20.0,
    window_nm: float = 80.0,
    min_molecules: int = 15,
    seed: int = 0,
) -> NeckProfile:
    """Measure the diameter of a spine along its centreline on the localizations themselves.

    At every step the localizations in a window of the centreline are projected on the plane
    across it. A membrane label is a ring of radius R: each localization is a point anywhere on
    it plus a Gaussian error with that localization's own precision; centre, R and a share of
    uniform background are fitted by maximum likelihood. A filled label is a disc: R² = 2 (<rho²>
    - error variance). The error is thereby taken out; the width of a blurred neck is not its
    diameter. The 95 % interval rests on the scatter between molecules, not localizations.

    The constriction is the minimum of the profile within `search`. A minimum of noisy values is
    too low; the expected excess, simulated with the profile's own errors, is added back.

    Parameters
    ----------
    xyz_nm : array_like, shape (n, 3)
        Localizations of one spine (others in the neighbourhood count as background).
    centreline_nm : array_like, shape (k, 3)
        From base to tip; need not be smooth or exact, the centre is fitted at each step.
    precision_nm : array_like
        Standard deviation of a localization: one number, (3,), (n,) or (n, 3).
    label : {"membrane", "filled"}
    molecule : array_like of int, shape (n,), optional
        Molecule or trace of each localization; negative numbers are molecules of their own.
        Without it, localizations closer together than their error are counted as one molecule
        for the interval.
    search : (float, float), optional
        Range of arc length in which the constriction is sought; by default from 10 % of the
        length to the widest place of the farther 60 %.
    step_nm, window_nm : float
        Spacing of the profile and length of centreline that supports each value; the window
        grows to twice its length where there are too few molecules.
    min_molecules : int
        Fewer than this in a window: no number is given there.
    seed : int
        For the correction of the minimum.

    Returns
    -------
    NeckProfile
        With `measurable` False and the reason when the neck cannot be measured.

    Raises
    ------
    SchemaError
        When arrays have the wrong shape or hold numbers that are not finite.
    GeometryError
        When the centreline is not a line, or a length is not positive.

    Examples
    --------
    A neck of 120 nm, localized to 15 nm:

    >>> rng = np.random.default_rng(0)
    >>> angle, z = rng.uniform(0, 2 * np.pi, 900), rng.uniform(0, 600, 900)
    >>> xyz = np.column_stack([60 * np.cos(angle), 60 * np.sin(angle), z])
    >>> xyz += rng.normal(size=xyz.shape) * 15
    >>> profile = measure_neck(xyz, [[0, 0, 0], [0, 0, 600]], precision_nm=15)
    >>> bool(abs(profile.constriction.diameter_nm - 120) < 8)
    True
    """
    xyz, line, precision = _checked(xyz_nm, centreline_nm, precision_nm, step_nm, window_nm)
    if label not in ("membrane", "filled"):
        raise GeometryError(f'measure_neck: label must be "membrane" or "filled", found {label!r}.')
    across = look_across(xyz, line, precision)
    groups = _molecules(xyz, precision, molecule)
    points = _sorted(across, groups, label)
    if molecule is not None:
        points = _averaged(points)
    count = max(round(points.length / step_nm), 1) + 1
    position = np.linspace(0.0, points.length, count)
    fits = [_fit_at(points, s, window_nm, min_molecules) for s in position]
    diameter = np.array([fit[0] for fit in fits])
    error = np.array([fit[1] for fit in fits])
    molecules = np.array([fit[2] for fit in fits], dtype=np.int64)
    constriction, reason = _constriction(
        points, position, diameter, error, molecules, search, window_nm, min_molecules, seed
    )
    low = np.maximum(diameter - _Z95 * error, 0.0)
    return NeckProfile(
        position, diameter, low, diameter + _Z95 * error, molecules,
        constriction, constriction is not None, reason,
    )  # fmt: skip


def _checked(
    xyz_nm: npt.ArrayLike,
    centreline_nm: npt.ArrayLike,
    precision_nm: npt.ArrayLike,
    step_nm: float,
    window_nm: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    xyz = np.asarray(xyz_nm, dtype=np.float64).reshape(-1, 3) if np.size(xyz_nm) == 0 else (
        np.asarray(xyz_nm, dtype=np.float64)
    )  # fmt: skip
    line = np.asarray(centreline_nm, dtype=np.float64)
    for name, value in (("xyz_nm", xyz), ("centreline_nm", line)):
        if value.ndim != 2 or value.shape[1] != 3:
            raise SchemaError(
                f"measure_neck: {name} of shape (n, 3) expected, found {value.shape}."
            )
        if not np.isfinite(value).all():
            raise SchemaError(f"measure_neck: {name} holds numbers that are not finite.")
    if len(line) < 2 or not (np.ptp(line, axis=0) > 0).any():
        raise GeometryError("measure_neck: centreline_nm needs at least two different points.")
    if not (step_nm > 0 and window_nm > 0):
        raise GeometryError("measure_neck: step_nm and window_nm must be positive lengths.")
    given = np.asarray(precision_nm, dtype=np.float64)
    n = len(xyz)
    if given.shape == (n,) and given.shape != (3,):
        given = given[:, None]
    if given.shape not in ((), (3,), (n, 1), (n, 3)):
        raise SchemaError(
            f"measure_neck: precision_nm must be one number, (3,), ({n},) or ({n}, 3), "
            f"found {np.shape(precision_nm)}."
        )
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise SchemaError(
            "measure_neck: precision_nm holds negative numbers or NaN; give one for every axis, "
            "such as precision_nm=(10, 10, 25)."
        )
    return xyz, line, np.array(np.broadcast_to(given, (n, 3)))


def _molecules(xyz: FloatArray, precision: FloatArray, molecule: npt.ArrayLike | None) -> IntArray:
    """Number the molecules from 0; unknown ones are guessed from nearness."""
    n = len(xyz)
    if molecule is not None:
        given = np.asarray(molecule)
        if given.shape != (n,):
            raise SchemaError(
                f"measure_neck: molecule of shape ({n},) expected, found {given.shape}."
            )
        _, number = np.unique(given, return_inverse=True)
        number = number.astype(np.int64)
        alone = given < 0
        number[alone] = number.max(initial=0) + 1 + np.arange(alone.sum())
        return np.unique(number, return_inverse=True)[1].astype(np.int64)
    number = np.full(n, -1, dtype=np.int64)
    if n == 0:
        return number
    # Two localizations of one molecule differ by sqrt(2) sigma per axis.
    scaled = xyz / np.maximum(np.median(precision, axis=0), 1.0)
    neighbours = cKDTree(scaled).query_ball_point(scaled, 2.0)
    count = 0
    for i in range(n):
        if number[i] < 0:
            open_ = [j for j in neighbours[i] if number[j] < 0]
            number[open_] = count
            count += 1
    return number


def _sorted(across: Across, groups: IntArray, label: str) -> _Points:
    order = np.argsort(across.position_nm, kind="stable")
    return _Points(
        across.position_nm[order], across.uv_nm[order], across.covariance_nm2[order],
        groups[order], across.length_nm, label,
    )  # fmt: skip


def _averaged(points: _Points) -> _Points:
    """Average the localizations of each molecule: one point, its error divided by their number.

    The blinks of one molecule are no evidence of where the rest of the ring is, but a tiny ring
    through them would be very likely.
    """
    count = np.bincount(points.molecule).astype(np.float64)
    mean = [
        np.bincount(points.molecule, weights=values) / count
        for values in (points.position, *points.uv.T)
    ]
    # The covariance of a mean of k values is their mean covariance over k.
    covariance = [
        np.bincount(points.molecule, weights=values) / count**2 for values in points.covariance.T
    ]
    order = np.argsort(mean[0], kind="stable")
    return _Points(
        mean[0][order], np.stack(mean[1:], axis=1)[order], np.stack(covariance, axis=1)[order],
        np.arange(len(count))[order], points.length, points.label,
    )  # fmt: skip


def _window(points: _Points, at: float, width: float) -> slice:
    first, last = np.searchsorted(points.position, [at - width / 2, at + width / 2])
    return slice(int(first), int(last))


def _fit_at(
    points: _Points, at: float, width: float, min_molecules: int
) -> tuple[float, float, int]:
    """Diameter, its standard error and the molecules at one position; NaN with too few."""
    for factor in (1.0, 1.5, 2.0):
        part = _window(points, at, factor * width)
        count = len(np.unique(points.molecule[part]))
        if count >= min_molecules:
            break
    else:
        return np.nan, np.nan, count
    # A head holds thousands of localizations where hundreds fix its diameter to a nanometre.
    chosen = np.arange(part.start, part.stop, max((part.stop - part.start) // _ENOUGH_POINTS, 1))
    uv, covariance, molecule = points.uv[chosen], points.covariance[chosen], points.molecule[chosen]
    # Localizations that may be one molecule share one vote.
    _, group, size = np.unique(molecule, return_inverse=True, return_counts=True)
    weight = 1.0 / size[group]
    if points.label == "filled":
        return (*_disc(uv, covariance, weight, molecule), count)
    return (*_ring(uv, covariance, weight, molecule), count)


def _start(uv: FloatArray) -> FloatArray:
    centre = np.median(uv, axis=0)
    radius = float(np.median(np.linalg.norm(uv - centre, axis=1)))
    return np.array([centre[0], centre[1], max(radius, 5.0), 0.05])


def _ring(
    uv: FloatArray, covariance: FloatArray, weight: FloatArray, molecule: IntArray
) -> tuple[float, float]:
    start = _start(uv)
    distance = np.linalg.norm(uv - start[:2], axis=1)
    reach = float(min(distance.max() + 1.0, _LARGEST_RADIUS_NM))
    inside = distance <= reach
    fit, scores = fit_ring(
        np.ascontiguousarray(uv), np.ascontiguousarray(covariance), weight * inside,
        start, reach, _MOST_BACKGROUND, _ITERATIONS,
    )  # fmt: skip
    return 2 * float(fit[2]), 2 * _robust_error(scores[inside], molecule[inside])


def _robust_error(scores: FloatArray, molecule: IntArray) -> float:
    """Standard error of the last parameter: information by points, scatter by molecules."""
    information = scores.T @ scores + 1e-12 * np.eye(scores.shape[1])
    _, number = np.unique(molecule, return_inverse=True)
    sums = np.stack([np.bincount(number, weights=s) for s in scores.T], axis=1)
    scatter = sums.T @ sums
    count = len(sums)
    if count <= scores.shape[1]:
        return float("nan")
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return float("nan")
    variance = float((inverse @ scatter @ inverse)[-1, -1])
    # Never less than molecules would give if each were one independent localization
    return float(np.sqrt(variance * count / (count - scores.shape[1])))


def _disc(
    uv: FloatArray, covariance: FloatArray, weight: FloatArray, molecule: IntArray
) -> tuple[float, float]:
    reach = 3.0 * float(np.median(np.linalg.norm(uv - np.median(uv, axis=0), axis=1))) + 10.0
    fit, influence = fit_disc(uv, covariance, weight, reach)
    _, number = np.unique(molecule, return_inverse=True)
    sums = np.bincount(number, weights=influence)
    return 2 * float(fit[2]), 2 * float(np.sqrt((sums**2).sum()))


def _constriction(
    points: _Points,
    position: FloatArray,
    diameter: FloatArray,
    error: FloatArray,
    molecules: IntArray,
    search: tuple[float, float] | None,
    window_nm: float,
    min_molecules: int,
    seed: int,
) -> tuple[Constriction | None, str]:
    """Find the minimum of the profile, correct its bias, or say why there is none."""
    valid = np.isfinite(diameter) & np.isfinite(error)
    if not valid.any():
        return None, (
            f"not measurable: at most {int(molecules.max(initial=0))} molecules in "
            f"{2 * window_nm:.0f} nm of centreline, {min_molecules} are needed"
        )
    low, high = search if search is not None else _search_range(position, diameter, points.length)
    within = valid & (position >= low) & (position <= high)
    if not within.any():
        return None, f"not measurable: no diameter between {low:.0f} and {high:.0f} nm"
    missing = ~valid & (position >= low) & (position <= high)
    if missing.sum() > 0.5 * (missing.sum() + within.sum()):
        return None, "not measurable: more than half of the neck has too few molecules"
    at = np.flatnonzero(within)
    best = int(at[diameter[at].argmin()])
    excess = _minimum_excess(
        position[at], diameter[at], error[at], window_nm, np.random.default_rng(seed)
    )
    value = float(diameter[best]) + excess
    spread = _Z95 * float(error[best])
    reason = "part of the neck has too few molecules" if missing.any() else ""
    return (
        Constriction(
            value, max(value - spread, 0.0), value + spread, float(position[best]),
            int(molecules[best]),
        ),
        reason,
    )  # fmt: skip


def _search_range(position: FloatArray, diameter: FloatArray, length: float) -> tuple[float, float]:
    """From 10 % of the length to the widest place of the farther 60 %."""
    far = np.where(position >= 0.4 * length, diameter, np.nan)
    if not np.isfinite(far).any():
        return 0.1 * length, 0.9 * length
    widest = float(position[np.nanargmax(far)])
    return 0.1 * length, max(widest, 0.5 * length)


def _minimum_excess(
    position: FloatArray,
    diameter: FloatArray,
    error: FloatArray,
    window_nm: float,
    generator: np.random.Generator,
) -> float:
    """How much too low the minimum of a noisy profile is expected to be, nm.

    Noise with the profile's standard errors, correlated as far as windows overlap, is added to
    the profile many times; the mean drop of its minimum is the excess.
    """
    if len(position) < 2:
        return 0.0
    gap = np.abs(position[:, None] - position[None])
    overlap = np.maximum(1 - gap / window_nm, 0.0)
    values, vectors = np.linalg.eigh(overlap)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = generator.normal(size=(400, len(position))) @ root.T * error
    return float(diameter.min() - (diameter + noise).min(axis=1).mean())

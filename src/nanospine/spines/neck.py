"""The diameter of a neck along its centreline, with the localization precision taken out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.spines.centreline import Across, look_across, recentred
from nanospine.spines.molecules import Molecules, gather, siblings
from nanospine.spines.neck_input import checked, numbered
from nanospine.spines.neck_models import NeckModels
from nanospine.spines.neck_profile import Constriction, NeckProfile
from nanospine.spines.neck_range import NeckRange, neck_range
from nanospine.spines.rough import rough_radius
from nanospine.spines.tube import Tube, TubePoints, fit_tube, reach_nm

__all__ = ["Constriction", "NeckProfile", "measure_neck"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_REACH_NM = 700.0
_REPLICATES = 400
# Molecules in the window of a position, below which the profile gives no number there.
_LEAST_IN_WINDOW = 6
# Where no neck is found so, it is sought again without the places where the fit is loose (log R),
# as beside the step to a head that a spline overshoots; and then in a wider window, as a spine with
# few everywhere may have a long neck.
_LOOSE = 0.2
_WIDE_NM, _LEAST_IN_WIDE = 200.0, 10
# Where the fit is narrower than this part of a constriction there is the neck, though too few
# molecules tell of it: what is narrowest elsewhere may be the head.
_NARROWER = 0.75
_SOFT_NM = 12.0
_SHORTEST_NECK_NM = 120.0
# Background is a part of the localizations beside a neck, up to four tenths in a crowd; where more
# are astray, the tube has settled on the lesser part of them, and not on the neck.
_MOST_ASTRAY = 0.6
# Standard error of log R at the constriction beyond which there is no number.
_LARGEST_LOG_ERROR = 0.35


def measure_neck(
    xyz_nm: npt.ArrayLike,
    centreline_nm: npt.ArrayLike,
    *,
    precision_nm: npt.ArrayLike,
    label: str = "membrane",
    molecule: npt.ArrayLike | None = None,
    search: tuple[float, float] | None = None,
    step_nm: float = 20.0,
    window_nm: float = 60.0,
    min_molecules: int = 30,
    linker_nm: float = 0.0,
    seed: int = 0,
) -> NeckProfile:
    """Measure the diameter of a spine along its centreline on the localizations themselves.

    A membrane label is a tube of radius R(s): each molecule lies anywhere on the circle across
    the centreline, its localization is off by a Gaussian error with a precision of its own, and a
    share of the localizations is uniform background. A filled label is a disc instead. Centre,
    log R and background are smooth functions of the arc length s, fitted to all localizations
    at once by penalised maximum likelihood; how stiff they are is estimated too. The width of a
    blurred neck is larger than its diameter; here the error is part of the model, so the
    diameter has it taken out. Localizations of one molecule are averaged first.

    The constriction is the minimum of R between base and head. Which stretch is the neck between
    its flares, and whether it is even, a cone, has a waist or is irregular, is weighed by the
    likelihood of the molecules; diameter and interval are the median and the quantiles of the
    minimum of each draw, so that they hold what is not known of the shape. Off the neck, intervals
    come from a bootstrap over molecules, one Newton step from the fit, widened by what stiff
    splines cannot follow.

    Parameters
    ----------
    xyz_nm : array_like, shape (n, 3)
        Localizations of one spine; others in the neighbourhood count as background.
    centreline_nm : array_like, shape (k, 3)
        From base to tip; need not be smooth or exact, the centre is fitted.
    precision_nm : array_like
        Standard deviation of a localization: one number, (3,), (n,) or (n, 3).
    label : {"membrane", "filled"}
    molecule : array_like of int, shape (n,), optional
        Molecule or trace of each localization; negative numbers are molecules of their own.
        Without it the usual number of localizations to a molecule is estimated from their
        distances, and intervals are widened accordingly.
    search : (float, float), optional
        Range of arc length in which the constriction is sought; by default from 10 % of the
        length to the head, or to a radius before the end where there is none.
    step_nm : float
        Spacing of the profile.
    window_nm : float
        Length of centreline in which `n_molecules` are counted at each position.
    min_molecules : int
        Fewer than this on the neck: it is not measurable, nor where the neck is narrowest at a
        place with too few to tell.
    linker_nm : float
        Length L of the linker between what is labelled and its fluorophore (10 to 20 nm for two
        antibodies), in any direction: each molecule is off by a further L / sqrt(3) per axis,
        which averaging its localizations does not take out.
    seed : int
        For the bootstrap.

    Returns
    -------
    NeckProfile
        With `measurable` False and the reason when the neck cannot be measured.

    Raises
    ------
    SchemaError
        When arrays have the wrong shape or hold numbers that are not finite.
    GeometryError
        When the centreline is not a line, the label is unknown or a length is not positive.

    Examples
    --------
    A neck of 120 nm, localized to 15 nm:

    >>> rng = np.random.default_rng(0)
    >>> angle, z = rng.uniform(0, 2 * np.pi, 900), rng.uniform(0, 600, 900)
    >>> xyz = np.column_stack([60 * np.cos(angle), 60 * np.sin(angle), z])
    >>> xyz += rng.normal(size=xyz.shape) * 15
    >>> profile = measure_neck(xyz, [[0, 0, 0], [0, 0, 600]], precision_nm=15)
    >>> bool(abs(profile.constriction.diameter_nm - 120) < 6)
    True
    """
    xyz, line, precision = checked(
        xyz_nm, centreline_nm, precision_nm, step_nm, window_nm, linker_nm
    )
    if label not in ("membrane", "filled"):
        raise GeometryError(f'measure_neck: label must be "membrane" or "filled", found {label!r}.')
    molecules = gather(xyz, precision, numbered(molecule, len(xyz)))
    if linker_nm > 0:
        error = np.sqrt(molecules.precision_nm**2 + linker_nm**2 / 3.0)
        molecules = replace(molecules, precision_nm=error)
    across = look_across(molecules.xyz_nm, line, molecules.precision_nm)
    position = np.linspace(0.0, across.length_nm, max(round(across.length_nm / step_nm), 1) + 1)
    points, reach = _near(across, molecules, label == "filled")
    support = _support(position, points, np.ones(len(points)), window_nm)
    if points.weight.sum() < min_molecules:
        reason = f"not measurable: {points.weight.sum():.0f} molecules, {min_molecules} are needed"
        return _nothing(position, support, reason)
    span = (0.0, across.length_nm)
    spine = _fit(points, reach, span, label == "filled")
    if molecule is None:
        scale = 1.0 / (1.0 + siblings(points, spine, seed))
        molecules = replace(molecules, weight=scale * molecules.weight)
        spine = _fit(points.weighted(scale), reach, span, label == "filled")
    look = _Look(line, molecules, spine, window_nm, min_molecules, seed)
    return _profile(look, position, search)


@dataclass(frozen=True, eq=False)
class _Look:
    """What the second look at the neck needs: the data, the first fit, the settings."""

    line: FloatArray
    molecules: Molecules
    spine: Tube
    window_nm: float
    min_molecules: int
    seed: int


def _near(across: Across, molecules: Molecules, filled: bool) -> tuple[TubePoints, FloatArray]:
    """Keep the molecules beside the centreline, as far out as the tube may reach and a margin."""
    kept = (across.position_nm >= 0) & (across.position_nm <= across.length_nm)
    kept &= np.linalg.norm(across.uv_nm, axis=1) < _REACH_NM
    points = TubePoints(
        across.position_nm[kept], across.uv_nm[kept], across.covariance_nm2[kept],
        across.along_nm2[kept], molecules.weight[kept],
    )  # fmt: skip
    if len(points) == 0:
        return points, np.zeros(0)
    grid = np.linspace(0.0, across.length_nm, max(round(across.length_nm / 20.0), 2) + 1)
    rough = rough_radius(points, grid, filled=filled, reach_nm=_REACH_NM)
    radius = np.interp(points.position, grid, rough)
    reach = reach_nm(radius, points.covariance)
    inside = np.linalg.norm(points.uv, axis=1) < reach
    return points.take(inside), np.column_stack([reach, radius])[inside]


def _fit(points: TubePoints, reach: FloatArray, span: tuple[float, float], filled: bool) -> Tube:
    """Fit the whole spine; when points of a membrane are sharp, first as if they were not.

    A sharp ring is not felt from where the first guess is: the fit would take its points for
    background and settle beside it. A disc is felt from anywhere.
    """
    radius, centre = reach[:, 1], np.zeros((len(points), 2))
    sharp = points.covariance[:, [0, 2]].max(axis=1) < _SOFT_NM**2
    if not filled and sharp.mean() > 0.5:
        blurred = points.covariance + np.array([_SOFT_NM**2, 0.0, _SOFT_NM**2])
        first = fit_tube(
            replace(points, covariance=blurred), *span, radius, centre, reach[:, 0], filled=filled
        )
        radius, centre = first.radius_nm(points.position), first.centre_nm(points.position)
    return fit_tube(points, *span, radius, centre, reach[:, 0], filled=filled)


def _support(
    position: FloatArray, points: TubePoints, on_shape: FloatArray, window_nm: float
) -> IntArray:
    """Molecules of the shape in a window around each position."""
    near = np.abs(points.position[None] - position[:, None]) <= window_nm / 2
    return np.rint(near @ (points.weight * on_shape)).astype(np.int64)


def _nothing(position: FloatArray, support: IntArray, reason: str) -> NeckProfile:
    empty = np.full(len(position), np.nan)
    return NeckProfile(position, empty, empty.copy(), empty.copy(), support, None, False, reason)


class _Course(NamedTuple):
    """What the first fit says at each position: diameter, error of its log, molecules beside it."""

    position: FloatArray
    diameter: FloatArray
    error: FloatArray
    support: IntArray


def _profile(look: _Look, position: FloatArray, search: tuple[float, float] | None) -> NeckProfile:
    """Read the profile off the fit, and the constriction off a second look at the neck alone."""
    spine = look.spine
    support = _support(position, spine.points, spine.on_shape, look.window_nm)
    replicates = spine.replicates(position, _REPLICATES, look.seed)
    course = _Course(position, 2 * spine.radius_nm(position), replicates.std(axis=0), support)
    known = support >= _LEAST_IN_WINDOW
    models, constriction, reason = _sought(look, course, known, search)
    if constriction is None:
        around = _support(position, spine.points, spine.on_shape, _WIDE_NM)
        tight = course.error < _LOOSE
        for other in (known & tight, (known | (around >= _LEAST_IN_WIDE)) & tight):
            if (other == known).all():
                continue
            again = _sought(look, course, other, search)
            if again[1] is not None:
                known, (models, constriction, reason) = known | other, again
                break
    if not known.any():
        return _nothing(position, support, reason)
    diameter = np.where(known, course.diameter, np.nan)
    if models is not None:
        replicates = models.replicates(position, replicates, look.seed)
        diameter = np.where(known, 2 * np.exp(replicates.mean(axis=0)), np.nan)
    ends = 2 * np.exp(np.percentile(replicates, [2.5, 97.5], axis=0))
    low, high = np.where(known, ends, np.nan)
    return NeckProfile(
        position, diameter, low, high, support, constriction, constriction is not None, reason
    )


def _sought(
    look: _Look,
    course: _Course,
    known: npt.NDArray[np.bool_],
    search: tuple[float, float] | None,
) -> tuple[NeckModels | None, Constriction | None, str]:
    """Seek the constriction among the positions at which the diameter is known.

    Gives the models of the neck and its constriction, or neither and the reason.
    """
    if not known.any():
        return None, None, _too_few(course.support, look)
    position, error = course.position, course.error
    diameter = np.where(known, course.diameter, np.nan)
    neck = neck_range(position, diameter, error, search, look.spine.high)
    if neck is None:
        return None, None, "not measurable: no diameter between the base and the head"
    models = _models(look, neck)
    if models is None:
        return None, None, _too_few(course.support, look)
    begin, end = neck.sought
    constriction, reason = _constriction(models, look, search or (-np.inf, end))
    if constriction is None:
        return None, None, reason
    overlooked = ~known & (error < _LOOSE) & (position >= begin) & (position < min(end, neck.high))
    overlooked &= course.diameter < _NARROWER * constriction.diameter_nm
    if overlooked.any():
        at = float(position[overlooked][0])
        reason = f"not measurable: too few molecules at {at:.0f} nm, where it may be narrowest"
        return None, None, reason
    return models, constriction, reason


def _too_few(support: IntArray, look: _Look) -> str:
    return (
        f"not measurable: at most {int(support.max(initial=0))} molecules in "
        f"{look.window_nm:.0f} nm of centreline, {look.min_molecules} are needed on the neck"
    )


def _models(look: _Look, neck: NeckRange) -> NeckModels | None:
    """Fit the stretch of neck again, seen from its own centre, where the first fit left off.

    None when too few molecules are beside it.
    """
    spine, molecules = look.spine, look.molecules
    low, high = _at_least(_SHORTEST_NECK_NM, neck.low, neck.high, spine)
    # Foot and head pull at the centre: it is that of the narrow part, going on straight. Seen
    # askew, a wide neck would seem to flare on one side sooner than on the other.
    core = _at_least(_SHORTEST_NECK_NM, *neck.core, spine)
    typical = float(np.median(spine.radius_nm(np.linspace(*core, 9))))
    moved, before = recentred(look.line, spine.centre_nm, *core, max(100.0, typical))
    across = look_across(molecules.xyz_nm, moved, molecules.precision_nm, smoothing_nm=0.0)
    arc = np.linspace(0.0, across.length_nm, len(before))
    # Positions stay those of the line that was given
    position = before[0] + (across.position_nm - arc[0]) * np.ptp(before) / across.length_nm
    inside = (position >= low) & (position <= high)
    radius = spine.radius_nm(position)
    reach = reach_nm(radius, across.covariance_nm2)
    inside &= np.linalg.norm(across.uv_nm, axis=1) < reach
    points = TubePoints(
        position[inside], across.uv_nm[inside], across.covariance_nm2[inside],
        across.along_nm2[inside], molecules.weight[inside],
    )  # fmt: skip
    if points.weight.sum() < look.min_molecules:
        return None
    tube = fit_tube(
        points, low, high, radius[inside], np.zeros((len(points), 2)), reach[inside],
        filled=spine.filled,
    )  # fmt: skip
    return NeckModels.fit(tube, neck.narrowest, look.seed)


def _at_least(length: float, low: float, high: float, spine: Tube) -> tuple[float, float]:
    """Lengthen a stretch at both ends, within the spine."""
    short = max(length - (high - low), 0.0) / 2
    return max(low - short, spine.low), min(high + short, spine.high)


def _constriction(
    models: NeckModels, look: _Look, within: tuple[float, float]
) -> tuple[Constriction | None, str]:
    """Take the narrowest place of the neck, or say why there is none."""
    if models.n_molecules < look.min_molecules:
        return None, (
            f"not measurable: {models.n_molecules} molecules support the constriction, "
            f"{look.min_molecules} are needed"
        )
    if models.astray > _MOST_ASTRAY:
        return None, (
            f"not measurable: {models.astray:.0%} of the molecules beside the neck are not on it, "
            "as where something else is wrapped with it"
        )
    log_radius, error, at = models.narrowest(within)
    if not error < _LARGEST_LOG_ERROR:
        return None, (
            f"not measurable: the localization error across the neck ({models.blur_nm:.0f} nm) "
            f"leaves its diameter open by more than {_LARGEST_LOG_ERROR:.0%}"
        )
    value, low, high = (float(v) for v in 2 * np.exp(log_radius))
    return Constriction(value, low, high, at, models.n_molecules), ""

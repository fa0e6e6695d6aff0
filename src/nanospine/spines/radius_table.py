"""How likely the molecules of each short piece of a neck are, for every radius it may have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from nanospine.spines.ring import likelihood_terms, shape_terms
from nanospine.spines.tube import Tube

__all__ = ["RadiusTable", "pieces_of", "radius_table"]

FloatArray = npt.NDArray[np.float64]

_PIECE_NM = 10.0
# Radii of the table reach from this far below the narrowest of the free fit to this far above
# that of the place which the first fit found narrowest.
_BELOW, _ABOVE = 0.25, 0.45
_LEAST_RADIUS_NM = 4.0
_FINEST, _COARSEST = 0.01, 0.05
# Off the stretch the radius is free: one of its own for every 40 nm, expected within this (log).
_FREE_NM, _FREE_WIDTH = 40.0, 0.3
# It costs no less than this even where blur hides what it is worth: foot and head are short, and
# a stretch that is cut to the piece that looks narrowest makes a blurred neck too narrow.
_LEAST_COST = 1.5
# There it is expected to be wider than the neck by more than this.
_FLARE = 0.2
_LIKE_THE_NECK = 0.25
# The first fit found nothing narrower than the narrowest place; where this one goes further below
# than this, it has lost the few molecules there.
_LARGEST_DIP = 0.3


@dataclass(frozen=True, eq=False)
class RadiusTable:
    """Log-likelihood of the molecules of each piece, as cubic splines of log R.

    Attributes
    ----------
    centre_nm : ndarray, shape (n,)
        Arc length of the middle of each piece.
    first, step : float
        Knots of the splines: ``first + step * i``.
    cubic : ndarray, shape (n, m, 4)
        Coefficients between two knots, of the powers 0 to 3 of log R minus the lower knot.
    excess : float
        What the log-likelihoods have been divided by: how much wider than it the errors are.
    free : ndarray, shape (n,)
        The same log-likelihood under the free fit, less what its freedom costs.
    free_log_radius : ndarray, shape (n,)
    support : ndarray, shape (n,)
        Molecules of the shape in each piece.
    """

    centre_nm: FloatArray
    first: float
    step: float
    cubic: FloatArray
    excess: float
    free: FloatArray
    free_log_radius: FloatArray
    support: FloatArray

    def recentred(self, tube: Tube, drift: float) -> FloatArray:
        """Give the coefficients of the splines when the centre is that of another tube."""
        knots = self.first + self.step * np.arange(self.cubic.shape[1] + 1)
        return _splines(tube, knots, drift, self.free_log_radius) / self.excess


def radius_table(tube: Tube, drift: float, narrowest_nm: float) -> RadiusTable:
    """Tabulate the likelihood of the radius along a tube, with centre and background as fitted.

    Parameters
    ----------
    tube : Tube
        The free fit of the stretch.
    drift : float
        Derivative by log R of what integrating over the centre adds to the log-likelihood of the
        whole stretch; see :func:`nanospine.spines.tube.centre_drift`.
    narrowest_nm : float
        Place of the neck: radii of the table are those about it.
    """
    points = tube.points
    count = max(round((tube.high - tube.low) / _PIECE_NM), 4)
    edges = np.linspace(tube.low, tube.high, count + 1)
    middle = 0.5 * (edges[1:] + edges[:-1])
    piece = pieces_of(tube, count)
    free_log_radius = np.log(tube.radius_nm(middle))
    held = np.isin(np.arange(count), piece)  # where there are no molecules the spline may dip
    place = int(np.where(held, np.abs(middle - narrowest_nm), np.inf).argmin())
    near = _undipped(free_log_radius, held, place)
    least = float(free_log_radius[near].min())
    knots = _knots(tube, least, float(free_log_radius[place]))
    cubic = _splines(tube, knots, drift, free_log_radius)
    free = _summed(tube, tube.radius_nm(points.position), piece, count)
    narrow = near & (free_log_radius <= least + _LIKE_THE_NECK)
    excess = _excess_scatter(tube, narrow[piece])
    on_shape = np.bincount(piece, weights=points.weight * tube.on_shape, minlength=count)
    support = on_shape.astype(np.float64)
    return RadiusTable(
        middle, float(knots[0]), float(knots[1] - knots[0]),
        cubic / excess, excess,
        free / excess - _cost_of_freedom(tube, free_log_radius, narrow, excess),
        free_log_radius, support,
    )  # fmt: skip


def pieces_of(tube: Tube, count: int) -> npt.NDArray[np.int64]:
    """Number of the piece that each point is in."""
    edges = np.linspace(tube.low, tube.high, count + 1)
    found = np.searchsorted(edges, tube.points.position, side="right") - 1
    return np.asarray(np.clip(found, 0, count - 1), dtype=np.int64)


def _splines(
    tube: Tube, knots: FloatArray, drift: float, free_log_radius: FloatArray
) -> FloatArray:
    """Coefficients of the log-likelihood of each piece, shape (pieces, knots - 1, 4)."""
    count = len(free_log_radius)
    piece = pieces_of(tube, count)
    logs = np.stack(
        [_summed(tube, np.exp(np.full(len(piece), knot)), piece, count) for knot in knots], axis=1
    )
    logs += drift / count * (knots - free_log_radius[:, None])
    cubic = CubicSpline(knots, logs, axis=1).c
    return np.ascontiguousarray(np.transpose(cubic[::-1], (2, 1, 0)))


def _undipped(
    free_log_radius: FloatArray, held: npt.NDArray[np.bool_], place: int
) -> npt.NDArray[np.bool_]:
    """Pieces with molecules about a place, as far as the radius does not fall far below its own."""
    some = np.flatnonzero(held)
    at = int(np.searchsorted(some, place))
    dips = free_log_radius[some] < free_log_radius[some[at]] - _LARGEST_DIP
    before, after = np.flatnonzero(dips[:at]), np.flatnonzero(dips[at:])
    first = int(before[-1]) + 1 if len(before) else 0
    last = at + int(after[0]) if len(after) else len(some)
    return np.isin(np.arange(len(held)), some[first:last])


def _knots(tube: Tube, least: float, usual: float) -> FloatArray:
    """Radii that are close enough to each other to tell where a molecule lies."""
    blur = float(np.sqrt(np.median(tube.points.covariance[:, [0, 2]].min(axis=1)) + 1.0))
    step = float(np.clip(blur / np.exp(least), _FINEST, _COARSEST))
    low = max(least - _BELOW, np.log(_LEAST_RADIUS_NM))
    high = max(usual, low) + _ABOVE
    return np.asarray(low + step * np.arange(int(np.ceil((high - low) / step)) + 1))


def _excess_scatter(tube: Tube, on_neck: npt.NDArray[np.bool_]) -> float:
    """How much wider than the likelihood the errors of the radius are; it is divided by this.

    The fitted centre has used up some of the scatter, as of a variance about a fitted mean: n
    molecules about a centre of p parameters tell as much as n - p about a known one. And points
    of a membrane may scatter more than their precision says, as with a linker that nobody named:
    then the scores by the centre vary more than their information (Wedderburn's
    quasi-likelihood); what may be chance is not counted. Of a disc only the edge would show it.
    """
    points = tube.points.take(on_neck)
    terms = likelihood_terms(
        points.uv, points.covariance, tube.centre_nm(points.position),
        tube.radius_nm(points.position), tube.share[on_neck], tube.flat[on_neck], tube.filled,
    )  # fmt: skip
    scatter = float(points.weight @ (terms[2][:, :2] ** 2).sum(axis=1))
    information = float(points.weight @ terms[3][0][:, [0, 2]].sum(axis=1))
    n = max(float(points.weight @ terms[1]), 1.0)
    excess = scatter / information / (1.0 + 1.0 / np.sqrt(n)) if information > 0 else 1.0
    k = 2 * tube.coefficients.shape[1]
    used = k - float(np.sum(tube.inverse[:k, :k] * tube.penalty[:k, :k]))
    whole = float(tube.points.weight @ tube.on_shape)
    return max(excess, 1.0) * whole / max(whole - used, whole / 3)


def _cost_of_freedom(
    tube: Tube, free_log_radius: FloatArray, narrow: npt.NDArray[np.bool_], excess: float
) -> FloatArray:
    """What a radius of its own for every 40 nm costs each piece in evidence.

    Every neck flares at its foot and opens into the head, so pieces that do cost nothing, or what
    looks like a cylinder between its flares would look even more like a waist that swallows them.
    """
    blocks = (tube.high - tube.low) / _FREE_NM
    k = tube.coefficients.shape[1]
    information = np.linalg.inv(tube.inverse) - tube.penalty
    each = max(float(information[2 * k :, 2 * k :].sum()), 0.0) / blocks / excess
    whole = blocks * max(0.5 * (np.log1p(_FREE_WIDTH**2 * each) + 0.5), _LEAST_COST)
    error = 1.0 / np.sqrt(max(each, 1.0))
    wider = np.maximum(free_log_radius - np.median(free_log_radius[narrow]), 0.0)
    waived = np.exp(-0.5 * wider**2 / (_FLARE**2 + error**2))
    return np.asarray(whole / len(waived) * waived)


def _summed(tube: Tube, radius: FloatArray, piece: npt.NDArray[np.int64], count: int) -> FloatArray:
    """Log-likelihood of the molecules of each piece when each lies where the radius is this."""
    points = tube.points
    density, _, _ = shape_terms(
        points.uv, points.covariance, tube.centre_nm(points.position), radius, tube.filled, False
    )
    value = np.log((1.0 - tube.share) * density + tube.share * tube.flat + 1e-300)
    return np.bincount(piece, weights=points.weight * value, minlength=count).astype(np.float64)

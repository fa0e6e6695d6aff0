"""The most likely tube through noisy points: a smooth centre and radius along a centreline.

Strategy: the radius (its logarithm) and the offset of the centre are splines of the arc length.
All points are used at once; how stiff the splines are is not a setting but estimated from the
points (marginal likelihood, generalised Fellner-Schall step), so a straight even neck is
measured with nearly all of its molecules, and a neck that flares keeps its shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter1d

from nanospine.spines.ring import mixed, shape_terms
from nanospine.spines.stiffness import penalties, renewed, start, whole_penalty
from nanospine.spines.tube_blocks import assemble

__all__ = ["Tube", "TubePoints", "centre_drift", "fit_tube", "reach_nm", "recentred_tube"]

FloatArray = npt.NDArray[np.float64]

_DEGREE = 3
_MAX_STEPS = 40
_RECENTRING, _CENTRED_NM = 20, 0.05
_LEAST_RADIUS_NM, _LARGEST_RADIUS_NM = 4.0, 900.0
_SHARE_STEP_NM, _SHARE_SMOOTHING_NM = 25.0, 80.0
_USUAL_SHARE, _LARGEST_SHARE, _SHARE_PRIOR = 0.05, 0.7, 3.0


@dataclass(frozen=True, eq=False)
class TubePoints:
    """Points seen from a centreline.

    Attributes
    ----------
    position : ndarray, shape (n,)
        Arc length, nm.
    uv : ndarray, shape (n, 2)
        Offset across the centreline, nm.
    covariance : ndarray, shape (n, 3)
        Error across the centreline: uu, uv, vv, nm².
    along : ndarray, shape (n,)
        Error along the centreline, nm².
    weight : ndarray, shape (n,)
        How many independent molecules each point stands for.
    """

    position: FloatArray
    uv: FloatArray
    covariance: FloatArray
    along: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.position)

    def take(self, mask: npt.NDArray[np.bool_]) -> TubePoints:
        """Keep some of the points."""
        return TubePoints(
            self.position[mask], self.uv[mask], self.covariance[mask], self.along[mask],
            self.weight[mask],
        )  # fmt: skip

    def weighted(self, factor: float) -> TubePoints:
        """Let every point count `factor` times what it did."""
        return TubePoints(self.position, self.uv, self.covariance, self.along, factor * self.weight)


@dataclass(frozen=True, eq=False)
class Tube:
    """A fitted tube: splines of centre and log radius, and what their errors are.

    Attributes
    ----------
    low, high : float
        Range of arc length, nm.
    knots : ndarray
        Knots of the cubic splines.
    coefficients : ndarray, shape (3, k)
        Of the centre's two offsets and of the log radius.
    inverse : ndarray, shape (3 k, 3 k)
        Inverse of information plus stiffness.
    score : ndarray, shape (n, 3)
        Derivative of each point's weighted log-likelihood, for the bootstrap.
    on_shape : ndarray, shape (n,)
        Probability of each point to be no background.
    share, flat : ndarray, shape (n,)
        Share of background at the place of each point, and its density.
    """

    low: float
    high: float
    knots: FloatArray
    coefficients: FloatArray
    inverse: FloatArray
    penalty: FloatArray
    points: TubePoints
    score: FloatArray
    on_shape: FloatArray
    filled: bool
    share: FloatArray
    flat: FloatArray

    def radius_nm(self, position: FloatArray) -> FloatArray:
        """Radius at positions."""
        return np.exp(_basis(position, self.low, self.high, self.knots) @ self.coefficients[2])

    def centre_nm(self, position: FloatArray) -> FloatArray:
        """Offset of the centre from the centreline, shape (n, 2)."""
        basis = _basis(position, self.low, self.high, self.knots)
        return np.stack([basis @ self.coefficients[0], basis @ self.coefficients[1]], axis=1)

    def replicates(self, position: FloatArray, count: int, seed: int) -> FloatArray:
        """Log radius at positions in bootstrap replicates, shape (count, n).

        Molecules are drawn with replacement; each replicate is one Newton step from the fit. The
        stiffness of the splines is a prior; its own uncertainty is drawn with it, so that the
        spread covers what stiff splines cannot follow.
        """
        generator = np.random.default_rng(seed)
        n, k = len(self.points), self.coefficients.shape[1]
        basis = _basis(self.points.position, self.low, self.high, self.knots)
        every = np.concatenate(
            [(sparse.diags_array(s) @ basis).toarray() for s in self.score.T], axis=1
        )
        drawn = generator.multinomial(n, np.full(n, 1.0 / n), size=count) - 1.0
        # The fit has used up some of the scatter: as many molecules as it has free parameters
        free = 3 * k - float(np.sum(self.inverse * self.penalty))
        drawn *= np.sqrt(n / max(n - free, n / 3))
        values, vectors = np.linalg.eigh(self.penalty)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        force = drawn @ every + generator.normal(size=(count, 3 * k)) @ root.T
        moved = force @ self.inverse[:, 2 * k :]
        at = _basis(position, self.low, self.high, self.knots)
        return np.asarray((at @ (self.coefficients[2] + moved).T).T)


def _basis(position: FloatArray, low: float, high: float, knots: FloatArray) -> sparse.csr_array:
    # The knots are sums of steps: their last one may lie a rounding below `high`.
    end = min(high, float(knots[-_DEGREE - 1]))
    inside = np.clip(position, max(low, float(knots[_DEGREE])), np.nextafter(end, low))
    return sparse.csr_array(BSpline.design_matrix(inside, knots, _DEGREE))


@dataclass(eq=False)
class _State:
    """What the iteration of :func:`fit_tube` works on."""

    theta: FloatArray
    share: FloatArray
    stiffness: FloatArray


def fit_tube(
    points: TubePoints,
    low: float,
    high: float,
    start_radius: FloatArray,
    start_centre: FloatArray,
    reach: FloatArray,
    *,
    filled: bool,
    knot_nm: float = 40.0,
) -> Tube:
    """Fit a tube by penalised maximum likelihood.

    Parameters
    ----------
    points : TubePoints
        Within [low, high].
    low, high : float
        Range of arc length, nm.
    start_radius, start_centre : ndarray, shape (n,), (n, 2)
        First guess at the place of each point.
    reach : ndarray, shape (n,)
        Radius of the disc that background fills around each point's place.
    filled : bool
    knot_nm : float
        Distance of knots; finer than the shape needs, the stiffness does the smoothing.
    """
    spans = int(np.clip(np.ceil((high - low) / knot_nm), 2, 80))
    width = (high - low) / spans
    knots = np.asarray(low + width * np.arange(-_DEGREE, spans + _DEGREE + 1), dtype=np.float64)
    basis = _basis(points.position, low, high, knots)
    k = spans + _DEGREE
    rough = penalties(k)
    state = _start(basis, rough, start_radius, start_centre, points)
    flat = 1.0 / (np.pi * reach**2)
    outcome = _iterate(points, basis, rough, state, flat, filled, (low, high))
    terms, inverse, penalty = outcome
    return Tube(
        low, high, knots, state.theta.reshape(3, k), inverse, penalty, points,
        terms[2] * points.weight[:, None], terms[1], filled,
        state.share[_place(points, low, len(state.share))], flat,
    )  # fmt: skip


def reach_nm(radius_nm: FloatArray, covariance_nm2: FloatArray) -> FloatArray:
    """How far beside the axis points count, so that the background around a tube shows."""
    error = np.sqrt(covariance_nm2[:, [0, 2]].max(axis=1))
    return np.asarray(1.8 * radius_nm + 4.0 * error + 40.0)


def centre_drift(tube: Tube) -> float:
    """Derivative by log R of what integrating over the centre adds to the log-likelihood.

    A fitted centre is nearer to the points than the true one, which makes the radius too small,
    as a variance about a fitted mean is. The Laplace approximation of the integral over the
    centre, instead of its maximum, adds -log det(information of the centre) / 2; this is how that
    changes when the whole tube is made wider. It is all but zero for a sharp ring.
    """
    points, k = tube.points, tube.coefficients.shape[1]
    basis = _basis(points.position, tube.low, tube.high, tube.knots)
    log_det = []
    for change in (-0.05, 0.05):
        theta = tube.coefficients.ravel().copy()
        theta[2 * k :] += change
        terms = mixed(*_shape(points, basis, theta, tube.filled), tube.share, tube.flat)
        whole = assemble(basis, terms[3][1], points.weight) + tube.penalty
        log_det.append(float(np.linalg.slogdet(whole[: 2 * k, : 2 * k])[1]))
    return -0.5 * (log_det[1] - log_det[0]) / 0.1


def recentred_tube(tube: Tube, radius_nm: FloatArray) -> tuple[Tube, float]:
    """Fit the centre anew when the radius at each point is told, stiffness and share as they are.

    Returns
    -------
    tube : Tube
        With the new centre, and the radius that it had.
    penalty : float
        How much less likely than before the stiffness of its centre makes it.
    """
    points, k = tube.points, tube.coefficients.shape[1]
    basis = _basis(points.position, tube.low, tube.high, tube.knots)
    stiff = tube.penalty[: 2 * k, : 2 * k]
    theta = tube.coefficients[:2].ravel().copy()
    before = 0.5 * float(theta @ stiff @ theta)
    height = -np.inf
    move = np.zeros(2 * k)
    for _ in range(_RECENTRING):
        centre = np.stack([basis @ (theta + move)[:k], basis @ (theta + move)[k:]], axis=1)
        shape = shape_terms(points.uv, points.covariance, centre, radius_nm, tube.filled, True)
        value, _, score, information = mixed(*shape, tube.share, tube.flat)
        new = points.weight @ value - 0.5 * (theta + move) @ stiff @ (theta + move)
        if new < height:
            move *= 0.4
            continue
        settled = np.abs(move).max() < _CENTRED_NM and height > -np.inf
        theta, height = theta + move, new
        if settled:
            break
        gradient = np.concatenate([basis.T @ (points.weight * one) for one in score[:, :2].T])
        whole = assemble(basis, information[1], points.weight)[: 2 * k, : 2 * k] + stiff
        move = np.linalg.solve(whole, gradient - stiff @ theta)
    coefficients = np.concatenate([theta.reshape(2, k), tube.coefficients[2:]])
    return replace(tube, coefficients=coefficients), 0.5 * float(theta @ stiff @ theta) - before


def _place(points: TubePoints, low: float, size: int) -> npt.NDArray[np.int64]:
    """Cell of the background's share that each point is in."""
    cell = ((points.position - low) / _SHARE_STEP_NM).astype(np.int64)
    return np.clip(cell, 0, size - 1)


def _start(
    basis: sparse.csr_array,
    rough: list[FloatArray],
    radius: FloatArray,
    centre: FloatArray,
    points: TubePoints,
) -> _State:
    k = basis.shape[1]
    gram = (basis.T @ basis).toarray() + 0.3 * rough[0] + 1e-3 * np.eye(k)
    target = np.stack([centre[:, 0], centre[:, 1], np.log(radius)], axis=1)
    theta = np.linalg.solve(gram, basis.T @ target).T.ravel()
    size = int(np.ceil(np.ptp(points.position) / _SHARE_STEP_NM)) + 2
    return _State(theta, np.full(size, 2 * _USUAL_SHARE), start())


def _shape(
    points: TubePoints, basis: sparse.csr_array, theta: FloatArray, filled: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give the terms of each point that do not depend on the share of background."""
    k = basis.shape[1]
    centre = np.stack([basis @ theta[:k], basis @ theta[k : 2 * k]], axis=1)
    radius = np.exp(
        np.clip(basis @ theta[2 * k :], np.log(_LEAST_RADIUS_NM), np.log(_LARGEST_RADIUS_NM))
    )
    density, slope, bend = shape_terms(points.uv, points.covariance, centre, radius, filled, True)
    return density, slope, bend


def _share_of(points: TubePoints, on_shape: FloatArray, low: float, size: int) -> FloatArray:
    """Share of background along the centreline, smoothed, with a weak prior."""
    place = _place(points, low, size)
    sigma = _SHARE_SMOOTHING_NM / _SHARE_STEP_NM
    smooth = []
    for values in (points.weight * (1 - on_shape), points.weight):
        total = np.bincount(place, weights=values, minlength=size).astype(np.float64)
        smooth.append(gaussian_filter1d(total, sigma, mode="nearest") * 2.5 * sigma)
    share = (smooth[0] + _USUAL_SHARE * _SHARE_PRIOR) / (smooth[1] + _SHARE_PRIOR)
    return np.asarray(np.clip(share, 0.002, _LARGEST_SHARE))


def _iterate(
    points: TubePoints,
    basis: sparse.csr_array,
    rough: list[FloatArray],
    state: _State,
    flat: FloatArray,
    filled: bool,
    span: tuple[float, float],
) -> tuple[tuple[FloatArray, ...], FloatArray, FloatArray]:
    """Newton steps on the splines, with share and stiffness renewed in between."""
    place = _place(points, span[0], len(state.share))
    terms = mixed(*_shape(points, basis, state.theta, filled), state.share[place], flat)
    inverse = penalty = np.zeros((0, 0))
    for step in range(_MAX_STEPS):
        penalty = whole_penalty(rough, state.stiffness)
        inverse = _inverse(basis, terms, points.weight, penalty)
        gradient = (
            np.concatenate([basis.T @ (points.weight * s) for s in terms[2].T])
            - penalty @ state.theta
        )
        move = inverse @ gradient
        move *= min(1.0, 1.0 / max(np.abs(move[2 * basis.shape[1] :]).max() / 0.4, 1e-9))
        share = state.share[place]
        before = points.weight @ terms[0] - 0.5 * state.theta @ penalty @ state.theta
        for _ in range(6):
            theta = state.theta + move
            shape = _shape(points, basis, theta, filled)
            new = mixed(*shape, share, flat)
            after = points.weight @ new[0] - 0.5 * theta @ penalty @ theta
            if after >= before - 1e-9 * abs(before):
                break
            move *= 0.4
        state.theta = theta
        old = state.stiffness
        state.share = _share_of(points, new[1], span[0], len(state.share))
        if step >= 2:
            state.stiffness = renewed(old, rough, theta, inverse)
        terms = mixed(*shape, state.share[place], flat)
        settled = np.abs(np.log(state.stiffness / old)).max() < 0.05
        if step >= 4 and settled and np.abs(move[2 * basis.shape[1] :]).max() < 2e-3:
            break
    penalty = whole_penalty(rough, state.stiffness)
    return terms, _inverse(basis, terms, points.weight, penalty), penalty


def _inverse(
    basis: sparse.csr_array,
    terms: tuple[FloatArray, ...],
    weight: FloatArray,
    penalty: FloatArray,
) -> FloatArray:
    """Invert information plus stiffness; fall back on the form that is always definite."""
    for kind in (0, 1):
        whole = assemble(basis, terms[3][kind], weight) + penalty
        try:
            np.linalg.cholesky(whole)
        except np.linalg.LinAlgError:
            continue
        return np.asarray(np.linalg.inv(whole))
    return np.asarray(np.linalg.pinv(whole))

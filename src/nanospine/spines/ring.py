"""Likelihood of noisy points on a ring (membrane) or in a disc (filled), point by point."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["likelihood_terms", "mixed", "shape_terms"]

FloatArray = npt.NDArray[np.float64]

# Localizations are never trusted to better than this variance, nm²: a neck is no perfect circle.
_LEAST_VARIANCE = 1.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
# A ring is a mixture of 8 times 3 to 8 arcs.
_FEWEST, _MOST = 3, 8
_ANGLES = [2.0 * np.pi * np.arange(8 * _MOST) / (8 * n) for n in range(1, _MOST + 1)]
_COS, _SIN = np.cos(_ANGLES), np.sin(_ANGLES)
# What is less likely than the likeliest arc by e to this power adds nothing.
_FAINT = 30.0


@njit(cache=True)
def _disc_mass(
    du: float, dv: float, suu: float, suv: float, svv: float, radius: float
) -> float:  # pragma: no cover - compiled
    """Integral over a disc around 0 of a Gaussian centred at (du, dv), by one quadrature."""
    half = 0.5 * (suu - svv)
    root = math.sqrt(half * half + suv * suv)
    mean = 0.5 * (suu + svv)
    angle = 0.5 * math.atan2(suv, half)
    c, s = math.cos(angle), math.sin(angle)
    wide = math.sqrt(mean + root)
    narrow = math.sqrt(max(mean - root, 1e-9))
    a, b = c * du + s * dv, -s * du + c * dv
    low, high = max(-radius, a - 5.0 * wide), min(radius, a + 5.0 * wide)
    if low >= high:
        return 1e-300
    first, last = math.asin(low / radius), math.asin(high / radius)
    total = 0.0
    for j in range(_NODES.shape[0]):
        phi = 0.5 * (last - first) * _NODES[j] + 0.5 * (last + first)
        h = radius * math.cos(phi)
        z = (radius * math.sin(phi) - a) / wide
        inner = math.erf((h - b) / (1.4142135623730951 * narrow)) - math.erf(
            (-h - b) / (1.4142135623730951 * narrow)
        )
        total += _WEIGHTS[j] * math.exp(-0.5 * z * z) * 0.5 * inner * h
    return max(total * 0.5 * (last - first) / (wide * 2.5066282746310002), 1e-300)


def likelihood_terms(
    uv: FloatArray,
    covariance: FloatArray,
    centre: FloatArray,
    radius: FloatArray,
    share: FloatArray,
    flat: FloatArray,
    filled: bool,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Log-likelihood of each point and its derivatives by centre and log radius.

    A molecule sits anywhere on a ring of radius R (or in a disc); its localization is off by a
    Gaussian error with a covariance of its own; with probability `share` it is background of
    density `flat` instead. The ring is a mixture of 24 to 64 arcs, each a Gaussian half an arc
    wide along the ring, drawn in so far that the second moment is R².

    Parameters
    ----------
    uv, covariance : ndarray, shape (n, 2), (n, 3)
        Points in the plane and their error (uu, uv, vv).
    centre, radius, share, flat : ndarray, shape (n, 2), (n,), (n,), (n,)
        The model at the place of each point.
    filled : bool

    Returns
    -------
    log_likelihood : ndarray, shape (n,)
    on_shape : ndarray, shape (n,)
        Probability that the point is no background.
    score : ndarray, shape (n, 3)
        Derivatives of the log-likelihood by centre u, v and log R.
    information : ndarray, shape (2, n, 6)
        Minus its second derivatives (uu, uv, vv, ur, vr, rr): exact, and a version that is never
        indefinite.
    """
    density, slope, bend = shape_terms(uv, covariance, centre, radius, filled, True)
    return mixed(density, slope, bend, share, flat)


@njit(cache=True)
def mixed(
    density: FloatArray, slope: FloatArray, bend: FloatArray, share: FloatArray, flat: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # pragma: no cover - compiled
    """Mix background into what :func:`shape_terms` gives; see :func:`likelihood_terms`."""
    n = density.shape[0]
    value, on_shape = np.empty(n), np.empty(n)
    score, information = np.empty((n, 3)), np.empty((2, n, 6))
    for i in range(n):
        whole = (1.0 - share[i]) * density[i] + share[i] * flat[i] + 1e-300
        q = (1.0 - share[i]) * density[i] / whole
        value[i] = math.log(whole)
        on_shape[i] = q
        g0, g1, g2 = slope[i, 0], slope[i, 1], slope[i, 2]
        score[i, 0], score[i, 1], score[i, 2] = q * g0, q * g1, q * g2
        outer = (g0 * g0, g0 * g1, g1 * g1, g0 * g2, g1 * g2, g2 * g2)
        for j in range(6):
            information[0, i, j] = q * bend[0, i, j] + q * q * outer[j]
            information[1, i, j] = q * bend[1, i, j]
    return value, on_shape, score, information


@njit(cache=True)
def shape_terms(
    uv: FloatArray,
    covariance: FloatArray,
    centre: FloatArray,
    radius: FloatArray,
    filled: bool,
    sloped: bool,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # pragma: no cover - compiled
    """Density of points that are no background, and derivatives of its logarithm.

    Parameters
    ----------
    uv, covariance, centre, radius, filled
        As in :func:`likelihood_terms`.
    sloped : bool
        Without, the derivatives are left 0.

    Returns
    -------
    density : ndarray, shape (n,)
    slope : ndarray, shape (n, 3)
        Derivatives of log density by centre u, v and log R.
    bend : ndarray, shape (2, n, 6)
        Minus its second derivatives without the square of the first, exact and never indefinite.
    """
    n = uv.shape[0]
    density, slope, bend = np.zeros(n), np.zeros((n, 3)), np.zeros((2, n, 6))
    away, mass_of = np.empty(8 * _MOST), np.empty(8 * _MOST)
    for i in range(n):
        r = radius[i]
        suu = covariance[i, 0] + _LEAST_VARIANCE
        suv = covariance[i, 1]
        svv = covariance[i, 2] + _LEAST_VARIANCE
        least = math.sqrt(min(suu, svv))
        eights = min(max(int(r / least) + 1, _FEWEST), _MOST)
        arcs = 8 * eights
        cos, sin = _COS[eights - 1], _SIN[eights - 1]
        along = (math.pi * r / arcs) ** 2
        drawn = r * (1.0 - 0.5 * (math.pi / arcs) ** 2)
        du, dv = uv[i, 0] - centre[i, 0], uv[i, 1] - centre[i, 1]
        nearest = 1e300
        for k in range(arcs):
            c, s = cos[k], sin[k]
            a, b, d = suu + along * s * s, suv - along * s * c, svv + along * c * c
            over = 1.0 / (a * d - b * b)
            x, y = du - drawn * c, dv - drawn * s
            away[k] = 0.5 * over * (d * x * x - 2.0 * b * x * y + a * y * y)
            mass_of[k] = over
            nearest = min(nearest, away[k])
        if nearest > 300.0:  # so far off that only background can have put it there
            continue
        mass = 0.0
        for k in range(arcs):
            further = away[k] - nearest
            if further > _FAINT:
                mass_of[k] = 0.0
            else:
                mass_of[k] = math.sqrt(mass_of[k]) * math.exp(-further)
                mass += mass_of[k]
        ring = mass * math.exp(-nearest) / (arcs * 2.0 * math.pi)
        density[i] = ring
        g0, g1, g2 = 0.0, 0.0, 0.0
        if filled:
            inside = _disc_mass(du, dv, suu, suv, svv, r)
            if inside < 1e-200:
                density[i] = 0.0
                continue
            density[i] = inside / (math.pi * r * r)
            if not sloped:
                continue
            edge = 2.0 * math.pi * r * ring / inside / mass
            for k in range(arcs):
                g0 += edge * mass_of[k] * cos[k]
                g1 += edge * mass_of[k] * sin[k]
                g2 += edge * mass_of[k]
            g2 = r * g2 - 2.0
            outer = (g0 * g0, g0 * g1, g1 * g1, g0 * g2, g1 * g2, g2 * g2)
            for j in range(6):
                bend[1, i, j] = outer[j]
        elif sloped:
            c0, c1, c2, c3, c4, c5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            m0, m1, m2, m3, m4, m5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(arcs):
                p = mass_of[k] / mass
                if p < 1e-9:
                    continue
                c, s = cos[k], sin[k]
                a, b, d = suu + along * s * s, suv - along * s * c, svv + along * c * c
                over = 1.0 / (a * d - b * b)
                x, y = du - drawn * c, dv - drawn * s
                puu, puv, pvv = d * over, -b * over, a * over
                hu, hv = puu * x + puv * y, puv * x + pvv * y
                hr = drawn * (c * hu + s * hv)
                qu, qv = drawn * (puu * c + puv * s), drawn * (puv * c + pvv * s)
                g0 += p * hu
                g1 += p * hv
                g2 += p * hr
                c0 += p * puu
                c1 += p * puv
                c2 += p * pvv
                c3 += p * qu
                c4 += p * qv
                # R = exp(rho): the second derivative of R by rho adds -hr
                c5 += p * drawn * (c * qu + s * qv)
                m0 += p * hu * hu
                m1 += p * hu * hv
                m2 += p * hv * hv
                m3 += p * hu * hr
                m4 += p * hv * hr
                m5 += p * (hr * hr + hr)
            whole, less = (c0, c1, c2, c3, c4, c5), (m0, m1, m2, m3, m4, m5)
            for j in range(6):
                bend[0, i, j] = whole[j] - less[j]
                bend[1, i, j] = whole[j]
        slope[i, 0], slope[i, 1], slope[i, 2] = g0, g1, g2
    return density, slope, bend

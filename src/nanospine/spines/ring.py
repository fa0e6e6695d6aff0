"""Likelihood of noisy points on a ring (membrane) or in a disc (filled), point by point."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["likelihood_terms"]

FloatArray = npt.NDArray[np.float64]

# Localizations are never trusted to better than this variance, nm²: a neck is no perfect circle.
_LEAST_VARIANCE = 1.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


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


@njit(cache=True)
def likelihood_terms(
    uv: FloatArray,
    covariance: FloatArray,
    centre: FloatArray,
    radius: FloatArray,
    share: FloatArray,
    flat: FloatArray,
    filled: bool,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # pragma: no cover - compiled
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
    n = uv.shape[0]
    value, on_shape = np.empty(n), np.empty(n)
    score, information = np.zeros((n, 3)), np.zeros((2, n, 6))
    logs, cs, sn = np.empty(64), np.empty(64), np.empty(64)
    c6, m6 = np.empty(6), np.empty(6)
    for i in range(n):
        r = radius[i]
        suu = covariance[i, 0] + _LEAST_VARIANCE
        suv = covariance[i, 1]
        svv = covariance[i, 2] + _LEAST_VARIANCE
        least = math.sqrt(min(suu, svv))
        arcs = 8 * min(max(int(r / least) + 1, 3), 8)
        along = (math.pi * r / arcs) ** 2
        drawn = r * (1.0 - 0.5 * (math.pi / arcs) ** 2)
        du, dv = uv[i, 0] - centre[i, 0], uv[i, 1] - centre[i, 1]
        highest = -1e300
        for k in range(arcs):
            angle = 2.0 * math.pi * k / arcs
            c, s = math.cos(angle), math.sin(angle)
            cs[k], sn[k] = c, s
            a, b, d = suu + along * s * s, suv - along * s * c, svv + along * c * c
            det = a * d - b * b
            x, y = du - drawn * c, dv - drawn * s
            logs[k] = -0.5 * (d * x * x - 2.0 * b * x * y + a * y * y) / det - 0.5 * math.log(det)
            highest = max(highest, logs[k])
        if highest < -300.0:  # so far off that only background can have put it there
            value[i], on_shape[i] = math.log(share[i] * flat[i] + 1e-300), 0.0
            continue
        mass = 0.0
        for k in range(arcs):
            logs[k] = math.exp(logs[k] - highest) if logs[k] - highest > -40.0 else 0.0
            mass += logs[k]
        ring = mass * math.exp(highest) / (arcs * 2.0 * math.pi)
        g0, g1, g2 = 0.0, 0.0, 0.0
        c6[:] = 0.0
        m6[:] = 0.0
        if filled:
            inside = _disc_mass(du, dv, suu, suv, svv, r)
            if inside < 1e-200:
                value[i], on_shape[i] = math.log(share[i] * flat[i] + 1e-300), 0.0
                continue
            edge = 2.0 * math.pi * r * ring / inside / mass
            for k in range(arcs):
                g0 += edge * logs[k] * cs[k]
                g1 += edge * logs[k] * sn[k]
                g2 += edge * logs[k]
            g2 = r * g2 - 2.0
            density = inside / (math.pi * r * r)
        else:
            density = ring
            for k in range(arcs):
                p = logs[k] / mass
                if p < 1e-9:
                    continue
                c, s = cs[k], sn[k]
                a, b, d = suu + along * s * s, suv - along * s * c, svv + along * c * c
                det = a * d - b * b
                x, y = du - drawn * c, dv - drawn * s
                puu, puv, pvv = d / det, -b / det, a / det
                hu, hv = puu * x + puv * y, puv * x + pvv * y
                hr = drawn * (c * hu + s * hv)
                qu, qv = drawn * (puu * c + puv * s), drawn * (puv * c + pvv * s)
                g0 += p * hu
                g1 += p * hv
                g2 += p * hr
                c6[0] += p * puu
                c6[1] += p * puv
                c6[2] += p * pvv
                c6[3] += p * qu
                c6[4] += p * qv
                # R = exp(rho): the second derivative of R by rho adds -hr
                c6[5] += p * drawn * (c * qu + s * qv)
                m6[0] += p * hu * hu
                m6[1] += p * hu * hv
                m6[2] += p * hv * hv
                m6[3] += p * hu * hr
                m6[4] += p * hv * hr
                m6[5] += p * (hr * hr + hr)
        whole = (1.0 - share[i]) * density + share[i] * flat[i] + 1e-300
        q = (1.0 - share[i]) * density / whole
        value[i] = math.log(whole)
        on_shape[i] = q
        score[i, 0], score[i, 1], score[i, 2] = q * g0, q * g1, q * g2
        outer = (g0 * g0, g0 * g1, g1 * g1, g0 * g2, g1 * g2, g2 * g2)
        for j in range(6):
            if filled:
                information[0, i, j] = q * q * outer[j]
                information[1, i, j] = q * outer[j]
            else:
                information[0, i, j] = q * (c6[j] - m6[j]) + q * q * outer[j]
                information[1, i, j] = q * c6[j]
    return value, on_shape, score, information

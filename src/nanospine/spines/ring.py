"""The most likely ring (membrane) or disc (filled) through noisy points in a plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["fit_disc", "fit_ring"]

FloatArray = npt.NDArray[np.float64]

_ARCS = 48
_SETTLED_NM = 0.03
# Localizations are never trusted to better than this: labels have a size, necks are not circles.
_LEAST_SIGMA2 = 4.0


@njit(cache=True)
def fit_ring(
    uv: FloatArray,
    covariance: FloatArray,
    weight: FloatArray,
    start: FloatArray,
    reach: float,
    background: float,
    iterations: int,
) -> tuple[FloatArray, FloatArray]:  # pragma: no cover - compiled
    """Fit centre and radius of a ring by expectation maximisation.

    A molecule sits anywhere on the ring; its localization is off by a Gaussian with a covariance
    of its own; a share of the points is background, uniform in a disc of radius `reach`.
    The ring is a mixture of 48 arcs, each a Gaussian half an arc wide along the ring.

    Parameters
    ----------
    uv, covariance, weight : ndarray, shape (n, 2), (n, 3), (n,)
        Points, their error (uu, uv, vv), and how much each counts.
    start : ndarray, shape (4,)
        Centre u, v, radius, and background share to begin with.
    reach, background : float
        Radius of the disc that background fills, and the largest share it may take.

    Returns
    -------
    fit : ndarray, shape (4,)
        Centre u, v, radius, background share.
    scores : ndarray, shape (n, 3)
        Derivative of each point's log-likelihood by centre u, v and radius, at the fit.
    """
    n = uv.shape[0]
    cu, cv, radius, share = start[0], start[1], start[2], start[3]
    scores = np.zeros((n, 3))
    logs = np.empty(_ARCS)
    flat = 1.0 / (np.pi * reach * reach)
    settled = False
    for iteration in range(iterations + 1):
        last = settled or iteration == iterations
        a = np.zeros((3, 3))
        b = np.zeros(3)
        taken = 0.0
        total = 0.0
        along = (0.5 * 2.0 * np.pi * radius / _ARCS) ** 2
        for i in range(n):
            if weight[i] <= 0.0:
                continue
            highest = -1e300
            for k in range(_ARCS):
                angle = 2.0 * np.pi * k / _ARCS
                c, s = np.cos(angle), np.sin(angle)
                suu = covariance[i, 0] + _LEAST_SIGMA2 + along * s * s
                suv = covariance[i, 1] - along * s * c
                svv = covariance[i, 2] + _LEAST_SIGMA2 + along * c * c
                det = suu * svv - suv * suv
                du = uv[i, 0] - cu - radius * c
                dv = uv[i, 1] - cv - radius * s
                q = (svv * du * du - 2.0 * suv * du * dv + suu * dv * dv) / det
                logs[k] = -0.5 * q - 0.5 * np.log(det)
                highest = max(highest, logs[k])
            mass = 0.0
            for k in range(_ARCS):
                mass += np.exp(logs[k] - highest)
            on_ring = (1.0 - share) * mass * np.exp(highest) / (_ARCS * 2.0 * np.pi)
            ring_part = on_ring / (on_ring + share * flat + 1e-300)
            total += weight[i]
            taken += weight[i] * ring_part
            for k in range(_ARCS):
                part = ring_part * np.exp(logs[k] - highest) / mass
                if part < 1e-9:
                    continue
                angle = 2.0 * np.pi * k / _ARCS
                c, s = np.cos(angle), np.sin(angle)
                suu = covariance[i, 0] + _LEAST_SIGMA2 + along * s * s
                suv = covariance[i, 1] - along * s * c
                svv = covariance[i, 2] + _LEAST_SIGMA2 + along * c * c
                det = suu * svv - suv * suv
                puu, puv, pvv = svv / det, -suv / det, suu / det
                if last:
                    du = uv[i, 0] - cu - radius * c
                    dv = uv[i, 1] - cv - radius * s
                    gu = part * (puu * du + puv * dv)
                    gv = part * (puv * du + pvv * dv)
                    scores[i, 0] += gu
                    scores[i, 1] += gv
                    scores[i, 2] += gu * c + gv * s
                    continue
                part *= weight[i]
                pu = puu * c + puv * s
                pv = puv * c + pvv * s
                a[0, 0] += part * puu
                a[0, 1] += part * puv
                a[1, 1] += part * pvv
                a[0, 2] += part * pu
                a[1, 2] += part * pv
                a[2, 2] += part * (c * pu + s * pv)
                b[0] += part * (puu * uv[i, 0] + puv * uv[i, 1])
                b[1] += part * (puv * uv[i, 0] + pvv * uv[i, 1])
                b[2] += part * (pu * uv[i, 0] + pv * uv[i, 1])
        if last or total <= 0.0:
            break
        a[1, 0], a[2, 0], a[2, 1] = a[0, 1], a[0, 2], a[1, 2]
        for j in range(3):
            a[j, j] += 1e-9
        found = np.linalg.solve(a, b)
        moved = abs(found[0] - cu) + abs(found[1] - cv) + abs(found[2] - radius)
        settled = moved < _SETTLED_NM
        cu, cv = found[0], found[1]
        radius = min(max(found[2], 1.0), reach)
        share = min(max(1.0 - taken / total, 0.001), background)
    return np.array([cu, cv, radius, share]), scores


def fit_disc(
    uv: FloatArray, covariance: FloatArray, weight: FloatArray, reach: float
) -> tuple[FloatArray, FloatArray]:
    """Fit centre and radius of a filled disc by its second moment.

    For points uniform in a disc of radius R, <rho²> = R²/2; the error of each localization adds
    its trace. Points farther out than 1.15 R plus twice their error are background and left out,
    until that changes nothing.

    Returns
    -------
    fit : ndarray, shape (4,)
        Centre u, v, radius, share left out.
    influence : ndarray, shape (n,)
        Change of the radius with the weight of each point, for its uncertainty.
    """
    noise = covariance[:, 0] + covariance[:, 2]
    kept = (weight > 0) & (np.hypot(*uv.T) <= reach)
    centre, radius = np.zeros(2), 0.0
    for _ in range(25):
        w = np.where(kept, weight, 0.0)
        total = w.sum()
        if total <= 0:
            break
        centre = (w[:, None] * uv).sum(axis=0) / total
        square = ((uv - centre) ** 2).sum(axis=1)
        # The mean is taken out of the same points: it eats one point's worth of variance.
        count = max(float(total**2 / (w**2).sum()), 2.0)
        moment = float((w * (square - noise)).sum() / total) * count / (count - 1)
        radius = float(np.sqrt(max(2 * moment, 1.0)))
        # 1.15: a uniform disc with its own noise keeps practically all of its points
        now = (weight > 0) & (square <= (1.15 * radius + 2 * np.sqrt(noise / 2)) ** 2)
        if (now == kept).all():
            break
        kept = now
    w = np.where(kept, weight, 0.0)
    square = ((uv - centre) ** 2).sum(axis=1)
    influence = w * (2 * (square - noise) - radius**2) / (2 * max(radius, 1.0) * max(w.sum(), 1e-9))
    left_out = 1 - float(w.sum() / max(float(weight.sum()), 1e-9))
    return np.array([centre[0], centre[1], radius, left_out]), influence

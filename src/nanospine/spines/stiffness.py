"""How stiff the splines of a tube are: their penalties, and the stiffness that the data ask for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["penalties", "renewed", "start", "whole_penalty"]

FloatArray = npt.NDArray[np.float64]

# The centre does not bend away from its centreline by more than some 7 nm in 40 nm.
_LEAST_STIFFNESS = 0.02
# The centre is expected within about this distance of the centreline that was given.
_CENTRE_PRIOR_NM = 60.0
_STIFFEST = 1e7
_LEAST_OF_RADIUS = 1e-2
# Second differences of about 4 nm of the centre, and 0.15 and differences of 0.5 of log R
_START = (1 / 4.0**2, 1 / 0.15**2, 1 / 0.5**2)


def start() -> FloatArray:
    """Stiffness to begin with: of the centre, of the log radius by curvature and slope."""
    return np.array(_START)


def penalties(k: int) -> list[FloatArray]:
    """Roughness of the centre, and of the log radius by curvature and by slope, shape (k, k)."""
    differences = [np.diff(np.eye(k), order, axis=0) for order in (2, 2, 1)]
    return [item.T @ item for item in differences]


def whole_penalty(roughness: list[FloatArray], stiffness: FloatArray) -> FloatArray:
    """Stiffness of centre and log radius, and weak priors that make it definite."""
    k = len(roughness[0])
    whole = np.zeros((3 * k, 3 * k))
    centre = stiffness[0] * roughness[0] + np.eye(k) / _CENTRE_PRIOR_NM**2
    whole[:k, :k] = centre
    whole[k : 2 * k, k : 2 * k] = centre
    whole[2 * k :, 2 * k :] = (
        stiffness[1] * roughness[1] + stiffness[2] * roughness[2] + 1e-6 * np.eye(k)
    )
    return whole


def renewed(
    stiffness: FloatArray,
    roughness: list[FloatArray],
    theta: FloatArray,
    inverse: FloatArray,
) -> FloatArray:
    """Fellner-Schall step of each stiffness (Wood and Fasiolo 2017, Biometrics 73:1071)."""
    k = len(roughness[0])
    u, v, r = theta[:k], theta[k : 2 * k], theta[2 * k :]
    bend, slope = roughness[0], roughness[2]
    new = stiffness.copy()
    used = np.sum(inverse[:k, :k] * bend) + np.sum(inverse[k : 2 * k, k : 2 * k] * bend)
    free = 2 * (k - 2) / stiffness[0] - used
    rough = max(u @ bend @ u + v @ bend @ v, 1e-12)
    new[0] = np.clip(stiffness[0] * max(free, 1e-12) / rough, _LEAST_STIFFNESS, 1e4)
    whole = stiffness[1] * bend + stiffness[2] * slope + 1e-9 * np.eye(k)
    prior = np.linalg.pinv(whole)
    block = inverse[2 * k :, 2 * k :]
    for i, penalty in ((1, bend), (2, slope)):
        free = float(np.sum(prior * penalty) - np.sum(block * penalty))
        new[i] = np.clip(
            stiffness[i] * max(free, 1e-12) / max(r @ penalty @ r, 1e-12),
            _LEAST_OF_RADIUS,
            _STIFFEST,
        )
    return np.clip(new, stiffness / 20, stiffness * 20)

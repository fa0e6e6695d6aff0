"""How stiff the splines of a tube are: their penalties, and the stiffness that the data ask for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["STIFFEST", "penalties", "renewed", "whole_penalty"]

FloatArray = npt.NDArray[np.float64]

# The centre does not bend away from its centreline by more than some 7 nm in 40 nm.
_LEAST_STIFFNESS = 0.02
# The centre is expected within about this distance of the centreline that was given.
_CENTRE_PRIOR_NM = 60.0
# Of the log radius: as good as constant.
STIFFEST = 1e7


def penalties(k: int) -> list[FloatArray]:
    """Roughness of the centre, and of the log radius by curvature and by slope, shape (k, k)."""
    second = np.diff(np.eye(k), 2, axis=0)
    first = np.diff(np.eye(k), 1, axis=0)
    bend, slope = second.T @ second, first.T @ first
    return [bend, bend, slope]


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
    least: float,
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
            stiffness[i] * max(free, 1e-12) / max(r @ penalty @ r, 1e-12), least, STIFFEST
        )
    return np.clip(new, stiffness / 20, stiffness * 20)

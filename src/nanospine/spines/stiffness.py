"""How stiff the splines of a tube are: their penalties, and the stiffness that the data ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EVEN", "FREE", "POLYNOMIALS", "Flexibility", "penalties", "renewed", "whole_penalty"]

FloatArray = npt.NDArray[np.float64]

# The centre does not bend away from its centreline by more than some 7 nm in 40 nm.
_LEAST_STIFFNESS = 0.02
# The centre is expected within about this distance of the centreline that was given.
_CENTRE_PRIOR_NM = 60.0
_STIFFEST = 1e7
# A neck is chosen for being even: log R is expected to change by about this from end to end.
_CHANGE = 0.4


@dataclass(frozen=True)
class Flexibility:
    """How the log radius may change along a tube.

    Attributes
    ----------
    least_stiffness : float
        Of its spline, whose stiffness is estimated.
    degree : int, optional
        Of the polynomial that it is instead.
    """

    least_stiffness: float = 0.0
    degree: int | None = None

    def start(self, k: int) -> FloatArray:
        """Stiffness to begin with: of the centre, of the log radius by curvature and slope."""
        if self.degree is not None:
            return np.array([1.0, _STIFFEST, (k - 1) / _CHANGE**2])
        if self.least_stiffness > FREE.least_stiffness:
            return np.array([1.0, 1e4, 1e4])
        # Second differences of about 4 nm of the centre and 0.15 of log R
        return np.array([1 / 4.0**2, 1 / 0.15**2, 1 / 0.5**2])


#: In a first look anything.
FREE = Flexibility(1e-2)
#: On a stretch that was chosen for being even no more than some 5 % from one knot to the next.
EVEN = Flexibility(400.0)
#: The same stretch as a cylinder, a cone, and one with a waist.
POLYNOMIALS = tuple(Flexibility(degree=degree) for degree in range(3))


def penalties(k: int, flexibility: Flexibility) -> list[FloatArray]:
    """Roughness of the centre, and of the log radius by curvature and by slope, shape (k, k)."""
    orders = (2, 2 if flexibility.degree is None else flexibility.degree + 1, 1)
    differences = [np.diff(np.eye(k), order, axis=0) for order in orders]
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
    flexibility: Flexibility,
) -> FloatArray:
    """Fellner-Schall step of each stiffness (Wood and Fasiolo 2017, Biometrics 73:1071)."""
    k = len(roughness[0])
    u, v, r = theta[:k], theta[k : 2 * k], theta[2 * k :]
    bend, slope = roughness[0], roughness[2]
    least = flexibility.least_stiffness
    new = stiffness.copy()
    used = np.sum(inverse[:k, :k] * bend) + np.sum(inverse[k : 2 * k, k : 2 * k] * bend)
    free = 2 * (k - 2) / stiffness[0] - used
    rough = max(u @ bend @ u + v @ bend @ v, 1e-12)
    new[0] = np.clip(stiffness[0] * max(free, 1e-12) / rough, _LEAST_STIFFNESS, 1e4)
    if flexibility.degree is not None:
        return np.clip(new, stiffness / 20, stiffness * 20)
    whole = stiffness[1] * bend + stiffness[2] * slope + 1e-9 * np.eye(k)
    prior = np.linalg.pinv(whole)
    block = inverse[2 * k :, 2 * k :]
    for i, penalty in ((1, bend), (2, slope)):
        free = float(np.sum(prior * penalty) - np.sum(block * penalty))
        new[i] = np.clip(
            stiffness[i] * max(free, 1e-12) / max(r @ penalty @ r, 1e-12), least, _STIFFEST
        )
    return np.clip(new, stiffness / 20, stiffness * 20)

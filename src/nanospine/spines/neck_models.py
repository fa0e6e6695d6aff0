"""One stretch of neck as a cylinder, a cone, one with a waist, and a spline: averaged by evidence.

The narrowest place of a noisy even neck is where the noise is lowest, and a cylinder through a
waist is too wide. Which of them it is the localizations tell, more or less: each model counts by
the likelihood of the data under it, integrated over its parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.spines.stiffness import EVEN, POLYNOMIALS
from nanospine.spines.tube import Tube, TubePoints, fit_tube

__all__ = ["NeckModels"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_REPLICATES = 400
_STEP_NM = 10.0
# Part of the drop of the replicates' minimum that is added back.
_EXCESS = 0.5
# Log odds before looking. The stretch was chosen for being even, so it most often is; a spline's
# stiffness is fitted to the same data.
_BEFORE = np.array([2.0, 0.0, 0.0, -1.0])


@dataclass(frozen=True, eq=False)
class NeckModels:
    """Models of one stretch of neck and the probability of each."""

    tubes: tuple[Tube, ...]
    share: FloatArray

    @classmethod
    def fit(
        cls,
        points: TubePoints,
        low: float,
        high: float,
        radius: FloatArray,
        reach: FloatArray,
        filled: bool,
    ) -> NeckModels:
        """Fit every model to the points within [low, high]; see :func:`fit_tube`."""
        centre = np.zeros((len(points), 2))
        kinds = (*POLYNOMIALS, EVEN)
        tubes = tuple(
            fit_tube(points, low, high, radius, centre, reach, filled=filled, flexibility=kind)
            for kind in kinds
        )
        evidence = np.array([tube.evidence for tube in tubes]) + _BEFORE
        share = np.exp(evidence - evidence.max())
        return cls(tubes, share / share.sum())

    @property
    def n_molecules(self) -> int:
        """Molecules that the shape, not the background, explains."""
        each = [float((tube.points.weight * tube.on_shape).sum()) for tube in self.tubes]
        return round(float(self.share @ each))

    @property
    def blur_nm(self) -> float:
        """Usual localization error across the neck."""
        covariance = self.tubes[0].points.covariance
        return float(np.sqrt(np.median(covariance[:, [0, 2]].sum(axis=1) / 2)))

    def log_radius(self, position: FloatArray) -> FloatArray:
        """Mean over the models at positions."""
        return self.share @ np.log([tube.radius_nm(position) for tube in self.tubes])

    def replicates(self, position: FloatArray, count: int, seed: int) -> FloatArray:
        """Log radius at positions in bootstrap replicates of models drawn by their probability."""
        numbers = np.random.default_rng(seed).multinomial(count, self.share)
        return np.concatenate(
            [
                tube.replicates(position, int(number), seed)
                for tube, number in zip(self.tubes, numbers, strict=True)
                if number
            ]
        )

    def narrowest(self, low: float, high: float, seed: int) -> tuple[float, float, float]:
        """Log radius of the narrowest place in [low, high], its standard error, and the place.

        A minimum of noisy values is too low; half of what the minimum of the replicates lies
        below that of the fit is added back. Models that disagree add to the error.
        """
        place = np.linspace(low, high, max(round((high - low) / _STEP_NM), 0) + 1)
        value, error = np.zeros(len(self.tubes)), np.zeros(len(self.tubes))
        for number, tube in enumerate(self.tubes):
            if self.share[number] < 1e-3:
                continue
            log_radius = np.log(tube.radius_nm(place))
            replicates = tube.replicates(place, _REPLICATES, seed)
            best = int(log_radius.argmin())
            excess = float(log_radius[best] - replicates.min(axis=1).mean())
            value[number] = log_radius[best] + _EXCESS * excess
            error[number] = replicates[:, best].std()
        mean = float(self.share @ value)
        variance = float(self.share @ (error**2 + (value - mean) ** 2))
        return mean, float(np.sqrt(variance)), float(place[self.log_radius(place).argmin()])

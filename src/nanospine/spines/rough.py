"""A first guess of the radius along a centreline, robust against neighbours and the shaft."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import i0e

from nanospine.spines.tube import TubePoints

__all__ = ["rough_radius"]

FloatArray = npt.NDArray[np.float64]


def rough_radius(
    points: TubePoints, grid: FloatArray, *, filled: bool, reach_nm: float
) -> FloatArray:
    """Radius at grid positions from coarse likelihoods and the smoothest path through them.

    At each position the likelihood of some thirty radii is computed around the given
    centreline, with a free share of background; a dynamic program then takes the path that is
    likely and even. So a neighbour or the shaft near one end is not taken for the neck.
    """
    radii = np.geomspace(8.0, 0.8 * reach_nm, 32)
    rho = np.linalg.norm(points.uv, axis=1)
    kept = rho < reach_nm
    rho, weight, position = rho[kept], points.weight[kept], points.position[kept]
    variance = 0.5 * (points.covariance[kept, 0] + points.covariance[kept, 2]) + 15.0**2
    parts = np.sqrt((np.arange(5) + 0.5) / 5) if filled else np.ones(1)
    density = np.zeros((len(rho), len(radii)))
    for part in parts:
        r = radii * part
        density += (
            np.exp(-0.5 * (rho[:, None] - r) ** 2 / variance[:, None])
            * i0e(rho[:, None] * r / variance[:, None])
            / (2 * np.pi * variance[:, None] * len(parts))
        )
    flat = 1.0 / (np.pi * reach_nm**2)
    logs = np.stack([np.log((1 - b) * density + b * flat) for b in (0.05, 0.3, 0.7)])
    near = np.abs(position[None] - grid[:, None]) < 40.0
    likelihood = (near[None] * weight) @ logs
    likelihood = likelihood.max(axis=0)
    change = np.log(radii)[:, None] - np.log(radii)[None]
    step = float(grid[1] - grid[0]) if len(grid) > 1 else 1.0
    cost = 0.5 * (change / (0.35 * np.sqrt(step / 40.0))) ** 2
    best, back = likelihood[0], []
    for row in likelihood[1:]:
        through = best[None] - cost
        back.append(through.argmax(axis=1))
        best = through.max(axis=1) + row
    path = [int(best.argmax())]
    for choice in reversed(back):
        path.append(int(choice[path[-1]]))
    return np.asarray(radii[path[::-1]])

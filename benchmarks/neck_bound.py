"""The Cramer-Rao bound of a neck's diameter, for the benchmarks that plant necks.

The marginal bound of the constriction: the Fisher information that the molecules and the
background beside a stretch of neck hold at the truth, about as many coefficients of the radius as
the planted shape has (one for an even neck, two for a taper, three for a waist), the centre and
the tilt of the axis, and the share of background, inverted as a whole. It knows where the stretch
begins and ends, which of the three shapes it has and how its axis bends.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

import nanospine as ns
from nanospine.spines.centreline import look_across
from nanospine.spines.molecules import gather
from nanospine.spines.neck_input import numbered
from nanospine.spines.ring import likelihood_terms
from nanospine.spines.tube import reach_nm

FloatArray = npt.NDArray[np.float64]

# Where a planted profile is at most this much wider than at its narrowest, the neck is even.
_EVEN = 1.03
_ROUNDS = 30


def scores(
    uv: FloatArray, covariance: FloatArray, x: FloatArray, radius: FloatArray, reach: FloatArray,
    filled: bool, weight: FloatArray | None = None,
) -> FloatArray:  # fmt: skip
    """Scores of points beside a stretch of neck at the truth, shape (n, 8).

    By the coefficients of the radius (three powers of `x`, the place from -1 to 1, relative), those
    of the centre (offset and tilt in each direction) and the share of background, which is set to
    the most likely one.
    """
    flat = 1 / (np.pi * reach**2)
    share = 0.1
    for _ in range(_ROUNDS):
        _, on, score, _ = likelihood_terms(
            uv, covariance, np.zeros_like(uv), radius, np.full(len(uv), share), flat, filled
        )
        share = max(1 - float(np.average(on, weights=weight)), 1e-4)
    power = x[:, None] ** np.arange(3)
    by_share = (1 - on) / share - on / (1 - share)
    return np.hstack([score[:, 2:] * power, score[:, :1] * power[:, :2],
                      score[:, 1:2] * power[:, :2], by_share[:, None]])  # fmt: skip


def bound_nm(
    diameter: float, information: FloatArray, coefficients: int = 1, background: bool = True
) -> float:
    """Cramer-Rao bound of the constriction from the information (8, 8) of one neck.

    NaN where so few molecules lie on it that their information is singular.
    """
    nuisance = [3, 4, 5, 6] + ([7] if background else [])
    free = list(range(coefficients)) + nuisance
    at = np.zeros(len(free))  # a taper is narrowest at the near end, a waist in the middle
    at[:coefficients] = [1, -1, 1][:coefficients] if coefficients == 2 else [1, 0, 0][:coefficients]
    variance = float(at @ np.linalg.solve(information[np.ix_(free, free)], at))
    return diameter * math.sqrt(variance) if variance > 0 else math.nan


def planted_bound_nm(
    line_nm: FloatArray, profile: pd.DataFrame, locs: ns.Localizations, filled: bool
) -> tuple[float, float]:
    """Bound of the even stretch of a planted spine's neck, and the molecules on it.

    Nearly all of the neck between its joints; of a branched one the longer of the two parts.
    """
    position = profile["position_nm"].to_numpy()
    diameter = profile["diameter_nm"].to_numpy()
    neck = position <= 0.75 * position[-1]
    least = float(np.nanmin(np.where(neck & (position >= 30), diameter, np.nan)))
    even = diameter <= _EVEN * least
    edges = np.flatnonzero(np.diff(np.concatenate([[False], even, [False]]).astype(int)))
    first, last = max(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0])
    low, high = position[first], position[last - 1]
    near = line_nm[(position >= low - 400) & (position <= high + 400)]
    box = np.array([near.min(axis=0) - 900, near.max(axis=0) + 900])
    rows = np.flatnonzero(((locs.xyz_nm > box[0]) & (locs.xyz_nm < box[1])).all(axis=1))
    number = locs.table["molecule"].to_numpy()[rows]
    molecules = gather(locs.xyz_nm[rows], locs.precision_nm[rows], numbered(number, len(rows)))
    across = look_across(molecules.xyz_nm, line_nm, molecules.precision_nm, smoothing_nm=0.0)
    radius = np.full(len(across.position_nm), least / 2)
    reach = reach_nm(radius, across.covariance_nm2)
    kept = (across.position_nm >= low) & (across.position_nm <= high)
    kept &= np.linalg.norm(across.uv_nm, axis=1) < reach
    x = 2 * (across.position_nm[kept] - low) / (high - low) - 1
    score = scores(
        across.uv_nm[kept], across.covariance_nm2[kept], x, radius[kept], reach[kept],
        filled, molecules.weight[kept],
    )  # fmt: skip
    information = (score * molecules.weight[kept, None]).T @ score
    return bound_nm(least, information), float(molecules.weight[kept].sum())

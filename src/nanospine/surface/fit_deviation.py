"""How far off the vertices of a fitted surface may be, from what the fit averages over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nanospine.surface.feet import Feet
from nanospine.surface.offset import solve
from nanospine.surface.stencil import Stencil

__all__ = ["deviation_of_fit", "patch"]

FloatArray = npt.NDArray[np.float64]

# Waves of the response that are summed.
_WAVES = 4000
# Residuals are never taken for shrunk by more than this: the waves say little about a patch that
# holds hardly a localization.
_LEAST_LEFT = 0.25


def patch(
    length_nm: float,
    vertices_per_nm2: float,
    *,
    rounds: int,
    sweeps: int,
    steps: tuple[float, float],
    base: float = 0.0,
) -> tuple[float, float]:
    """Sum the response of the fit to noise over all waves that the triangles can carry.

    With q the number of a wave and e the edge of even triangles, k = 1 - J0(q e) is its eigenvalue
    of the mean of six neighbours, v = 4 k (length / e)^2 what the penalty makes of it, and
    m = 1 - k / 2 what linear interpolation leaves of its square. A round of offsets follows by
    ``K = m / (m + v)``; the rounds go on from each other, ``R <- R + K (1 - R)``, and between two
    a sweep of smoothing leaves ``(1 - a k)(1 + b k)``. Where bumps over the surface averaged over
    `base` lengths are pulled back, ``R <- R + K (1 - R) - v g R / (m + v)`` with
    ``g = base^2 v / (1 + base^2 v)``. Per unit of u = (q length)^2 there are
    equally many waves.

    Parameters
    ----------
    length_nm : float
        Over which an offset averages.
    vertices_per_nm2 : float
        As many waves as vertices: u ends at 4 pi length^2 times this.
    rounds, sweeps : int
        Of the fit, and of smoothing between two rounds.
    steps : (float, float)
        The shrinking and the (negative) growing step.
    base : float
        In lengths; 0 where no bumps are pulled back.

    Returns
    -------
    variance, followed : float
        Integrals of R^2 / m and of 2 R - R^2 over u, both per localization in 4 pi length^2: the
        variance of a vertex over that of a localization, and what is missing in the squares of
        what is left.

    Examples
    --------
    A single round on fine triangles averages over 4 pi length^2.

    >>> variance, _ = patch(1000, 1.0, rounds=1, sweeps=0, steps=(0.5, -0.53))
    >>> round(variance, 2)
    1.0
    """
    from scipy.special import j0

    last = 4.0 * np.pi * length_nm**2 * vertices_per_nm2
    # Dense where the response falls: even steps of log(1 + u).
    ends = np.expm1(np.linspace(0.0, np.log1p(last), _WAVES + 1))
    u, step = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
    # Square of the edge over that of the length: two triangles of e^2 sqrt(3) / 4 per vertex.
    edge2 = 8.0 * np.pi / np.sqrt(3.0) / last
    bend = 1.0 - j0(np.sqrt(u * edge2))
    left = 1.0 - bend / 2.0
    stiff = 4.0 * bend / edge2
    follow = left / (left + stiff)
    pulled = stiff / (left + stiff) * (base**2 * stiff / (1.0 + base**2 * stiff))
    kept = ((1.0 - steps[0] * bend) * (1.0 - steps[1] * bend)) ** sweeps
    response = follow
    for _ in range(rounds - 1):
        response = kept * response
        response = response + follow * (1.0 - response) - pulled * response
    variance = float((response**2 / left * step).sum())
    return variance, float(((2.0 - response) * response * step).sum())


def deviation_of_fit(
    feet: Feet,
    near: npt.NDArray[np.bool_],
    weight: FloatArray,
    offset: FloatArray,
    areas: FloatArray,
    stencil: Stencil,
    stiffness: sparse.csr_matrix,
    length_nm: float,
    sums: tuple[float, float],
) -> FloatArray:
    """Give the standard deviation of each vertex along its normal.

    The variance of one localization there is that of what is left after the fit, enlarged by
    what the fit has followed of it; a vertex is uncertain by that over the localizations in the
    patch that the rounds together average over. Bias, as where a surface bends within the patch,
    is not in it.

    Parameters
    ----------
    sums : (float, float)
        As :func:`patch` gives them.
    """
    corner = feet.faces[feet.face[near]]
    share = feet.weights[near] * weight[near, None]
    rest = feet.signed_nm[near] - (feet.weights[near] * offset[corner]).sum(axis=1)
    scale = 1.4826 * float(np.median(np.abs(rest))) if len(rest) else 0.0
    share = share * (np.abs(rest) < 4.0 * max(scale, 1e-9))[:, None]
    n = len(areas)
    parts = np.zeros((2, n))
    for k in range(3):
        parts[0] += np.bincount(corner[:, k], share[:, k], n)
        parts[1] += np.bincount(corner[:, k], share[:, k] * weight[near] * rest**2, n)
    matrix = stencil.plus_diagonal(length_nm**2 * stiffness, areas)
    total, square = np.maximum(solve(matrix, parts.T, 1e-6), 1e-12).T
    area = 4.0 * np.pi * length_nm**2
    followed = sums[1] / (area * total)
    left = np.maximum(1.0 - followed, _LEAST_LEFT)
    return np.asarray(np.sqrt(sums[0] * square / (left * area)) / total)

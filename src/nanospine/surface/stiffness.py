"""How stiff a surface is against offsets, and what pulls its bumps out again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nanospine.surface.curvature import bending
from nanospine.surface.offset import solve
from nanospine.surface.stencil import Stencil

__all__ = ["BASE", "bumps"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Bumps are counted from the surface averaged over this many lengths of an offset.
BASE = 2.0
# Strength of the pull where the variance of the bumps is that of the noise. On planted spines and
# on meshes from electron microscopy 1 to 4 differ little; full strength everywhere takes 4 % more
# of the area of the latter.
_GAIN = 2.0


def bumps(
    vertices: FloatArray,
    stencil: Stencil,
    pairs: IntArray,
    normals: FloatArray,
    areas: FloatArray,
    stiffness: sparse.csr_matrix,
    length_nm: float,
    noise_nm2: float,
) -> tuple[FloatArray, FloatArray]:
    r"""Give what pulls bumps back, for every vertex, and its strength there (0 to 1).

    A fit in rounds that only holds each step even follows the noise further in every round, and
    keeps the bumps of the surface it began with. What should be even is the surface: b is its
    height over itself averaged over BASE lengths, and the first result is ``L_c b``, the gradient
    of ``integral of c |grad b|^2 / 2``. On a bare tube or ball b is the same everywhere and pulls
    nothing.

    The strength is ``c = min(1, GAIN n / v) / (1 + (k length)^2)``. n is the variance that noise
    gives to a patch, v that of the bumps about there: bumps that noise explains are taken back,
    and what the localizations keep through the rounds is real. The curvature k, averaged over a
    length, gives way where the surface bends within a length, as a thin neck and its mouths do.

    Parameters
    ----------
    noise_nm2 : float
        Variance of the mean of the localizations of a patch, 4 pi length^2.
    """
    matrix = stencil.plus_diagonal(length_nm**2 * stiffness, areas)
    bent = np.abs(bending(vertices, stencil.faces, pairs)).sum(axis=1)
    curvature = np.maximum(solve(matrix, bent, 1e-4), 0.0)
    trust = 1.0 / (1.0 + (curvature * length_nm) ** 2)
    matrix = stencil.plus_diagonal((BASE * length_nm) ** 2 * stiffness, areas)
    # (A + K) base = A x: what is sought is x - base, small beside x, from (A + K) (x - base) = K x.
    bent = (BASE * length_nm) ** 2 * (stiffness @ vertices)
    height = (solve(matrix, bent, 1e-4) * normals).sum(axis=1)
    bump = height - solve(matrix, areas * height, 1e-4)
    spread = np.maximum(solve(matrix, areas * bump**2, 1e-3), 1e-9)
    trust *= np.minimum(_GAIN * noise_nm2 / spread, 1.0)
    return np.asarray(stencil.laplacian(vertices, trust) @ height), trust

"""From localizations to molecules: one point per molecule, with the precision it then has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nanospine.spines.tube import Tube, TubePoints

__all__ = ["Molecules", "gather", "siblings"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Localizations of one molecule that scatter more than this many times their error (reduced
# chi-square) are not of one molecule: they are not averaged.
_LARGEST_SCATTER = 4.0
_LEAST_PRECISION_NM = 0.5


@dataclass(frozen=True, eq=False)
class Molecules:
    """Points that are independent of each other, or stand for less than one where they are not.

    Attributes
    ----------
    xyz_nm, precision_nm : ndarray, shape (n, 3)
    weight : ndarray, shape (n,)
        1 for a molecule; less for localizations that share an unknown molecule.
    """

    xyz_nm: FloatArray
    precision_nm: FloatArray
    weight: FloatArray


def gather(xyz_nm: FloatArray, precision_nm: FloatArray, molecule: IntArray | None) -> Molecules:
    """Average the localizations of each molecule, weighted by their precision.

    The weighted mean is all that the localizations say of where their molecule is; its error is
    1 / sum(1 / sigma²) per axis. Without molecule numbers nothing is averaged (two molecules that
    are close would become one in the middle, inside the neck); :func:`siblings` estimates how
    many localizations there are to a molecule.
    """
    if molecule is None:
        return Molecules(xyz_nm, precision_nm, np.ones(len(xyz_nm)))
    _, number = np.unique(molecule, return_inverse=True)
    size = int(number.max(initial=-1)) + 1
    count = np.bincount(number, minlength=size)
    weight = 1.0 / np.maximum(precision_nm, _LEAST_PRECISION_NM) ** 2
    total = np.stack([np.bincount(number, weights=w, minlength=size) for w in weight.T], axis=1)
    moment = np.stack(
        [np.bincount(number, weights=w, minlength=size) for w in (weight * xyz_nm).T], axis=1
    )
    mean = moment / total
    scatter = np.bincount(
        number, weights=(weight * (xyz_nm - mean[number]) ** 2).sum(axis=1), minlength=size
    )
    together = scatter <= _LARGEST_SCATTER * 3 * np.maximum(count - 1, 1)
    apart = ~together[number]
    return Molecules(
        np.concatenate([mean[together], xyz_nm[apart]]),
        np.concatenate([1.0 / np.sqrt(total[together]), precision_nm[apart]]),
        np.concatenate([np.ones(int(together.sum())), 1.0 / count[number][apart]]),
    )


def siblings(points: TubePoints, tube: Tube, seed: int = 0) -> float:
    """Estimate how many further localizations of its own molecule a localization has.

    The difference of two localizations of one molecule, in units of its own standard error, is
    below 2.5 for 90 % of such pairs. How many pairs are as close by chance is counted in a
    pattern of as many independent points on the fitted tube, each with the error of one of the
    localizations.
    """
    if len(points) < 20:
        return 0.0
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, len(points))
    part = np.sqrt(generator.random(len(points))) if tube.filled else 1.0
    moved = points.position + generator.uniform(-40.0, 40.0, len(points))
    moved = np.clip(moved, tube.low, tube.high)
    spread = np.sqrt(points.covariance[:, [0, 2]])
    offset = (part * tube.radius_nm(moved))[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    across = tube.centre_nm(moved) + offset + generator.normal(size=(len(points), 2)) * spread
    on_shape = tube.on_shape > 0.5
    sigma = np.sqrt(np.column_stack([points.along, points.covariance[:, [0, 2]]]))
    sigma = np.maximum(sigma, _LEAST_PRECISION_NM)[on_shape]
    real = np.column_stack([points.position, points.uv])[on_shape]
    independent = np.column_stack([moved, across])[on_shape]
    excess = _close_pairs(real, sigma) - _close_pairs(independent, sigma)
    return max(excess, 0.0) / max(len(real), 1) / 0.9


def _close_pairs(xyz: FloatArray, sigma: FloatArray) -> float:
    """Ordered pairs closer than 2.5 of their own standard errors."""
    unit = np.sqrt(2.0) * np.median(sigma, axis=0)
    # The search is by the usual error, widened for pairs that are worse than usual
    tree = cKDTree(xyz / unit)
    pairs = tree.query_pairs(1.4 * 2.5, output_type="ndarray")
    i, j = pairs[:, 0], pairs[:, 1]
    scaled = ((xyz[i] - xyz[j]) ** 2 / (sigma[i] ** 2 + sigma[j] ** 2)).sum(axis=1)
    return 2.0 * float((scaled < 2.5**2).sum())

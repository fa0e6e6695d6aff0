"""Which alpha the data themselves ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.surface.alpha import CarvingDepth

__all__ = ["choose_alpha", "least_alpha_nm"]

FloatArray = npt.NDArray[np.float64]

# A tetrahedron whose circumsphere is this many times wider than the widest way in spans a closed
# hollow. The first that explains enough of the enclosed volume is used.
_HOLLOW_RATIOS = (2.0, 1.5)
_HOLLOW_SHARE = 0.1
# Share of the hollows' volume that alpha must seal: two per cent may stay open, so that one
# badly labelled spine does not decide for all.
_SEALED = 0.98
_SAFETY = 1.2
# Alpha over the radius at which a sphere just percolates between points that fill a volume.
_OVER_PERCOLATION = 1.8
# Depths above this many medians belong to the background.
_DENSE = 2.5
# Alpha is not below this many precisions: a finer sphere only follows the noise.
_OVER_NOISE = 2.0


def choose_alpha(
    depth: CarvingDepth, *, label: str, noise_nm: float | None = None
) -> tuple[float, str | None]:
    """Choose the radius of the carving sphere from the data.

    Membrane labels leave hollows inside: tetrahedra whose circumradius is more than twice (where
    the label is sparse: 1.5 times) their carving depth, the radius of the largest gap in the label
    around them. No tetrahedron outside is like that, because a way in from outside only narrows.
    Alpha is 1.2 times the gap that seals 98 % of the volume of the hollows. It is read from gaps
    and not from spacings, so that repeated localizations of one molecule do not mislead it.

    Filled labels have no hollows. The depth of tetrahedra deep inside is the radius at which a
    sphere just percolates between the points (for a Poisson process 0.94 times the mean spacing);
    alpha is 1.8 times the median depth. The median is weighted with the square root of volume,
    between the weights that clusters of repeated localizations (by number) and sparse background
    (by volume) would dominate, and is taken over depths below 2.5 times itself, started at the
    median by number. The same rule serves membranes too sparse for hollows.

    With known precision alpha is at least twice its root mean square over the axes
    (:func:`least_alpha_nm`). Where nobody knows it, :func:`nanospine.envelope` reads the noise of a
    membrane from the distances of the localizations to the surface that this alpha carves.

    Parameters
    ----------
    depth : CarvingDepth
    label : {"membrane", "filled"}
    noise_nm : float, optional
        Root mean square of the localization precision over the axes.

    Returns
    -------
    alpha_nm : float
    note : str or None
        What a reader must know about the choice.
    """
    reach, volume, radius = (
        values[depth.order] for values in (depth.depth_nm, depth.volume_nm3, depth.circumradius_nm)
    )
    usable = np.isfinite(reach) & (reach > 0) & (volume > 0)
    if not usable.any():
        raise GeometryError("envelope: the points span no volume.")
    least = least_alpha_nm(noise_nm or 0.0)
    if label == "membrane":
        enclosed = np.cumsum(volume)
        for ratio in _HOLLOW_RATIOS:
            hollow = np.cumsum(np.where(usable & (radius > ratio * reach), volume, 0.0))
            gap = _quantile(reach, hollow, _SEALED) if hollow[-1] > 0 else 0.0
            alpha = max(_SAFETY * gap, least)
            within = np.searchsorted(reach, alpha, side="right")
            if hollow[-1] > _HOLLOW_SHARE * (enclosed[within - 1] if within else 0.0):
                return alpha, None
    percolation = _percolation(reach, np.where(usable, volume, 0.0))
    note = None
    if label == "membrane":
        note = (
            "The localizations enclose no hollow, as a well labelled membrane does: alpha is "
            "chosen from their spacing and the surface is not fitted to a membrane. Is the label "
            "'filled' or too sparse, or does the field of view cut the dendrite open?"
        )
    return max(_OVER_PERCOLATION * percolation, least), note


def least_alpha_nm(noise_nm: float) -> float:
    """Give the radius of the smallest sphere that does not follow the noise."""
    return _OVER_NOISE * noise_nm


def _percolation(reach: FloatArray, volume: FloatArray) -> float:
    """Median depth in the dense phase, free of background and of clusters of repeats."""
    level = _quantile(reach, np.cumsum(volume > 0), 0.5)
    weight = np.cumsum(np.sqrt(volume))
    for _ in range(10):
        dense = np.searchsorted(reach, _DENSE * level)
        level = _quantile(reach, weight[:dense], 0.5)
    return level


def _quantile(values: FloatArray, running: npt.NDArray[Any], fraction: float) -> float:
    """Give the smallest value up to which at least the fraction of the weight lies.

    `values` rise, `running` is the sum of their weights so far.
    """
    return float(values[np.searchsorted(running, fraction * running[-1])])

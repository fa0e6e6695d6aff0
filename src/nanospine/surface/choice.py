"""Which alpha the data themselves ask for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.surface.alpha import CarvingDepth

__all__ = ["choose_alpha"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

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

    With known precision alpha is at least twice its root mean square over the axes.

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
    finite = np.isfinite(depth.depth_nm) & (depth.depth_nm > 0) & (depth.volume_nm3 > 0)
    if not finite.any():
        raise GeometryError("envelope: the points span no volume.")
    least = _OVER_NOISE * noise_nm if noise_nm else 0.0
    if label == "membrane":
        for ratio in _HOLLOW_RATIOS:
            hollow = finite & (depth.circumradius_nm > ratio * depth.depth_nm)
            gap = _quantile(depth.depth_nm, depth.volume_nm3, hollow, _SEALED)
            alpha = max(_SAFETY * gap, least)
            enclosed = depth.volume_nm3[depth.inside(alpha)].sum()
            if depth.volume_nm3[hollow].sum() > _HOLLOW_SHARE * enclosed:
                return alpha, None
    percolation = _percolation(depth, finite)
    note = None
    if label == "membrane":
        note = (
            "The localizations enclose no hollow, as a well labelled membrane does: alpha is "
            "chosen from their spacing and the surface is not fitted to a membrane. Is the label "
            "'filled' or too sparse, or does the field of view cut the dendrite open?"
        )
    return max(_OVER_PERCOLATION * percolation, least), note


def _percolation(depth: CarvingDepth, finite: BoolArray) -> float:
    """Median depth in the dense phase, free of background and of clusters of repeats."""
    level = _quantile(depth.depth_nm, np.ones(len(finite)), finite, 0.5)
    weight = np.sqrt(depth.volume_nm3)
    for _ in range(10):
        dense = finite & (depth.depth_nm < _DENSE * level)
        level = _quantile(depth.depth_nm, weight, dense, 0.5)
    return level


def _quantile(values: FloatArray, weights: FloatArray, chosen: BoolArray, fraction: float) -> float:
    """Smallest chosen value up to which at least the fraction of the weight lies; 0 of none."""
    if not chosen.any():
        return 0.0
    index = np.flatnonzero(chosen)
    index = index[np.argsort(values[index])]
    total = np.cumsum(weights[index])
    return float(values[index[np.searchsorted(total, fraction * total[-1])]])

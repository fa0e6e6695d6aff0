"""Which alpha the data themselves ask for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.surface.alpha import CarvingDepth

__all__ = ["choose_alpha"]

FloatArray = npt.NDArray[np.float64]


def choose_alpha(depth: CarvingDepth, *, label: str) -> float:
    """Choose the radius of the carving sphere from the data."""
    finite = np.isfinite(depth.depth_nm) & (depth.depth_nm > 0)
    if not finite.any():
        raise GeometryError("envelope: the points span no volume.")
    ratio = depth.circumradius_nm / np.where(finite, depth.depth_nm, np.inf)
    interior = finite & (ratio > 2.0)
    if label == "membrane" and interior.any():
        return 1.2 * _weighted_quantile(depth.depth_nm[interior], depth.volume_nm3[interior], 0.98)
    return float(np.median(depth.depth_nm[finite]))


def _weighted_quantile(values: FloatArray, weights: FloatArray, fraction: float) -> float:
    """Smallest value up to which at least the fraction of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, fraction * total[-1])])

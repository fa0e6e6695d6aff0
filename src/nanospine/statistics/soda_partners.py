"""Whether points of `a` have one partner each or any number: it decides how sure a fraction is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_window import Rings

__all__ = ["sharing"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Drawn patterns of each kind for few points, and points drawn in all of them for many.
_DRAWS, _POINTS = 12, 200_000
# Share of the coupled pairs that the counting radius takes in.
_MOST_PAIRS = 0.8
_TRIES = 50


def sharing(rings: Rings, b_nm: FloatArray, coupled: FloatArray) -> float:
    """Tell how far points of `a` share partners: 0 one each, 1 drawn anew for each partner.

    The sum over `a` of the squared number of points of `b` nearby is compared with what it is in
    drawn patterns of either kind that have the fitted coupling; in between it is interpolated.
    """
    pairs = np.maximum(coupled, 0.0)
    total = int(min(round(float(pairs.sum())), len(b_nm)))
    n_a = len(rings.points_nm)
    if total < 2 or total > n_a:
        return 0.0 if total < 2 else 1.0
    shares = pairs / pairs.sum()
    radius = float(rings.edges_nm[1:][np.searchsorted(np.cumsum(shares), _MOST_PAIRS)])
    found = _crowding(rings.points_nm, b_nm, radius)
    rng = np.random.default_rng([rings.seed, 5])
    draws = int(np.clip(_POINTS // len(b_nm), 2, _DRAWS))
    apart, together = np.zeros(draws), np.zeros(draws)
    for draw in range(draws):
        free = rings.region.sample_nm(len(b_nm) - total, rng)
        for kind, result in ((False, apart), (True, together)):
            origin = rng.integers(n_a, size=total) if kind else rng.permutation(n_a)[:total]
            beside = _beside(rings, origin, shares, rng)
            result[draw] = _crowding(rings.points_nm, np.concatenate([free, beside]), radius)
    gap = together.mean() - apart.mean()
    if gap <= 0:
        return 0.5
    return float(np.clip((found - apart.mean()) / gap, 0.0, 1.0))


def _crowding(points: FloatArray, b_nm: FloatArray, radius: float) -> float:
    """Sum of the squared number of points of `b` within the radius of each point of `a`."""
    counts = Cells(b_nm, radius).ring_counts(points, np.array([0.0, radius]))[:, 0]
    return float((counts.astype(np.float64) ** 2).sum())


def _beside(
    rings: Rings, origin: IntArray, shares: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Put a partner beside each point of `origin`, in a ring drawn by its share, in the window."""
    dimension = rings.points_nm.shape[1]
    centre = rings.points_nm[origin]
    result, todo = centre.copy(), np.arange(len(origin))
    for _ in range(_TRIES):
        if not len(todo):
            break
        ring = rng.choice(len(shares), len(todo), p=shares)
        low, high = rings.edges_nm[ring] ** dimension, rings.edges_nm[ring + 1] ** dimension
        way = rng.normal(size=(len(todo), dimension))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        trial = centre[todo] + way * rng.uniform(low, high)[:, None] ** (1 / dimension)
        inside = rings.region.contains(trial)
        result[todo[inside]] = trial[inside]
        todo = todo[~inside]
    return result

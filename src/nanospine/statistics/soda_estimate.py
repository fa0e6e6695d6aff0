"""Coupled pairs out of counted pairs: the centred overlap matrix, its inverse, and the variances.

Model: the points of `a` are given, as they are. A point of `b` is either coupled, at a distance in
ring l from a point of `a` and anywhere in that ring inside the window, or anywhere in the window.
A point of `b` has a vector s of how many points of `a` lie in each ring around it.

* anywhere:  E s = mu, mu_k = (volume of all rings k inside the window) / (volume of the window);
* coupled in ring l:  E s_k = delta_kl + O_kl, where O_kl is how many *other* points of `a` a
  partner meets in ring k.

With N the sum of s over the n points of `b`, E(N - n mu) = A C with A_kl = delta_kl + O_kl - mu_k,
and C = A^-1 (N - n mu) has no bias. The share of one point is its score z = 1'A^-1(s - mu), which
is 0 on average for a point anywhere and 1 for one that is coupled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_window import Rings

__all__ = ["Chance", "Scatter", "meet_by_chance", "scatter_of_scores"]

FloatArray = npt.NDArray[np.float64]

_WORST_CONDITION = 1e8


@dataclass(frozen=True, eq=False)
class Chance:
    """What points of `b` meet without being coupled to what they meet.

    Attributes
    ----------
    mean : ndarray, shape (m,)
        Points of `a` in each ring around a point anywhere (mu).
    covariance : ndarray, shape (m, m)
        Of the ring counts of a point anywhere.
    overlap : ndarray, shape (m, m)
        Other points of `a` in ring k around a partner in ring l (O).
    partner_covariance : ndarray, shape (m, m, m)
        Covariance of these counts for a partner in ring l, first axis l.
    inverse : ndarray, shape (m, m)
        Of the centred overlap matrix.
    """

    mean: FloatArray
    covariance: FloatArray
    overlap: FloatArray
    partner_covariance: FloatArray
    inverse: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Weight of a count in each ring in the number of coupled pairs, shape (m,)."""
        return np.asarray(self.inverse.sum(axis=0))


@dataclass(frozen=True)
class Scatter:
    """Variance of the score of one coupled point of `b`, by where it comes from."""

    within: float
    """Where in the ring the partner stands, and which ring goes to which point of `a`."""
    between: float
    """Which points of `a` have a partner."""


def meet_by_chance(rings: Rings, cells: Cells) -> Chance:
    """Go through the rings of all points of `a` and sum what partners there would meet."""
    m = len(rings.edges_nm) - 1
    size = rings.region.size
    volume, open_ = np.zeros(m), np.zeros(m)
    first, weighted = np.zeros((m, m)), np.zeros((m, m))
    second = np.zeros((m, m, m))
    for volumes, inside, others in rings.chunks(cells):
        share = inside.sum(axis=2)
        weight = inside / np.maximum(share, 1)[:, :, None]
        mean = np.einsum("xlj,xljk->xlk", weight, others)
        volume += volumes.sum(axis=0)
        open_ += (share > 0).sum(axis=0)
        first += mean.sum(axis=0)
        weighted += np.einsum("xl,xlk->lk", volumes, mean)
        for ring in range(m):
            flat = others[:, ring].reshape(-1, m)
            second[ring] += (flat * weight[:, ring].reshape(-1, 1)).T @ flat
    if (open_ == 0).any():
        nearest = rings.edges_nm[:-1][open_ == 0].min()
        raise GeometryError(
            f"soda: no place in the region is farther than {nearest:g} nm from every point of the "
            "first channel; radii_nm reaches beyond the window. Use smaller radii."
        )
    mean = volume / size
    overlap = (first / open_[:, None]).T
    second /= open_[:, None, None]
    partner = second - np.einsum("kl,ml->lkm", overlap, overlap)
    moment = (np.diag(volume) + (weighted + weighted.T) / 2) / size
    matrix = np.eye(m) + overlap - mean[:, None]
    if np.linalg.cond(matrix) > _WORST_CONDITION:
        raise GeometryError(
            "soda: coupled and chance pairs cannot be told apart in this window: its rings cover "
            "it whole, or all points of the first channel are alike. Use smaller radii."
        )
    covariance = moment - np.outer(mean, mean)
    return Chance(mean, covariance, overlap, partner, np.linalg.inv(matrix))


def scatter_of_scores(
    rings: Rings, cells: Cells, weights: FloatArray, shares: FloatArray
) -> Scatter:
    """Give the variance of the score of a coupled point whose ring is drawn with `shares`."""
    n = len(rings.points_nm)
    within, each, row_sum, row_square = 0.0, 0.0, 0.0, 0.0
    for _, inside, others in rings.chunks(cells):
        share = inside.sum(axis=2)
        weight = inside / np.maximum(share, 1)[:, :, None]
        score = others @ weights
        mean = (weight * score).sum(axis=2)
        spread = (weight * (score - mean[:, :, None]) ** 2).sum(axis=2)
        spread *= share / np.maximum(share - 1, 1)
        chance = shares * (share > 0)
        chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)
        within += float((chance * spread).sum())
        row = (chance * (mean + weights)).sum(axis=1)
        each += float((chance * (mean + weights - row[:, None]) ** 2).sum())
        row_sum += float(row.sum())
        row_square += float((row**2).sum())
    between = row_square / n - (row_sum / n) ** 2
    return Scatter((within + each) / n, max(between, 0.0))

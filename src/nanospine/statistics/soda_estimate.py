"""Coupled pairs out of counted pairs: the centred overlap matrix, its inverse, and the variances.

Model: the points of `a` are given, as they are. A point of `b` is either coupled, at a distance in
ring l from a point of `a` and anywhere in that ring inside the window, or anywhere in the window.
A point of `b` has a vector s of how many points of `a` lie in each ring around it.

* anywhere:  E s = mu, mu_k = (volume of all rings k inside the window) / (volume of the window);
* coupled in ring l:  E s_k = delta_kl + O_kl, where O_kl is how many *other* points of `a` a
  partner meets in ring k. Which points of `a` have their partner in ring l hangs on the window:
  those in narrow places can have none far away.

With N the sum of s over the n points of `b`, E(N - n mu) = A C with A_kl = delta_kl + O_kl - mu_k,
and C = A^-1 (N - n mu) has no bias. The share of one point is its score z = 1'A^-1(s - mu), which
is 0 on average for a point anywhere and 1 for one that is coupled. The sums of distances go the
same way: what chance and other partners add to them is known ring by ring and taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.statistics.soda_cells import Cells
from nanospine.statistics.soda_laws import Law
from nanospine.statistics.soda_window import Chunk, Rings

__all__ = ["Chance", "Scatter", "excess", "meet_by_chance", "scatter_of_scores"]

FloatArray = npt.NDArray[np.float64]

_WORST_CONDITION = 1e8
# Places that are kept for simulations.
_POOL = 600_000
# Points whose rings tell the scatter of the scores.
_SCATTER = 4_000
_SCATTER_PLACES = 60_000


@dataclass(frozen=True, eq=False)
class Chance:
    """What points of `b` meet without being coupled to what they meet.

    Attributes
    ----------
    mean : ndarray, shape (3, m)
        Points of `a` in each ring around a point anywhere (mu), and the sums of their distances
        and squared distances.
    overlap : ndarray, shape (3, m, m)
        The same of the *other* points of `a` in ring k around a partner in ring l, [., k, l].
    covariance : ndarray, shape (m, m)
        Of the ring counts of a point anywhere.
    partner_covariance : ndarray, shape (m, m, m)
        Covariance of the counts for a partner in ring l, first axis l.
    inverse : ndarray, shape (m, m)
        Of the centred overlap matrix.
    shares : ndarray, shape (n, m)
        Part of each ring of each point of `a` that lies in the window.
    pool, pool_weight : ndarray, shapes (p, m), (p,)
        Ring counts of places that have points of `a` around them, and the probability of each for
        a point anywhere; with what is missing to 1 it has none around it.
    """

    mean: FloatArray
    overlap: FloatArray
    covariance: FloatArray
    partner_covariance: FloatArray
    inverse: FloatArray
    shares: FloatArray
    pool: npt.NDArray[np.int32]
    pool_weight: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Weight of a count in each ring in the number of coupled pairs, shape (m,)."""
        return np.asarray(self.inverse.sum(axis=0))

    def covariance_of_pairs(self, coupled: FloatArray, n: int) -> FloatArray:
        """Covariance of the coupled pairs per ring, shape (m, m), for these pairs among n points.

        By chance only, the pairs themselves being given.
        """
        certain = np.maximum(coupled, 0.0)
        free = max(n - certain.sum(), 0.0)
        counts = free * self.covariance + np.einsum("l,lkm->km", certain, self.partner_covariance)
        return np.asarray(self.inverse @ counts @ self.inverse.T, dtype=np.float64)

    def moments(self) -> tuple[float, float]:
        """Variance and third central moment of the score of a point anywhere."""
        weights = self.weights
        level = -float(weights @ self.mean[0])
        score = self.pool @ weights + level
        third = float(self.pool_weight @ (score**3 - level**3)) + level**3
        return max(float(weights @ self.covariance @ weights), 0.0), third


@dataclass(frozen=True)
class Scatter:
    """Central moments of the score of one coupled point of `b`, by where they come from."""

    within: float
    """Variance by where in the ring the partner stands, and which ring goes to which point."""
    between: float
    """Variance by which points of `a` have a partner."""
    third: float
    """Third moment within the rings."""


class _Sums:
    """What is summed over all places, chunk by chunk."""

    def __init__(
        self, rings: Rings, law: Law | None, keep: float, rng: np.random.Generator
    ) -> None:
        self.full, self.law = rings.full_volumes, law
        m = len(self.full)
        self.chances = np.full(m, 1 / m) if law is None else np.diff(law.cumulated(rings.edges_nm))
        self.shares: list[FloatArray] = []
        self.open = np.zeros(m)
        self.alone = np.zeros((3, m))
        self.partner = np.zeros((3, m, m))
        self.weighted = np.zeros((m, m))
        self.second = np.zeros((m, m, m))
        self.pool: list[npt.NDArray[np.int32]] = []
        self.pool_weight: list[FloatArray] = []
        self._keep, self._rng = keep, rng

    def add(self, chunk: Chunk) -> None:
        weight, m = chunk.weight, len(self.open)
        shares = chunk.volumes / self.full
        self.shares.append(shares)
        own = chunk.inside.any(axis=2) * shares / np.maximum(shares @ self.chances, 1e-12)[:, None]
        self.open += own.sum(axis=0)
        beside = weight if self.law is None else chunk.weight_by(self.law.density)
        for power in range(3):
            radius = (weight * chunk.radius**power).sum(axis=2)
            self.alone[power] += (chunk.volumes * radius).sum(axis=0)
        for power, others in enumerate((chunk.others, chunk.distance, chunk.square)):
            if others is not None:
                mean = np.matmul(beside[:, :, None, :], others)[:, :, 0]
                self.partner[power] += (own[:, :, None] * mean).sum(axis=0)
        anywhere = np.matmul(weight[:, :, None, :], chunk.others)[:, :, 0]
        self.weighted += np.einsum("xl,xlk->lk", chunk.volumes, anywhere)
        for ring in range(m):
            flat = chunk.others[:, ring].reshape(-1, m)
            each = (own[:, ring, None] * beside[:, ring]).reshape(-1, 1)
            self.second[ring] += (flat * each).T @ flat
        self._keep_some(chunk, weight)

    def _keep_some(self, chunk: Chunk, weight: FloatArray) -> None:
        """A place with s points of `a` around it is met from each of them: weigh it by 1 / s."""
        m = len(self.open)
        counts = chunk.others + np.eye(m)[:, None, :]
        share = weight * chunk.volumes[:, :, None] / counts.sum(axis=3)
        chosen = share > 0
        if self._keep < 1:
            chosen &= self._rng.random(share.shape) < self._keep
        self.pool.append(counts[chosen].astype(np.int32))
        self.pool_weight.append(share[chosen] / min(self._keep, 1.0))


def meet_by_chance(rings: Rings, cells: Cells, law: Law | None = None) -> Chance:
    """Go through the rings of all points of `a` and sum what partners there would meet.

    Parameters
    ----------
    rings, cells : Rings, Cells
        Of the points of `a`.
    law : Law, optional
        Of the distance of partners in open space, with chance q_l of ring l; default: the same for
        all rings, and even within each. In the window a point has its partner in ring l with
        `q_l s_l / sum_k q_k s_k`, s the part of each ring that is inside.
    """
    m = len(rings.edges_nm) - 1
    size = rings.region.size
    keep = _POOL / (len(rings.points_nm) * m * rings.n_places)
    sums = _Sums(rings, law, keep, np.random.default_rng([rings.seed, 2]))
    for chunk in rings.chunks(cells):
        sums.add(chunk)
    if (sums.open == 0).any():
        nearest = rings.edges_nm[:-1][sums.open == 0].min()
        raise GeometryError(
            f"soda: no place in the region is farther than {nearest:g} nm from any point of the "
            "first channel: radii_nm reaches beyond the window; use smaller radii."
        )
    mean = sums.alone / size
    overlap = np.swapaxes(sums.partner / sums.open[:, None], 1, 2)
    second = sums.second / sums.open[:, None, None]
    partner = second - np.einsum("kl,ml->lkm", overlap[0], overlap[0])
    moment = (np.diag(sums.alone[0]) + (sums.weighted + sums.weighted.T) / 2) / size
    matrix = np.eye(m) + overlap[0] - mean[0][:, None]
    if np.linalg.cond(matrix) > _WORST_CONDITION:
        raise GeometryError(
            "soda: coupled and chance pairs cannot be told apart: the rings around the points of "
            "the first channel cover the window; use smaller radii_nm."
        )
    covariance = moment - np.outer(mean[0], mean[0])
    inverse = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    pool, weight = np.concatenate(sums.pool), np.concatenate(sums.pool_weight) / size
    shares = np.concatenate(sums.shares)
    return Chance(mean, overlap, covariance, partner, inverse, shares, pool, weight)


def excess(sums: tuple[FloatArray, FloatArray, FloatArray], chance: Chance) -> FloatArray:
    """Turn the sums in the rings of each point of `b` into what is coupled.

    Returns
    -------
    ndarray, shape (n, m + 2)
        Coupled pairs in each ring, and the sums of the coupled distances and squared distances.
    """
    coupled = (sums[0] - chance.mean[0]) @ chance.inverse.T
    total = coupled.sum(axis=1)
    further = [
        sums[power].sum(axis=1)
        - coupled @ chance.overlap[power].sum(axis=0)
        - (1 - total) * chance.mean[power].sum()
        for power in (1, 2)
    ]
    return np.column_stack([coupled, *further])


def scatter_of_scores(
    rings: Rings, cells: Cells, weights: FloatArray, chances: FloatArray
) -> Scatter:
    """Give the moments of the score of a coupled point, by the chance of each ring in open space.

    Of many points a few thousand, drawn at random, tell it.
    """
    sample = replace(rings, places=_SCATTER_PLACES)
    if len(rings.points_nm) > _SCATTER:
        rows = np.random.default_rng([rings.seed, 4]).choice(len(rings.points_nm), _SCATTER, False)
        sample = replace(sample, points_nm=np.ascontiguousarray(rings.points_nm[np.sort(rows)]))
    n = len(sample.points_nm)
    within, third, row_sum, row_square = 0.0, 0.0, 0.0, 0.0
    for chunk in sample.chunks(cells, distances=False):
        share = chunk.inside.sum(axis=2)
        score = chunk.others @ weights
        mean = (chunk.weight * score).sum(axis=2)
        apart = score - mean[:, :, None]
        spread = (chunk.weight * apart**2).sum(axis=2) * share / np.maximum(share - 1, 1)
        chance = chances * share
        chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)
        row = (chance * (mean + weights)).sum(axis=1)
        other_ring = (mean + weights - row[:, None]) ** 2
        within += float((chance * (spread + other_ring)).sum())
        third += float((chance * (chunk.weight * apart**3).sum(axis=2)).sum())
        row_sum += float(row.sum())
        row_square += float((row**2).sum())
    between = row_square / n - (row_sum / n) ** 2
    # The overlap is itself known from a few places per ring only.
    sampled = 1 + float((chances**2).sum()) / rings.n_places
    return Scatter(within / n * sampled, max(between, 0.0), third / n)

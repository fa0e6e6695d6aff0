"""Where the narrow stretch of a neck begins and ends and how its radius runs: all that is likely.

A neck flares at its foot and opens into the head; in between it may be even, a cone, have a waist
or be more irregular. Taking the piece that looks narrowest for the neck makes it too narrow, a
cylinder through a waist too wide. So no choice is made: every stretch and every course of the
radius counts by the likelihood of the molecules under it, integrated over its parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nanospine.spines.radius_table import RadiusTable, pieces_of, radius_table
from nanospine.spines.stretch_fits import draw_profiles, fit_stretches
from nanospine.spines.tube import Tube, centre_drift, recentred_tube

__all__ = ["NeckModels"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_DRAWS = 2000
# At most so many places where the stretch may begin, and where it may end
_ENDS = 18
_SHORTEST_PIECES = 6
# Log R is a sum of Legendre polynomials of the place on the stretch, with coefficients that are
# expected at these values, give or take the second. What is not a cylinder differs from one: its
# ends by some 10 to 40 %, as a cone that is wide at the far end or at the near one or as a waist.
# A prior for a slope that is centred at none would also hold all the cones that are cylinders but
# for noise (Johnson and Rossell 2010, J. R. Stat. Soc. B 72:143). The last is any irregular neck.
_SHAPES = (
    ((0.0,), (1.0,)),
    ((0.0, 0.09), (1.0, 0.05)),
    ((0.0, -0.09), (1.0, 0.05)),
    ((0.0, 0.0, 0.12, 0.0, 0.0), (1.0, 0.06, 0.06, 0.02, 0.03)),
    ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0), (1.0, 0.1, 0.08, 0.05, 0.04, 0.03)),
)
# Odds of them before looking. A cone of 20 % through a hundred molecules is not always told from
# a cylinder, so the odds matter: the diameter goes by the first, for necks that are mostly even;
# the interval holds for the first, for the second, and so for those in between. An irregular neck
# can also follow a foot that flares and a tip that closes, which a cylinder leaves off: it counts
# for the diameter where the molecules ask for it only.
_ODDS = np.log([[0.91, 0.03, 0.03, 0.025, 0.005], [0.65, 0.105, 0.105, 0.105, 0.035]])
_LEAST_SHARE = 1e-5
# No neck is a perfect tube about a smooth line: what is added to the standard error of log R. Seen
# on simulated dendrites, 0.3 nm of 150, and only where the precision is a few nanometres.
_NO_TUBE = 0.0015


@dataclass(frozen=True, eq=False)
class NeckModels:
    """Draws of the neck: its stretch and the radius along it.

    Attributes
    ----------
    table : RadiusTable
    log_radius : ndarray, shape (d, pieces)
        NaN outside the stretch of each draw.
    weights : ndarray, shape (2, d)
        By either odds; rows sum to one.
    blur_nm : float
        Usual localization error across the neck.
    astray : float
        Share of the molecules beside the stretch that its shape does not explain.
    """

    table: RadiusTable
    log_radius: FloatArray
    weights: FloatArray
    blur_nm: float
    astray: float

    @classmethod
    def fit(cls, tube: Tube, narrowest_nm: float, seed: int) -> NeckModels:
        """Weigh the stretches that hold a place, given a free fit of the neck and its ends."""
        table = radius_table(tube, centre_drift(tube), narrowest_nm)
        usual = float(np.interp(narrowest_nm, table.centre_nm, table.free_log_radius))
        stretches = _stretches(table, narrowest_nm)
        sizes = np.array([len(values) for values, _ in _SHAPES])
        expected, precision = np.zeros((2, len(sizes), sizes.max()))
        for number, (values, spread) in enumerate(_SHAPES):
            expected[number, : len(values)] = values
            precision[number, : len(values)] = 1.0 / np.square(spread)
        expected[:, 0] = usual
        evidence, theta, root = fit_stretches(
            table.cubic, table.first, table.step, table.free, expected, stretches, precision, sizes
        )
        cubics = [table.cubic] * len(sizes)
        # Each has a centre of its own: beside that of the free fit, which went after single
        # molecules and let the radius vary for it, an even neck would stand no chance. The centre
        # of a disc is not pulled at by those that are missing on one side of a ring.
        for number, size in enumerate(() if tube.filled else sizes):
            best = int(evidence[:, number].argmax())
            cubic, cost = _recentred(tube, table, stretches[best], theta[best, number, :size])
            one = slice(number, number + 1)
            evidence[:, one], theta[:, one, :size], root[:, one, :size, :size] = fit_stretches(
                cubic, table.first, table.step, table.free,
                np.ascontiguousarray(expected[one, :size]), stretches,
                np.ascontiguousarray(precision[one, :size]), sizes[one],
            )  # fmt: skip
            evidence[:, one] -= cost
            cubics[number] = cubic
        shares = np.exp(evidence - evidence.max() + _ODDS[:, None])
        shares /= shares.sum(axis=(1, 2), keepdims=True)
        share = shares.mean(axis=0)
        generator = np.random.default_rng(seed)
        drawn = _spread(share.ravel(), generator)
        stretch, model = np.unravel_index(drawn, share.shape)
        normal = generator.normal(size=(len(drawn), sizes.max()))
        log_radius, log_weight = np.empty((len(drawn), len(table.free))), np.empty(len(drawn))
        for number, cubic in enumerate(cubics):
            these = np.flatnonzero(model == number)
            at, which = stretch[these], model[these]
            log_radius[these], log_weight[these] = draw_profiles(
                cubic, table.first, table.step, expected[which], stretches[at, 0],
                stretches[at, 1], sizes[which], precision[which], theta[at, which],
                root[at, which], normal[these],
            )  # fmt: skip
        likelier = shares[:, stretch, model] / share[stretch, model]
        weights = likelier * np.exp(np.clip(log_weight, -30.0, 3.0))
        weights /= weights.sum(axis=1, keepdims=True)
        covariance = tube.points.covariance
        blur = float(np.sqrt(np.median(covariance[:, [0, 2]].sum(axis=1) / 2)))
        astray = _astray(tube, weights[0] @ np.isfinite(log_radius))
        return cls(table, log_radius, weights, blur, astray)

    @property
    def n_molecules(self) -> int:
        """Molecules on the stretch that the shape, not the background, explains."""
        return round(float(self.weights[0] @ (np.isfinite(self.log_radius) @ self.table.support)))

    def narrowest(
        self, within: tuple[float, float] = (-np.inf, np.inf)
    ) -> tuple[FloatArray, float, float]:
        """Log radius of the narrowest place and its 95 % interval, its standard error, the place.

        The narrowest place of each draw, not of their mean: it differs from draw to draw. Their
        median: a cone that is one draw in five is no reason to take a part of it off a cylinder.
        """
        centre = self.table.centre_nm
        half = 0.5 * (centre[1] - centre[0])
        sought = (centre >= within[0] - half) & (centre <= within[1] + half)
        log_radius = self.log_radius[:, sought]
        inside = np.isfinite(log_radius)
        some = inside.any(axis=1)
        least = np.nanmin(log_radius[some], axis=1)
        weights = self.weights[:, some] / self.weights[:, some].sum(axis=1, keepdims=True)
        mean = float(weights[0] @ least)
        error = float(np.sqrt(weights[0] @ (least - mean) ** 2))
        ends = np.array([_quantiles(least, weight, (0.025, 0.5, 0.975)) for weight in weights])
        often = self.weights[0] @ inside
        profile = self.weights[0] @ np.where(inside, log_radius, 0.0) / np.maximum(often, 1e-9)
        place = int(np.where(often >= 0.5 * often.max(), profile, np.inf).argmin())
        at = float(np.clip(centre[sought][place], *within))
        value, low, high = ends[0, 1], ends[:, 0].min(), ends[:, 2].max()
        low = value - np.hypot(value - low, 1.96 * _NO_TUBE)
        high = value + np.hypot(high - value, 1.96 * _NO_TUBE)
        return np.array([value, low, high]), error, at

    def replicates(self, position: FloatArray, outside: FloatArray, seed: int) -> FloatArray:
        """Log radius at positions in draws, shape as `outside`, which is taken off the stretch."""
        generator = np.random.default_rng(seed)
        drawn = generator.choice(len(self.log_radius), size=len(outside), p=self.weights[0])
        piece = np.abs(self.table.centre_nm[None] - position[:, None]).argmin(axis=1)
        on_neck = self.log_radius[drawn][:, piece]
        return np.where(np.isfinite(on_neck), on_neck, outside)


def _recentred(
    tube: Tube, table: RadiusTable, stretch: IntArray, theta: FloatArray
) -> tuple[FloatArray, float]:
    """Splines of the table about the centre that a shape on a stretch has, and what it costs."""
    half = 0.5 * (table.centre_nm[1] - table.centre_nm[0])
    low, high = table.centre_nm[stretch[0]] - half, table.centre_nm[stretch[1] - 1] + half
    position = tube.points.position
    inside = (position >= low) & (position < high)
    radius = tube.radius_nm(position)
    place = 2.0 * (position[inside] - low) / (high - low) - 1.0
    radius[inside] = np.exp(np.polynomial.legendre.legval(place, theta))
    moved, cost = recentred_tube(tube, radius)
    return table.recentred(moved, centre_drift(moved)), cost / table.excess


def _astray(tube: Tube, often: FloatArray) -> float:
    """Share of the molecules on the likely stretch that are not on the shape."""
    weight = tube.points.weight * (often[pieces_of(tube, len(often))] > 0.5)
    return float(1.0 - (weight @ tube.on_shape) / max(float(weight.sum()), 1e-9))


def _stretches(table: RadiusTable, narrowest_nm: float) -> IntArray:
    """First piece and piece after the last of every stretch that holds a place."""
    count = len(table.centre_nm)
    best = int(np.abs(table.centre_nm - narrowest_nm).argmin())
    begin = np.arange(best, -1, -max(2, int(np.ceil(best / _ENDS))))
    end = np.arange(best + 1, count + 1, max(2, int(np.ceil((count - best) / _ENDS))))
    begin, end = np.union1d(begin, 0), np.union1d(end, count)
    pairs = np.stack(np.meshgrid(begin, end, indexing="ij"), axis=-1).reshape(-1, 2)
    shortest = min(_SHORTEST_PIECES, count)
    return np.ascontiguousarray(pairs[pairs[:, 1] - pairs[:, 0] >= shortest])


def _spread(share: FloatArray, generator: np.random.Generator) -> IntArray:
    """Draw models by their probability, as evenly as can be."""
    kept = np.where(share > _LEAST_SHARE, share, 0.0)
    place = (np.arange(_DRAWS) + generator.random()) / _DRAWS
    drawn = np.searchsorted(np.cumsum(kept / kept.sum()), place)
    return np.asarray(np.minimum(drawn, len(share) - 1), dtype=np.int64)


def _quantiles(value: FloatArray, weight: FloatArray, at: tuple[float, ...]) -> FloatArray:
    """Quantiles of weighted values."""
    order = np.argsort(value)
    middle = np.cumsum(weight[order]) - 0.5 * weight[order]
    return np.asarray(np.interp(at, middle, value[order]))

"""Pairs of localizations that are near each other and apart in time."""

from __future__ import annotations

# numba needs no annotations
# mypy: disable-error-code="no-untyped-def,misc"
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["GROUPS", "MOST_POINTS", "REACH", "Pairs", "drift_at", "find_pairs", "overlap_gain"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

GROUPS = 60
MOST_POINTS = 150_000
_MOST_VISITS = 1e8
_PARTNERS = 16
REACH = 2.5


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of localizations that may be one molecule, seen at different times."""

    first: IntArray
    second: IntArray
    group: IntArray  # of the place: what is near is in one group, and groups are independent


@dataclass(frozen=True, eq=False)
class _Cells:
    """Localizations sorted into cells as wide as the radius; thinned where too many are near."""

    xyz: FloatArray
    place: FloatArray
    rows: IntArray
    cells: IntArray
    size: IntArray
    keys: IntArray
    begins: IntArray
    steps: IntArray
    group: IntArray  # of the place in the field, several cells wide

    @classmethod
    def of(
        cls, xyz: FloatArray, place: FloatArray, radius: float, rng: np.random.Generator
    ) -> _Cells:
        """Sort them."""
        cells = np.floor((xyz - xyz.min(axis=0)) / radius).astype(np.int64)
        size = cells.max(axis=0) + 1
        key = np.ravel_multi_index(tuple(cells.T), tuple(size.tolist()))
        _, counts = np.unique(key, return_counts=True)
        visits = float((counts.astype(np.float64) ** 2).sum()) * 3 ** xyz.shape[1] / 2
        chosen = np.arange(len(xyz))
        if visits > _MOST_VISITS:
            keep = max(int(len(xyz) * np.sqrt(_MOST_VISITS / visits)), 20_000)
            chosen = rng.permutation(len(xyz))[:keep]
        order = chosen[np.argsort(key[chosen], kind="stable")]
        keys, begins = np.unique(key[order], return_index=True)
        axes = np.meshgrid(*[[-1, 0, 1]] * xyz.shape[1], indexing="ij")
        steps = np.stack([item.ravel() for item in axes], axis=1).astype(np.int64)
        wide = cells[order] // 4
        name = np.ravel_multi_index(tuple(wide.T), tuple((size // 4 + 1).tolist()))
        _, number = np.unique(name, return_inverse=True)
        group = rng.integers(0, GROUPS, int(number.max()) + 1)[number]
        return cls(
            np.ascontiguousarray(xyz[order]), place[order], order, cells[order], size, keys,
            np.append(begins, len(order)), steps, group,
        )  # fmt: skip


def drift_at(drift: FloatArray, place: FloatArray) -> FloatArray:
    """Drift at each time, between the middles of bins by a line."""
    grid = np.arange(len(drift))
    return np.column_stack([np.interp(place, grid, column) for column in drift.T])


def find_pairs(
    xyz: FloatArray, place: FloatArray, radius: float, apart: float, rng: np.random.Generator
) -> Pairs:
    """Draw up to 16 partners for each localization, from those within a radius."""
    box = _Cells.of(xyz, place, radius, rng)
    first, second, found = _partners(
        box.xyz, box.place, box.cells, box.size, box.keys, box.begins, box.steps, radius, apart,
        _PARTNERS, int(rng.integers(2**31)),
    )  # fmt: skip
    first, second = first[:found], second[:found]
    return Pairs(box.rows[first], box.rows[second], box.group[first])


def overlap_gain(
    scaled: FloatArray, place: FloatArray, drift: FloatArray, h: float, *, apart: float, seed: int
) -> float:
    """How much more localizations overlap without this drift than with it, in standard errors.

    The overlap is the mean over localizations of sum exp(-r² / (2 h²)) over all others of another
    time; its standard error is from places of the field.
    """
    rng = np.random.default_rng(seed)
    if len(scaled) > MOST_POINTS:
        chosen = np.sort(rng.permutation(len(scaled))[:MOST_POINTS])
        scaled, place = scaled[chosen], place[chosen]
    sums = []
    for xyz in (scaled, scaled - drift_at(drift, place)):
        draw = np.random.default_rng(seed)
        box = _Cells.of(xyz, place, REACH * h, draw)
        each = _overlaps(
            box.xyz, box.place, box.cells, box.size, box.keys, box.begins, box.steps, h, apart
        )
        whole = np.zeros(len(xyz))
        whole[box.rows] = each / (len(box.rows) / len(xyz)) ** 2
        sums.append(whole)
    # Places are those of the measured positions, in both.
    wide = np.floor((scaled - scaled.min(axis=0)) / (20 * h)).astype(np.int64)
    _, number = np.unique(wide, axis=0, return_inverse=True)
    group = rng.integers(0, GROUPS, int(number.max()) + 1)[number.ravel()]
    more = np.bincount(group, sums[1] - sums[0], minlength=GROUPS)
    error = float(np.std(more, ddof=1) * np.sqrt(GROUPS))
    return float(more.sum()) / error if error > 0 else 0.0


@njit(cache=True)
def _overlaps(xyz, place, cells, size, keys, begins, steps, h, apart):
    n, d = xyz.shape
    result = np.zeros(n)
    for i in range(n):
        for s in range(steps.shape[0]):
            at = _cell(cells, size, keys, steps, i, s)
            if at < 0:
                continue
            for j in range(begins[at], begins[at + 1]):
                if j == i or abs(place[j] - place[i]) < apart:
                    continue
                square = 0.0
                for k in range(d):
                    square += (xyz[i, k] - xyz[j, k]) ** 2
                if square < 16 * h * h:
                    result[i] += np.exp(-square / (2 * h * h))
    return result


@njit(cache=True)
def _cell(cells, size, keys, steps, i, s):
    """Place of a neighbouring cell among those that hold something; -1 for none."""
    key = 0
    for k in range(size.size):
        c = cells[i, k] + steps[s, k]
        if c < 0 or c >= size[k]:
            return -1
        key = key * size[k] + c
    at = np.searchsorted(keys, key)
    if at == keys.size or keys[at] != key:
        return -1
    return at


@njit(cache=True)
def _partners(xyz, place, cells, size, keys, begins, steps, radius, apart, most, seed):
    state = np.uint64(seed * 2 + 1)
    n, d = xyz.shape
    first = np.empty(n * most, dtype=np.int64)
    second = np.empty(n * most, dtype=np.int64)
    found = 0
    for i in range(n):
        seen = 0
        for s in range(steps.shape[0]):
            at = _cell(cells, size, keys, steps, i, s)
            if at < 0:
                continue
            for j in range(begins[at], begins[at + 1]):
                if j == i or abs(place[j] - place[i]) < apart:
                    continue
                square = 0.0
                for k in range(d):
                    square += (xyz[i, k] - xyz[j, k]) ** 2
                if square > radius * radius:
                    continue
                # each of those seen stays with the same probability
                if seen < most:
                    second[found + seen] = j
                else:
                    # xorshift (Marsaglia 2003)
                    state ^= state << np.uint64(13)
                    state ^= state >> np.uint64(7)
                    state ^= state << np.uint64(17)
                    at_random = int(state % np.uint64(seen + 1))
                    if at_random < most:
                        second[found + at_random] = j
                seen += 1
        kept = min(seen, most)
        first[found : found + kept] = i
        found += kept
    return first, second, found

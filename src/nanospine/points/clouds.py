"""Aligning two clouds of points that show the same structure, without beads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nanospine.core.errors import GeometryError
from nanospine.core.progress import Progress, report
from nanospine.points.cloud_images import correlate
from nanospine.points.transforms import Transform, fit_pairs, least_pairs

__all__ = ["CloudFit", "align_clouds"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MOST_POINTS = 100_000
_ROUNDS = 50
_BLOCKS = 12
_FEWEST_PAIRS = 10
_SETTLED_NM = 0.005
_COARSE = 0.02
_STUCK = 0.65
_GROWTHS = 6
_KERNEL = 0.6
_CHANCE = 2.0
_MOST_PAIRS = 2_000_000
_BOOTSTRAP_PAIRS = 100_000
_REPLICATE_ROUNDS = 15


@dataclass(frozen=True, eq=False)
class CloudFit:
    """A transform of a cloud, the pairs that settled it and its replicates."""

    matrix: FloatArray
    offset: FloatArray
    moving_rows: IntArray
    fixed_rows: IntArray
    distance_nm: float
    target_error_nm: FloatArray
    notes: tuple[str, ...]


def align_clouds(
    moving: FloatArray,
    fixed: FloatArray,
    model: str,
    *,
    max_shift_nm: float,
    max_distance_nm: float | None,
    max_rotation_deg: float,
    bootstrap: int,
    seed: int,
    progress: Progress | None = None,
) -> CloudFit:
    """Cross-correlation for the start, then mutual nearest neighbours that come ever closer."""
    notes: list[str] = []
    moving_rows, fixed_rows = _tiles(moving, fixed, max_shift_nm, seed)
    if len(moving_rows) < len(moving) or len(fixed_rows) < len(fixed):
        notes.append(f"aligned by {len(moving_rows)} and {len(fixed_rows)} localizations in tiles")
    a, b = moving[moving_rows], fixed[fixed_rows]
    report(progress, "correlating", 0.0)
    start, pixel = _start(a, b, max_shift_nm, max_rotation_deg if model != "translation" else 0.0)
    report(progress, "matching", 0.2)
    tree = cKDTree(b)
    state, pairs, distance = _closing_in(a, b, tree, start, model, 2.5 * pixel, max_distance_nm)
    # Mutual neighbours pull to where they are; all pairs under a kernel have no such memory.
    kernel, state, p, q = _settle(a, b, state, model, _KERNEL * distance, seed)
    pairs = _mutual(a, b, tree, state, distance)
    report(progress, "control", 0.5)
    ratio = _against_mirror(a, b, state, kernel, max_shift_nm, seed)
    if ratio < _CHANCE:
        notes.append(
            f"doubtful: a mirrored copy of the moving channel finds nearly as many partners "
            f"(1/{ratio:.2g}); "
            "the channels may not show the same structure, register by beads"
        )
    report(progress, "bootstrap", 0.6)
    error = _bootstrap(p, q, state, model, kernel, bootstrap, seed)
    report(progress, "bootstrap", 1.0)
    return CloudFit(
        matrix=state[0],
        offset=state[1],
        moving_rows=moving_rows[pairs[0]],
        fixed_rows=fixed_rows[pairs[1]],
        distance_nm=distance,
        target_error_nm=error,
        notes=tuple(notes),
    )


def _tiles(
    moving: FloatArray, fixed: FloatArray, margin_nm: float, seed: int
) -> tuple[IntArray, IntArray]:
    """Rows in randomly chosen squares when there are too many: thinning would part the pairs."""
    most = max(len(moving), len(fixed))
    if most <= _MOST_POINTS:
        return np.arange(len(moving)), np.arange(len(fixed))
    low = np.minimum(moving.min(axis=0), fixed.min(axis=0))[:2]
    span = np.maximum(moving.max(axis=0), fixed.max(axis=0))[:2] - low
    # Tiles much larger than the shift, or the pairs lie in different ones.
    count = np.clip((span / max(8 * margin_nm, 1.0)).astype(np.int64), 1, 64)
    tiles = []
    for points in (moving, fixed):
        cell = np.minimum(((points[:, :2] - low) / span * count).astype(np.int64), count - 1)
        tiles.append(cell[:, 0] * count[1] + cell[:, 1])
    order = np.random.default_rng(seed).permutation(int(count.prod()))
    sizes = sum(np.bincount(tile, minlength=len(order)) for tile in tiles)
    cumulated = np.cumsum(np.asarray(sizes)[order])
    chosen = order[: max(1, int(np.searchsorted(cumulated, 2 * _MOST_POINTS)))]
    kept = np.zeros(len(order), dtype=bool)
    kept[chosen] = True
    return np.flatnonzero(kept[tiles[0]]), np.flatnonzero(kept[tiles[1]])


def _start(
    a: FloatArray, b: FloatArray, max_shift_nm: float, max_rotation_deg: float
) -> tuple[Transform, float]:
    dimension = a.shape[1]
    centre = a.mean(axis=0)
    best: tuple[float, Transform, float] | None = None
    radius = float(np.percentile(np.linalg.norm((a - centre)[:, :2], axis=1), 90))
    _, pixel, _ = correlate(a, b, max_shift_nm=max_shift_nm)
    step = np.degrees(2 * pixel / max(radius, pixel))
    half = int(np.ceil(max_rotation_deg / step)) if max_rotation_deg > 0 else 0
    for angle in np.radians(np.linspace(-max_rotation_deg, max_rotation_deg, 2 * half + 1)):
        matrix = np.eye(dimension)
        if half:
            matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        turned = (a - centre) @ matrix.T + centre
        shift, pixel, height = correlate(turned, b, max_shift_nm=max_shift_nm)
        if best is None or height > best[0]:
            best = (height, (matrix, centre - matrix @ centre + shift), pixel)
    assert best is not None
    return best[1], best[2]


def _mutual(
    a: FloatArray, b: FloatArray, tree: cKDTree, state: Transform, distance: float
) -> tuple[IntArray, IntArray]:
    """Rows of mutual nearest neighbours within the distance."""
    moved = a @ state[0].T + state[1]
    gap, nearest = tree.query(moved, distance_upper_bound=distance)
    rows = np.flatnonzero(np.isfinite(gap))
    partner = nearest[rows]
    _, back = cKDTree(moved).query(b[partner])
    mutual = back == rows
    return rows[mutual], partner[mutual]


def _closing_in(
    a: FloatArray,
    b: FloatArray,
    tree: cKDTree,
    state: Transform,
    model: str,
    distance: float,
    max_distance_nm: float | None,
) -> tuple[Transform, tuple[IntArray, IntArray], float]:
    least = max(_FEWEST_PAIRS, 3 * least_pairs(model, a.shape[1]))
    pairs = _mutual(a, b, tree, state, distance)
    # Fewer numbers first: an affine fit to half-wrong pairs runs away, a translation does not.
    stages = ["translation"] if model == "translation" else ["translation", model]
    for stage in stages:
        for _ in range(_ROUNDS):
            pairs = _mutual(a, b, tree, state, distance)
            if len(pairs[0]) < least:
                raise GeometryError(
                    f"register: only {len(pairs[0])} localizations of {len(a)} have a mutual "
                    f"neighbour within {distance:.3g} nm of the other channel; the channels may "
                    "not show the same structure. Use beads, or another max_distance_nm."
                )
            found = _refit(a, b, pairs, state, stage, distance)
            if found is None:
                raise GeometryError(
                    f"register: the matched localizations do not determine a {model} transform."
                )
            change = np.abs(a[pairs[0]] @ (found[0] - state[0]).T + found[1] - state[1]).max()
            state = found
            if change > _COARSE * distance:
                continue  # coming closer too early locks false partners in
            before = distance
            if stage == stages[-1]:
                distance = _closer(a, b, pairs, state, distance, max_distance_nm)
            if distance > 0.99 * before:
                break
    return state, _mutual(a, b, tree, state, distance), distance


def _refit(
    a: FloatArray,
    b: FloatArray,
    pairs: tuple[IntArray, IntArray],
    state: Transform,
    model: str,
    distance: float,
) -> Transform | None:
    """Least squares with Tukey's weight `(1 - (r / distance)^2)^2`."""
    p, q = a[pairs[0]], b[pairs[1]]
    squares = ((p @ state[0].T + state[1] - q) ** 2).sum(axis=1)
    weights = np.maximum(1 - squares / distance**2, 0.0) ** 2
    if weights.sum() <= 0:
        return None
    if model == "translation":  # keeps the rotation of the start
        return state[0], state[1] + weights @ (q - p @ state[0].T - state[1]) / weights.sum()
    return fit_pairs(p, q, model, weights=weights)


def _closer(
    a: FloatArray,
    b: FloatArray,
    pairs: tuple[IntArray, IntArray],
    state: Transform,
    distance: float,
    max_distance_nm: float | None,
) -> float:
    """Come closer by a fifth at most, to three robust deviations or to what was asked."""
    if max_distance_nm is not None:
        goal = max_distance_nm
    else:
        gap = a[pairs[0]] @ state[0].T + state[1] - b[pairs[1]]
        spread = 1.4826 * np.median(np.abs(gap), axis=0)
        goal = 3.0 * float(np.linalg.norm(spread))
    return float(min(distance, max(goal, 0.8 * distance, 1e-6)))


def _all_pairs(
    a: FloatArray,
    b: FloatArray,
    state: Transform,
    kernel_nm: float,
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    """All pairs within three kernel widths; dense clouds are thinned on one side only."""
    moved = a @ state[0].T + state[1]
    tree, reach = cKDTree(b), 3 * kernel_nm
    count = int(cKDTree(moved).count_neighbors(tree, reach))
    if count > _MOST_PAIRS:
        share = int(len(a) * _MOST_PAIRS / count) + 1
        rows = np.random.default_rng(seed).choice(len(a), min(share, len(a)), replace=False)
        a, moved = a[rows], moved[rows]
    found = cKDTree(moved).sparse_distance_matrix(tree, reach, output_type="ndarray")
    return a[found["i"]], b[found["j"]]


def _settle(
    a: FloatArray, b: FloatArray, state: Transform, model: str, kernel_nm: float, seed: int
) -> tuple[float, Transform, FloatArray, FloatArray]:
    """Settle the transform with the narrowest kernel that still feels a small displacement.

    With the kernel h and the distance s of true partners one round leaves `s^2 / (s^2 + h^2)` of a
    displacement. Where molecules blink often, the nearest partner is much nearer than s: a
    kernel as narrow as that hardly moves, and neither do the replicates of the bootstrap. Where no
    width helps, the structure itself is smooth, and the narrow kernel takes the least of it.
    """
    narrow: tuple[float, Transform, FloatArray, FloatArray] | None = None
    for _ in range(_GROWTHS):
        p, q = _all_pairs(a, b, state, kernel_nm, seed)
        state = _mean_shift(p, q, state, model, kernel_nm, 4 * _ROUNDS) or state
        if narrow is None:
            narrow = (kernel_nm, state, p, q)
        if _left(p, q, state, kernel_nm) < _STUCK:
            return kernel_nm, state, p, q
        kernel_nm *= 1.4
    assert narrow is not None
    return narrow


def _left(p: FloatArray, q: FloatArray, state: Transform, kernel_nm: float) -> float:
    """Largest fraction of a displacement that one round leaves, over the axes."""
    result = []
    for push in np.eye(p.shape[1]) * kernel_nm / 3:
        start = (state[0], state[1] + push)
        moved = _mean_shift(p, q, start, "translation", kernel_nm, 1)
        if moved is None:
            return 1.0
        result.append(float((moved[1] - state[1]) @ push / (push @ push)))
    return max(result)


def _mean_shift(
    p: FloatArray,
    q: FloatArray,
    state: Transform,
    model: str,
    kernel_nm: float,
    rounds: int,
    factor: FloatArray | None = None,
) -> Transform | None:
    """Climb to the maximum of the correlation of both clouds under a Gaussian kernel."""
    probes = p[:: max(len(p) // 64, 1)]
    for _ in range(rounds):
        gap = q - p @ state[0].T - state[1]
        weights = np.exp((gap**2).sum(axis=1) / (-2 * kernel_nm**2))
        if factor is not None:
            weights = weights * factor
        if not weights.sum() > 0:
            return None
        if model == "translation":
            found: Transform | None = (state[0], state[1] + weights @ gap / weights.sum())
        else:
            found = fit_pairs(p, q, model, weights=weights)
        if found is None:
            return None
        change = np.abs(probes @ (found[0] - state[0]).T + found[1] - state[1]).max()
        state = found
        if change < _SETTLED_NM:
            break
    return state


def _against_mirror(
    a: FloatArray,
    b: FloatArray,
    state: Transform,
    kernel_nm: float,
    max_shift_nm: float,
    seed: int,
) -> float:
    """Pairs within the kernel compared with the best that a mirrored copy of the cloud finds.

    The copy has the same structure, density and freedom to shift, and nothing to match.
    """
    moved = a @ state[0].T + state[1]
    mirror = moved.copy()
    mirror[:, 0] = mirror[:, 0].min() + mirror[:, 0].max() - mirror[:, 0]
    shift, _, _ = correlate(mirror, b, max_shift_nm=max_shift_nm)
    start = (np.eye(a.shape[1]), shift)
    p, q = _all_pairs(mirror, b, start, kernel_nm, seed)
    best = _mean_shift(p, q, start, "translation", kernel_nm, _REPLICATE_ROUNDS) or start
    tree = cKDTree(b)
    ours = int(cKDTree(moved).count_neighbors(tree, kernel_nm))
    chance = int(cKDTree(mirror + best[1]).count_neighbors(tree, kernel_nm))
    return ours / max(chance, 1)


def _bootstrap(
    p: FloatArray,
    q: FloatArray,
    state: Transform,
    model: str,
    kernel_nm: float,
    replicates: int,
    seed: int,
) -> FloatArray:
    """Standard deviation of where the points come to lie, per axis, by resampling of blocks.

    Blocks, because localizations of one molecule are not independent of each other.
    """
    generator = np.random.default_rng(seed)
    if len(p) > _BOOTSTRAP_PAIRS:
        rows = generator.choice(len(p), _BOOTSTRAP_PAIRS, replace=False)
        p, q = p[rows], q[rows]
    low, span = p[:, :2].min(axis=0), np.maximum(np.ptp(p[:, :2], axis=0), 1e-9)
    cell = np.minimum(((p[:, :2] - low) / span * _BLOCKS).astype(np.int64), _BLOCKS - 1)
    _, block = np.unique(cell[:, 0] * _BLOCKS + cell[:, 1], return_inverse=True)
    n_blocks = int(block.max(initial=0)) + 1
    probes = p[generator.choice(len(p), min(len(p), 500), replace=False)]
    places = []
    for _ in range(replicates):
        drawn = np.bincount(generator.integers(0, n_blocks, n_blocks), minlength=n_blocks)
        factor = drawn[block].astype(np.float64)
        found = _mean_shift(p, q, state, model, kernel_nm, _REPLICATE_ROUNDS, factor)
        if found is not None:
            places.append(probes @ found[0].T + found[1])
    if len(places) < 2 or n_blocks < 2:
        return np.full(p.shape[1], np.nan)
    spread = np.std(np.stack(places), axis=0, ddof=1)
    return np.asarray(np.sqrt((spread**2).mean(axis=0)))

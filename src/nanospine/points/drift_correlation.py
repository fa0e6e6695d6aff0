"""Drift by redundant cross-correlation: shifts between all pairs of parts of the recording."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.progress import Progress, report

__all__ = ["redundant_shifts", "segment_drift"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_CELLS = 2**20
_FINEST_NM = 15.0
_MOST_PARTNERS = 200_000
_FEW = 4000
_LATERAL_NM = 80.0
_OUTLIER = 4.0
_ROUNDS = 30


def redundant_shifts(
    xyz: FloatArray,
    segment: IntArray,
    *,
    max_drift_nm: float,
    seed: int,
    progress: Progress | None = None,
) -> tuple[IntArray, FloatArray]:
    """Shift of each segment against each other one.

    In x, y by the peak of the cross-correlation of their images (smoothed by a pixel, its top by a
    parabola); along z, where x, y are known, by the most frequent difference of localizations that
    are then near each other.

    Returns
    -------
    pairs : ndarray of int, shape (p, 2)
        Segments a < b.
    shift_nm : ndarray, shape (p, d)
        Of b against a.
    """
    from scipy.fft import irfft2, next_fast_len, rfft2
    from scipy.ndimage import gaussian_filter

    n, d = int(segment.max()) + 1, xyz.shape[1]
    low = xyz[:, :2].min(axis=0)
    span = np.ptp(xyz[:, :2], axis=0)
    # Images further apart than they are wide do not overlap: more room makes coarser pixels only.
    max_drift_nm = min(max_drift_nm, max(float(np.ptp(xyz, axis=0).max()), _FINEST_NM))
    pixel = max(_FINEST_NM, float(np.sqrt(np.prod(span + 2 * max_drift_nm) / _CELLS)))
    shape = tuple(next_fast_len(int((extent + max_drift_nm) / pixel) + 3, True) for extent in span)
    spectra = []
    for number in range(n):
        cells = np.floor((xyz[segment == number, :2] - low) / pixel).astype(np.int64)
        flat = np.ravel_multi_index(tuple(cells.T), shape)
        image = np.bincount(flat, minlength=int(np.prod(shape))).astype(np.float32).reshape(shape)
        # The root keeps one blinking molecule from outvoting the structure.
        spectra.append(rfft2(gaussian_filter(np.sqrt(image), 1.0, mode="wrap")))
    reach = min(int(max_drift_nm / pixel) + 1, (min(shape) - 1) // 2)
    pairs = np.array([(a, b) for a in range(n) for b in range(a + 1, n)])
    shifts = np.zeros((len(pairs), d))
    for row, (a, b) in enumerate(pairs):
        correlation = irfft2(np.conj(spectra[a]) * spectra[b], s=shape)
        window = np.roll(correlation, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
        shifts[row, :2] = (_top(window) - reach) * pixel
        report(progress, "correlation", 0.8 * (row + 1) / len(pairs))
    if d == 3:
        rng = np.random.default_rng(seed)
        lateral = segment_drift(pairs, shifts[:, :2], n)[0]
        parts = [xyz[segment == number] - np.append(lateral[number], 0) for number in range(n)]
        for row, (a, b) in enumerate(pairs):
            shifts[row, 2] = _rise(parts[a], parts[b], max_drift_nm, rng)
            report(progress, "correlation", 0.8 + 0.2 * (row + 1) / len(pairs))
    return pairs, shifts


def _top(window: FloatArray) -> FloatArray:
    """Place of the largest value, between pixels by a parabola along each axis."""
    peak = np.unravel_index(int(window.argmax()), window.shape)
    result = np.array(peak, dtype=np.float64)
    for axis, at in enumerate(peak):
        if 0 < at < window.shape[axis] - 1:
            index = list(peak)
            around = []
            for step in (-1, 0, 1):
                index[axis] = np.intp(at + step)
                around.append(float(window[tuple(index)]))
            bend = around[0] - 2 * around[1] + around[2]
            if bend < 0:
                result[axis] += 0.5 * (around[0] - around[2]) / bend
    return result


def _rise(a: FloatArray, b: FloatArray, most: float, rng: np.random.Generator) -> float:
    """Most frequent difference in z of localizations that are near each other in x, y."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.spatial import cKDTree

    # Few of them tell how many partners there are: trees of millions take nearly all the time.
    few = [item[rng.permutation(len(item))[:_FEW], :2] for item in (a, b)]
    expected = cKDTree(few[0]).count_neighbors(cKDTree(few[1]), _LATERAL_NM)
    expected *= len(a) / len(few[0]) * len(b) / len(few[1])
    if expected > _MOST_PARTNERS:
        # Drawn anew for each pair, so that the redundancy averages over what was drawn.
        keep = np.sqrt(_MOST_PARTNERS / expected)
        a = a[rng.random(len(a)) < keep]
        b = b[rng.random(len(b)) < keep]
    tree_a, tree_b = cKDTree(a[:, :2]), cKDTree(b[:, :2])
    found = tree_a.sparse_distance_matrix(tree_b, _LATERAL_NM, output_type="ndarray")
    if len(found) == 0:
        return 0.0
    weight = np.exp(-(found["v"] ** 2) / (_LATERAL_NM**2 / 2))
    rise = b[found["j"], 2] - a[found["i"], 2]
    step = 5.0
    edges = np.arange(-most - step / 2, most + step, step)
    counts = np.histogram(rise, edges, weights=weight)[0]
    smooth = gaussian_filter1d(counts, 5.0)
    # Halves of a tube are apart too: what all differences do is not what one molecule does.
    smooth = smooth - gaussian_filter1d(counts, 30.0)
    return float(edges[0] + step / 2 + step * _top(smooth)[0])


def segment_drift(
    pairs: IntArray, shift_nm: FloatArray, n: int
) -> tuple[FloatArray, FloatArray, int]:
    """Drift of each segment that agrees best with all shifts (Wang et al. 2014).

    Least squares, without the shifts that miss the fit of least distances by more than 4 robust
    standard deviations, as long as the others connect all segments; the mean drift is 0.

    Returns
    -------
    drift_nm, std_nm : ndarray, shape (n, d)
    left_out : int
        Shifts that did not agree.

    Examples
    --------
    >>> pairs = np.array([(a, b) for a in range(5) for b in range(a + 1, 5)])
    >>> shift = (pairs[:, 1:] - pairs[:, :1]).astype(float)
    >>> shift[3] += 50
    >>> drift, _, left_out = segment_drift(pairs, shift, 5)
    >>> (drift - drift[0]).ravel().round(6).tolist(), left_out
    ([0.0, 1.0, 2.0, 3.0, 4.0], 1)
    """
    design = np.zeros((len(pairs) + 1, n))
    design[np.arange(len(pairs)), pairs[:, 1]] = 1
    design[np.arange(len(pairs)), pairs[:, 0]] = -1
    design[-1] = 1
    target = np.vstack([shift_nm, np.zeros((1, shift_nm.shape[1]))])
    # Least sums of distances, which shifts that are far off do not move, tell which those are.
    weight = np.ones(len(target))
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)[:, None]
        drift = np.linalg.lstsq(design * root, target * root, rcond=None)[0]
        miss = np.linalg.norm(target - design @ drift, axis=1)
        weight = 1 / np.maximum(miss, max(1e-3 * float(miss.max()), 1e-9))
        weight[-1] = weight[:-1].max()
    kept = miss <= max(_OUTLIER * 1.4826 * float(np.median(miss[:-1])), 0.01 * miss.max(), 1e-6)
    kept[-1] = True
    if np.linalg.matrix_rank(design[kept]) < n:
        kept[:] = True
    drift = np.linalg.lstsq(design[kept], target[kept], rcond=None)[0]
    freedom = max(int(kept.sum()) - n, 1)
    residual = target[kept] - design[kept] @ drift
    spread = np.sqrt((residual**2).sum(axis=0) / freedom)
    inverse = np.linalg.pinv(design[kept].T @ design[kept])
    std = np.sqrt(np.maximum(np.diag(inverse) - 1 / n**2, 1e-12))[:, None] * spread
    return np.asarray(drift), np.asarray(std), int((~kept).sum())

"""The shift between two clouds of points by the cross-correlation of their images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["correlate"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_CELLS = 2**21
_FINEST_NM = 20.0


def correlate(
    moving: FloatArray, fixed: FloatArray, *, max_shift_nm: float
) -> tuple[FloatArray, float, float]:
    """Shift of `moving` at the peak of the cross-correlation of both images.

    Returns
    -------
    shift_nm : ndarray, shape (d,)
    pixel_nm : float
        Pixel of the images.
    height : float
        Of the peak, as number of coinciding pairs after smoothing.
    """
    from scipy.fft import irfftn, next_fast_len, rfftn
    from scipy.ndimage import gaussian_filter

    dimension = moving.shape[1]
    low = np.minimum(moving.min(axis=0), fixed.min(axis=0))
    span = np.maximum(moving.max(axis=0), fixed.max(axis=0)) - low
    pixel = max(_FINEST_NM, float((np.prod(span + 2 * max_shift_nm) / _CELLS) ** (1 / dimension)))
    shape = [next_fast_len(int((extent + max_shift_nm) / pixel) + 3) for extent in span]
    spectra = []
    for points in (moving, fixed):
        cells = np.floor((points - low) / pixel).astype(np.int64)
        flat = np.ravel_multi_index(tuple(cells.T), shape)
        image = np.bincount(flat, minlength=int(np.prod(shape))).astype(np.float64).reshape(shape)
        # The root keeps one blinking molecule from outvoting the structure.
        spectra.append(rfftn(gaussian_filter(np.sqrt(image), 1.0, mode="wrap")))
    correlation = irfftn(np.conj(spectra[0]) * spectra[1], s=shape)
    lags = []
    for axis, size in enumerate(shape):
        lag = (np.arange(size) + size // 2) % size - size // 2
        outside = np.abs(lag * pixel) > max_shift_nm + 0.5 * pixel
        correlation[(slice(None),) * axis + (outside,)] = -np.inf
        lags.append(lag)
    peak = np.unravel_index(int(correlation.argmax()), correlation.shape)
    shift = np.array([_vertex(correlation, peak, axis, lags[axis]) for axis in range(dimension)])
    return shift * pixel, pixel, float(correlation[peak])


def _vertex(values: FloatArray, peak: tuple[np.intp, ...], axis: int, lag: IntArray) -> float:
    """Lag of the top of the parabola through the peak and its two neighbours."""
    size = values.shape[axis]
    around = []
    for step in (-1, 0, 1):
        index = list(peak)
        index[axis] = np.intp((peak[axis] + step) % size)
        around.append(float(values[tuple(index)]))
    left, middle, right = around
    bend = left - 2 * middle + right
    centre = float(lag[peak[axis]])
    if not np.isfinite(bend) or bend >= 0:
        return centre
    return centre + float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))

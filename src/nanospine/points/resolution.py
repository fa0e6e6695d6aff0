"""Fourier ring and shell correlation: the resolution that two halves of the data agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, GeometryError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report

__all__ = ["Resolution", "fourier_correlation"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# An image of more pixels takes more than a gigabyte with its transforms: it is cut into parts.
_MOST_PIXELS = 2**24
_MOST_PARTS = 4
_EDGE = 1 / 8
_FEWEST = 100


@dataclass(frozen=True, eq=False)
class Resolution:
    """Resolution by Fourier ring (2-D) or shell (3-D) correlation.

    Attributes
    ----------
    resolution_nm : float
        One over the frequency at which the correlation falls below the threshold; NaN where it
        never does.
    std_nm : float
        Standard deviation over random splits into halves.
    threshold : float
        Correlation that counts as resolved.
    pixel_nm : float
        Of the images.
    curve : DataFrame
        `frequency_per_nm`, `correlation` (mean over splits), `smooth`.
    notes : tuple of str
        What makes the result doubtful.
    """

    resolution_nm: float
    std_nm: float
    threshold: float
    pixel_nm: float
    curve: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give the figures in one row."""
        names = ("resolution_nm", "std_nm", "threshold", "pixel_nm")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])


def fourier_correlation(
    localizations: Localizations,
    *,
    dimension: int | None = None,
    pixel_nm: float | None = None,
    n_blocks: int = 500,
    repeats: int = 10,
    threshold: float = 1 / 7,
    seed: int = 0,
    progress: Progress | None = None,
) -> Resolution:
    """Measure the resolution by the correlation of two halves in Fourier space.

    Frames are cut into `n_blocks` blocks, half of the blocks at random make image 1, the others
    image 2 (Nieuwenhuizen et al. 2013); FRC(q) = Re sum F1 F2* / sqrt(sum |F1|² sum |F2|²) over
    the ring (shell) of frequency q. The resolution is 1 / q where the smoothed curve first falls
    below the threshold. Images have soft edges (Tukey window over 1/8 of each side).

    Molecules that blink several times are in both halves and correlate by themselves: the
    resolution is then that of the molecules' positions, and better than that of the structure.
    Link the localizations first (:func:`nanospine.link_localizations`) to lessen this.

    Parameters
    ----------
    localizations : Localizations
        Without a column `frame`, rows are split at random.
    dimension : {2, 3}, optional
        3 for shells; that of the data otherwise.
    pixel_nm : float, optional
        A quarter of the median precision otherwise (5 nm where none is known). Pixels blur: a
        quarter of the precision adds 0.3 % to the resolution. Where the image would have more than
        2^24 of them, the four parts with the most localizations are measured together.
    n_blocks, repeats : int
        Blocks of frames; random splits.
    threshold : float
        1/7 is usual.
    seed : int
        Of the splits.
    progress : callable, optional
        Told the stage and its fraction.

    Raises
    ------
    TooFewPointsError, GeometryError, ConfigError
        With fewer than 100 localizations; for an extent of zero; for arguments out of range.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> place = (rng.random((2000, 2)) * 5000).repeat(10, axis=0)
    >>> locs = ns.from_arrays(
    ...     place + rng.normal(0, 10, place.shape), frame=rng.permutation(len(place)))
    >>> bool(30 < ns.fourier_correlation(locs, repeats=2).resolution_nm < 38)
    True
    """
    d = _check(localizations, dimension, pixel_nm, n_blocks, repeats, threshold)
    xyz = localizations.xyz_nm[:, :d]
    low, span = xyz.min(axis=0), np.ptp(xyz, axis=0)
    if not (span > 0).all():
        raise GeometryError(
            "fourier_correlation: an extent along every axis was expected, found "
            + ", ".join(f"{axis} {value:g} nm" for axis, value in zip("xyz", span, strict=False))
            + "."
        )
    notes: list[str] = []
    pixel = float(pixel_nm or _pixel(localizations))
    parts, shape = _parts(np.floor((xyz - low) / pixel).astype(np.int64), notes)
    window = _window(shape)
    blocks, n_blocks = _blocks(localizations, n_blocks, notes)
    rng = np.random.default_rng(seed)
    # Rings as wide as the longest side allows.
    step = 1 / (max(shape) * pixel)
    ring = _rings(shape, pixel, step)
    curves, found = [], []
    for number in range(repeats):
        first = np.zeros(n_blocks, dtype=bool)
        first[rng.permutation(n_blocks)[: n_blocks // 2]] = True
        sums = [_sums(flat, first[blocks[rows]], shape, window, ring) for rows, flat in parts]
        cross, power_a, power_b = np.sum(sums, axis=0)
        power = np.sqrt(power_a * power_b)
        correlation = np.divide(cross, power, out=np.zeros_like(cross), where=power > 0)[:-1]
        curves.append(correlation)
        found.append(_crossing(correlation, step, threshold))
        report(progress, "fourier correlation", (number + 1) / repeats)
    mean = np.mean(curves, axis=0)
    crossings = np.array(found)
    known = np.isfinite(crossings)
    if not known.all():
        notes.append(
            f"in {int((~known).sum())} of {repeats} splits the correlation stays above the "
            f"threshold up to {2 * pixel:.3g} nm (or below it everywhere)"
        )
    return Resolution(
        resolution_nm=float(np.mean(crossings[known])) if known.any() else np.nan,
        std_nm=float(np.std(crossings[known], ddof=1)) if known.sum() > 1 else np.nan,
        threshold=float(threshold),
        pixel_nm=float(pixel),
        curve=pd.DataFrame(
            {
                "frequency_per_nm": np.arange(len(mean)) * step,
                "correlation": mean,
                "smooth": _smooth(mean),
            }
        ),
        notes=tuple(notes),
    )


def _check(
    localizations: Localizations,
    dimension: int | None,
    pixel_nm: float | None,
    n_blocks: int,
    repeats: int,
    threshold: float,
) -> int:
    """Refuse arguments out of range; give the dimension."""
    own = localizations.dimension
    if dimension not in (None, 2, 3) or (dimension == 3 and own == 2):
        raise ConfigError(
            f"fourier_correlation: dimension 2, or 3 for 3-D data, was expected, found "
            f"{dimension!r} for {own}-D data."
        )
    if len(localizations) < _FEWEST:
        raise TooFewPointsError(
            f"fourier_correlation: {len(localizations)} localizations; at least {_FEWEST} are "
            "needed."
        )
    if pixel_nm is not None and not (np.isfinite(pixel_nm) and pixel_nm > 0):
        raise ConfigError(
            f"fourier_correlation: a positive pixel_nm was expected, found {pixel_nm!r}."
        )
    if n_blocks < 2 or repeats < 1 or not 0 < threshold < 1:
        raise ConfigError(
            "fourier_correlation: n_blocks of 2 or more, repeats of 1 or more and a threshold "
            f"between 0 and 1 were expected, found {n_blocks}, {repeats}, {threshold!r}."
        )
    return dimension or own


def _pixel(localizations: Localizations) -> float:
    precision = localizations.precision_nm
    if precision is not None:
        known = precision[np.isfinite(precision) & (precision > 0)]
        if len(known):
            return float(np.median(known)) / 4
    return 5.0


def _parts(
    cells: IntArray, notes: list[str]
) -> tuple[list[tuple[IntArray, IntArray]], tuple[int, ...]]:
    """Cut an image that is too large; give rows and pixels of its fullest parts, and the shape."""
    size = cells.max(axis=0) + 1
    side = int(size.max())
    while np.prod(np.minimum(size, side), dtype=np.float64) > _MOST_PIXELS:
        side = int(side * 0.9)
    number = -(-size // side)
    shape = tuple(int(item) for item in -(-size // number))
    part = np.ravel_multi_index(tuple((cells // shape).T), tuple(int(item) for item in number))
    counts = np.bincount(part)
    fullest = np.argsort(-counts, kind="stable")[:_MOST_PARTS]
    fullest = fullest[counts[fullest] > 0]
    if int((counts > 0).sum()) > len(fullest):
        notes.append(f"measured in the {len(fullest)} fullest of {int((counts > 0).sum())} parts")
    result = []
    for item in fullest:
        rows = np.flatnonzero(part == item)
        inside = cells[rows] % np.array(shape)
        result.append((rows, np.ravel_multi_index(tuple(inside.T), shape).astype(np.int64)))
    return result, shape


def _blocks(localizations: Localizations, n_blocks: int, notes: list[str]) -> tuple[IntArray, int]:
    """Give the block of each localization: equal numbers of successive frames."""
    table = localizations.table
    if "frame" not in table:
        notes.append("no frames: split at random; molecules that blink are in both halves")
        n_blocks = min(n_blocks, len(table))
        return np.random.default_rng(0).integers(0, n_blocks, len(table)), n_blocks
    frame = table["frame"].to_numpy(np.float64)
    low, high = frame.min(), frame.max()
    n_blocks = int(min(n_blocks, max(high - low + 1, 2)))
    place = (frame - low) / (high - low + 1) * n_blocks
    return np.minimum(place.astype(np.int64), n_blocks - 1), n_blocks


def _window(shape: tuple[int, ...]) -> FloatArray:
    from scipy.signal.windows import tukey

    result = np.ones(())
    for size in shape:
        result = np.multiply.outer(result, tukey(size, 2 * _EDGE) if size > 8 else np.ones(size))
    return np.asarray(result)


def _rings(shape: tuple[int, ...], pixel: float, step: float) -> npt.NDArray[np.int32]:
    """Number of the ring of each frequency of a real transform; those beyond Nyquist last."""
    from scipy.fft import fftfreq, rfftfreq

    square = np.zeros(())
    for axis, size in enumerate(shape):
        along = rfftfreq(size, pixel) if axis == len(shape) - 1 else fftfreq(size, pixel)
        square = np.add.outer(square, along**2)
    last = int(0.5 / pixel / step)
    return np.minimum(np.rint(np.sqrt(square) / step), last + 1).astype(np.int32)


def _sums(
    flat: IntArray,
    first: npt.NDArray[np.bool_],
    shape: tuple[int, ...],
    window: FloatArray,
    ring: npt.NDArray[np.int32],
) -> FloatArray:
    """Sum F1 F2*, |F1|² and |F2|² over each ring, shape (3, rings)."""
    from scipy.fft import rfftn

    spectra = []
    for rows in (first, ~first):
        image = np.bincount(flat[rows], minlength=window.size).reshape(shape) * window
        spectra.append(rfftn(image.astype(np.float32)))
    # A real transform holds one of each pair of frequencies, but both where the last is 0.
    weight = np.full(shape[-1] // 2 + 1, 2.0, dtype=np.float32)
    weight[0] = 1.0
    a, b = spectra
    values = (a.real * b.real + a.imag * b.imag, a.real**2 + a.imag**2, b.real**2 + b.imag**2)
    return np.stack([np.bincount(ring.ravel(), (item * weight).ravel()) for item in values])


def _smooth(curve: FloatArray) -> FloatArray:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(curve, max(1.0, len(curve) / 100), mode="nearest"))


def _crossing(curve: FloatArray, step: float, threshold: float) -> float:
    """Give 1 over the frequency where the smoothed curve first falls below the threshold."""
    smooth = _smooth(curve)
    above = smooth >= threshold
    if not above.any() or above.all():
        return np.nan
    start = int(np.argmax(above))
    below = np.flatnonzero(~above[start:])
    if len(below) == 0:
        return np.nan
    i = start + int(below[0])
    part = (smooth[i - 1] - threshold) / (smooth[i - 1] - smooth[i])
    return float(1 / ((i - 1 + part) * step))

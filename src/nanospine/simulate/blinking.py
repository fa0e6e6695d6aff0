"""When fluorophores are seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["blink_frames"]

_MEAN_DARK_FRAMES = 30.0


def blink_frames(
    molecule: npt.NDArray[np.int64], n_frames: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Give each localization a frame.

    A molecule appears first in a random frame; its next localizations follow after geometric
    dark times of 30 frames on average. Background (-1) appears in any frame.

    Parameters
    ----------
    molecule : ndarray of int, shape (n,)
        Molecule of each localization, those of one molecule in succession.
    n_frames : int
        Frames of the measurement; frames are 0 to n_frames - 1.

    Examples
    --------
    >>> frames = blink_frames(np.array([0, 0, 1]), 100, np.random.default_rng(0))
    >>> bool(frames[1] > frames[0])
    True
    """
    n = len(molecule)
    gap = generator.geometric(1 / _MEAN_DARK_FRAMES, n)
    starts = np.ones(n, dtype=bool)
    starts[1:] = (molecule[1:] != molecule[:-1]) | (molecule[1:] < 0)
    first = generator.integers(0, n_frames, n)
    gap[starts] = 0
    total = np.cumsum(gap)
    head = np.maximum.accumulate(np.where(starts, np.arange(n), 0)) if n else np.arange(0)
    frame = first[head] + total - total[head] if n else np.zeros(0, dtype=np.int64)
    return np.asarray(np.minimum(frame, n_frames - 1), dtype=np.int64)

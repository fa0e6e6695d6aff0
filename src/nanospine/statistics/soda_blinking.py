"""Several localizations of one molecule are not several objects: tell when it looks like that."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from nanospine.core.localizations import Localizations
from nanospine.statistics.soda_cells import Cells

__all__ = ["BlinkingWarning", "warn_of_blinking"]

FloatArray = npt.NDArray[np.float64]

# Two positions of one molecule are rarely farther apart than this many standard deviations of one.
_REACH = 2.8
_PRECISION_NM = 10.0
# This share with a neighbour so near, and this many times the chance of it, is not chance.
_SHARE, _TIMES = 0.2, 3.0
_SETTLED = ("link_localizations", "aggregate_traces", "cluster", "drop_duplicates")


class BlinkingWarning(UserWarning):
    """Localizations look like several of each molecule."""


def warn_of_blinking(a: object, b: object) -> tuple[str, ...]:
    """Warn, and give notes, for channels of which many localizations are one molecule's."""
    notes = []
    for name, points in (("a", a), ("b", b)):
        share = near_duplicates(points)
        if share is not None:
            notes.append(
                f"{name}: {share:.0%} of the localizations have another one within the precision, "
                "as of molecules that blink (or of very dense clusters); they are not independent "
                "objects, intervals are too narrow: use link_localizations or cluster first"
            )
    for note in notes:
        warnings.warn(note, BlinkingWarning, stacklevel=3)
    return tuple(notes)


def near_duplicates(points: object) -> float | None:
    """Share of localizations with another one within the precision, where it is beyond chance.

    None when it is not, when molecules are known, or they were linked or clustered. Chance is
    judged by the density within ten times that distance: molecules in clusters are dense there too.
    """
    if not isinstance(points, Localizations) or len(points) < 20:
        return None
    table = points.table
    # Objects that somebody made have no frame, time or precision.
    if points.precision_nm is None and "frame" not in table and "time_s" not in table:
        return None
    if "molecule" in table or "trace" in table or "n_localizations" in table:
        return None
    if any(step["operation"] in _SETTLED for step in points.history):
        return None
    xyz = np.ascontiguousarray(points.xyz_nm[:, : points.dimension])
    precision = points.precision_nm
    lateral = _PRECISION_NM if precision is None else float(np.nanmedian(precision[:, :2]))
    near, far = _REACH * lateral, 10 * _REACH * lateral
    if not near > 0:
        return None
    counts = Cells(xyz, far).ring_counts(xyz, np.array([0.0, near, far])).astype(np.float64)
    counts[:, 0] -= 1
    share = float((counts[:, 0] > 0).mean())
    # What the surroundings without the middle make expect in the middle.
    expected = (
        counts[:, 1] * near**points.dimension / (far**points.dimension - near**points.dimension)
    )
    chance = float((1 - np.exp(-expected)).mean())
    return share if share > _SHARE and share > _TIMES * chance else None

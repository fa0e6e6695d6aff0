"""Linking: the localizations of one blink of one molecule become one."""

from __future__ import annotations

# numba needs no annotations
# mypy: disable-error-code="no-untyped-def,misc"
from typing import Literal

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.errors import ConfigError, SchemaError
from nanospine.core.localizations import Localizations
from nanospine.points.counting import frame_order
from nanospine.points.grouping import merged_rows, runs_of

__all__ = ["link_ids", "link_localizations"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def link_localizations(
    localizations: Localizations,
    distance_nm: float,
    *,
    dark_frames: int = 0,
    distance_z_nm: float | None = None,
    ambiguous: Literal["nearest", "first"] = "nearest",
    drop_cut: bool = False,
) -> Localizations:
    """Merge the localizations of each blink into one row (see :func:`link_ids` for the rule).

    Positions are weighted with 1 / precision² per axis, the precision becomes
    1 / sqrt(sum 1 / precision²), photons are summed, other numbers averaged; `frame` is the first
    frame, `last_frame` the last, `n_localizations` the number of rows.

    Parameters
    ----------
    localizations : Localizations
        With a column `frame`.
    distance_nm, dark_frames, distance_z_nm, ambiguous
        As for :func:`link_ids`.
    drop_cut : bool
        Leave out blinks that were on in the first or the last frame of the recording (as far as
        the file tells how many there are, else of the table): their length and photons are not
        known in full.

    Raises
    ------
    SchemaError, ConfigError
        Without frames; for a distance or number that makes no sense.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays(
    ...     [[0, 0], [6, 0], [500, 0], [3, 0]], frame=[1, 2, 2, 9], photons=[100, 300, 50, 70],
    ...     precision_nm=10.0)
    >>> linked = ns.link_localizations(locs, 20.0)
    >>> linked.table[["x_nm", "photons", "n_localizations"]].values.tolist()
    [[3.0, 400.0, 2.0], [500.0, 50.0, 1.0], [3.0, 70.0, 1.0]]
    """
    ids = link_ids(
        localizations, distance_nm, dark_frames=dark_frames, distance_z_nm=distance_z_nm,
        ambiguous=ambiguous,
    )  # fmt: skip
    merged = merged_rows(localizations.table, ids)
    notes = []
    if drop_cut and len(merged):
        first, last = _recorded(localizations)
        cut = (merged["frame"] <= first) | (merged["last_frame"] >= last)
        notes.append(f"{int(cut.sum())} blinks touch the first or last frame and were left out")
        merged = merged[~cut].reset_index(drop=True)
    arguments = {
        "distance_nm": distance_nm, "dark_frames": dark_frames, "distance_z_nm": distance_z_nm,
        "ambiguous": ambiguous, "drop_cut": drop_cut,
    }  # fmt: skip
    return localizations.replace(
        table=merged, operation="link_localizations", arguments=arguments, notes=notes
    )


def link_ids(
    localizations: Localizations,
    distance_nm: float,
    *,
    dark_frames: int = 0,
    distance_z_nm: float | None = None,
    ambiguous: Literal["nearest", "first"] = "nearest",
) -> IntArray:
    """Number the blinks: for each localization the blink that it belongs to.

    In the order of frames, each localization that is not linked yet begins a blink. The next one
    of a blink is in the earliest frame, of the `dark_frames + 1` frames after the last one, that
    has a localization of the same channel, not linked yet, within the distance of the last one.
    Where that frame has several, `ambiguous` decides.

    Parameters
    ----------
    localizations : Localizations
        With a column `frame`.
    distance_nm : float
        In x, y.
    dark_frames : int
        Frames without the molecule that a blink may bridge.
    distance_z_nm : float, optional
        Also the heights must be as near; without it they do not count.
    ambiguous : {"nearest", "first"}
        "first" takes the first in the order of the table, as Picasso does (its `link` with
        `r_max` in pixels and `max_dark_time` gives the same blinks).

    Returns
    -------
    ndarray of int, shape (n,)
        Numbers from 0, in the order of their first localizations.

    Raises
    ------
    SchemaError, ConfigError
        Without frames; for a distance or number that makes no sense.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0], [6, 0], [500, 0], [3, 0]], frame=[1, 2, 2, 4])
    >>> link_ids(locs, 20.0).tolist(), link_ids(locs, 20.0, dark_frames=1).tolist()
    ([0, 0, 1, 2], [0, 0, 1, 0])
    """
    table = localizations.table
    if "frame" not in table:
        known = ", ".join(str(name) for name in table.columns)
        raise SchemaError(f"linking needs a column 'frame'; the columns are {known}.")
    if not (np.isfinite(distance_nm) and distance_nm > 0):
        raise ConfigError(f"linking: a positive distance_nm was expected, found {distance_nm!r}.")
    if distance_z_nm is not None and not (np.isfinite(distance_z_nm) and distance_z_nm > 0):
        raise ConfigError(
            f"linking: a positive distance_z_nm was expected, found {distance_z_nm!r}."
        )
    if isinstance(dark_frames, bool) or dark_frames != int(dark_frames) or dark_frames < 0:
        raise ConfigError(f"linking: dark_frames 0 or more was expected, found {dark_frames!r}.")
    if ambiguous not in ("nearest", "first"):
        raise ConfigError(f"linking: 'nearest' or 'first' was expected, found {ambiguous!r}.")
    n = len(table)
    frame = np.floor(table["frame"].to_numpy(np.float64)).astype(np.int64)
    by_frame, begins = runs_of(frame)
    # Side by side, so that each row is fetched from its place in the table once.
    beside = np.zeros((n, 4))
    beside[:, :3] = localizations.xyz_nm
    if "channel" in table:
        beside[:, 3] = table["channel"].cat.codes
    beside = beside[by_frame]
    # Within a frame by x, so that neighbours are found by bisection.
    rank = frame_order(begins, beside[:, 0])
    beside = beside[rank]
    place = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, n)))
    found = _link(
        beside, frame[by_frame[begins]], np.append(begins, n), place, rank, float(distance_nm),
        np.inf if distance_z_nm is None else float(distance_z_nm), int(dark_frames),
        ambiguous == "nearest",
    )  # fmt: skip
    ids = np.empty(n, dtype=np.int64)
    ids[by_frame[rank]] = found
    return ids


def _recorded(localizations: Localizations) -> tuple[float, float]:
    """First and last frame of the recording where the reader found them, else of the table."""
    frame = localizations.table["frame"]
    told = [entry["arguments"] for entry in localizations.history if entry["operation"] == "read"]
    if len(told) == 1 and "n_frames" in told[0] and "frame_base" in told[0]:
        first = told[0]["frame_base"]
        return float(first), float(first + told[0]["n_frames"] - 1)
    return float(frame.min()), float(frame.max())


@njit(cache=True)
def _link(xyzc, frames, begins, place, rank, distance, distance_z, dark, nearest):
    """Link rows of x, y, z, channel; `rank`: place of each in the order of frames and table."""
    n = xyzc.shape[0]
    ids = np.full(n, -1, dtype=np.int64)
    by_rank = np.empty(n, dtype=np.int64)
    for i in range(n):
        by_rank[rank[i]] = i
    count = 0
    square = distance * distance
    for r in range(n):
        i = by_rank[r]
        if ids[i] >= 0:
            continue
        ids[i] = count
        while i >= 0:
            following = -1
            k = place[i] + 1
            while k < frames.size and frames[k] - frames[place[i]] <= dark + 1:
                low, high = begins[k], begins[k + 1]
                least = xyzc[i, 0] - distance
                while low < high:
                    middle = (low + high) // 2
                    if xyzc[middle, 0] < least:
                        low = middle + 1
                    else:
                        high = middle
                best = np.inf
                for j in range(low, begins[k + 1]):
                    if xyzc[j, 0] > xyzc[i, 0] + distance:
                        break
                    if ids[j] >= 0 or xyzc[j, 3] != xyzc[i, 3]:
                        continue
                    if abs(xyzc[j, 2] - xyzc[i, 2]) > distance_z:
                        continue
                    apart = (xyzc[j, 0] - xyzc[i, 0]) ** 2 + (xyzc[j, 1] - xyzc[i, 1]) ** 2
                    if apart > square:
                        continue
                    score = apart if nearest else float(rank[j])
                    if score < best:
                        best = score
                        following = j
                if following >= 0:
                    break
                k += 1
            if following >= 0:
                ids[following] = count
            i = following
        count += 1
    return ids

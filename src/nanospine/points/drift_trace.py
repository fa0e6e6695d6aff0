"""The drift of a recording, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, SchemaError
from nanospine.core.localizations import Localizations

__all__ = ["Drift", "frames_of", "subtracted"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Drift:
    """Drift by frame: the measured position is the true one plus the drift of its frame.

    Attributes
    ----------
    frame : ndarray of int64, shape (m,)
        All frames from the first to the last, with localizations or without.
    drift_nm : ndarray, shape (m, d)
        Its mean over the localizations is 0.
    std_nm : ndarray, shape (m, d)
        Standard error.
    method : str
        What found it.
    notes : tuple of str
        What makes it doubtful.
    """

    frame: IntArray
    drift_nm: FloatArray = field(repr=False)
    std_nm: FloatArray = field(repr=False)
    method: str
    notes: tuple[str, ...] = ()

    @property
    def span_nm(self) -> FloatArray:
        """Largest minus smallest drift of each axis, shape (d,)."""
        return np.asarray(np.ptp(self.drift_nm, axis=0))

    def at(self, frame: npt.ArrayLike) -> FloatArray:
        """Give the drift in frames, shape (n, d); before the first and after the last as there."""
        place = np.asarray(frame, dtype=np.float64)
        return np.column_stack([np.interp(place, self.frame, item) for item in self.drift_nm.T])

    def to_frame(self) -> pd.DataFrame:
        """Give a row per frame: `frame`, `drift_x_nm` ..., `std_x_nm` ..."""
        table: dict[str, Any] = {"frame": self.frame}
        for name, values in (("drift", self.drift_nm), ("std", self.std_nm)):
            for axis, column in zip("xyz", values.T, strict=False):
                table[f"{name}_{axis}_nm"] = column
        return pd.DataFrame(table)


def frames_of(localizations: Localizations) -> FloatArray:
    """Give the frame of each localization; every one must have one."""
    if "frame" not in localizations.table:
        known = ", ".join(str(name) for name in localizations.table.columns)
        raise SchemaError(f"drift: a column 'frame' was expected; the columns are {known}.")
    frame = localizations.table["frame"].to_numpy(np.float64, na_value=np.nan)
    missing = int((~np.isfinite(frame)).sum())
    if missing:
        raise SchemaError(
            f"drift: a frame was expected for each localization, found {missing} of {len(frame)} "
            "without; drop those rows."
        )
    return np.asarray(frame)


def subtracted(localizations: Localizations, drift: Drift) -> tuple[pd.DataFrame, list[str]]:
    """Give the table without the drift, and what there is to say about it.

    Raises
    ------
    ConfigError
        When the drift knows none of the frames, and so is that of another recording.
    """
    frame = frames_of(localizations)
    first, last = int(drift.frame[0]), int(drift.frame[-1])
    unknown = int(((frame < first) | (frame >= last + 1)).sum())
    if unknown == len(frame) > 0:
        raise ConfigError(
            f"drift: it was expected to know the frames {frame.min():g} to {frame.max():g} of the "
            f"localizations, found frames {first} to {last}; take the drift of this recording."
        )
    table = localizations.to_frame()
    axes = "xyz"[: min(drift.drift_nm.shape[1], localizations.dimension)]
    for axis, column in zip(axes, drift.at(frame).T, strict=False):
        table[f"{axis}_nm"] = table[f"{axis}_nm"].to_numpy() - column
    error = np.sqrt(np.mean(drift.std_nm**2, axis=0))
    notes = [
        "drift " + ", ".join(
            f"{axis} {span:.3g} +- {std:.2g} nm"
            for axis, span, std in zip(axes, drift.span_nm, error, strict=False)
        ),
        *drift.notes,
    ]  # fmt: skip
    if localizations.dimension > len(axes):
        notes.append("z is left as it was: the drift is known in x, y only")
    if unknown:
        notes.append(
            f"{unknown} localizations before frame {first} or after frame {last}: the drift there "
            "is taken for theirs"
        )
    return table, notes

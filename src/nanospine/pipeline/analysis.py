"""Localizations go in, an envelope with measured and typed spines comes out; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanospine.config import RunConfig
from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.core.history import HistoryEntry
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress
from nanospine.points.filtering import keep_range
from nanospine.points.steps import apply_steps

if TYPE_CHECKING:
    from nanospine.spines.model import Spines
    from nanospine.surface.enveloped import Envelope

__all__ = ["Analysis", "analyse", "require_points", "timed"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found in localizations.

    Attributes
    ----------
    localizations : Localizations
        After the filters, with the column `spine`: its number, -1 on the shaft, -2 elsewhere.
    envelope : Envelope
        The surface around them (around one channel, when the configuration names one).
    spines : Spines
        With an empty table and a note that says why, when there is none.
    notes : tuple of str
        What a reader of the results must know, of every step.
    timings_s : dict
        Seconds of wall time per step.
    """

    localizations: Localizations
    envelope: Envelope
    spines: Spines
    notes: tuple[str, ...]
    timings_s: dict[str, float] = field(repr=False)

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Every operation, oldest first."""
        return self.spines.history


def analyse(
    localizations: Localizations, config: RunConfig, *, progress: Progress | None = None
) -> Analysis:
    """Filter localizations, wrap them, find and measure their spines; nothing is written.

    Parameters
    ----------
    localizations : Localizations
        3-D.
    config : RunConfig
        Its filters and its options of envelope and spines are used.
    progress : callable, optional
        Called with a stage and the fraction done.
    """
    # Late: these load the geometry libraries, which `import nanospine` must not.
    from nanospine.surface.envelope import envelope

    timings: dict[str, float] = {}
    with timed(timings, "filter"):
        kept = localizations
        for item in config.filter:
            kept = keep_range(kept, item.column, low=item.min, high=item.max)
        kept = apply_steps(kept, tuple(item.step for item in config.step), progress=progress)
    notes = [note for step in kept.history for note in step.get("notes", ())]
    wrapped_locs, rows = _structure(kept, config.envelope.channel, notes)
    require_points(wrapped_locs)
    if wrapped_locs.dimension == 2:
        raise GeometryError(
            f"spines: the {len(wrapped_locs)} localizations are 2-D; spines and their necks need "
            "3-D positions. Give the z column (or data of a 3-D method); `nanospine envelope` "
            "draws the outline of 2-D data."
        )
    options = config.envelope
    with timed(timings, "envelope"):
        wrapped = envelope(
            wrapped_locs,
            alpha_nm=options.alpha_nm,
            label=options.label,
            method=options.method,
            min_component_fraction=options.min_component_fraction,
            adapt=options.adapt,
            progress=progress,
        )
    notes += wrapped.notes
    asked = config.spines
    precision = asked.precision_nm
    with timed(timings, "spines"):
        from nanospine.spines.find import find_spines

        spines = find_spines(
            wrapped,
            wrapped_locs,
            label=options.label,
            precision_nm=None if precision is None else _one_or_three(precision),
            preset=asked.preset,
            min_length_nm=asked.min_length_nm,
            base_nm=asked.base_nm,
            join_nm=asked.join_nm,
            linker_nm=asked.linker_nm,
            seed=asked.seed,
            progress=progress,
        )
        spines = _corrected(spines, wrapped_locs, config)
    notes += spines.notes
    known = wrapped_locs.precision_nm
    if (
        len(spines)
        and precision is None
        and (known is None or not np.isfinite(known).any(axis=0).all())
    ):
        notes.append(
            "The table has no localization precision on every axis, so no neck diameter could be "
            "measured. Give [spines] precision_nm (command line: --precision-nm 10,10,20)."
        )
    labelled = _with_spine_column(kept, rows, spines, wrapped)
    return Analysis(labelled, wrapped, spines, tuple(dict.fromkeys(notes)), timings)


def require_points(localizations: Localizations) -> None:
    """Refuse localizations around which no surface can go because of what they are, not how many.

    Raises
    ------
    TooFewPointsError
        When there are none (saying what was dropped), or all lie at one point.

    Examples
    --------
    >>> import nanospine as ns
    >>> require_points(ns.from_arrays([[5, 5, 5]] * 100))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    nanospine.core.errors.TooFewPointsError: all 100 localizations lie at one point (5, 5, 5)...
    """
    xyz = localizations.xyz_nm
    if len(xyz) == 0:
        dropped = [note for step in localizations.history for note in step.get("notes", ())]
        reason = f" ({'; '.join(dropped)})" if dropped else ""
        raise TooFewPointsError(f"the table holds no localizations{reason}.")
    if len(xyz) > 1 and not np.ptp(xyz, axis=0).any():
        place = ", ".join(f"{item:g}" for item in xyz[0])
        raise TooFewPointsError(
            f"all {len(xyz)} localizations lie at one point ({place}) nm; an envelope needs at "
            "least 4 that do not lie in one plane."
        )


def _structure(
    localizations: Localizations, channel: str | None, notes: list[str]
) -> tuple[Localizations, npt.NDArray[np.int64]]:
    """Give the localizations that the envelope goes around, and their rows."""
    if channel is None:
        if len(localizations.channels) > 1:
            shown = ", ".join(repr(name) for name in localizations.channels)
            notes.append(
                f"The channels {shown} were taken together; name the one that shows the dendrite "
                "with [envelope] channel (command line: --channel)."
            )
        return localizations, np.arange(len(localizations))
    chosen = localizations.channel(channel)
    return chosen, np.flatnonzero((localizations.table["channel"] == channel).to_numpy())


def _corrected(spines: Spines, localizations: Localizations, config: RunConfig) -> Spines:
    """Apply the changes made by hand that the configuration names."""
    if config.corrections_path is None:
        return spines
    from nanospine.output.corrected import corrected_spines
    from nanospine.output.corrections import read_corrections

    precision = config.spines.precision_nm
    return corrected_spines(
        spines,
        read_corrections(config.corrections_path),
        localizations,
        precision_nm=None if precision is None else _one_or_three(precision),
    )


def _one_or_three(values: tuple[float, ...]) -> float | tuple[float, ...]:
    return values[0] if len(values) == 1 else values


def _with_spine_column(
    kept: Localizations, rows: npt.NDArray[np.int64], spines: Spines, wrapped: Envelope
) -> Localizations:
    """Add the spine of every localization; those of other channels go to the nearest surface."""
    from nanospine.spines.assign import assign_localizations
    from nanospine.spines.model import BACKGROUND

    number = np.full(len(kept), BACKGROUND, dtype=np.int64)
    if spines.localization_spine is not None:
        number[rows] = spines.localization_spine
    others = np.setdiff1d(np.arange(len(kept)), rows)
    if len(others):
        precision = kept.precision_nm
        number[others] = assign_localizations(
            kept.xyz_nm[others],
            wrapped.mesh,
            spines.vertex_spine,
            None if precision is None else precision[others],
        )
    table = kept.table.assign(spine=number)
    return kept.replace(table=table, operation="find_spines", arguments={"n_spines": len(spines)})


@contextmanager
def timed(timings: dict[str, float], name: str) -> Iterator[None]:
    """Note the seconds of wall time that a step takes under its name."""
    start = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - start

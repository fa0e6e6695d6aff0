"""Corrections made by hand, applied to spines: what changed is measured anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.history import entry
from nanospine.core.localizations import Localizations
from nanospine.output.corrections import Correction
from nanospine.spines.find import _table
from nanospine.spines.model import BACKGROUND, Spines
from nanospine.spines.relabel import relabelled

__all__ = ["corrected_spines"]

IntArray = npt.NDArray[np.int64]

# A correction is for the spine whose tip is there; beyond this it is another one.
_SAME_TIP_NM = 250.0
_FEWEST_VERTICES = 6


@dataclass
class _State:
    """Labels of the vertices while corrections are applied one by one."""

    label: IntArray
    changed: set[int] = field(default_factory=set)
    types: dict[int, str] = field(default_factory=dict)
    said: dict[int, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def say(self, number: int, text: str) -> None:
        self.notes.append(text)
        self.said.setdefault(number, []).append(text)


def corrected_spines(
    spines: Spines,
    corrections: Sequence[Correction],
    locs: Localizations | None = None,
    *,
    precision_nm: npt.ArrayLike | None = None,
) -> Spines:
    """Apply changes made by hand, and measure merged and split spines anew.

    Rejected spines leave the table, and their part of the surface is "elsewhere" (-2). The spine
    that a split cuts off gets the next free number. At the end spines are numbered from 0 again;
    the note of each says what was done and which number it had.

    Parameters
    ----------
    spines : Spines
        As found.
    corrections : sequence of Correction
        In the order in which they were made. One with `tip_nm` is for the spine whose tip is
        there, whatever its number.
    locs : Localizations, optional
        Those that the spines were found on.
    precision_nm : array_like, optional
        As in :func:`nanospine.find_spines`.

    Returns
    -------
    Spines
        Its notes tell of every change, and of every correction that fits no spine.

    Examples
    --------
    >>> import nanospine as ns
    >>> found = ns.find_spines(ns.simulate.spine("mushroom", seed=1).mesh)
    >>> changed = corrected_spines(found, [Correction("retype", 0, "stubby")])
    >>> changed.table["type"].tolist(), changed.notes
    (['stubby'], ('Spine 0 was called stubby by hand.',))
    """
    if not corrections:
        return spines
    mesh = spines.envelope if isinstance(spines.envelope, trimesh.Trimesh) else spines.envelope.mesh
    state = _State(spines.vertex_spine.copy())
    for item in corrections:
        _apply(_located(item, spines), state, np.asarray(mesh.vertices))
    step = entry(
        "correct_spines",
        {"corrections": [item.to_dict() for item in corrections]},
        n_before=len(spines),
        n_after=len([label for label in np.unique(state.label) if label >= 0]),
        notes=tuple(state.notes),
    )
    if spines.shaft is None:
        return replace(spines, notes=(*spines.notes, *state.notes))
    found, number_of = relabelled(spines, state.label, state.changed, locs, precision_nm)
    told = _told(found, state, number_of)
    return replace(told, notes=(*spines.notes, *state.notes), history=(*spines.history, step))


def _located(item: Correction, spines: Spines) -> Correction | str:
    """The correction with the number that its spine has here, or why it fits none."""
    n = len(spines)
    if item.tip_nm is None or n == 0:
        return item
    tips = np.array([spine.centreline_nm[-1] for spine in spines.spines])
    far = np.linalg.norm(tips - np.asarray(item.tip_nm), axis=1)
    if item.spine < n and far[item.spine] <= _SAME_TIP_NM:
        return item
    nearest = int(far.argmin())
    if far[nearest] <= _SAME_TIP_NM:
        return replace(item, spine=nearest)
    return (
        f"A correction of spine {item.spine} was left out: no spine has its tip where that one had "
        f"it ({', '.join(f'{v:.0f}' for v in item.tip_nm)} nm)."
    )


def _apply(item: Correction | str, state: _State, vertices: npt.NDArray[np.float64]) -> None:
    """Do one change to the labels."""
    if isinstance(item, str):
        state.notes.append(item)
        return
    mine = state.label == item.spine
    missing = item.spine if not mine.any() else None
    if item.action == "merge" and not (state.label == item.other).any():
        missing = item.other
    if missing is not None:
        state.notes.append(f"A correction names spine {missing}, which is not there; left out.")
        return
    if item.action == "retype":
        state.types[item.spine] = item.type
        state.say(item.spine, item.did)
    elif item.action == "reject":
        state.label[mine] = BACKGROUND
        state.notes.append(item.did)
    elif item.action == "merge":
        assert item.other is not None
        state.label[state.label == item.other] = item.spine
        state.changed.add(item.spine)
        state.say(item.spine, item.did)
    else:
        _split(item, state, vertices, mine)


def _split(
    item: Correction, state: _State, vertices: npt.NDArray[np.float64], mine: npt.NDArray[np.bool_]
) -> None:
    beyond = mine & ((vertices - np.asarray(item.point_nm)) @ np.asarray(item.normal) > 0)
    parts = int(beyond.sum()), int((mine & ~beyond).sum())
    if min(parts) < _FEWEST_VERTICES:
        state.notes.append(
            f"Spine {item.spine} was not split: the plane leaves {min(parts)} vertices on one side."
        )
        return
    new = int(state.label.max()) + 1
    state.label[beyond] = new
    state.changed |= {item.spine, new}
    state.say(item.spine, item.did)
    state.said[new] = [f"Cut off spine {item.spine} by hand."]


def _told(found: Spines, state: _State, number_of: dict[int, int]) -> Spines:
    """Set types by hand, and write into each note what was done."""
    was = {number: label for label, number in number_of.items()}
    spines = []
    for spine in found.spines:
        label = was[spine.id]
        said = list(state.said.get(label, []))
        if label != spine.id:
            said.append(f"Spine {label} before the corrections.")
        kind = state.types.get(label, spine.type)
        note = " ".join(part for part in (str(spine.row["note"] or ""), *said) if part)
        row: dict[str, Any] = {**spine.row, "type": kind, "note": note}
        spines.append(replace(spine, type=kind, row=row))
    return replace(found, spines=tuple(spines), table=_table(spines))

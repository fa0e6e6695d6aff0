"""Spines that end where they touch a neighbour: one of the two may have the other's head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.spatial import cKDTree

from nanospine.spines.model import Spine

__all__ = ["headless_at", "with_touching_notes"]

IntArray = npt.NDArray[np.int64]

# A tip as near as this to the border with a neighbour is no tip that stands free.
_AT_BORDER_NM = 100.0
_HEADLESS = "ends where it touches a neighbour: its head may have been given to that one"
_TOUCHED = (
    "a neighbour ends where it touches this one: the head may be the neighbour's, and the neck not "
    "the head's own"
)


def headless_at(
    mesh: trimesh.Trimesh, vertex_spine: IntArray, spines: Sequence[Spine]
) -> dict[int, int]:
    """Spines whose tip lies at the border with another, and that other one.

    The tip of a spine with a head of its own is on the head, mostly away from the border with
    a neighbour; one that has lost its head to the neighbour ends at the border. Stubby spines have
    no head to lose, and often lie below one.

    Parameters
    ----------
    mesh : trimesh.Trimesh
        The envelope.
    vertex_spine : ndarray of int, shape (n_vertices,)
        Number of the spine of each vertex; negative for none.
    spines : sequence of Spine

    Returns
    -------
    dict of int to int
    """
    edges = mesh.edges_unique
    sides = vertex_spine[edges]
    between = (sides[:, 0] != sides[:, 1]) & (sides >= 0).all(axis=1)
    if not between.any():
        return {}
    vertex = edges[between].ravel()
    own, other = sides[between].ravel(), sides[between][:, ::-1].ravel()
    xyz = np.asarray(mesh.vertices)[vertex]
    found = {}
    for number in np.unique(own):
        mine = np.flatnonzero(own == number)
        near, at = cKDTree(xyz[mine]).query(spines[number].centreline_nm[-1])
        if near < _AT_BORDER_NM and spines[number].type != "stubby":
            found[int(number)] = int(other[mine[at]])
    return found


def with_touching_notes(
    mesh: trimesh.Trimesh, vertex_spine: IntArray, spines: Sequence[Spine]
) -> list[Spine]:
    """Say so in the notes of spines that end at a neighbour, and of those neighbours."""
    headless = headless_at(mesh, vertex_spine, spines)
    noted = list(spines)
    told = [(number, _HEADLESS) for number in headless]
    told += [(number, _TOUCHED) for number in sorted(set(headless.values()) - set(headless))]
    for number, text in told:
        row = noted[number].row
        note = "; ".join(note for note in (row["note"], text) if note)
        noted[number] = replace(noted[number], row={**row, "note": note})
    return noted

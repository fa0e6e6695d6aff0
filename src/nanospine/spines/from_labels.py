"""Spines of labelled voxels: what a segmenter marked, measured like any other spine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.errors import GeometryError
from nanospine.core.history import entry
from nanospine.core.localizations import Localizations
from nanospine.spines.find import find_spines
from nanospine.spines.model import BACKGROUND, SHAFT, Spines
from nanospine.spines.relabel import relabelled
from nanospine.surface.enveloped import Envelope
from nanospine.voxels.grid import LabelGrid
from nanospine.voxels.panoptic import convert_labels
from nanospine.voxels.transfer import labels_to_meshes, labels_to_vertices

__all__ = ["spines_from_labels"]

IntArray = npt.NDArray[np.int64]

_FEWEST_VERTICES = 6  # of the surface, for a spine


def spines_from_labels(
    labels: LabelGrid,
    locs: Localizations | None = None,
    *,
    envelope: Envelope | trimesh.Trimesh | None = None,
    label: str = "membrane",
    precision_nm: npt.ArrayLike | None = None,
    preset: str = "nanospine",
    smooth: int = 10,
    seed: int = 0,
) -> Spines:
    """Measure the spines that voxels are labelled as, on a closed surface around the labels.

    The surface is that of all labelled voxels (marching cubes, smoothed), or the `envelope` of
    the localizations. Its vertices take the labels; the shaft's axis, centrelines, necks, heads
    and types are found as :func:`nanospine.find_spines` does. Where no label is a spine, the
    spines are those that it finds by itself.

    Parameters
    ----------
    labels : LabelGrid
        With roles. Semantic (a class "spine"), instance (an id for each spine, with an
        `envelope`) or panoptic; `dendrite` is shaft where there are spines beside it.
    locs : Localizations, optional
        Necks are measured on them; without, on cross-sections of the surface.
    envelope : Envelope or trimesh.Trimesh, optional
        Surface that takes the labels, in place of that of the voxels.
    label : {"membrane", "filled"}
        What is labelled in the localizations; an Envelope knows it.
    precision_nm : array_like, optional
        Localization precision, where the table has none.
    preset : str
        Rule set of :func:`nanospine.classify`.
    smooth : int
        Rounds of smoothing of the surface.
    seed : int
        For the bootstrap of the intervals.

    Returns
    -------
    Spines
        The table has the columns of :func:`nanospine.find_spines`, and `voxel_label`: the label
        that each spine comes from (for one class "spine" of many parts, that of
        ``convert_labels(labels, "panoptic")``; -1 where spines were found, not labelled).

    Raises
    ------
    GeometryError
        When nothing is labelled, or only spines are and there is no envelope.

    Examples
    --------
    >>> import nanospine as ns
    >>> shape = ns.simulate.spine("mushroom", seed=1)
    >>> mask = ns.voxelize(shape.mesh, 40.0)
    >>> spines = spines_from_labels(LabelGrid(mask.data, 40.0, mask.origin_nm, {1: "dendrite"}))
    >>> len(spines), spines.table["type"][0]
    (1, 'mushroom')
    """
    divided, parts = _divided(labels)
    surface = envelope
    if surface is None:
        surface = _surface(labels, divided, smooth)
    known = getattr(surface, "label", label)
    found = find_spines(surface, locs if not len(parts) else None, label=known,
                        precision_nm=precision_nm, preset=preset, seed=seed)  # fmt: skip
    step = entry("spines_from_labels", {"label": str(known), "preset": preset, "smooth": smooth,
                                        "seed": seed})  # fmt: skip
    history = (*found.history, step)
    if not len(parts) or found.shaft is None:
        table = found.table.assign(voxel_label=np.full(len(found), -1, dtype=np.int64))
        return replace(found, table=table, history=history)
    mesh = surface if isinstance(surface, trimesh.Trimesh) else surface.mesh
    vertex_spine, notes = _vertex_spine(divided, parts, mesh, found)
    measured, number_of = relabelled(
        found, vertex_spine, _numbers(vertex_spine), locs, precision_nm
    )
    came_from = {number: int(parts[spine]) for spine, number in number_of.items()}
    table = measured.table.assign(
        voxel_label=np.array([came_from[n] for n in measured.table["spine"]], dtype=np.int64)
    )
    return replace(measured, table=table, notes=(*found.notes, *notes), history=history)


def _numbers(vertex_spine: IntArray) -> set[int]:
    """Give the numbers of spines among labels of vertices.

    Examples
    --------
    >>> _numbers(np.array([-2, -1, 0, 3, 3]))
    {0, 3}
    """
    return {int(n) for n in np.unique(vertex_spine) if n >= 0}


def _divided(labels: LabelGrid) -> tuple[LabelGrid, IntArray]:
    """Labels with an id for each spine, and those ids; none where no label is a spine."""
    if not np.any(labels.labels):
        raise GeometryError("spines_from_labels: no voxel has a label; all are background.")
    named = labels.of_role("spine")
    if len(named) != 1:
        return labels, named  # a person's own numbers stay
    parts = convert_labels(labels, "panoptic")
    return parts, parts.of_role("spine")


def _surface(labels: LabelGrid, divided: LabelGrid, smooth: int) -> trimesh.Trimesh:
    """The closed surface of all that is labelled."""
    body = np.concatenate([labels.of_role("shaft"), labels.of_role("dendrite")])
    data = np.asarray(labels.labels)
    if len(divided.of_role("spine")) and not np.isin(data, body).any():
        raise GeometryError(
            "spines_from_labels: the labels are spines without a shaft, so there is nothing they "
            "stand on; give `envelope` (ns.envelope of the localizations, or a mesh of the "
            "dendrite), or labels in which the shaft has one too (role shaft or dendrite)."
        )
    whole = LabelGrid((data > 0).astype(np.uint8), labels.voxel_nm, labels.origin_nm)
    return labels_to_meshes(whole, smooth=smooth)[1]


def _vertex_spine(
    divided: LabelGrid, parts: IntArray, mesh: trimesh.Trimesh, found: Spines
) -> tuple[IntArray, tuple[str, ...]]:
    """Number of the spine (place in `parts`) of each vertex, and notes on labels left out."""
    at = labels_to_vertices(divided, mesh)
    vertex_spine = np.where(found.vertex_spine == BACKGROUND, BACKGROUND, SHAFT).astype(np.int64)
    lost: list[int] = []
    for number, name in enumerate(parts):
        mine = at == name
        # A body without shaft, such as a head that has lost its neck, stands on nothing.
        if (mine & (vertex_spine != BACKGROUND)).sum() < _FEWEST_VERTICES:
            lost.append(int(name))
            continue
        vertex_spine[mine & (vertex_spine != BACKGROUND)] = number
    if not lost:
        return vertex_spine, ()
    which = ", ".join(map(str, lost[:10])) + (" ..." if len(lost) > 10 else "")
    return vertex_spine, (
        f"{len(lost)} labelled {'spine is' if len(lost) == 1 else 'spines are'} not joined to a "
        f"shaft, or too small for the surface, and left out: {which}. Method 'geodesic' joins "
        "loose heads to the shaft.",
    )

"""Spines measured anew after a person moved borders between them: merged, split, taken out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import sparse
from scipy.sparse import csgraph

from nanospine.core.errors import GeometryError
from nanospine.core.localizations import Localizations
from nanospine.spines.assign import assign_localizations
from nanospine.spines.find import _points_of, _precision, _table
from nanospine.spines.levels import vertex_areas_nm2
from nanospine.spines.measure import MeasureOptions, measure_spine
from nanospine.spines.model import BACKGROUND, SHAFT, Spine, Spines
from nanospine.spines.split import Protrusion, _lobes, edge_graph

__all__ = ["relabelled"]

IntArray = npt.NDArray[np.int64]

_FEWEST_VERTICES = 6


def relabelled(
    spines: Spines,
    vertex_spine: IntArray,
    changed: Collection[int],
    locs: Localizations | None = None,
    precision_nm: npt.ArrayLike | None = None,
) -> tuple[Spines, dict[int, int]]:
    """Give the spines of a changed labelling of the envelope's vertices.

    Spines whose vertices changed are measured as :func:`nanospine.find_spines` measures them, with
    the options that its history states; the others keep their numbers of measurement. Labels are
    made consecutive, in their order.

    Parameters
    ----------
    spines : Spines
        As found, with a shaft.
    vertex_spine : ndarray of int, shape (n_vertices,)
        New label of each vertex: -2 elsewhere, -1 shaft, 0 and more spines; labels that `spines`
        does not have are new spines.
    changed : collection of int
        Labels to measure anew.
    locs : Localizations, optional
        Those that the spines were found on.
    precision_nm : array_like, optional
        As in :func:`nanospine.find_spines`.

    Returns
    -------
    spines : Spines
    number_of : dict
        Old or new label -> number in the result.

    Raises
    ------
    GeometryError
        When there is no shaft, or a changed spine has fewer than 6 vertices.

    Examples
    --------
    >>> import nanospine as ns
    >>> found = ns.find_spines(ns.simulate.spine("mushroom", seed=1).mesh)
    >>> none = np.where(found.vertex_spine == 0, BACKGROUND, found.vertex_spine)
    >>> len(relabelled(found, none, [])[0])
    0
    """
    if spines.shaft is None or not spines.shaft.sections:
        raise GeometryError("corrections: there is no shaft, so there are no spines to correct.")
    mesh = spines.envelope if isinstance(spines.envelope, trimesh.Trimesh) else spines.envelope.mesh
    labels = [int(label) for label in np.unique(vertex_spine) if label >= 0]
    number_of = {label: number for number, label in enumerate(labels)}
    table = np.arange(-2, max(labels, default=-1) + 1)
    for label, number in number_of.items():
        table[label + 2] = number
    vertex_number = table[vertex_spine + 2]
    localization_spine = precision = None
    if locs is not None:
        precision = _precision(locs, precision_nm)
        localization_spine = assign_localizations(locs.xyz_nm, mesh, vertex_number, precision)
    asked = next(
        step["arguments"] for step in reversed(spines.history) if step["operation"] == "find_spines"
    )
    options = MeasureOptions(asked["label"], asked["preset"], asked["base_nm"], asked["seed"])
    area = vertex_areas_nm2(mesh)
    graph = edge_graph(mesh)
    graph = (graph + graph.T).tocsr()
    kept = {spine.id: spine for spine in spines.spines}
    result: list[Spine] = []
    for label, number in number_of.items():
        if label in kept and label not in changed:
            result.append(_renumbered(kept[label], number))
            continue
        protrusion = _protrusion(graph, vertex_spine, label, float(asked["min_length_nm"]))
        points = None
        if locs is not None and localization_spine is not None:
            points = _points_of(locs, precision, localization_spine == number)
        result.append(
            measure_spine(number, mesh, area, protrusion, spines.shaft.sections, points, options)
        )
    found = replace(
        spines, table=_table(result), spines=tuple(result), vertex_spine=vertex_number,
        localization_spine=localization_spine,
    )  # fmt: skip
    return found, number_of


def _renumbered(spine: Spine, number: int) -> Spine:
    return replace(spine, id=number, row={**spine.row, "spine": number})


def _protrusion(
    graph: sparse.csr_matrix, vertex_spine: IntArray, label: int, min_length_nm: float
) -> Protrusion:
    """The vertices of one label, how far they are from where it stands, and its heads."""
    vertices = np.flatnonzero(vertex_spine == label)
    if len(vertices) < _FEWEST_VERTICES:
        raise GeometryError(
            f"corrections: spine {label} would have {len(vertices)} vertices of the surface; at "
            f"least {_FEWEST_VERTICES} are needed. Move the plane of its split."
        )
    near = graph[vertices]
    rows = np.repeat(np.arange(len(vertices)), np.diff(near.indptr))
    neighbour = vertex_spine[near.indices]
    # It stands on the shaft where it touches it, else on the spine that it was cut from
    rim = np.unique(rows[(neighbour == SHAFT) | (neighbour == BACKGROUND)])
    if len(rim) == 0:
        rim = np.unique(rows[neighbour != label])
    inner = graph[vertices][:, vertices]
    if len(rim) == 0:
        rim = np.array([0])
    distance = np.asarray(csgraph.dijkstra(inner, directed=False, indices=rim, min_only=True))
    distance[~np.isfinite(distance)] = 0.0
    lobes = _lobes(inner.tocsr(), vertices, distance, min_length_nm, 0.0)
    if len(lobes) == 1:
        return lobes[0]
    # In pieces that do not touch: the person says that they are one spine all the same
    main = np.arange(len(vertices))
    return Protrusion(vertices, distance, (main,))

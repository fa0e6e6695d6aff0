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
from nanospine.spines.detached import beside_gaps
from nanospine.spines.find import _precision, _table
from nanospine.spines.levels import Cutter, vertex_areas_nm2
from nanospine.spines.lobes import lobes_of
from nanospine.spines.measure import (
    MeasureOptions,
    PointsBySpine,
    border_of_field,
    measure_spine,
)
from nanospine.spines.model import BACKGROUND, SHAFT, Spine, Spines
from nanospine.spines.protrusion import Gap, Protrusion
from nanospine.spines.split import edge_graph

__all__ = ["relabelled"]

FloatArray = npt.NDArray[np.float64]
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
    gaps = tuple(gap for spine in spines.spines for gap in spine.gaps)
    localization_spine = given = None
    if locs is not None:
        precision = _precision(locs, precision_nm)
        localization_spine = assign_localizations(locs.xyz_nm, mesh, vertex_number, precision)
        ways = [(gap, int(vertex_number[gap.end])) for gap in gaps if vertex_number[gap.end] >= 0]
        localization_spine = beside_gaps(locs.xyz_nm, localization_spine, ways)
        given = PointsBySpine(locs, precision, localization_spine)
    asked = next(
        step["arguments"] for step in reversed(spines.history) if step["operation"] == "find_spines"
    )
    options = MeasureOptions(
        asked["label"], asked["preset"], asked["base_nm"], asked["seed"],
        asked.get("linker_nm", 0.0),  # results of earlier versions have none
        border_of_field(locs),
    )  # fmt: skip
    surface, area = Cutter(mesh), vertex_areas_nm2(mesh)
    graph = _bridged(edge_graph(mesh), gaps)
    kept = {spine.id: spine for spine in spines.spines}
    result: list[Spine] = []
    for label, number in number_of.items():
        if label in kept and label not in changed:
            result.append(_renumbered(kept[label], number))
            continue
        protrusion = _protrusion(
            graph,
            np.asarray(mesh.vertices),
            area,
            vertex_spine,
            label,
            float(asked["min_length_nm"]),
            gaps,
        )
        result.append(
            measure_spine(number, surface, area, protrusion, spines.shaft.sections, given, options)
        )
    found = replace(
        spines, table=_table(result), spines=tuple(result), vertex_spine=vertex_number,
        localization_spine=localization_spine,
    )  # fmt: skip
    return found, number_of


def _renumbered(spine: Spine, number: int) -> Spine:
    return replace(spine, id=number, row={**spine.row, "spine": number})


def _bridged(edges: sparse.csr_matrix, gaps: tuple[Gap, ...]) -> sparse.csr_matrix:
    """The edges of the mesh in both directions, and the ways over gaps between its bodies."""
    start, end = np.array([(gap.start, gap.end) for gap in gaps], dtype=np.int64).reshape(-1, 2).T
    length = [gap.length_nm for gap in gaps]
    graph = edges + sparse.csr_matrix((length, (start, end)), shape=edges.shape)
    return (graph + graph.T).tocsr()


def _protrusion(
    graph: sparse.csr_matrix,
    xyz: FloatArray,
    area: FloatArray,
    vertex_spine: IntArray,
    label: int,
    min_length_nm: float,
    gaps: tuple[Gap, ...],
) -> Protrusion:
    """The vertices of one label, how far they are from where it stands, and its heads."""
    vertices = np.flatnonzero(vertex_spine == label)
    if len(vertices) < _FEWEST_VERTICES:
        raise GeometryError(
            f"corrections: spine {label} would have {len(vertices)} vertices of the surface; at "
            f"least {_FEWEST_VERTICES} are needed. Move the plane of its split."
        )
    place = np.full(len(vertex_spine), -1, dtype=np.int64)
    place[vertices] = np.arange(len(vertices))
    mine = [gap for gap in gaps if place[gap.end] >= 0]
    near = graph[vertices]
    rows = np.repeat(np.arange(len(vertices)), np.diff(near.indptr))
    neighbour = vertex_spine[near.indices]
    # It stands on the shaft where it touches it, else on the spine that it was cut from
    rim = np.unique(rows[(neighbour == SHAFT) | (neighbour == BACKGROUND)])
    if len(rim) == 0:
        rim = np.unique(rows[neighbour != label])
    ahead = np.zeros(len(vertices))
    for gap in mine:  # what hangs over a gap begins at its far side
        if place[gap.start] < 0:
            ahead[place[gap.end]] = gap.length_nm
    inner = graph[vertices][:, vertices]
    if len(rim) == 0:
        rim = np.array([0])
    distance = _from(inner, rim, ahead[rim])
    lobes = lobes_of(
        inner.tocsr(), vertices, distance, xyz[vertices], area[vertices], min_length_nm, 0.0
    )
    # In pieces that do not touch: the person says that they are one spine all the same
    main = (np.arange(len(vertices)),)
    one = lobes[0] if len(lobes) == 1 else Protrusion(vertices, distance, main)
    starts = [place[gap.start] for gap in mine]
    return replace(one, gaps=tuple(
        replace(gap, from_nm=float(distance[at]) if at >= 0 else 0.0)
        for gap, at in zip(mine, starts, strict=True)
    ))  # fmt: skip


def _from(graph: sparse.csr_matrix, starts: IntArray, ahead: FloatArray) -> FloatArray:
    """Distances from the nearest of some vertices, each with a way of its own ahead of it."""
    source = sparse.csr_matrix(
        (np.maximum(ahead, 1e-9), (np.zeros(len(starts), dtype=np.int64), starts)),
        shape=(1, graph.shape[0]),
    )
    whole = sparse.bmat([[graph, None], [source, sparse.csr_matrix((1, 1))]], format="csr")
    distance = np.asarray(csgraph.dijkstra(whole, indices=graph.shape[0]))[:-1]
    distance[~np.isfinite(distance)] = 0.0
    return distance

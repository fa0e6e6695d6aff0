"""Which part of the surface belongs to which spine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from nanospine.spines.creases import along_creases
from nanospine.spines.levels import vertex_areas_nm2
from nanospine.spines.lobes import resolved
from nanospine.spines.protrusion import Protrusion
from nanospine.spines.shaft import ShaftAxis
from nanospine.spines.stems import cleft_per_nm, part_by_stems, slow_in_clefts
from nanospine.spines.walls import Membrane, Wrap, crowded_length_nm, part_by_walls

__all__ = ["edge_graph", "heights_nm", "split_protrusions"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Cosine of the angle within which a protrusion at the end of a shaft is its continuation.
_STRAIGHT_ON = 0.7
# Vertices of the rim of a cut as near as this are neighbours across it.
_CAP_NM = 250.0
# Parts with less surface are scraps: the smallest stubby spines have twice as much.
_LEAST_NM2 = 1.2e5
# Where this many parts hang together, spines cover so much of the shaft that it seems thicker.
_CROWD = 8
# The foot of a spine, up to here, does not change hands.
_FOOT_NM = 100.0


def edge_graph(mesh: trimesh.Trimesh) -> sparse.csr_matrix:
    """Give the graph of the mesh's edges, weighted by their lengths in nm."""
    edges = mesh.edges_unique
    length = np.maximum(mesh.edges_unique_length, 1e-6)
    n = len(mesh.vertices)
    return sparse.csr_matrix((length, (edges[:, 0], edges[:, 1])), shape=(n, n))


def heights_nm(xyz_nm: FloatArray, axes: tuple[ShaftAxis, ...]) -> FloatArray:
    """Height of positions above the shaft's surface, nm, negative inside the shaft.

    Where several stretches of shaft are near, the lowest height counts. Positions beyond the
    end of a shaft have the height they would have if the shaft went on; those beyond it within
    one radius of the axis are its cut end and not a spine.
    """
    lowest = np.full(len(xyz_nm), np.inf)
    for axis in axes:
        distance, radius, overhang = axis.locate(xyz_nm)
        past = np.maximum(overhang - radius, 0.0)
        height = np.where(
            past > 0, np.hypot(np.maximum(distance - radius, 0), past), distance - radius
        )
        lowest = np.minimum(lowest, height)
    return lowest


def split_protrusions(
    mesh: trimesh.Trimesh,
    axes: tuple[ShaftAxis, ...],
    *,
    min_length_nm: float,
    base_nm: float,
    join_nm: float,
    membrane: Membrane | None = None,
) -> tuple[list[Protrusion], int]:
    """Cut the surface above the shaft into spines.

    Strategy: vertices higher than `base_nm` above the shaft fall into connected patches. Patches
    that stand on several stems are parted between them: first along the membranes inside them
    (:func:`part_by_walls`), then on the surface (:func:`part_by_stems`); then the borders between
    parts move into the creases of the surface (:func:`along_creases`). In each part
    the distance from its rim along the surface is followed from the tips downward: two
    lobes that meet lower than `join_nm` above the rim are two spines that touch at their bases;
    lobes that meet higher are lobes of one spine, and heads of a branched one where they stand on
    stems (:func:`nanospine.spines.lobes.is_head`). Lobes that rise less than half of
    `min_length_nm`, or 15 % of the patch's reach, above where they meet are absorbed.

    Parameters
    ----------
    min_length_nm : float
        Patches that reach less far are roughness of the shaft.
    base_nm : float
        Height at which a spine begins.
    join_nm : float
        Distance from the base below which lobes are separate spines.
    membrane : Membrane, optional
        Localizations on the membrane, which show walls between neighbours that touch.

    Returns
    -------
    spines : list of Protrusion
    continued : int
        Protrusions in which the shaft goes on beyond its end; they are no spines.
    """
    xyz = np.asarray(mesh.vertices, dtype=np.float64)
    height = heights_nm(xyz, axes)
    past_end = np.all([_at_end(axis, xyz) for axis in axes], axis=0)
    area = vertex_areas_nm2(mesh)
    above = height > base_nm
    graph = edge_graph(mesh)
    graph = (graph + graph.T).tocsr()
    cleft = cleft_per_nm(graph, mesh, area)
    ways = slow_in_clefts(graph, cleft)
    patches = [
        (patch, False)
        for patch in _pieces(graph, np.flatnonzero(above))
        if height[patch].max(initial=0.0) >= 0.5 * min_length_nm and len(patch) >= 6
    ]
    if membrane is not None:
        patches, graph, ways = _walled(
            mesh, patches, axes, membrane, graph, ways, area, cleft,
            base_nm=base_nm, min_length_nm=min_length_nm, join_nm=join_nm,
        )  # fmt: skip
    crowded_nm = crowded_length_nm(min_length_nm, base_nm)
    stems: list[_Part] = []
    for vertices, crowded in patches:
        least_nm = crowded_nm if crowded else min_length_nm
        distance = _distance_from_rim(graph, vertices, height, base_nm)
        if not np.isfinite(distance).any() or distance[np.isfinite(distance)].max() < least_nm:
            continue
        parts = part_by_stems(
            ways[vertices][:, vertices], xyz[vertices], area[vertices], distance,
            min_length_nm=least_nm, join_nm=join_nm,
        )  # fmt: skip
        stems += [_Part(vertices[part], distance[part], least_nm) for part in parts]
    found: list[Protrusion] = []
    continued = 0
    for part in _creased(mesh, stems, graph, area, height, base_nm):
        lobes = resolved(graph, part.vertices, part.distance_nm, xyz, area, part.least_nm, join_nm)
        for lobe in lobes:
            if _continues(lobe, xyz, axes):
                continued += 1
            elif not _is_bump(lobe, height, area, past_end):
                found.append(lobe)
    return _without_scraps(found, graph, area), continued


class _Part(NamedTuple):
    """A part of the surface that stands on a stem of its own."""

    vertices: IntArray
    distance_nm: FloatArray
    least_nm: float


def _creased(
    mesh: trimesh.Trimesh, parts: list[_Part], graph: sparse.csr_matrix, area: FloatArray,
    height: FloatArray, base_nm: float,
) -> list[_Part]:  # fmt: skip
    """Move the borders between parts that touch into the creases between them."""
    label = np.full(len(height), -1, dtype=np.int64)
    foot = np.zeros(len(height), dtype=np.bool_)
    for number, part in enumerate(parts):
        label[part.vertices] = number
        foot[part.vertices[part.distance_nm <= _FOOT_NM]] = True
    moved = along_creases(mesh, label, area, foot)
    changed = np.unique(np.concatenate([label[moved != label], moved[moved != label]]))
    for number in changed:  # what a border has cut off from the shaft goes to whom it touches most
        vertices = np.flatnonzero(moved == number)
        lost = ~np.isfinite(_distance_from_rim(graph, vertices, height, base_nm))
        for piece in _pieces(graph, vertices[lost]):
            beside = moved[graph[piece].indices]
            beside = beside[(beside >= 0) & (beside != number)]
            moved[piece] = np.bincount(beside).argmax() if len(beside) else -1
    result = []
    for number, part in enumerate(parts):
        if number not in changed:
            result.append(part)
            continue
        vertices = np.flatnonzero(moved == number)
        distance = _distance_from_rim(graph, vertices, height, base_nm)
        held = np.isfinite(distance)
        if held.any():
            result.append(_Part(vertices[held], distance[held], part.least_nm))
    return result


def _without_scraps(
    found: list[Protrusion], graph: sparse.csr_matrix, area: FloatArray
) -> list[Protrusion]:
    """Leave out strips between neighbours, that a border cut off from one of them."""
    number = np.full(graph.shape[0], -1, dtype=np.int64)
    for i, lobe in enumerate(found):
        number[lobe.vertices] = i
    kept = []
    for i, lobe in enumerate(found):
        beside = number[graph[lobe.vertices].indices]
        lone = not ((beside >= 0) & (beside != i)).any()
        if lone or area[lobe.vertices].sum() >= _LEAST_NM2:
            kept.append(lobe)
    return kept


def _walled(
    mesh: trimesh.Trimesh,
    patches: list[tuple[IntArray, bool]],
    axes: tuple[ShaftAxis, ...],
    membrane: Membrane,
    graph: sparse.csr_matrix,
    ways: sparse.csr_matrix,
    area: FloatArray,
    cleft: FloatArray,
    *,
    base_nm: float,
    min_length_nm: float,
    join_nm: float,
) -> tuple[list[tuple[IntArray, bool]], sparse.csr_matrix, sparse.csr_matrix]:
    """Part patches along the membranes inside them, and close the holes that this leaves.

    With each part is said whether it stands in a crowd.
    """
    xyz = np.asarray(mesh.vertices)
    wrap = Wrap(mesh, cleft)
    parts: list[tuple[IntArray, bool]] = []
    caps = []
    for patch, _ in patches:
        about = graph[patch]
        label = part_by_walls(
            wrap, patch, about[:, patch], lambda xyz_nm: heights_nm(xyz_nm, axes), membrane,
            base_nm=base_nm, min_length_nm=min_length_nm, join_nm=join_nm,
        )  # fmt: skip
        beside = about.tocoo()
        label = _grounded(label, patch, beside, area[patch])
        number = np.full(len(xyz), -1, dtype=np.int64)
        number[patch] = label
        other = number[beside.col]
        rim = patch[np.unique(beside.row[(other >= 0) & (other != label[beside.row])])]
        numbers = np.unique(label)
        for part in numbers:
            parts.append((patch[label == part], len(numbers) >= _CROWD))
            edge = rim[number[rim] == part]
            if len(edge) > 1:
                caps.append(edge[cKDTree(xyz[edge]).query_pairs(_CAP_NM, output_type="ndarray")])
    if not caps:
        return parts, graph, ways
    ends = np.concatenate(caps)
    length = np.maximum(np.linalg.norm(xyz[ends[:, 0]] - xyz[ends[:, 1]], axis=1), 1e-6)
    cap = sparse.csr_matrix((length, (ends[:, 0], ends[:, 1])), shape=graph.shape)
    cap = cap + cap.T
    # Where both are there, the edge of the mesh and its own length stay.
    new = cap - cap.multiply(graph > 0)
    return parts, (graph + new).tocsr(), (ways + new).tocsr()


def _grounded(
    label: IntArray, patch: IntArray, beside: sparse.coo_matrix, area: FloatArray
) -> IntArray:
    """Join parts that are no spine to the neighbour that they share the longest border with.

    `beside` holds the edges of the vertices of the patch. A part that meets nothing lower is a
    head that a wall cuts from its own stem; one of less than 0.12 um2 is a scrap.
    """
    number = np.full(beside.shape[1], -1, dtype=np.int64)
    number[patch] = label
    own, other = label[beside.row], number[beside.col]
    count = int(label.max()) + 1
    border = sparse.coo_matrix(
        (np.ones(int((other >= 0).sum())), (own[other >= 0], other[other >= 0])), (count, count)
    ).toarray()
    np.fill_diagonal(border, 0.0)
    grounded = np.zeros(count, dtype=np.bool_)
    grounded[own[other < 0]] = True
    grounded &= np.bincount(label, weights=area, minlength=count) >= _LEAST_NM2
    joins = np.arange(count)
    for _ in range(count):
        open_border = border * (~grounded[:, None] & grounded)
        floating, target = np.unravel_index(int(open_border.argmax()), border.shape)
        if open_border[floating, target] == 0:
            break
        joins[floating], grounded[floating] = joins[target], True
    return np.asarray(joins[label])


def _pieces(graph: sparse.csr_matrix, members: IntArray) -> list[IntArray]:
    """Vertices that hang together, among some."""
    count, piece = csgraph.connected_components(graph[members][:, members], directed=False)
    order = np.argsort(piece, kind="stable")
    ends = np.cumsum(np.bincount(piece, minlength=count))[:-1]
    return np.split(members[order], ends)


def _at_end(axis: ShaftAxis, xyz: FloatArray) -> BoolArray:
    """Points within a third of a radius of the end of a stretch of shaft, or beyond it."""
    _, radius, overhang = axis.locate(xyz)
    return np.asarray(overhang > -radius / 3)


def _continues(lobe: Protrusion, xyz: FloatArray, axes: tuple[ShaftAxis, ...]) -> bool:
    """Tell a spine from the thinner process in which a shaft goes on beyond its end."""
    # A lobe may begin where it parted from another one, above the rim.
    way = lobe.distance_nm - lobe.distance_nm.min()
    base = xyz[lobe.vertices[way <= 80.0]].mean(axis=0)
    further = xyz[lobe.vertices[(way > 80.0) & (way <= 500.0)]]
    if len(further) == 0:
        return False
    for axis in axes:
        for end, onward in ((0, -axis.tangent[0]), (-1, axis.tangent[-1])):
            offset = base - axis.points_nm[end]
            radius = max(float(axis.mean_radius_nm[end]), float(np.median(axis.mean_radius_nm)))
            within = np.linalg.norm(offset) < 2.0 * radius
            lead = further.mean(axis=0) - base
            lead = lead / max(float(np.linalg.norm(lead)), 1e-9)
            if within and lead @ onward > _STRAIGHT_ON and offset @ onward > 0:
                return True
    return False


def _is_bump(lobe: Protrusion, height: FloatArray, area: FloatArray, past_end: BoolArray) -> bool:
    """Tell a spine from a low swelling and from the cut end of the shaft."""
    inside = lobe.vertices
    size = area[inside].sum()
    at_end = area[inside][past_end[inside]].sum() > 0.5 * size
    # A half ball of area 2 pi r^2 stands r high. What is flatter than half of that is a swelling;
    # at the end of the shaft, where the cut face stands out, a real spine must be slender.
    rise = height[inside].max() - height[inside].min()
    return bool(rise < (1.2 if at_end else 0.5) * np.sqrt(size / (2 * np.pi)))


def _distance_from_rim(
    graph: sparse.csr_matrix, vertices: IntArray, height: FloatArray, base_nm: float
) -> FloatArray:
    """Distance along edges from the rim of a patch (where it meets lower vertices)."""
    below = graph[vertices]
    lowest = np.full(len(vertices), np.inf)
    rows = np.repeat(np.arange(len(vertices)), np.diff(below.indptr))
    np.minimum.at(lowest, rows, height[below.indices])
    rim = np.flatnonzero(lowest <= base_nm)
    if len(rim) == 0:  # a whole closed body beside the shaft: nothing holds it
        return np.full(len(vertices), np.inf)
    inner = graph[vertices][:, vertices]
    distance = csgraph.dijkstra(inner, directed=False, indices=rim, min_only=True)
    return np.asarray(distance)

"""Which part of the surface belongs to which spine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from nanospine.spines.levels import vertex_areas_nm2
from nanospine.spines.protrusion import Protrusion
from nanospine.spines.shaft import ShaftAxis
from nanospine.spines.stems import part_by_stems, slow_in_clefts
from nanospine.spines.walls import Membrane, part_by_walls

__all__ = ["edge_graph", "heights_nm", "split_protrusions"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Cosine of the angle within which a protrusion at the end of a shaft is its continuation.
_STRAIGHT_ON = 0.7
# Vertices of the rim of a cut as near as this are neighbours across it.
_CAP_NM = 250.0
# Levels of 40 nm in which the foot of a spine is looked for.
_LONGEST_FOOT = 15


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
    (:func:`part_by_walls`), then on the surface (:func:`part_by_stems`). In each part
    the distance from its rim along the surface is followed from the tips downward: two
    lobes that meet lower than `join_nm` above the rim are two spines that touch at their bases;
    lobes that meet higher are heads of one branched spine. Lobes that rise less than half of
    `min_length_nm`, or 15 % of the patch's reach, above where they meet are bumps.

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
    ways = slow_in_clefts(graph, mesh, area)
    patches = [
        patch
        for patch in _pieces(graph, np.flatnonzero(above))
        if height[patch].max(initial=0.0) >= 0.5 * min_length_nm and len(patch) >= 6
    ]
    if membrane is not None:
        patches, graph, ways = _walled(
            mesh, patches, axes, membrane, graph, ways,
            base_nm=base_nm, min_length_nm=min_length_nm, join_nm=join_nm,
        )  # fmt: skip
    found: list[Protrusion] = []
    continued = 0
    for vertices in patches:
        distance = _distance_from_rim(graph, vertices, height, base_nm)
        if not np.isfinite(distance).any() or distance[np.isfinite(distance)].max() < min_length_nm:
            continue
        parts = part_by_stems(
            ways[vertices][:, vertices], xyz[vertices], area[vertices], distance,
            min_length_nm=min_length_nm, join_nm=join_nm,
        )  # fmt: skip
        lobes = [
            lobe
            for part in parts
            for lobe in _resolved(
                graph, vertices[part], distance[part], area, min_length_nm, join_nm
            )
        ]
        for lobe in lobes:
            if _continues(lobe, xyz, axes):
                continued += 1
            elif not _is_bump(lobe, height, area, past_end):
                found.append(lobe)
    return found, continued


def _walled(
    mesh: trimesh.Trimesh,
    patches: list[IntArray],
    axes: tuple[ShaftAxis, ...],
    membrane: Membrane,
    graph: sparse.csr_matrix,
    ways: sparse.csr_matrix,
    *,
    base_nm: float,
    min_length_nm: float,
    join_nm: float,
) -> tuple[list[IntArray], sparse.csr_matrix, sparse.csr_matrix]:
    """Part patches along the membranes inside them, and close the holes that this leaves."""
    xyz = np.asarray(mesh.vertices)
    parts: list[IntArray] = []
    caps = []
    for patch in patches:
        label = part_by_walls(
            mesh, patch, lambda xyz_nm: heights_nm(xyz_nm, axes), membrane,
            base_nm=base_nm, min_length_nm=min_length_nm, join_nm=join_nm,
        )  # fmt: skip
        number = np.full(len(xyz), -1, dtype=np.int64)
        number[patch] = label
        beside = graph[patch].tocoo()
        other = number[beside.col]
        rim = patch[np.unique(beside.row[(other >= 0) & (other != label[beside.row])])]
        for part in np.unique(label):
            parts.append(patch[label == part])
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


def _resolved(
    graph: sparse.csr_matrix,
    vertices: IntArray,
    distance: FloatArray,
    area: FloatArray,
    min_length_nm: float,
    join_nm: float,
    trimmed: bool = False,
) -> list[Protrusion]:
    """Separate the lobes of a patch; where a foot is trimmed, look again at what stands on it.

    A neck that tapers always has a wider foot: what stands alone on a trimmed foot, and has one
    head, is not trimmed again.
    """
    inner = graph[vertices][:, vertices]
    result: list[Protrusion] = []
    for lobe in _lobes(inner, vertices, distance, min_length_nm, join_nm, area):
        cut = 0.0 if trimmed and len(lobe.heads) < 2 else _foot_nm(lobe, area)
        if cut == 0.0:
            result.append(lobe)
            continue
        keep = lobe.distance_nm >= cut
        rest, above = lobe.vertices[keep], lobe.distance_nm[keep] - cut
        count, part = csgraph.connected_components(graph[rest][:, rest], directed=False)
        for i in range(count):
            mine = part == i
            # The length of a spine counts from the shaft, the foot included.
            if above[mine].max() >= max(min_length_nm - cut, 0.5 * min_length_nm):
                least = min(float(above[mine].max()), min_length_nm)
                result += _resolved(
                    graph, rest[mine], above[mine], area, least, join_nm, count == 1
                )
    return result


def _foot_nm(lobe: Protrusion, area: FloatArray) -> float:
    """How far the base of a spine must move up to where its foot has narrowed to the neck.

    A swelling of the shaft under a spine is above the smooth shaft model too and would be taken
    for the spine's foot. The girth (area per distance) is followed from the base: where it falls
    within the first 40 % of the way (at most 600 nm) to less than half of what it is at the base,
    the base moves up to the level at which two thirds of that fall are done.
    """
    step = 40.0
    count = int(lobe.distance_nm.max() / step)
    if count < 4:
        return 0.0
    index = np.minimum((lobe.distance_nm / step).astype(np.int64), count - 1)
    girth = np.bincount(index, weights=area[lobe.vertices], minlength=count) / step
    early = girth[: max(min(int(0.4 * count), _LONGEST_FOOT), 2)]
    if early.min() >= 0.5 * girth[0]:
        return 0.0
    level = early.min() + (girth[0] - early.min()) / 3
    return float(np.argmax(early <= level)) * step


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


def _lobes(
    graph: sparse.csr_matrix,
    vertices: IntArray,
    distance: FloatArray,
    min_length_nm: float,
    join_nm: float,
    area: FloatArray | None = None,
) -> list[Protrusion]:
    """Follow distance from the tips downward and decide where lobes meet: spines or heads."""
    persistence = max(0.5 * min_length_nm, 0.15 * float(distance.max()))
    spine_of, head_of = _merge_tree(graph, distance, persistence, join_nm)
    result = []
    for spine in np.unique(spine_of):
        mine = np.flatnonzero(spine_of == spine)
        if distance[mine].max() < min_length_nm:
            continue
        heads = [np.flatnonzero(head_of[mine] == head) for head in np.unique(head_of[mine])]
        heads = [head for head in heads if len(head) and head_of[mine[head[0]]] >= 0]
        if area is None:
            heads.sort(key=lambda head: -float(distance[mine[head]].max()))
        else:  # the larger head is the one that is described
            heads.sort(key=lambda head: -float(area[vertices[mine[head]]].sum()))
        result.append(Protrusion(vertices[mine], distance[mine], tuple(heads)))
    return result


def _merge_tree(
    graph: sparse.csr_matrix, distance: FloatArray, persistence_nm: float, join_nm: float
) -> tuple[IntArray, IntArray]:
    """Label vertices by spine and by head.

    Vertices are taken from the farthest down. A vertex without labelled neighbours starts a
    lobe. Where lobes meet, one that rises less than `persistence_nm` above the meeting point is
    absorbed; others stay separate spines when they meet below `join_nm`, and become heads of
    one spine (their vertices keep the head's label, lower vertices get none, -1) above it.
    """
    n = len(distance)
    parent = np.arange(n)
    lobe = np.full(n, -1, dtype=np.int64)  # index of the lobe's tip while one head rules
    top = distance.copy()
    heads_under: dict[int, list[int]] = {}

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    done = np.zeros(n, dtype=bool)
    absorbed: dict[int, int] = {}
    for i in map(int, np.argsort(-distance, kind="stable")):
        near = {
            root(int(j)) for j in graph.indices[graph.indptr[i] : graph.indptr[i + 1]] if done[j]
        }
        done[i] = True
        if not near:
            lobe[i] = i
            heads_under[i] = [i]
            continue
        tips = sorted(near, key=lambda r: -top[r])
        main = tips[0]
        for other in tips[1:]:
            rise = top[other] - distance[i]
            if rise < persistence_nm:
                for head in heads_under[other]:
                    absorbed[head] = heads_under[main][0]
            elif distance[i] < join_nm:
                continue  # stays a tree of its own
            else:
                heads_under[main] += heads_under[other]
            parent[other] = main
        parent[i] = main
        lobe[i] = heads_under[main][0] if len(heads_under[main]) == 1 else -1
    spine_of = np.array([root(i) for i in range(n)], dtype=np.int64)
    while True:  # bumps that were absorbed carry the label of what absorbed them
        moved = np.array([absorbed.get(int(k), int(k)) for k in lobe], dtype=np.int64)
        if (moved == lobe).all():
            break
        lobe = moved
    return spine_of, lobe

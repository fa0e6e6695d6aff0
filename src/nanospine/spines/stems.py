"""Crowded spines whose heads touch: a patch of surface parted by what stands on the shaft."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial.distance import pdist, squareform

from nanospine.surface.curvature import bending, face_pairs

__all__ = ["StemRules", "cleft_per_nm", "part_by_stems", "slow_in_clefts"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_BIN_NM = 50.0
_COMMON_SHARE = 0.75
# Clefts are averaged over this, and cost this much of their curvature.
_CLEFT_NM = 40.0
_SLOWER_NM = 800.0


@dataclass(frozen=True)
class StemRules:
    """What is a stem.

    Attributes
    ----------
    band_nm : float
        Height of the bands in which rings are sought.
    clear_nm : float
        Stems whose parts meet again within this above the band are one: its foot has a dent or a
        hole.
    least : float
        Least size of a ring, in the unit of the sizes that are given.
    one_neck_nm : float
        Two strands as near as this are one neck with a hole.
    low : tuple of float
        Levels, as parts of `join_nm`.
    high_nm : tuple of float
        Levels above `join_nm`, at which stems must not have a common neck below.
    """

    band_nm: float
    clear_nm: float
    least: float
    one_neck_nm: float
    low: tuple[float, ...]
    high_nm: tuple[float, ...]


# The thinnest necks are 40 nm wide: a ring of less girth than 110 nm holds no spine.
_ON_SURFACE = StemRules(
    band_nm=60.0, clear_nm=100.0, least=6600.0, one_neck_nm=150.0,
    low=(0.0, 0.5, 1.0), high_nm=(250.0, 350.0, 450.0),
)  # fmt: skip


def cleft_per_nm(
    graph: sparse.csr_matrix, mesh: trimesh.Trimesh, area_nm2: FloatArray
) -> FloatArray:
    """Tell how much of a cleft a surface is, as around a bridge between two bodies.

    max(-k, 0) per nm, with k the sum of both principal curvatures, averaged over some 40 nm: the
    waist of a neck has k > 0, the rim of a bridge that an envelope lays between two bodies has
    k < 0 all around.
    """
    faces = np.asarray(mesh.faces, dtype=np.int64)
    bend = bending(np.asarray(mesh.vertices, dtype=np.float64), faces, face_pairs(faces)).sum(
        axis=1
    )
    typical = float(np.median(graph.data))
    beside = graph.copy()
    beside.data = np.ones_like(beside.data)
    beside += sparse.identity(graph.shape[0], format="csr")
    spread = area_nm2.copy()
    for _ in range(int(np.clip(round((_CLEFT_NM / typical) ** 2), 1, 12))):
        bend, spread = beside @ bend, beside @ spread
    return np.asarray(np.maximum(-bend / np.maximum(spread, 1e-9), 0.0))


def slow_in_clefts(graph: sparse.csr_matrix, cleft: FloatArray) -> sparse.csr_matrix:
    """Lengthen the edges of a surface in clefts: 1 + 800 nm * cleft times as long."""
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    slow = graph.copy()
    slow.data = graph.data * (1.0 + _SLOWER_NM * 0.5 * (cleft[rows] + cleft[graph.indices]))
    return slow


def part_by_stems(
    graph: sparse.csr_matrix,
    xyz_nm: FloatArray,
    size: FloatArray,
    distance_nm: FloatArray,
    *,
    min_length_nm: float,
    join_nm: float,
    rules: StemRules = _ON_SURFACE,
    open_ways: sparse.csr_matrix | None = None,
) -> list[IntArray]:
    """Part a patch of surface between the stems that it stands on.

    Where two neighbours touch, an envelope makes one body of their heads, but each keeps a stem of
    its own; a branched spine has one stem for all its heads. Strategy: bands of surface at rising
    distance from the rim, up to `join_nm`, fall into rings, the stems. Each vertex goes to the
    stem that it is nearest to along the surface, so that the border between two neighbours runs
    through the bridge between them. A stem on which nothing reaches `min_length_nm` is none.

    Parameters
    ----------
    graph : sparse matrix, shape (n, n)
        Edges of the patch, weighted by length.
    xyz_nm, size, distance_nm : ndarray, shape (n, 3), (n,), (n,)
        Its vertices, the area each stands for, its distance from the rim along the surface. Or
        the voxels of a body and their volume.
    min_length_nm, join_nm : float
        As in :func:`nanospine.find_spines`.
    rules : StemRules
        By default those for surfaces, `size` in nm2.
    open_ways : sparse matrix, shape (n, n), optional
        Edges along which what they join is one stem; by default all.

    Returns
    -------
    list of ndarray of int
        Positions of the vertices of each part; one part with all where there is one stem.

    Examples
    --------
    Two legs of 40 steps of 10 nm, joined at their tops:

    >>> n = 82
    >>> path = sparse.diags([np.full(n - 1, 10.0)] * 2, [-1, 1], format="csr")
    >>> height = 10.0 * np.minimum(np.arange(n), np.arange(n)[::-1])
    >>> side = np.where(np.arange(n) < 41, 0.0, 400.0)
    >>> xyz = np.column_stack([side, np.zeros(n), height])
    >>> parts = part_by_stems(path, xyz, np.full(n, 4e3), height, min_length_nm=300, join_nm=150)
    >>> [(int(part[0]), int(part[-1])) for part in parts]
    [(0, 40), (41, 81)]
    """
    parts = [np.arange(len(xyz_nm))]
    joins = graph if open_ways is None else open_ways
    higher = [level for level in rules.high_nm if level > join_nm]
    for level in (*(join_nm * part for part in rules.low), *higher):
        finer: list[IntArray] = []
        for part in parts:
            label = _stem_of(
                graph[part][:, part], joins[part][:, part], xyz_nm[part], size[part],
                distance_nm[part], level, min_length_nm, rules,
            )  # fmt: skip
            stems = [part[label == stem] for stem in np.unique(label)]
            if level > join_nm and _share_neck(part, stems, size, distance_nm, level):
                stems = [part]
            finer += stems
        parts = finer
    return parts


def _share_neck(
    part: IntArray, stems: list[IntArray], size: FloatArray, distance: FloatArray, level: float
) -> bool:
    """Tell a neck that forks from neighbours that are bridged from the shaft up.

    A common neck is somewhere about as thin as one of its branches; bridged neighbours have
    everywhere the girth of all together.
    """

    def thinnest(mine: IntArray, low: float, high: float) -> float:
        bins = np.histogram(distance[mine], np.arange(low, high + 1.0, _BIN_NM), weights=size[mine])
        return float(bins[0].min()) / _BIN_NM

    common = thinnest(part, 0.0, level)
    above = sum(thinnest(stem, level, level + 5 * _BIN_NM) for stem in stems)
    return common < _COMMON_SHARE * above


def _stem_of(
    graph: sparse.csr_matrix,
    joins: sparse.csr_matrix,
    xyz: FloatArray,
    size: FloatArray,
    distance: FloatArray,
    level: float,
    min_length_nm: float,
    rules: StemRules,
) -> IntArray:
    """Number of the stem that each vertex is nearest to; 0 everywhere with one stem or none."""
    band = np.flatnonzero((distance >= level) & (distance < level + rules.band_nm))
    stem = _rings(joins, xyz, size, band, rules)
    nothing = np.zeros(len(xyz), dtype=np.int64)
    edges = joins.tocoo()
    near = np.minimum(distance[edges.row], distance[edges.col])
    low = (near >= level) & (near < level + rules.band_nm + rules.clear_nm)
    first, second = edges.row[low], edges.col[low]
    while len(stems := np.unique(stem[stem >= 0])) > 1:
        label = _nearest_stem(graph, band, stem)
        meeting = label[first] != label[second]
        if meeting.any():
            pairs = (label[first][meeting], label[second][meeting])
            count = int(stem.max()) + 1
            joined = sparse.coo_matrix((np.ones(len(pairs[0])), pairs), shape=(count, count))
            _, group = csgraph.connected_components(joined, directed=False)
            stem = np.where(stem >= 0, group[np.maximum(stem, 0)], -1)
            continue
        reach = {int(s): float(distance[label == s].max(initial=0.0)) for s in stems}
        lowest = min(reach, key=lambda s: reach[s])
        if reach[lowest] >= min_length_nm:
            return label
        # The lowest first: what it held goes to its neighbours, that may be tall enough with it.
        stem = np.where(stem == lowest, -1, stem)
    return nothing


def _nearest_stem(graph: sparse.csr_matrix, band: IntArray, stem: IntArray) -> IntArray:
    """Number of the stem that each vertex is nearest to along the surface."""
    stem_at = np.full(graph.shape[0], -1, dtype=np.int64)
    stem_at[band] = stem
    _, _, source = csgraph.dijkstra(
        graph, directed=False, indices=band[stem >= 0], min_only=True, return_predecessors=True
    )
    return np.where(source >= 0, stem_at[np.maximum(source, 0)], int(stem.max()))


def _rings(
    joins: sparse.csr_matrix, xyz: FloatArray, size: FloatArray, band: IntArray, rules: StemRules
) -> IntArray:
    """Number of the ring of each vertex of a band, -1 for scraps."""
    if len(band) == 0:
        return np.empty(0, dtype=np.int64)
    count, ring = csgraph.connected_components(joins[band][:, band], directed=False)
    total = np.bincount(ring, weights=size[band], minlength=count)
    kept = np.flatnonzero(total >= rules.least)
    if len(kept) < 2:
        return np.zeros(len(band), dtype=np.int64)
    moment = [np.bincount(ring, weights=size[band] * c, minlength=count) for c in xyz[band].T]
    centre = np.stack(moment, axis=1)[kept] / total[kept, None]
    near = squareform(pdist(centre)) < rules.one_neck_nm
    _, group = csgraph.connected_components(near, directed=False)
    number = np.full(count, -1, dtype=np.int64)
    number[kept] = group
    return np.asarray(number[ring])

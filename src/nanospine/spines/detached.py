"""Heads whose neck is too sparse to see: the way that leads them back to the dendrite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import sparse, stats
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from nanospine.spines.model import BACKGROUND, SHAFT
from nanospine.spines.protrusion import Gap, Protrusion
from nanospine.spines.split import edge_graph

__all__ = ["FARTHEST_NM", "Surroundings", "beside_gaps", "heads_apart", "reattached"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Farther than this from the dendrite, nothing is its head.
FARTHEST_NM = 2000.0
# Diameters of the balls of the same volume: smaller bodies are noise, larger ones no heads.
_SMALLEST_NM, _LARGEST_NM = 100.0, 1200.0
# Without a localization between, a gap is believed up to this many alphas (a void of two lets the
# carving sphere through), and on a surface without localizations up to this length.
_VOID_ALPHAS = 3.0
_VOID_NM = 400.0
# Ways may be this much longer than the gap.
_DETOUR, _SLACK_NM = 1.3, 100.0
# Localizations as near to each other as this may be of one molecule and are one stepping stone.
_STONE_NM = 30.0
_NEIGHBOURS = 16
# A tube around the way in which localizations support it, and how sure that must be.
_TUBE_NM = 80.0
_FEWEST = 2
# Localizations as near to it as this are given to the spine.
_NECK_NM = 120.0
_CHANCE = 1e-3
_SAMPLES = 20_000


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What may lie in the gap.

    Attributes
    ----------
    free_nm : ndarray, shape (n, 3), or None
        Localizations away from the envelope; None when there are none to ask.
    alpha_nm : float
        Radius of the sphere that carved the envelope; NaN when it is not known.
    """

    free_nm: FloatArray | None
    alpha_nm: float

    @property
    def void_nm(self) -> float:
        """Widest gap that is believed without a localization in it."""
        if not np.isfinite(self.alpha_nm):
            return _VOID_NM
        return _VOID_ALPHAS * self.alpha_nm


def heads_apart(mesh: trimesh.Trimesh, bodies: Sequence[IntArray]) -> list[IntArray]:
    """Give those bodies that may be a head, or a piece of a neck, by their volume."""
    least, most = (np.pi / 6 * d**3 for d in (_SMALLEST_NM, _LARGEST_NM))
    number = np.full(len(mesh.vertices), -1, dtype=np.int64)
    for i, body in enumerate(bodies):
        number[body] = i
    of_face = number[np.asarray(mesh.faces)[:, 0]]
    a, b, c = np.asarray(mesh.triangles, dtype=np.float64).transpose(1, 0, 2)
    six = np.einsum("ij,ij->i", a, np.cross(b, c))
    mine = of_face >= 0
    volume = np.bincount(of_face[mine], six[mine], len(bodies)) / 6.0
    return [body for body, v in zip(bodies, volume, strict=True) if least <= v <= most]


def reattached(
    mesh: trimesh.Trimesh,
    protrusions: Sequence[Protrusion],
    vertex_spine: IntArray,
    bodies: Sequence[IntArray],
    around: Surroundings,
    *,
    min_length_nm: float,
) -> tuple[Protrusion, ...]:
    """Join heads that lie apart to the dendrite by the most likely way.

    A neck of few localizations is carved away, and its head is left as a body of its own. The way
    back is the shortest one over the localizations in between, when each hop costs the square of
    its length (among random points such a way keeps to where they are dense: Hwang, Damelin, Hero,
    Ann. Appl. Probab. 26, 2791, 2016). It is believed when there are more localizations beside it
    than the background explains (Poisson, p < 0.001), or when it is no wider than the voids that
    carving takes for empty. The nearest body comes first, so that pieces of a neck lead to their
    head. Where a way ends at the tip of a smaller protrusion, both are one spine.

    Parameters
    ----------
    mesh : trimesh.Trimesh
    protrusions : sequence of Protrusion
        Those found on the dendrites.
    vertex_spine : ndarray of int, shape (n_vertices,)
        Their labels; -1 on shafts.
    bodies : sequence of ndarray of int
        Vertices of each body that may be a head (:func:`heads_apart`).
    around : Surroundings
    min_length_nm : float
        Spines that reach less far are left out.

    Returns
    -------
    tuple of Protrusion
        All of them; `gaps` say how one was joined.
    """
    xyz = np.asarray(mesh.vertices, dtype=np.float64)
    found, owner = list(protrusions), vertex_spine.copy()
    waiting = list(bodies)
    graph = None
    while waiting:
        on = np.flatnonzero(owner >= SHAFT)
        tree = cKDTree(xyz[on])
        gaps = [_gap(xyz, on, tree, body, around) for body in waiting]
        believed = [(gap.length_nm, i) for i, gap in enumerate(gaps) if gap is not None]
        if not believed:
            break
        _, nearest = min(believed)
        gap, body = gaps[nearest], waiting.pop(nearest)
        assert gap is not None
        graph = edge_graph(mesh) if graph is None else graph
        spine = int(owner[gap.start])
        joined = _joined(graph, found[spine] if spine >= 0 else None, gap, body)
        if joined is None:
            continue
        if spine < 0:
            spine = len(found)
            found.append(joined)
        found[spine] = joined
        owner[body] = spine
    return tuple(p for p in found if not p.gaps or p.distance_nm.max() >= min_length_nm)


def _joined(
    graph: sparse.csr_matrix, stump: Protrusion | None, gap: Gap, body: IntArray
) -> Protrusion | None:
    """One protrusion of a body and what it hangs on; None beside something larger than itself."""
    inner = graph[body][:, body]
    end = int(np.searchsorted(body, gap.end))
    distance = gap.length_nm + np.asarray(csgraph.dijkstra(inner, directed=False, indices=end))
    if stump is None:
        return Protrusion(body, distance, (np.arange(len(body)),), (gap,))
    at = float(stump.distance_nm[stump.vertices == gap.start][0])
    if len(stump.vertices) > len(body) or at < 0.5 * float(stump.distance_nm.max()):
        return None
    vertices = np.concatenate([stump.vertices, body])
    order = np.argsort(vertices)
    return Protrusion(
        vertices[order], np.concatenate([stump.distance_nm, at + distance])[order],
        (np.arange(len(vertices)),), (*stump.gaps, replace(gap, from_nm=at)),
    )  # fmt: skip


def _gap(
    xyz: FloatArray, on: IntArray, tree: cKDTree, body: IntArray, around: Surroundings
) -> Gap | None:
    """Give the way from the dendrite to a body, when there is one to believe."""
    distance, nearest = tree.query(xyz[body], distance_upper_bound=FARTHEST_NM)
    k = int(distance.argmin())
    gap_nm = float(distance[k])
    if not np.isfinite(gap_nm):
        return None
    if around.free_nm is not None:
        gap = _over_stones(xyz, on, tree, body, gap_nm, around.free_nm)
        if gap is not None:
            return gap
    start, end = int(on[nearest[k]]), int(body[k])
    return Gap(xyz[[start, end]], 0, start, end) if gap_nm <= around.void_nm else None


def _over_stones(
    xyz: FloatArray,
    on: IntArray,
    tree: cKDTree,
    body: IntArray,
    gap_nm: float,
    free_nm: FloatArray,
) -> Gap | None:
    """Give the way over localizations between; None when the background explains them."""
    most = _DETOUR * gap_nm + _SLACK_NM
    low, high = xyz[body].min(axis=0) - most, xyz[body].max(axis=0) + most
    stones = _thinned(free_nm[((free_nm >= low) & (free_nm <= high)).all(axis=1)])
    bodies = cKDTree(xyz[body])

    def between(points: FloatArray) -> npt.NDArray[np.bool_]:
        return np.asarray(tree.query(points)[0] + bodies.query(points)[0] <= most)

    stones = stones[between(stones)] if len(stones) else stones
    if len(stones) < _FEWEST:
        return None
    from_on, first = tree.query(stones)
    to_body, last = bodies.query(stones)
    path = _cheapest(stones, from_on, to_body, gap_nm)
    if not path:
        return None
    start, end = int(on[first[path[0]]]), int(body[last[path[-1]]])
    line = np.concatenate([xyz[[start]], stones[path], xyz[[end]]])
    # The volume of the region and of the tube in it, by random points.
    room = np.random.default_rng(0).uniform(low, high, (_SAMPLES, 3))
    share = float(np.prod(high - low)) / _SAMPLES
    away = np.minimum(tree.query(room)[0], bodies.query(room)[0]) > _TUBE_NM / 2
    room = room[between(room) & away]
    in_tube, beside = _beside(stones, line), _beside(room, line)
    volume, rest = share * int(beside.sum()), share * int((~beside).sum())
    count = int(in_tube.sum())
    expected = volume * (int((~in_tube).sum()) + 1) / max(rest, share)
    if count < _FEWEST or stats.poisson.sf(count - 1, expected) > _CHANCE:
        return None
    return Gap(line, count, start, end)


def _cheapest(
    stones: FloatArray, from_on: FloatArray, to_body: FloatArray, gap_nm: float
) -> list[int]:
    """Stones on the way whose squared hops sum to least, in order; none where none helps."""
    n = len(stones)
    near = cKDTree(stones)
    length, other = near.query(stones, k=min(_NEIGHBOURS + 1, n))
    row = np.repeat(np.arange(n), length.shape[1])
    ends = np.arange(n)
    cost = np.concatenate([length.ravel() ** 2, from_on**2, to_body**2, [gap_nm**2]])
    start = np.concatenate([row, np.full(n, n), ends, [n]])
    stop = np.concatenate([other.ravel(), ends, np.full(n, n + 1), [n + 1]])
    keep = start != stop
    matrix = sparse.coo_matrix(
        (np.maximum(cost, 1e-6)[keep], (start[keep], stop[keep])), shape=(n + 2, n + 2)
    )
    _, before = csgraph.dijkstra(matrix.tocsr(), indices=n, return_predecessors=True)
    path, at = [], int(before[n + 1])
    while at != n and at >= 0:
        path.append(at)
        at = int(before[at])
    return path[::-1]


def beside_gaps(
    xyz_nm: FloatArray, localization_spine: IntArray, gaps: Iterable[tuple[Gap, int]]
) -> IntArray:
    """Give localizations that are on no surface but beside a way over a gap to its spine.

    Parameters
    ----------
    gaps : iterable of (Gap, int)
        Ways, and the numbers of their spines.
    """
    result = localization_spine.copy()
    away = np.flatnonzero(localization_spine == BACKGROUND)
    for gap, number in gaps if len(away) else ():
        result[away[_beside(xyz_nm[away], gap.path_nm, _NECK_NM)]] = number
    return result


def _thinned(points: FloatArray) -> FloatArray:
    """Points none of which are nearer than 30 nm, taken in their order."""
    if len(points) == 0:
        return points
    near = cKDTree(points).query_ball_point(points, _STONE_NM)
    keep = np.ones(len(points), dtype=bool)
    for i, others in enumerate(near):
        if keep[i]:
            keep[[j for j in others if j > i]] = False
    return points[keep]


def _beside(
    points: FloatArray, line: FloatArray, radius_nm: float = _TUBE_NM
) -> npt.NDArray[np.bool_]:
    """Tell which points lie within the tube around a line."""
    fine = [line[:1]]
    for a, b in pairwise(line):
        steps = max(int(np.linalg.norm(b - a) / 10.0), 1)
        fine.append(a + (b - a) * (np.arange(1, steps + 1) / steps)[:, None])
    distance, _ = cKDTree(np.concatenate(fine)).query(points)
    return np.asarray(distance <= radius_nm)

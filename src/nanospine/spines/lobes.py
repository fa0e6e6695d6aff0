"""The lobes of a patch of surface: spines that touch at their bases, heads of one spine, bumps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from nanospine.spines.protrusion import Protrusion

__all__ = ["is_head", "lobes_of", "resolved"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Levels of 40 nm in which the foot of a spine is looked for.
_LONGEST_FOOT = 15
# Way up a head along its surface over the radius of the ball in it: pi for a ball on a thin stem,
# half of that for a bump that is half a ball.
_HEAD_RISE = 0.75 * np.pi


def resolved(
    graph: sparse.csr_matrix,
    vertices: IntArray,
    distance: FloatArray,
    xyz: FloatArray,
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
    for lobe in lobes_of(
        inner, vertices, distance, xyz[vertices], area[vertices], min_length_nm, join_nm
    ):
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
                result += resolved(
                    graph, rest[mine], above[mine], xyz, area, least, join_nm, count == 1
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


def lobes_of(
    graph: sparse.csr_matrix,
    vertices: IntArray,
    distance: FloatArray,
    xyz: FloatArray,
    area: FloatArray,
    min_length_nm: float,
    join_nm: float,
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
        # The larger and wider head is the one that is described: part of it may be a neighbour's.
        heads.sort(
            key=lambda head: (
                not is_head(xyz[mine[head]], distance[mine[head]]),
                -float(area[mine[head]].sum())
                * _ball_nm(xyz[mine[head]], distance[mine[head]]) ** 2,
            )
        )
        result.append(Protrusion(vertices[mine], distance[mine], tuple(heads)))
    return result


def is_head(xyz: FloatArray, distance: FloatArray) -> bool:
    """Tell a lobe that stands on a stem of its own from a bump of the surface.

    In a crowd the head of one spine keeps pieces of its neighbours', which look like further tips.

    Parameters
    ----------
    xyz : ndarray, shape (n, 3)
        Vertices of the lobe, nm.
    distance : ndarray, shape (n,)
        Their distance from the base along the surface, nm.
    """
    return bool(np.ptp(distance) >= _HEAD_RISE * _ball_nm(xyz, distance))


def _ball_nm(xyz: FloatArray, distance: FloatArray) -> float:
    """Radius of the ball that fits the far half of a head best; holes in a head do not matter."""
    far = xyz[distance >= (distance.min() + distance.max()) / 2]
    far = far - far.mean(axis=0)
    reach = float(np.linalg.norm(far, axis=1).max())
    if len(far) < 10:
        return reach
    # |x|^2 = 2 c.x + r^2 - |c|^2 is linear in the centre c
    rows = np.column_stack([2 * far, np.ones(len(far))])
    solution = np.linalg.lstsq(rows, (far**2).sum(axis=1), rcond=None)[0]
    square = float(solution[3] + solution[:3] @ solution[:3])
    return min(float(np.sqrt(max(square, 0.0))), reach)


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

"""Where the neck ends and the head begins, and how large the head is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.spines.centreline import arc_length_nm
from nanospine.spines.neck_profile import Constriction, NeckProfile
from nanospine.spines.shaft import frames, smooth_path

__all__ = ["HeadMeasures", "measure_head", "mesh_profile"]

FloatArray = npt.NDArray[np.float64]

# A widening of less than this over the constriction is not a head.
_LEAST_NECKNESS = 1.2
_HEAD_BORDER = 1 / 3


@dataclass(frozen=True)
class HeadMeasures:
    """Neck and head of one spine, nanometres; NaN where the profile does not reach."""

    neck_diameter_nm: float
    neck_mean_diameter_nm: float
    neck_length_nm: float
    head_diameter_nm: float
    head_volume_nm3: float
    volume_nm3: float


def measure_head(profile: NeckProfile, length_nm: float) -> HeadMeasures:
    """Divide a profile into neck and head and measure both.

    The head is the widest place beyond the constriction. The border is where the diameter,
    followed from the constriction outward, has risen by a third of the way from the constriction
    to the head (after Dorkenwald et al., who cut the inscribed radius at two thirds, which lies
    well inside a round head), less what a round head of that diameter is high there: the border is
    where the neck meets it. A profile that widens less than 1.2-fold has no head of its own:
    a spine much longer than wide is all neck, others are all head. Volumes integrate
    pi/4 d² along the centreline, with d falling to 0 at the tip.

    Parameters
    ----------
    profile : NeckProfile
        From base to tip.
    length_nm : float
        Length of the centreline.
    """
    position, diameter = profile.position_nm, profile.diameter_nm
    valid = np.isfinite(diameter)
    if valid.sum() < 2:
        nothing = float("nan")
        return HeadMeasures(nothing, nothing, nothing, nothing, nothing, nothing)
    # The joint with the shaft flares; what is beside the base is shaft, not spine.
    s = np.append(position[valid], length_nm)
    d = np.append(diameter[valid], 0.0)
    narrow_at = profile.constriction.position_nm if profile.constriction else None
    narrow = profile.constriction.diameter_nm if profile.constriction else float("nan")
    if narrow_at is None:
        inner = (s >= 0.1 * length_nm) & (s <= 0.6 * length_nm)
        if inner.any():
            i = int(np.flatnonzero(inner)[d[inner].argmin()])
            narrow_at, narrow = float(s[i]), float(d[i])
        else:
            narrow_at, narrow = 0.0, float(d[0])
    beyond = s >= narrow_at
    head = float(_steady(d)[beyond].max())
    volume = _volume(s, np.minimum(d, _base_limit(s, d, narrow_at)), 0.0)
    if head < _LEAST_NECKNESS * narrow:
        slender = length_nm > 2.5 * head
        shank = (s >= 0.1 * length_nm) & (s <= 0.9 * length_nm)
        mean = float(d[shank].mean()) if shank.any() else narrow
        return HeadMeasures(
            narrow, mean if slender else narrow, length_nm if slender else 0.0, head,
            0.0 if slender else volume, volume,
        )  # fmt: skip
    level = narrow + _HEAD_BORDER * (head - narrow)
    crossing = np.flatnonzero(beyond & (d >= level))
    at_level = _crossing(s, d, int(crossing[0]), level)
    height = (np.sqrt(head**2 - narrow**2) - np.sqrt(head**2 - level**2)) / 2
    border = max(at_level - height, min(narrow_at, at_level))
    in_neck = (s <= border) & (d <= level)
    mean = float(d[in_neck].mean()) if in_neck.any() else narrow
    return HeadMeasures(narrow, mean, border, head, _volume(s, d, border), volume)


def _steady(d: FloatArray) -> FloatArray:
    """Running median of three: one noisy value does not make a head."""
    if len(d) < 4:
        return d
    return np.median(np.stack([d, np.append(d[1:], d[-1]), np.append(d[:1], d[:-1])]), axis=0)


def _base_limit(s: FloatArray, d: FloatArray, narrow_at: float) -> FloatArray:
    """Diameters before the constriction are capped at twice it: beyond that it is the shaft."""
    i = int(np.abs(s - narrow_at).argmin())
    return np.where(s < narrow_at, 2.0 * d[i], np.inf)


def _crossing(s: FloatArray, d: FloatArray, first: int, level: float) -> float:
    if first == 0 or d[first] == d[first - 1]:
        return float(s[first])
    part = (level - d[first - 1]) / (d[first] - d[first - 1])
    return float(s[first - 1] + np.clip(part, 0, 1) * (s[first] - s[first - 1]))


def _volume(s: FloatArray, d: FloatArray, start: float) -> float:
    area = np.pi / 4 * d**2
    fine = np.linspace(start, s[-1], 400)
    return float(np.trapezoid(np.interp(fine, s, area), fine))


def mesh_profile(
    part: trimesh.Trimesh, centreline_nm: FloatArray, step_nm: float = 20.0
) -> NeckProfile:
    """Diameter of the mesh's cross-sections along a centreline (of the circle with their area).

    For meshes without localizations: there is no interval, and the width of an envelope made
    from localizations includes their error.

    Parameters
    ----------
    part : trimesh.Trimesh
        The spine's part of a mesh; may be open at the base.
    centreline_nm : ndarray, shape (k, 3)
        From base to tip.
    """
    path = smooth_path(centreline_nm, step_nm, 0.0)
    tangent, _, _ = frames(path)
    position = arc_length_nm(path)
    triangles = np.asarray(part.triangles, dtype=np.float64)
    normals = np.asarray(part.face_normals, dtype=np.float64)
    diameter = np.array(
        [_section_diameter(triangles, normals, p, t) for p, t in zip(path, tangent, strict=True)]
    )
    length = float(position[-1])
    searched = (position >= 0.1 * length) & (position <= 0.7 * length) & np.isfinite(diameter)
    constriction = None
    if searched.any():
        i = int(np.flatnonzero(searched)[diameter[searched].argmin()])
        constriction = Constriction(float(diameter[i]), np.nan, np.nan, float(position[i]), 0)
    unknown = np.full(len(position), np.nan)
    return NeckProfile(
        position, diameter, unknown, unknown, np.zeros(len(position), dtype=np.int64),
        constriction, constriction is not None, "measured on the mesh, without localizations",
    )  # fmt: skip


def _section_diameter(
    triangles: FloatArray, normals: FloatArray, point: FloatArray, tangent: FloatArray
) -> float:
    """Diameter of the circle with the area that a plane cuts out of the surface around a point."""
    side = (triangles - point) @ tangent
    cut = (side.min(axis=1) < 0) & (side.max(axis=1) >= 0)
    if cut.sum() < 3:
        return float("nan")
    corner, height, normal = triangles[cut], side[cut], normals[cut]
    rows = np.arange(len(corner))
    positive = height >= 0
    # The corner that is alone on its side: both cut edges start there
    alone = np.where(positive.sum(axis=1) == 1, positive.argmax(axis=1), (~positive).argmax(axis=1))
    ends = []
    for step in (1, 2):
        other = (alone + step) % 3
        a, b = height[rows, alone], height[rows, other]
        share = a / (a - b)
        start = corner[rows, alone]
        ends.append(start + share[:, None] * (corner[rows, other] - start))
    # Segments run counterclockwise around the inside when seen against the tangent
    way = np.cross(np.broadcast_to(tangent, normal.shape), normal)
    flip = np.einsum("ij,ij->i", ends[1] - ends[0], way) < 0
    p = np.where(flip[:, None], ends[1], ends[0]) - point
    q = np.where(flip[:, None], ends[0], ends[1]) - point
    near = _connected(p, q)
    area = 0.5 * float(np.einsum("ij,j->", np.cross(p[near], q[near]), tangent))
    return 2 * float(np.sqrt(area / np.pi)) if area > 0 else float("nan")


def _connected(p: FloatArray, q: FloatArray) -> npt.NDArray[np.bool_]:
    """Keep the closed loop nearest to the origin: a plane may cut a bent spine more than once.

    Chains with loose ends come from the rim where the spine was cut off the shaft; they have no
    area. Nothing is kept when no loop is closed.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.round(np.vstack([p, q]), 2)
    _, node = np.unique(ends, axis=0, return_inverse=True)
    node = node.ravel()
    a, b = node[: len(p)], node[len(p) :]
    size = int(node.max()) + 1
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    loop = label[a]
    # Every node of a closed loop is where as many segments begin as end.
    loose = np.bincount(a, minlength=size) != np.bincount(b, minlength=size)
    closed = np.bincount(label, weights=loose, minlength=count) == 0
    distance = np.where(closed[loop], np.linalg.norm(p, axis=1), np.inf)
    nearest = np.array([distance[loop == i].min(initial=np.inf) for i in range(count)])
    if not np.isfinite(nearest).any():
        return np.zeros(len(p), dtype=bool)
    return np.asarray(loop == int(nearest.argmin()))

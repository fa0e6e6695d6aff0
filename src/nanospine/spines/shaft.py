"""The shaft of a dendrite: its axis, and its surface without the spines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from nanospine.spines.grid_graph import grid_graph
from nanospine.spines.solid import Solid

__all__ = [
    "ShaftAxis", "find_axes", "frames", "longest_path", "ray_directions", "ray_lengths",
    "smooth_path",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_STEP_NM = 40.0
_ANGLES = 36
# A branch of the thick core must be this long before it is a branch and not a bulge.
_MIN_BRANCH_NM = 1200.0
_MOST_BRANCHES = 40
# Below this length beyond the shaft's surface it must have no neck either: nowhere in its first
# half be thinner than this share of the shaft that it stands on.
_SURE_BRANCH_NM, _NECKLESS = 3000.0, 0.8
# Another thick part of a body, behind something thin, is a dendrite of its own from this length.
_MIN_APART_NM = 3000.0


@dataclass(frozen=True, eq=False)
class ShaftAxis:
    """One unbranched stretch of shaft: a smooth axis and the shaft's radius around it.

    Attributes
    ----------
    points_nm : ndarray, shape (k, 3)
        The axis at even steps.
    tangent, normal, binormal : ndarray, shape (k, 3)
        A frame that turns as little as possible along the axis.
    radius_nm : ndarray, shape (k, a)
        Distance from the axis to the shaft's surface at `a` even angles from `normal` towards
        `binormal`, spines left out.
    """

    points_nm: FloatArray
    tangent: FloatArray
    normal: FloatArray
    binormal: FloatArray
    radius_nm: FloatArray

    @property
    def length_nm(self) -> float:
        """Length along the axis."""
        return float(np.linalg.norm(np.diff(self.points_nm, axis=0), axis=1).sum())

    @property
    def mean_radius_nm(self) -> FloatArray:
        """Radius of the circle with the area of the cross-section, shape (k,)."""
        return np.asarray(np.sqrt((self.radius_nm**2).mean(axis=1)))

    def mapped(self, linear: FloatArray) -> ShaftAxis:
        """Give the axis after a linear map of space, its radius measured in the new planes."""
        points = self.points_nm @ linear.T
        step = np.linalg.norm(np.diff(points, axis=0), axis=1)
        arc = np.concatenate([[0.0], np.cumsum(step)])
        even = np.linspace(0.0, arc[-1], max(round(float(arc[-1]) / _STEP_NM) + 1, 2))
        row = np.interp(even, arc, np.arange(len(arc)))
        points = smooth_path(points, _STEP_NM, 0.0)
        tangent, normal, binormal = frames(points)
        toward = ray_directions(normal, binormal) @ np.linalg.inv(linear).T
        near = np.rint(row).astype(np.int64)
        x, y = (np.einsum("kai,ki->ka", toward, f[near]) for f in (self.normal, self.binormal))
        turn = np.arctan2(y, x) / (2 * np.pi) * _ANGLES % _ANGLES
        radius = self._radius_at(np.broadcast_to(row[:, None], turn.shape), turn)
        return ShaftAxis(points, tangent, normal, binormal, radius / np.hypot(x, y))

    def _radius_at(self, row: FloatArray, turn: FloatArray) -> FloatArray:
        """Linear between samples of the axis and of the angle."""
        around = np.pad(self.radius_nm, ((0, 0), (0, 1)), mode="wrap")
        return np.asarray(ndimage.map_coordinates(around, [row, turn], order=1, mode="nearest"))

    def locate(self, xyz_nm: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give distance to the axis, shaft radius in that direction, and overhang past the ends.

        Returns
        -------
        distance_nm, radius_nm, overhang_nm : ndarray, shape (n,)
            `overhang_nm` is how far a point lies beyond the first or last cross-section;
            alongside the shaft it is negative, the distance from the nearer of the two.
        """
        _, nearest = cKDTree(self.points_nm).query(xyz_nm)
        offset = xyz_nm - self.points_nm[nearest]
        along = np.einsum("ij,ij->i", offset, self.tangent[nearest])
        last = len(self.points_nm) - 1
        position = nearest * _STEP_NM + along
        overhang = np.maximum(-position, position - last * _STEP_NM)
        across = offset - along[:, None] * self.tangent[nearest]
        angle = np.arctan2(
            np.einsum("ij,ij->i", across, self.binormal[nearest]),
            np.einsum("ij,ij->i", across, self.normal[nearest]),
        )
        turn = angle / (2 * np.pi) * _ANGLES
        radius = self._radius_at(np.clip(nearest + along / _STEP_NM, 0, last), turn % _ANGLES)
        return np.linalg.norm(across, axis=1), radius, overhang


def find_axes(solid: Solid) -> tuple[ShaftAxis, ...]:
    """Find the shaft of a body: the longest thick path through it, and its thick branches.

    Strategy: the depth (distance to the surface) of a shaft stays high over a long way, that of
    a spine head only over a short one, and a path through a spine must pass its thin neck. So
    for falling thresholds t the largest extent L(t) of a connected part deeper than t is taken,
    and t with the greatest L(t) * t names the part that is the shaft. The axis is the path
    through that part between its far ends that keeps to the deep; further far ends give
    branches; a short one with a neck is a spine with a large head. Other parts as thick, 3 um long
    and joined by something thin only, are dendrites that touch. The axis is smoothed, and the
    shaft's surface is measured on rays from it; the radius is a low running quantile over
    neighbouring rays, which spines, that cover less than half of the surface, do not move.

    Returns
    -------
    tuple of ShaftAxis
        Empty when nothing in the body is long and thick enough to be called a shaft.
    """
    depth = solid.grid.data
    paths = [
        path
        for core in _thick_cores(depth, solid.voxel_nm)
        for path in _core_paths(core, depth, solid)
    ]
    axes = []
    for path in paths:
        axis = _measured_axis(path, solid)
        if axis is not None:
            axes.append(axis)
    return tuple(axes)


def _thick_cores(
    depth: npt.NDArray[np.float32], voxel_nm: float
) -> Iterator[npt.NDArray[np.bool_]]:
    """Give the part that maximises extent x threshold, grown to 0.55 of it; then others as long."""
    deepest = float(depth.max())
    if deepest < voxel_nm:
        return
    best, best_seed, best_t = 0.0, None, 0.0
    for t in np.linspace(0.95, 0.15, 17) * deepest:
        labels, count = ndimage.label(depth > t, structure=np.ones((3, 3, 3)))
        if count == 0:
            continue
        for i, box in enumerate(ndimage.find_objects(labels), start=1):
            sides = np.array([s.stop - s.start for s in box], dtype=float)
            bound = np.linalg.norm(sides) * voxel_nm * t
            if bound <= best:
                continue
            voxels = np.argwhere(labels[box] == i)
            far = voxels[np.linalg.norm(voxels - voxels.mean(axis=0), axis=1).argmax()]
            extent = np.linalg.norm(voxels - far, axis=1).max() * voxel_nm
            # Two thresholds of depth are added: a sphere has no extent beyond its own core.
            if extent * t > best:
                best, best_t = extent * t, t
                best_seed = tuple(voxels[0] + [s.start for s in box])
    if best_seed is None:
        return
    labels, _ = ndimage.label(depth > 0.55 * best_t, structure=np.ones((3, 3, 3)))
    first = int(labels[best_seed])
    yield labels == first
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        spans = [s.stop - s.start for s in box]
        if i != first and np.linalg.norm(spans) * voxel_nm >= _MIN_APART_NM:
            yield labels == i


def longest_path(solid: Solid) -> tuple[FloatArray, float] | None:
    """Give the longest thick path through a body, smooth, at even steps, and its median depth."""
    depth = solid.grid.data
    core = next(_thick_cores(depth, solid.voxel_nm), None)
    paths = [] if core is None else _core_paths(core, depth, solid, most_branches=0)
    if not paths:
        return None
    typical = float(np.median(solid.depth_at_nm(paths[0])))
    return _smoothed(paths[0], typical), typical


def _core_paths(
    core: npt.NDArray[np.bool_],
    depth: npt.NDArray[np.float32],
    solid: Solid,
    most_branches: int = _MOST_BRANCHES,
) -> list[FloatArray]:
    """Give paths (x, y, z in nm) through the core: the longest one, then its branches."""
    voxels = np.argwhere(core)
    cost = (float(depth.max()) / np.maximum(depth[core].astype(np.float64), 1.0)) ** 3
    plain, weighted = grid_graph(voxels, cost, core.shape, solid.voxel_nm)
    start = int(_farthest(plain, 0)[0])
    start = int(_farthest(plain, start)[0])
    end, distance = _farthest(plain, start)
    if not np.isfinite(distance) or distance < 2 * solid.voxel_nm:
        return []
    _, before = csgraph.dijkstra(weighted, directed=False, indices=start, return_predecessors=True)
    chain = _trace(before, end)
    paths = [chain]
    on_axis = list(chain)
    for _ in range(most_branches):
        away, _, _ = csgraph.dijkstra(
            plain, directed=False, indices=on_axis, min_only=True, return_predecessors=True
        )
        tip = int(np.where(np.isfinite(away), away, -1).argmax())
        if away[tip] < _MIN_BRANCH_NM + float(depth[tuple(voxels[tip])]):
            break
        _, before, _ = csgraph.dijkstra(
            weighted, directed=False, indices=on_axis, min_only=True, return_predecessors=True
        )
        chain = _trace(before, tip)
        on_axis += chain
        if _is_branch(depth[tuple(voxels[chain].T)], float(away[tip])):
            paths.append(chain)
    return [solid.grid.to_xyz_nm(voxels[chain]) for chain in paths]


def _is_branch(depth_nm: npt.NDArray[np.float32], length_nm: float) -> bool:
    """Tell a branch from a spine with a large head, by the depth along the way to its tip."""
    start = float(depth_nm[0])
    if length_nm - start >= _SURE_BRANCH_NM:
        return True
    way = np.linspace(0.0, length_nm, len(depth_nm))
    beyond = (way > start) & (way < (start + length_nm) / 2)
    return bool(depth_nm[beyond].min(initial=start) >= _NECKLESS * start)


def _farthest(graph: sparse.csr_matrix, source: int) -> tuple[int, float]:
    distance = csgraph.dijkstra(graph, directed=False, indices=source)
    distance[~np.isfinite(distance)] = -1
    far = int(distance.argmax())
    return far, float(distance[far])


def _trace(before: npt.NDArray[np.int32], end: int) -> list[int]:
    chain = [end]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return chain[::-1]


def smooth_path(path_nm: FloatArray, step_nm: float, smoothing_nm: float) -> FloatArray:
    """Resample a path at even steps and smooth it with a Gaussian of `smoothing_nm` along it.

    The ends stay where they are: the path is mirrored through its end points.
    """
    segment = np.linalg.norm(np.diff(path_nm, axis=0), axis=1)
    path_nm = path_nm[np.concatenate([[True], segment > 0])]
    arc = np.concatenate([[0.0], np.cumsum(segment[segment > 0])])
    if len(path_nm) < 2:
        return path_nm
    count = max(round(float(arc[-1]) / step_nm) + 1, 2)
    even = np.linspace(0.0, arc[-1], count)
    points = np.column_stack([np.interp(even, arc, path_nm[:, i]) for i in range(3)])
    sigma = min(smoothing_nm / step_nm, (count - 1) / 4)
    if sigma <= 0 or count < 4:
        return points
    pad = min(int(np.ceil(4 * sigma)), count - 1)
    left = 2 * points[0] - points[pad:0:-1]
    right = 2 * points[-1] - points[-2 : -pad - 2 : -1]
    smooth = ndimage.gaussian_filter1d(np.concatenate([left, points, right]), sigma, axis=0)
    return np.asarray(smooth[pad : pad + count])


def frames(points_nm: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give tangents, normals and binormals of a path, turned as little as possible along it."""
    tangent = np.gradient(points_nm, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    normal = np.zeros_like(tangent)
    axis = np.eye(3)[np.abs(tangent[0]).argmin()]
    for i, t in enumerate(tangent):
        axis = axis - (axis @ t) * t
        axis /= max(np.linalg.norm(axis), 1e-12)
        normal[i] = axis
    return tangent, normal, np.cross(tangent, normal)


def _measured_axis(path_nm: FloatArray, solid: Solid) -> ShaftAxis | None:
    """Smooth and centre the axis, extend it to the ends of the body, measure the radius."""
    typical = float(np.median(solid.depth_at_nm(path_nm)))
    points = _centred(_smoothed(path_nm, typical), solid, typical)
    # Centred up to one radius from the ends only: a cross-section that leaves through the end is
    # short on one side, and moving away from that would tilt it further.
    points = _centred(_extended(points, solid, typical, typical), solid, typical)
    if len(points) < 4:
        return None
    points = _extended(points, solid, typical)
    tangent, normal, binormal = frames(points)
    radius = _shaft_radius(ray_lengths(points, normal, binormal, solid, 5 * typical))
    return ShaftAxis(points, tangent, normal, binormal, radius)


def _smoothed(path_nm: FloatArray, typical: float) -> FloatArray:
    # Trimmed before it is smoothed, which would carry the way into the corner far inward.
    points = _trimmed(smooth_path(path_nm, _STEP_NM, 0.0), 1.5 * typical)
    return smooth_path(points, _STEP_NM, max(250.0, typical))


def _centred(points: FloatArray, solid: Solid, typical: float) -> FloatArray:
    """Move a path to the middle of the shaft's cross-sections."""
    for _ in range(2):
        if len(points) < 4:
            break
        _, normal, binormal = frames(points)
        radius = _shaft_radius(ray_lengths(points, normal, binormal, solid, 5 * typical))
        points = smooth_path(
            points + _centre_shift(radius, normal, binormal), _STEP_NM, max(250.0, typical)
        )
    return points


def _trimmed(points: FloatArray, cut_nm: float) -> FloatArray:
    """Drop `cut_nm` at both ends: the farthest voxels of a core are in corners of its ends."""
    cut = min(round(cut_nm / _STEP_NM), (len(points) - 6) // 2)
    return points[cut : len(points) - cut] if cut > 0 else points


def _extended(
    points: FloatArray, solid: Solid, typical: float, spare_nm: float = 0.0
) -> FloatArray:
    """Continue both ends straight until `spare_nm` before the surface, at most four depths."""
    steps = np.arange(_STEP_NM, 4 * typical, _STEP_NM)
    lookback = min(len(points) - 1, max(4, int(2 * typical / _STEP_NM)))
    ends = []
    for tip, inner in ((points[0], points[lookback]), (points[-1], points[-1 - lookback])):
        direction = (tip - inner) / max(np.linalg.norm(tip - inner), 1e-12)
        line = tip + steps[:, None] * direction
        inside = solid.depth_at_nm(line) > 0
        count = int(inside.argmin()) if not inside.all() else len(line)
        ends.append(line[: max(count - round(spare_nm / _STEP_NM), 0)])
    return np.concatenate([ends[0][::-1], points, ends[1]])


def ray_directions(normal: FloatArray, binormal: FloatArray) -> FloatArray:
    """Unit vectors at even angles in each plane of a path, shape (k, angles, 3)."""
    angle = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    return np.asarray(
        np.cos(angle)[None, :, None] * normal[:, None]
        + np.sin(angle)[None, :, None] * binormal[:, None]
    )


def ray_lengths(
    points: FloatArray, normal: FloatArray, binormal: FloatArray, solid: Solid, reach_nm: float
) -> FloatArray:
    """Distance from the axis to the first exit from the body on each ray, shape (k, angles)."""
    direction = ray_directions(normal, binormal)
    step = solid.voxel_nm / 2
    reach = np.arange(0.0, reach_nm + 4 * step, step)
    exits = np.full(direction.shape[:2], reach[-1])
    open_ray = np.ones(exits.shape, dtype=bool)
    previous = solid.depth_at_nm(points)[:, None].repeat(_ANGLES, axis=1)
    for r in reach[1:]:
        where = np.nonzero(open_ray)
        if len(where[0]) == 0:
            break
        now = solid.depth_at_nm(points[where[0]] + r * direction[where])
        before = previous[where]
        out = now <= 0
        gone = tuple(w[out] for w in where)
        part = np.maximum(before[out], 0.0)
        exits[gone] = r - step + step * part / np.maximum(part - now[out], 1e-9)
        open_ray[gone] = False
        previous[where] = now
    return exits


def _shaft_radius(exits: FloatArray) -> FloatArray:
    """Radius of the shaft from ray lengths: a running quantile below the median, then smoothed."""
    window = min(2 * round(750.0 / _STEP_NM) + 1, max(3, 2 * (len(exits) // 2) - 1))
    turned = np.pad(exits, ((0, 0), (4, 4)), mode="wrap")  # angles go round, the axis does not
    low = ndimage.percentile_filter(turned, 40, size=(window, 5), mode="nearest")
    return np.asarray(ndimage.gaussian_filter(low, (3.0, 1.0), mode="nearest")[:, 4:-4])


def _centre_shift(radius: FloatArray, normal: FloatArray, binormal: FloatArray) -> FloatArray:
    """Vector from the axis to the centroid of each cross-section of the shaft."""
    angle = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    weight = np.maximum((radius**2).sum(axis=1), 1e-12)  # no ray may have met the surface
    across = 2 / 3 * (radius**3 * np.cos(angle)).sum(axis=1) / weight
    upward = 2 / 3 * (radius**3 * np.sin(angle)).sum(axis=1) / weight
    return np.asarray(across[:, None] * normal + upward[:, None] * binormal)

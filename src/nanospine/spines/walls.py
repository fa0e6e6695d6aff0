"""Membranes inside an envelope: what parts neighbours that touch and that it wrapped as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from nanospine.core.boxes import Boxes
from nanospine.spines.grid_graph import grid_graph
from nanospine.spines.stems import StemRules, part_by_stems
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.rasterize import fill_triangles

__all__ = [
    "Membrane", "Wrap", "crowded_length_nm", "excess", "membrane_of", "part_by_walls",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
HeightAt = Callable[[FloatArray], FloatArray]

_VOXEL_NM = 25.0
# Localizations per nm2 at which they are smoothed by this much; with fewer, wider.
_SMOOTHING_NM, _AT_PER_NM2 = 20.0, 3e-3
_NARROWEST_NM, _WIDEST_NM = 12.0, 40.0
_SAMPLES = 5
# Excess above which a voxel costs more, how much more, and above which it is a wall.
_FREE, _COST, _WALL = 0.1, 20.0, 0.15
# Where a wall meets the surface there is a cleft, and close to the surface it tells more than
# the localizations do: from this curvature on, voxels this near to it are wall.
_CLEFT_PER_NM, _CLEFT_NM = 7e-3, 75.0
# Deep inside there is neither noise nor membrane: localizations there are walls, or background.
_DEEP_VOXELS = 2.0
_LEAST_WALL = 10
# What rises less than this is one with what it meets in an opening as wide as that, if less than
# this part of the border is wall.
_RIM_VOXELS, _LOW_NM, _OPENING_NM2, _LEAST_CLOSED = 1.5, 800.0, 3e4, 0.5
# Feet of one swelling meet near the shaft: this part of their opening is as low as that. Where a
# head lies on a stubby neighbour they do not, and the border is no large part of either surface.
_FOOT_NM, _LEAST_AT_FOOT, _MOST_OF_SURFACE = 400.0, 0.1, 0.4
# A wide way costs less than a narrow one, from this radius downward.
_WIDE_NM, _NARROW_NM = 100.0, 15.0
_INWARD_NM = 15.0
# What is smaller than a ball of 210 nm is a scrap of a spine, or a neck without its head.
_LEAST_NM3 = 5e6
_RULES = StemRules(
    band_nm=60.0, clear_nm=30.0, least=1.2e5, one_neck_nm=60.0,
    low=(0.0, 0.25, 0.5, 0.8, 1.2), high_nm=(250.0, 350.0, 450.0),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Membrane:
    """Localizations on a membrane, and how many of them stand on a nm2 of it.

    Attributes
    ----------
    xyz_nm, precision_nm : ndarray, shape (n, 3)
    per_nm2 : float
        Localizations over the area of the envelope.
    """

    xyz_nm: FloatArray
    precision_nm: FloatArray
    per_nm2: float

    @property
    def smoothing_nm(self) -> float:
        """Standard deviation of the kernel that holds some fifteen localizations of a membrane."""
        width = _SMOOTHING_NM * float(np.sqrt(_AT_PER_NM2 / self.per_nm2))
        return max(width, _NARROWEST_NM)

    def within(self, low: FloatArray, high: FloatArray) -> IntArray:
        """Give the rows in a box, rising; a large field is not looked through for each box."""
        return self._boxes.touching(low, high)

    @cached_property
    def _boxes(self) -> Boxes:
        return Boxes(self.xyz_nm, self.xyz_nm)


class Wrap:
    """An envelope, where its faces lie, and how much of a cleft it is.

    Parameters
    ----------
    mesh : trimesh.Trimesh
    cleft : ndarray, shape (n_vertices,)
        Per nm, of each vertex (:func:`nanospine.spines.stems.cleft_per_nm`).
    """

    def __init__(self, mesh: trimesh.Trimesh, cleft: FloatArray) -> None:
        self.mesh = mesh
        self.triangles = np.asarray(mesh.triangles, dtype=np.float64)
        self.area = np.asarray(mesh.area_faces)
        self.cleft = cleft
        # Columns along z are filled: faces are wanted above and below a box, too.
        corners = (self.triangles.min(axis=1), self.triangles.max(axis=1))
        self.faces = Boxes(*corners, axes=(0, 1))


def membrane_of(
    mesh: trimesh.Trimesh, xyz_nm: FloatArray, precision_nm: FloatArray | None
) -> Membrane | None:
    """Give the localizations for :func:`part_by_walls`, None where they can show no wall.

    They cannot without a known precision, and where a wall would be blurred wider than 40 nm by
    their noise and by the smoothing that their density asks for.
    """
    if precision_nm is None or len(xyz_nm) == 0 or not mesh.area > 0:
        return None
    known = np.isfinite(precision_nm).all(axis=1)
    if not known.any():
        return None
    typical = np.median(precision_nm[known], axis=0)
    found = Membrane(
        xyz_nm, np.where(np.isfinite(precision_nm), precision_nm, typical),
        len(xyz_nm) / float(mesh.area),
    )  # fmt: skip
    blur = np.sqrt(found.smoothing_nm**2 + float((typical**2).mean()))
    return found if blur <= _WIDEST_NM else None


def crowded_length_nm(min_length_nm: float, base_nm: float) -> float:
    """Least length of a spine in a crowd, where the model of the shaft stands too high.

    It counts from below the rim of the patch there.
    """
    return max(min_length_nm - base_nm, 0.5 * min_length_nm)


def part_by_walls(
    wrap: Wrap,
    patch: IntArray,
    beside: sparse.csr_matrix,
    height_at: HeightAt,
    membrane: Membrane,
    *,
    base_nm: float,
    min_length_nm: float,
    join_nm: float,
) -> IntArray:
    """Part what a patch of surface encloses along the membranes inside it.

    Where two spines touch, an envelope encloses both, and with them their two membranes: a wall
    of localizations that the surface does not explain (:func:`excess`). The voxels of 25 nm
    inside the patch fall into stems as in :func:`nanospine.spines.stems.part_by_stems`, but that
    voxels of a wall, and those behind a cleft of the surface, connect nothing, and that a way
    through a wall is up to 50 times as long.

    Parameters
    ----------
    wrap : Wrap
        The envelope and its clefts.
    patch : ndarray of int, shape (n,)
        Vertices above the shaft that hang together.
    beside : csr_matrix, shape (n, n)
        Lengths of the edges between them.
    height_at : callable
        Height of positions above the shaft, nm.
    membrane : Membrane
        The localizations.
    base_nm, min_length_nm, join_nm : float
        As in :func:`nanospine.find_spines`.

    Returns
    -------
    ndarray of int, shape (n,)
        Number of the part of each vertex, each in one piece; all 0 where there are no walls.
    """
    whole = np.zeros(len(patch), dtype=np.int64)
    vertices = np.asarray(wrap.mesh.vertices)[patch]
    grid = _inside(wrap, vertices)
    depth = ndimage.distance_transform_edt(grid.data)
    wall = excess(wrap, grid, depth, membrane)
    voxels = np.argwhere(grid.data)
    xyz = grid.to_xyz_nm(voxels)
    height = height_at(xyz)
    floor = base_nm - 0.8 * _VOXEL_NM
    kept = height > floor
    if np.count_nonzero(kept & (wall > _WALL) & (depth[grid.data] > _DEEP_VOXELS)) < _LEAST_WALL:
        return whole
    voxels, xyz, height, wall = voxels[kept], xyz[kept], height[kept], wall[kept]
    wide = np.clip(depth[tuple(voxels.T)] * _VOXEL_NM, _NARROW_NM, _WIDE_NM)
    cost = np.sqrt(_WIDE_NM / wide) * (1.0 + _COST * np.maximum(wall - _FREE, 0.0))
    plain, ways = (
        graph + graph.T for graph in grid_graph(voxels, cost, grid.data.shape, _VOXEL_NM)
    )
    low = np.flatnonzero(height < floor + _VOXEL_NM)
    if len(low) == 0:
        return whole
    is_wall = (wall > _WALL) | _in_cleft(wrap, patch, xyz)
    normal = np.asarray(wrap.mesh.vertex_normals)[patch]
    _, nearest = cKDTree(xyz).query(vertices - _INWARD_NM * normal)
    distance = csgraph.dijkstra(plain, directed=False, indices=low, min_only=True)
    mine = _of_patch(plain, nearest, distance)
    parts = part_by_stems(
        ways[mine][:, mine], xyz[mine], np.full(len(mine), _VOXEL_NM**3), distance[mine],
        min_length_nm=crowded_length_nm(min_length_nm, base_nm), join_nm=join_nm,
        rules=_RULES, open_ways=_open_ways(plain[mine][:, mine], is_wall[mine]),
    )  # fmt: skip
    label = np.full(len(xyz), -1, dtype=np.int64)
    for number, part in enumerate(parts):
        label[mine[part]] = number
    _merge_scraps(plain, label, len(parts))
    _join_open(plain, label, is_wall, depth[tuple(voxels.T)] > _RIM_VOXELS, height)
    return _in_one_piece(beside, label[nearest])


def _in_cleft(wrap: Wrap, patch: IntArray, xyz_nm: FloatArray) -> BoolArray:
    """Tell which positions lie behind a cleft of a patch of surface."""
    near, nearest = cKDTree(np.asarray(wrap.mesh.vertices)[patch]).query(
        xyz_nm, distance_upper_bound=_CLEFT_NM
    )
    behind = np.isfinite(near)
    behind[behind] = wrap.cleft[patch[nearest[behind]]] > _CLEFT_PER_NM
    return np.asarray(behind)


def excess(wrap: Wrap, grid: VoxelGrid, depth: FloatArray, membrane: Membrane) -> FloatArray:
    """Localizations that the surface does not explain, at the voxels inside it.

    With o the smoothed count of localizations in a voxel, and e that of points on the surface
    moved by the localizations' own noise, both over the greatest e of a flat membrane: the excess
    is (o - e) / sqrt(e + 0.1). Beside the surface, where e is large, chance weighs little so; in
    the middle of a head a single localization counts, and a wall counts 1 to 3.

    Returns
    -------
    ndarray, shape (number of voxels inside,)
    """
    low, high = grid.to_xyz_nm(np.array([(0, 0, 0), grid.data.shape]))
    generator = np.random.default_rng(0)
    here = membrane.within(low, high)
    inside = grid.data
    if len(here) == 0:
        return np.zeros(int(inside.sum()))
    near = wrap.faces.touching(low, high)
    corners, area = wrap.triangles[near], wrap.area[near]
    count = generator.poisson(_SAMPLES * membrane.per_nm2 * area)
    where = generator.dirichlet(np.ones(3), size=int(count.sum()))
    points = np.einsum("ij,ijk->ik", where, np.repeat(corners, count, axis=0))
    precision = membrane.precision_nm[here]
    points += generator.normal(size=points.shape) * generator.choice(precision, len(points))
    sigma = membrane.smoothing_nm / _VOXEL_NM
    observed = ndimage.gaussian_filter(_counts(grid, membrane.xyz_nm[here]), sigma)[inside]
    expected = ndimage.gaussian_filter(_counts(grid, points), sigma)[inside] / _SAMPLES
    peak = max(float(np.percentile(expected, 99)), 1e-12)
    # A patch that is labelled more than the rest has no walls everywhere for it.
    rim = depth[inside] < _DEEP_VOXELS
    brighter = float(observed[rim].sum()) / max(float(expected[rim].sum()), 1e-12)
    peak, expected = peak * brighter, expected * brighter
    return np.asarray((observed - expected) / peak / np.sqrt(expected / peak + 0.1))


def _counts(grid: VoxelGrid, xyz_nm: FloatArray) -> npt.NDArray[np.float32]:
    shape = grid.data.shape
    index = np.rint(grid.to_index(xyz_nm)).astype(np.int64)
    index = index[((index >= 0) & (index < shape)).all(axis=1)]
    flat = np.ravel_multi_index(tuple(index.T), shape)
    count = np.bincount(flat, minlength=int(np.prod(shape)))
    return np.asarray(count.reshape(shape), dtype=np.float32)


def _inside(wrap: Wrap, xyz_nm: FloatArray) -> VoxelGrid:
    """Voxels of the envelope in the box around positions."""
    low = xyz_nm.min(axis=0) - 4 * _VOXEL_NM
    shape = np.ceil((xyz_nm.max(axis=0) + 4 * _VOXEL_NM - low) / _VOXEL_NM).astype(np.int64) + 1
    data = np.zeros(tuple(int(n) for n in shape[::-1]), dtype=np.bool_)
    voxel = np.full(3, _VOXEL_NM)
    every = np.array([_VOXEL_NM, _VOXEL_NM, np.inf])
    high = low + _VOXEL_NM * np.array(data.shape[::-1])
    over = wrap.triangles[wrap.faces.touching(low - every, high + every)]
    fill_triangles(over, voxel, low[::-1], np.zeros(3, dtype=np.int64), data)
    return VoxelGrid(data, voxel, low[::-1])


def _of_patch(plain: sparse.csr_matrix, nearest: IntArray, distance: FloatArray) -> IntArray:
    """Voxels that hang together with those beside the patch, and with the shaft."""
    _, body = csgraph.connected_components(plain, directed=False)
    return np.flatnonzero(np.isin(body, np.unique(body[nearest])) & np.isfinite(distance))


def _merge_scraps(plain: sparse.csr_matrix, label: IntArray, count: int) -> None:
    """Give parts too small for a spine to the neighbour that they share most surface with."""
    edges = plain.tocoo()
    first, second = label[edges.row], label[edges.col]
    beside = (first >= 0) & (second >= 0) & (first != second)
    shared = np.zeros((count, count))
    np.add.at(shared, (first[beside], second[beside]), 1.0)
    volume = np.bincount(label[label >= 0], minlength=count) * _VOXEL_NM**3
    for scrap in np.argsort(volume):
        if volume[scrap] >= _LEAST_NM3 or not shared[scrap].any():
            continue
        target = int(shared[scrap].argmax())
        label[label == scrap] = target
        volume[target] += volume[scrap]
        shared[target] += shared[scrap]
        shared[:, target] += shared[:, scrap]
        shared[scrap] = shared[:, scrap] = shared[target, target] = 0.0


def _join_open(
    plain: sparse.csr_matrix, label: IntArray, is_wall: BoolArray, is_deep: BoolArray,
    height: FloatArray,
) -> None:  # fmt: skip
    """Join low parts to what they are open to, the widest opening first.

    A swelling of the shaft has several feet in the lowest bands, and no walls between them. Tall
    parts stand by themselves, although their wall may have holes; so does what a neighbour's head
    lies on, with a cleft or a gap between the feet. A border counts below the rim of the envelope
    only, where noise and membrane are told apart.
    """
    edges = plain.tocoo()
    first, second = label[edges.row], label[edges.col]
    border = (edges.data < 1.01 * _VOXEL_NM) & (first >= 0) & (second >= 0) & (first != second)
    border &= is_deep[edges.row] & is_deep[edges.col]
    walled = (is_wall[edges.row] | is_wall[edges.col])[border]
    at_foot = ~walled & (height[edges.row] < _FOOT_NM)[border]
    count = int(label.max(initial=-1)) + 1
    shape = (count, count)
    pairs = (first[border], second[border])
    total, closed, foot = (
        sparse.coo_matrix((of.astype(float), pairs), shape=shape).toarray()
        for of in (np.ones(len(walled)), walled, at_foot)
    )
    rise = np.zeros(count)
    np.maximum.at(rise, label[label >= 0], height[label >= 0])
    volume = np.bincount(label[label >= 0], minlength=count).astype(float)
    while count:
        surface = 6.0 * np.minimum(volume[:, None], volume) ** (2 / 3)
        one = foot >= _LEAST_AT_FOOT * (total - closed)
        one |= total > _MOST_OF_SURFACE * surface
        one &= np.minimum(rise[:, None], rise) < _LOW_NM
        opening = np.where(one & (closed < _LEAST_CLOSED * total), total - closed, 0.0)
        a, b = np.unravel_index(int(opening.argmax()), shape)
        if opening[a, b] * _VOXEL_NM**2 < _OPENING_NM2:
            return
        label[label == b] = a
        rise[a] = max(rise[a], rise[b])
        volume[a] += volume[b]
        for table in (total, closed, foot):
            table[a] += table[b]
            table[:, a] += table[:, b]
            table[b] = table[:, b] = table[a, a] = 0.0


def _open_ways(plain: sparse.csr_matrix, wall: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
    """Edges between voxels that share a face and are no walls."""
    edges = plain.tocoo()
    kept = (edges.data < 1.01 * _VOXEL_NM) & ~wall[edges.row] & ~wall[edges.col]
    return sparse.csr_matrix(
        (edges.data[kept], (edges.row[kept], edges.col[kept])), shape=plain.shape
    )


def _in_one_piece(beside: sparse.csr_matrix, label: IntArray) -> IntArray:
    """Give scraps of a label, and vertices without one, to the nearest large piece."""
    edges = beside.tocoo()
    same = (label[edges.row] == label[edges.col]) & (label[edges.row] >= 0)
    joined = sparse.csr_matrix(
        (edges.data[same], (edges.row[same], edges.col[same])), shape=beside.shape
    )
    count, piece = csgraph.connected_components(joined, directed=False)
    extent = np.bincount(piece, minlength=count)
    kept = np.zeros(len(label), dtype=bool)
    for number in np.unique(label[label >= 0]):
        largest = np.unique(piece[label == number])
        kept |= piece == largest[extent[largest].argmax()]
    if not kept.any():
        return np.zeros(len(label), dtype=np.int64)
    _, _, source = csgraph.dijkstra(
        beside, directed=False, indices=np.flatnonzero(kept), min_only=True,
        return_predecessors=True,
    )  # fmt: skip
    return np.where(source >= 0, label[np.maximum(source, 0)], label[kept][0])

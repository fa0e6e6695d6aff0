"""Take the noise out of a carved surface: smooth it, and move it onto the localizations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import sparse

from nanospine.surface.curvature import bending, face_normals, face_pairs
from nanospine.surface.feet import Feet, unit_normals
from nanospine.surface.fit_deviation import deviation_of_fit, patch
from nanospine.surface.intersections import self_intersections
from nanospine.surface.offset import smooth_offset, solve
from nanospine.surface.stencil import Stencil
from nanospine.surface.stiffness import BASE, bumps

__all__ = ["fit_to_membrane", "smooth", "subdivide"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Taubin's pair: a shrinking and a slightly larger growing step; their pass band ends at a
# wavelength of about ten edges.
_SHRINK, _GROW = 0.5, -0.53
# The shift by curvature is a second-order term: it is not trusted beyond this part of the noise.
_MOST_SHIFT = 0.5
# Self-intersections, over faces, that are few enough to be smoothed away one by one; attempts.
_FEW_CUTS = 1e-3
_UNTANGLE_ROUNDS = 6
# Four quarters of the way back, and as many again for what lies around.
_RETREAT_ROUNDS = 12
# Area of a patch over the square of its length.
_PATCH = 4.0 * np.pi
# Least averaging length over the noise.
_OVER_NOISE = 1.5


def smooth(
    vertices: FloatArray, faces: IntArray, sweeps: int, stencil: Stencil | None = None
) -> FloatArray:
    """Smooth a closed surface without shrinking it (Taubin 1995), then restore its volume.

    The volume is restored by one offset along the normals, volume change over area; the order of
    the vertices and the faces do not change, so that a closed surface stays closed.

    Examples
    --------
    >>> import trimesh
    >>> ball = trimesh.creation.icosphere(3, radius=100)
    >>> rough = ball.vertices + np.random.default_rng(0).normal(0, 5, ball.vertices.shape)
    >>> even = smooth(rough, ball.faces, 10)
    >>> radius = np.linalg.norm(even, axis=1)
    >>> bool(radius.std() < 2.5), bool(abs(trimesh.Trimesh(even, ball.faces).volume
    ...     / trimesh.Trimesh(rough, ball.faces).volume - 1) < 1e-3)
    (True, True)
    """
    stencil = Stencil.of(len(vertices), faces) if stencil is None else stencil
    mean = stencil.mean_of_neighbours()
    moved = vertices
    for _ in range(sweeps):
        moved = moved + _SHRINK * (mean @ moved - moved)
        moved = moved + _GROW * (mean @ moved - moved)
    normals, areas, _ = unit_normals(moved, faces)
    change = _volume(vertices, faces) - _volume(moved, faces)
    return np.asarray(moved + normals * (change / areas.sum()))


def untangled(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """Smooth the few places where a surface cuts itself; those that are many are left.

    The vertices of the faces that cut and their neighbours move to the middle of their own
    neighbours, until nothing cuts or it does not help.
    """
    moved, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    mean = None
    found, least = mesh, np.inf
    for _ in range(_UNTANGLE_ROUNDS):
        cuts = self_intersections(trimesh.Trimesh(moved, faces, process=False))
        if len(cuts) < least:
            found, least = trimesh.Trimesh(moved, faces, process=False), len(cuts)
        if len(cuts) == 0 or len(cuts) > _FEW_CUTS * len(faces):
            break
        mean = Stencil.of(len(moved), faces).mean_of_neighbours() if mean is None else mean
        chosen = np.zeros(len(moved))
        chosen[faces[cuts.ravel()]] = 1.0
        chosen = (chosen + mean @ chosen) > 0
        moved = np.where(chosen[:, None], mean @ moved, moved)
    return found


def retreated(mesh: trimesh.Trimesh, carved: FloatArray) -> tuple[trimesh.Trimesh, float]:
    """Take back the fit, step by step, where a surface still cuts itself.

    The carved surface is made of facets of one triangulation and cuts itself nowhere: the vertices
    of faces that cut, and their neighbours, go a quarter of the way to where they were carved, as
    often as it takes; all others stay.

    Parameters
    ----------
    carved : ndarray, shape (n_vertices, 3)
        Where the vertices were before smoothing and fit.

    Returns
    -------
    mesh : trimesh.Trimesh
    share : float
        Part of the vertices that went back.
    """
    fitted, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces)
    mean = None
    part = np.zeros(len(fitted))
    found, cuts, share = mesh, self_intersections(mesh), 0.0
    least = len(cuts)
    for _ in range(_RETREAT_ROUNDS):
        if len(cuts) == 0:
            break
        mean = Stencil.of(len(fitted), faces).mean_of_neighbours() if mean is None else mean
        chosen = np.zeros(len(fitted))
        chosen[faces[cuts.ravel()]] = 1.0
        part = np.where(chosen + mean @ chosen > 0, np.minimum(part + 0.25, 1.0), part)
        moved = fitted + part[:, None] * (carved - fitted)
        now = trimesh.Trimesh(moved, faces, process=False)
        cuts = self_intersections(now)
        if len(cuts) < least:
            found, least, share = now, len(cuts), float((part > 0).mean())
    return found, share


def subdivide(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Cut every face into four at the middles of its edges."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, first, which = np.unique(
        edges[:, 0] * len(vertices) + edges[:, 1], return_index=True, return_inverse=True
    )
    middles = vertices[edges[first]].mean(axis=1)
    ab, bc, ca = (len(vertices) + np.asarray(which).reshape(-1, 3)).T
    a, b, c = faces.T
    parts = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    new = np.concatenate([np.stack(part, axis=1) for part in parts])
    return np.concatenate([vertices, middles]), new.astype(np.int64)


def fit_to_membrane(
    vertices: FloatArray,
    faces: IntArray,
    points: FloatArray,
    *,
    length_nm: float,
    reach_nm: float,
    variance_nm2: FloatArray | None = None,
    rounds: int = 5,
    sweeps: int = 10,
) -> tuple[FloatArray, FloatArray]:
    """Move a closed surface along its normals to the middle of the localizations around it.

    Localization noise scatters molecules of a membrane to both sides of it, and an envelope runs
    along the outermost: it is too large by about two precisions. The signed distances s_i of the
    localizations to the surface say by how much, locally. In each round the offset h of the
    vertices minimises ::

        sum_i w_i (s_i - h(foot of i))^2
            +  lambda * integral of |grad h|^2 + 2 c grad b . grad h

    with Tukey's weights w_i against background, lambda = density * length_nm^2, so that h averages
    over patches of about `length_nm`, and b the bumps that the surface already has, which would
    else stay, or grow after the noise with every round (c and b:
    :func:`nanospine.surface.stiffness.bumps`); then (but for the last round) the surface is
    smoothed. Where the precision is known, localizations that are precise along the normal weigh
    more, and s_i is counted from where noise puts a localization of a curved membrane on average,
    ``tr(S C_i) / 2`` outside of it (S the shape operator, C_i the covariance): a tube of radius r
    and noise s would come out too wide by s^2 / r.

    Parameters
    ----------
    vertices, faces
        A closed surface, outward oriented.
    points : ndarray, shape (n, 3)
        Localizations of the membrane, nanometres.
    length_nm : float
        Length over which the offset is averaged; at least 1.5 standard deviations of the noise.
    reach_nm : float
        Localizations farther from the surface than this do not count; it grows to three times
        the median distance where the noise is larger.
    variance_nm2 : ndarray, shape (n, 3), optional
        Squared precision of the localizations along each axis.
    rounds : int
        How often the offset is measured anew.
    sweeps : int
        Smoothing sweeps after each round.

    Returns
    -------
    vertices : ndarray, shape (v, 3)
    std_nm : ndarray, shape (v,)
        Standard deviation of each along its normal, by the residuals and the localizations there.

    Examples
    --------
    >>> import trimesh
    >>> rng = np.random.default_rng(0)
    >>> points = rng.normal(size=(5000, 3))
    >>> points *= 300 / np.linalg.norm(points, axis=1, keepdims=True)
    >>> points += rng.normal(0, 15, points.shape)
    >>> ball = trimesh.creation.icosphere(3, radius=335)
    >>> fitted, std = fit_to_membrane(ball.vertices, ball.faces, points, length_nm=60, reach_nm=100)
    >>> bool(abs(np.linalg.norm(fitted, axis=1).mean() - 300) < 2)
    True
    """
    moved = np.array(vertices, dtype=np.float64)
    feet = Feet.over(np.asarray(points, dtype=np.float64), moved, np.asarray(faces, np.int64))
    variance = None if variance_nm2 is None else variance_nm2[feet.order]
    pairs = face_pairs(feet.faces)
    stencil = Stencil.of(len(moved), feet.faces)
    beyond = np.inf
    for number in range(rounds):
        feet.find(moved, beyond_nm=beyond)
        middle = float(np.median(np.abs(feet.signed_nm)))
        reach = max(reach_nm, 3.0 * middle)
        if reach > beyond:
            feet.find(moved)
        near = np.abs(feet.signed_nm) < reach
        stiffness = stencil.laplacian(moved)
        # A surface that bends within its own noise follows single localizations.
        signed = feet.signed_nm
        noise = 1.4826 * float(np.median(np.abs(signed - np.median(signed))))
        length = max(length_nm, _OVER_NOISE * noise)
        normals, areas, _ = unit_normals(moved, feet.faces)
        weight = near.astype(np.float64)
        if variance is not None:
            deviation, shift, _ = noise_over(
                feet, moved, variance, pairs, areas, stencil, stiffness, length
            )
            feet.signed_nm = signed - shift
            weight = _weights(deviation, near)
        pull = near.sum() / areas.sum() * length**2
        back, trust = bumps(
            moved, stencil, pairs, normals, areas, stiffness, length, noise**2 / (_PATCH * pull)
        )
        offset = smooth_offset(feet, near, weight, stencil, pull * stiffness, -pull * back)
        if number == rounds - 1:
            std = np.zeros(len(moved))
            for base, part in ((BASE, trust), (0.0, 1.0 - trust)):
                sums = patch(
                    length, len(moved) / areas.sum(), rounds=rounds, sweeps=sweeps,
                    steps=(_SHRINK, _GROW), base=base,
                )  # fmt: skip
                std += part * deviation_of_fit(
                    feet, near, weight, offset, areas, stencil, stiffness, length, sums
                )
        moved = moved + offset[:, None] * normals
        feet.signed_nm = signed
        if number < rounds - 1:  # smoothing pulls thin necks in: the offset has the last word
            moved = smooth(moved, feet.faces, sweeps, stencil)
        # What is farther than three times the middle changes no median while its side and its
        # being far do not change: the medians lie within one and two middles of zero.
        beyond = 1.5 * reach
    return moved, np.minimum(std, reach)


def noise_over(
    feet: Feet,
    vertices: FloatArray,
    variance: FloatArray,
    pairs: IntArray,
    areas: FloatArray,
    stencil: Stencil,
    stiffness: sparse.csr_matrix,
    length_nm: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Deviation of each localization along the normal, how far out bending puts it; the curvature.

    The last is the sum of both curvatures at the vertices. The curvature is averaged over patches
    of about the length: it only counts in sums.
    """
    across = face_normals(vertices, feet.faces)[feet.face] ** 2
    deviation = np.sqrt((across * variance).sum(axis=1))
    matrix = stencil.plus_diagonal(length_nm**2 * stiffness, areas)
    sums = bending(vertices, feet.faces, pairs)
    bend = solve(matrix, sums, 1e-3)
    at_feet = np.einsum("ij,ijk->ik", feet.weights, bend[feet.faces[feet.face]])
    limit = _MOST_SHIFT * deviation
    shift = np.clip(0.5 * (at_feet * variance).sum(axis=1), -limit, limit)
    return deviation, shift, bend.sum(axis=1)


def _weights(deviation: FloatArray, near: npt.NDArray[np.bool_]) -> FloatArray:
    """Weights by precision, one on average; the best cannot count for more than a few others."""
    weight = np.zeros(len(near))
    if near.any():
        known = deviation[near]
        weight[near] = 1.0 / (known**2 + np.median(known) ** 2 / 4 + 1e-12)
        weight[near] /= weight[near].mean()
    return weight


def _volume(vertices: FloatArray, faces: IntArray) -> float:
    centred = vertices - vertices.mean(axis=0)
    a, b, c = (centred[faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)

"""The boundary of a volume that localizations fill, found under the noise that blurs it.

The surface is moved until, everywhere, as many localizations lie about it as a filled volume that
ends there would scatter there: a score for every vertex, and Fisher's steps towards its root.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree
from scipy.special import ndtr

from nanospine.surface.curvature import face_pairs
from nanospine.surface.feet import Feet, unit_normals
from nanospine.surface.fit import noise_over, smooth
from nanospine.surface.offset import solve
from nanospine.surface.stencil import Stencil

__all__ = ["fit_to_filling"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Width of the band that is weighed, over the mean distance of localizations, round after round: a
# narrow band sees nothing of a boundary that is far away, a wide one blurs it.
_WIDTHS = (0.5, 0.4, 0.3, 0.3)
# Samples of space per localization, for the densities inside and outside; localizations that a
# density is counted over.
_SAMPLES = 1.0
_COUNTED = 300
# Depth, in mean distances, from which on localizations are deep inside.
_DEEP = 2.0
# The density outside over that inside is not taken to be less than this.
_LEAST_OUTSIDE = 1e-3
_TOLERANCE = 1e-6
# Length over which normals are averaged to tell bumps from shape, over that of a step.
_EVEN = 0.5
# Real deviations over those by information alone, measured on planted spines (2-25 nm).
_OVER_INFORMATION = 1.25


def fit_to_filling(
    vertices: FloatArray,
    faces: IntArray,
    points: FloatArray,
    *,
    variance_nm2: FloatArray | None,
    length_nm: float,
    sweeps: int = 20,
) -> tuple[FloatArray, FloatArray]:
    r"""Move a closed surface to the boundary of the volume that the localizations fill.

    Localizations of density rho inside and beta rho outside, with a normal deviation of s, have
    the density ``rho (Phi(-t / s) + beta)`` at the height t over a boundary (for a curved one t is
    counted from ``-tr(S C) / 2`` on, S the shape operator, C the covariance of the precision:
    noise makes a convex body's level of half the density smaller). Every vertex has the score ::

        g = sum_i N_i psi(t_i / w_i) / w_i  -  rho A m

    with weights N_i of the foot of localization i, the vertex' area A, the likelihood's
    ``psi = phi / (Phi + beta)`` where the precision is known and w_i = s_i or the width of a band
    if that is more; without precision psi = phi, which is symmetric and needs none. m is what psi
    gives at the true boundary, so that the root of g is unbiased for any w. The offset of the
    vertices solves ``(rho A m' / w + I length^2 L) h = g`` with Fisher's information I per area and
    L the surface's Laplacian; then (but for the last step) the surface is smoothed.

    Parameters
    ----------
    vertices, faces
        A closed surface, outward oriented.
    points : ndarray, shape (n, 3)
        Localizations that fill the volume, nanometres; sparse background is allowed.
    variance_nm2 : ndarray, shape (n, 3), or None
        Squared precision along each axis. Without it noise that is wider than half the mean
        distance of the localizations is only partly corrected.
    length_nm : float
        Length over which a step is averaged.
    sweeps : int
        Smoothing sweeps after each step.

    Returns
    -------
    vertices : ndarray, shape (v, 3)
    std_nm : ndarray, shape (v,)
        Standard deviation of each along its normal, by Fisher's information.

    Examples
    --------
    >>> import trimesh
    >>> rng = np.random.default_rng(0)
    >>> points = rng.uniform(-300, 300, (60_000, 3))
    >>> points = points[np.linalg.norm(points, axis=1) < 300]
    >>> points = points + rng.normal(0, 15, points.shape)
    >>> ball = trimesh.creation.icosphere(3, radius=280)
    >>> fitted, std = fit_to_filling(ball.vertices, ball.faces, points, length_nm=60,
    ...                              variance_nm2=np.full(points.shape, 15.0**2))
    >>> bool(abs(np.linalg.norm(fitted, axis=1).mean() - 300) < 2)
    True
    """
    moved = np.array(vertices, dtype=np.float64)
    feet = Feet.over(np.asarray(points, dtype=np.float64), moved, np.asarray(faces, np.int64))
    variance = None if variance_nm2 is None else variance_nm2[feet.order]
    pairs = face_pairs(feet.faces)
    stencil = Stencil.of(len(moved), feet.faces)
    for number, width in enumerate(_WIDTHS):
        feet.find(moved)
        penalty = stencil.laplacian(moved)
        if number in (0, 2):
            noise = 0.0 if variance is None else float(np.sqrt(np.median(variance)))
            inside, beta = _densities(feet, moved, noise)
        normals, bumpy, _ = unit_normals(moved, feet.faces)
        areas = _even_areas(moved, stencil, bumpy, penalty, _EVEN * length_nm)
        band = width * float(np.median(inside)) ** (-1 / 3)
        score, change, information = _score(
            feet, moved, areas, inside, beta, band, variance, pairs, stencil, penalty, length_nm
        )
        pull = float(change.sum() / areas.sum()) * length_nm**2
        matrix = stencil.plus_diagonal(pull * penalty, change)
        offset = np.clip(solve(matrix, score, _TOLERANCE), -2.0 * band, 2.0 * band)
        moved = moved + offset[:, None] * normals
        if number < len(_WIDTHS) - 1:  # smoothing pulls thin necks in
            moved = smooth(moved, feet.faces, sweeps, stencil)
    patch = 4.0 * np.pi * length_nm**2
    std = _OVER_INFORMATION / np.sqrt(np.maximum(information * patch, 1e-12))
    return moved, np.minimum(std, 3.0 * length_nm)


def _score(
    feet: Feet,
    moved: FloatArray,
    areas: FloatArray,
    inside: FloatArray,
    beta: float,
    band: float,
    variance: FloatArray | None,
    pairs: IntArray,
    stencil: Stencil,
    penalty: sparse.csr_matrix,
    length_nm: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Score of every vertex, how fast it changes, and the information per area."""
    n = len(moved)
    corner = feet.faces[feet.face]
    height = feet.signed_nm.copy()
    width = np.full(len(height), band)
    expected = np.full(n, 0.5 + beta)
    mass = areas.copy()
    if variance is None:
        _, _, bend = noise_over(
            feet, moved, np.zeros((len(height), 3)), pairs, areas, stencil, penalty, length_nm
        )
        expected -= np.clip(bend * band, -1.0, 1.0) / np.sqrt(2 * np.pi)
        psi = np.exp(-0.5 * (height / width) ** 2) / np.sqrt(2 * np.pi)
        # a blurred boundary changes less: steps are then too short, never too long
        slope = np.full(n, 0.5 / np.sqrt(np.pi) / band)
        scatter = (0.25 / np.sqrt(np.pi)) * (1.0 + 2.0 * beta) / band
    else:
        deviation, shift, bend = noise_over(
            feet, moved, variance, pairs, areas, stencil, penalty, length_nm
        )
        height += shift
        width = np.hypot(deviation, band)
        psi = _likelihood(-height / width, beta)
        # what the precisions about a vertex are
        near = np.abs(height) < 3 * width
        count = np.zeros(n)
        total = np.zeros((n, 2))
        local = np.stack([deviation, shift], axis=1)
        for k in range(3):
            where, share = corner[near, k], feet.weights[near, k]
            count += np.bincount(where, share, n)
            for j in range(2):
                total[:, j] += np.bincount(where, share * local[near, j], n)
        few = count < 1e-3
        total[few], count[few] = np.median(local, axis=0), 1.0
        deviation_at, shift_at = (total / count[:, None]).T
        width_at = np.hypot(deviation_at, band)
        expected, slope, first = _moments(deviation_at / width_at, beta)
        # over a convex surface there is more space outside than inside
        expected = expected + first * np.clip(bend * width_at, -1.0, 1.0)
        slope = slope / width_at
        scatter = slope
        mass = areas * (1.0 - np.clip(bend * shift_at, -0.5, 0.5))
    part = psi / width
    score = -inside * mass * expected
    for k in range(3):
        score += np.bincount(corner[:, k], feet.weights[:, k] * part, n)
    return score, inside * areas * slope, inside * slope**2 / scatter


def _even_areas(
    moved: FloatArray,
    stencil: Stencil,
    bumpy: FloatArray,
    penalty: sparse.csr_matrix,
    length_nm: float,
) -> FloatArray:
    """Areas of the vertices without the bumps: of faces as seen along the averaged normals.

    Bumps that follow single localizations make a surface larger; as many localizations would be
    expected about it, and are not there: it would shrink.
    """
    faces = stencil.faces
    corners = moved[faces]
    cross = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    n = len(moved)
    sums = np.zeros((3, n))
    for axis in range(3):
        for k in range(3):
            sums[axis] += np.bincount(faces[:, k], cross[:, axis] / 3.0, n)
    matrix = stencil.plus_diagonal(length_nm**2 * penalty, bumpy)
    even = solve(matrix, sums.T, 1e-4)
    even /= np.maximum(np.linalg.norm(even, axis=1, keepdims=True), 1e-12)
    seen = np.maximum(np.einsum("ij,ikj->ik", cross, even[faces]), 0.0) / 3.0
    areas = np.bincount(faces.ravel(), seen.ravel(), n)
    return np.asarray(np.maximum(areas, 0.1 * bumpy))


def _likelihood(u: FloatArray, beta: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi) / (ndtr(u) + beta))


def _moments(ratio: FloatArray, beta: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What psi gives at the true boundary, how it changes when that moves, and its first moment.

    `ratio` is the deviation of the noise over the width of psi, at most 1.
    """
    u = np.linspace(-6.0, 6.0, 601)
    psi = _likelihood(u, beta)
    ratios = np.linspace(0.02, 1.0, 50)
    scaled = u[None, :] / ratios[:, None]
    step = u[1] - u[0]
    expected = (psi * (ndtr(scaled) + beta)).sum(axis=1) * step
    slope = (psi * np.exp(-0.5 * scaled**2)).sum(axis=1) * step / np.sqrt(2 * np.pi) / ratios
    first = -(u * psi * (ndtr(scaled) + beta)).sum(axis=1) * step  # u points inward
    return (
        np.interp(ratio, ratios, expected), np.interp(ratio, ratios, slope),
        np.interp(ratio, ratios, first),
    )  # fmt: skip


def _densities(feet: Feet, moved: FloatArray, noise_nm: float) -> tuple[FloatArray, float]:
    """Density inside, near each vertex, and that outside over it.

    Random samples of the space measure volumes: localizations and samples that are deep inside
    are counted around each vertex, those far outside altogether.
    """
    low, high = feet.points.min(axis=0), feet.points.max(axis=0)
    n = len(feet.points)
    count = int(np.clip(_SAMPLES * n, 20_000, 300_000))
    samples = np.random.default_rng(0).uniform(low, high, (count, 3))
    over = Feet.over(samples, moved, feet.faces)
    over.find(moved)
    each = float(np.prod(high - low)) / count
    typical = ((over.signed_nm < 0).sum() * each / max((feet.signed_nm < 0).sum(), 1)) ** (1 / 3)
    # deep enough for the boundary's own blur and error, if the body is that thick
    thick = float(-np.quantile(over.signed_nm[over.signed_nm < 0], 0.05, method="lower")
                  if (over.signed_nm < 0).any() else 0.0)  # fmt: skip
    limit = min(max(_DEEP * typical, 2.0 * noise_nm), 0.6 * thick)
    deep_samples = over.points[over.signed_nm < -limit]
    deep = feet.points[feet.signed_nm < -limit]
    if min(len(deep), len(deep_samples)) < 30:
        whole = max((feet.signed_nm < 0).sum(), 1) / max((over.signed_nm < 0).sum() * each, 1e-300)
        inside = np.full(len(moved), float(whole))
    else:
        counted = min(_COUNTED, len(deep_samples))
        reach = cKDTree(deep_samples).query(moved, k=[counted])[0][:, 0]
        found = cKDTree(deep).query_ball_point(moved, reach, return_length=True)
        inside = np.maximum(found, 1) / (counted * each)
    far = max(3.0 * typical, 3.0 * noise_nm)
    outside = (feet.signed_nm > far).sum() / max((over.signed_nm > far).sum() * each, 1e-300)
    return inside, float(np.clip(outside / np.median(inside), _LEAST_OUTSIDE, 0.5))

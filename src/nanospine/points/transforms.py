"""Fitting a translation, a rigid or an affine transform to pairs of points, outliers or not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, TooFewPointsError

__all__ = [
    "MODELS",
    "RobustFit",
    "Transform",
    "fit_pairs",
    "least_pairs",
    "leave_one_out",
    "robust_fit",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Transform = tuple[FloatArray, FloatArray]

MODELS = ("translation", "rigid", "affine")

_SUBSETS = 600
_FLAT = 1e-3
# A pair is an outlier beyond the distance that 99.5 % of Gaussian residuals keep.
_CHI2_HALF = {2: 1.3863, 3: 2.3660}
_CHI2_LIMIT = {2: 10.597, 3: 12.838}


@dataclass(frozen=True, eq=False)
class RobustFit:
    """A transform and the pairs it rests on."""

    matrix: FloatArray
    offset: FloatArray
    used: BoolArray
    sigma_nm: float


def least_pairs(model: str, dimension: int) -> int:
    """Number of pairs that determine the model."""
    return {"translation": 1, "rigid": dimension, "affine": dimension + 1}[model]


def fit_pairs(
    moving: FloatArray,
    fixed: FloatArray,
    model: str,
    *,
    weights: FloatArray | None = None,
    reflection: bool = False,
) -> Transform | None:
    """Least squares `fixed = matrix @ moving + offset`; None when the points do not determine it.

    Rigid: Kabsch, Acta Cryst. A 32, 922 (1976), with the sign of Umeyama (1991).
    """
    n, dimension = moving.shape
    if n < least_pairs(model, dimension):
        return None
    w = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    from_, to = w @ moving, w @ fixed
    matrix = np.eye(dimension)
    if model != "translation":
        a, b = moving - from_, fixed - to
        if _rank(a, w) < (dimension if model == "affine" else dimension - 1):
            return None
        if model == "affine":
            root = np.sqrt(w)[:, None]
            solved, *_ = np.linalg.lstsq(a * root, b * root, rcond=None)
            matrix = solved.T
        else:
            u, _, vt = np.linalg.svd((a * w[:, None]).T @ b)
            sign = np.ones(dimension)
            if not reflection and np.linalg.det(u) * np.linalg.det(vt) < 0:
                sign[-1] = -1.0
            matrix = (vt.T * sign) @ u.T
    return matrix, to - matrix @ from_


def _rank(centred: FloatArray, weights: FloatArray) -> int:
    values = np.linalg.eigvalsh((centred * weights[:, None]).T @ centred)
    if values[-1] <= 1e-18:
        return 0
    return int((values > _FLAT**2 * values[-1]).sum())


def robust_fit(
    moving: FloatArray,
    fixed: FloatArray,
    model: str,
    *,
    max_distance_nm: float | None = None,
    reflection: bool = False,
    seed: int = 0,
) -> RobustFit:
    """Fit by least median of squares over small subsets, then least squares on the inliers.

    Rousseeuw, J. Am. Stat. Assoc. 79, 871 (1984): up to half of the pairs may be wrong.

    Raises
    ------
    TooFewPointsError, GeometryError
        Fewer pairs than the model needs; collinear, coplanar or coincident points; pairs that
        agree on nothing.
    """
    n, dimension = moving.shape
    least = least_pairs(model, dimension)
    if n < least:
        raise TooFewPointsError(
            f"register: {model} in {dimension}-D needs at least {least} pairs of beads, found {n}."
        )
    whole = fit_pairs(moving, fixed, model, reflection=reflection)
    if whole is None:
        kind = "collinear or coplanar" if dimension == 3 else "collinear"
        raise GeometryError(
            f"register: the {n} beads are {kind} or coincide, which does not determine a {model} "
            "transform; use more beads or a model with fewer numbers."
        )
    if n <= least + 1:  # who of them is wrong cannot be told
        sigma = _sigma(_squares(whole, moving, fixed), n, least, dimension)
        return RobustFit(*whole, np.ones(n, dtype=bool), sigma)
    best, scale = whole, np.inf
    half = (n + least + 1) // 2
    for rows in _subsets(n, least, seed):
        found = fit_pairs(moving[rows], fixed[rows], model, reflection=reflection)
        if found is None:
            continue
        # one concentration step: a subset of close neighbours says little of the far ones
        near = np.argsort(_squares(found, moving, fixed), kind="stable")[:half]
        found = fit_pairs(moving[near], fixed[near], model, reflection=reflection) or found
        middle = float(np.partition(_squares(found, moving, fixed), half - 1)[half - 1])
        if middle < scale:
            best, scale = found, middle
    return _settle(best, moving, fixed, model, max_distance_nm, reflection)


def _settle(
    start: Transform,
    moving: FloatArray,
    fixed: FloatArray,
    model: str,
    max_distance_nm: float | None,
    reflection: bool,
) -> RobustFit:
    n, dimension = moving.shape
    least = least_pairs(model, dimension)
    best, used = start, np.zeros(n, dtype=bool)
    sigma = 0.0
    floor = (1e-9 * max(float(np.ptp(moving, axis=0).max()), 1.0)) ** 2
    for turn in range(20):
        squares = _squares(best, moving, fixed)
        sigma = _sigma(squares, n, least, dimension)
        limit = max(sigma**2 * _CHI2_LIMIT[dimension], floor)
        if max_distance_nm is not None:
            limit = max_distance_nm**2
        now = squares <= limit
        if turn and (now == used).all():
            break
        used = now
        found = None
        if used.sum() >= max(least + 1, n / 2):
            found = fit_pairs(moving[used], fixed[used], model, reflection=reflection)
        if found is None:
            raise GeometryError(
                f"register: only {int(used.sum())} of {n} pairs agree on one {model} transform "
                f"within {np.sqrt(limit):.3g} nm (median residual {np.sqrt(np.median(squares)):.3g}"
                " nm); check that the beads are paired in the same order."
            )
        best = found
    return RobustFit(*best, used, sigma)


def leave_one_out(
    moving: FloatArray, fixed: FloatArray, model: str, *, reflection: bool = False
) -> FloatArray:
    """Error of each pair by the transform of the others, shape (n, d); NaN where none is left."""
    result = np.full(moving.shape, np.nan)
    for i in range(len(moving)):
        others = np.arange(len(moving)) != i
        found = fit_pairs(moving[others], fixed[others], model, reflection=reflection)
        if found is not None:
            result[i] = found[0] @ moving[i] + found[1] - fixed[i]
    return result


def _squares(transform: Transform, moving: FloatArray, fixed: FloatArray) -> FloatArray:
    return np.asarray(((moving @ transform[0].T + transform[1] - fixed) ** 2).sum(axis=1))


def _sigma(squares: FloatArray, n: int, least: int, dimension: int) -> float:
    """Per-axis standard deviation out of the median, with Rousseeuw's factor for few pairs."""
    middle = float(np.median(squares)) / _CHI2_HALF[dimension]
    return float(np.sqrt(middle)) * (1 + 5 / max(n - least, 1))


def _subsets(n: int, size: int, seed: int) -> list[list[int]]:
    if comb(n, size) <= _SUBSETS:
        return [list(rows) for rows in combinations(range(n), size)]
    generator = np.random.default_rng(seed)
    return [generator.choice(n, size, replace=False).tolist() for _ in range(_SUBSETS)]

"""Bringing two channels into the same coordinates: by beads or by the structure itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, GeometryError, SchemaError, TooFewPointsError
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress
from nanospine.core.region import Region, bounding_box
from nanospine.points.cloud_images import correlate
from nanospine.points.clouds import align_clouds
from nanospine.points.region_transform import transform_region
from nanospine.points.transforms import MODELS, least_pairs, leave_one_out, robust_fit

__all__ = ["Registration", "register"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
L = TypeVar("L", bound=Localizations)

_FEWEST = 30
_MIRRORED = 0.3
_SPAN = 50.0


@dataclass(frozen=True, eq=False)
class Registration:
    """A transform of coordinates, `new = matrix @ old + offset_nm`, and how good it is.

    Attributes
    ----------
    model : str
        "translation", "rigid" or "affine".
    matrix : ndarray, shape (d, d)
    offset_nm : ndarray, shape (d,)
    rms_nm : ndarray, shape (d,)
        Root mean square of the residuals of the pairs that were used, per axis. It tells how well
        these pairs fit, not how well other points come to lie.
    target_error_nm : ndarray, shape (d,)
        Expected error of a point elsewhere, per axis. Beads: root mean square of the
        distance of each bead from where the others would put it (the uncertainty of the bead
        itself included). Data: standard deviation over a bootstrap of blocks of the field. NaN
        where it cannot be told.
    method : str
        "beads" or "data".
    n_pairs, n_rejected : int
        Pairs that were used, and those that did not agree with them.
    used : ndarray of bool or None
        For beads, which pairs were used.
    notes : tuple of str
    """

    model: str
    matrix: FloatArray
    offset_nm: FloatArray
    rms_nm: FloatArray
    target_error_nm: FloatArray
    method: str
    n_pairs: int
    n_rejected: int
    used: BoolArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.offset_nm)

    def transform_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Transform points of shape (n, 2) or (n, 3); a 2-D transform leaves z as it is."""
        points = np.asarray(xyz_nm, dtype=np.float64)
        if points.ndim != 2 or not self.dimension <= points.shape[1] <= 3:
            raise GeometryError(
                f"Registration: points of shape (n, {self.dimension}) were expected, "
                f"found {points.shape}."
            )
        result = points.copy()
        d = self.dimension
        result[:, :d] = points[:, :d] @ self.matrix.T + self.offset_nm
        return result

    def apply(self, localizations: L) -> L:
        """Give the localizations in the coordinates of the fixed channel.

        Positions, region and, where the transform turns or stretches, precisions are transformed.
        """
        d = self.dimension
        if localizations.dimension > d:
            note = ["a 2-D registration leaves z as it is"]
        elif d == 3 and "z_nm" not in localizations.table:
            raise GeometryError("Registration: a 3-D transform was given 2-D localizations.")
        else:
            note = []
        moved = self.transform_nm(localizations.xyz_nm)
        changed = {f"{axis}_nm": moved[:, i] for i, axis in enumerate("xyz"[:d])}
        changed |= self._precisions(localizations.table)
        table = localizations.table.assign(**changed)
        region = localizations.region
        new: Region
        if region.assumed:
            new = bounding_box(moved[:, : region.dimension])
        else:
            found, remark = transform_region(region, self.matrix, self.offset_nm)
            note += remark
            new = bounding_box(moved[:, : region.dimension]) if found is None else found
        return localizations.replace(
            table=table,
            region=new,
            operation="register",
            arguments={
                "model": self.model, "method": self.method, "matrix": self.matrix,
                "offset_nm": self.offset_nm, "rms_nm": self.rms_nm,
                "target_error_nm": self.target_error_nm, "n_pairs": self.n_pairs,
                "n_rejected": self.n_rejected,
            },
            notes=(*self.notes, *note),
        )  # fmt: skip

    def _precisions(self, table: pd.DataFrame) -> dict[str, FloatArray]:
        names = [f"precision_{axis}_nm" for axis in "xyz"[: self.dimension]]
        if np.allclose(self.matrix, np.eye(self.dimension), atol=1e-12) or any(
            name not in table for name in names
        ):
            return {}
        variances = [table[name].to_numpy() ** 2 for name in names]
        result = {}
        for name, row in zip(names, self.matrix, strict=True):
            # an axis that takes no part must not bring its empty values along
            total = sum(w**2 * v for w, v in zip(row, variances, strict=True) if abs(w) > 1e-9)
            result[name] = np.sqrt(np.asarray(total, dtype=np.float64))
        return result

    def inverse(self) -> Registration:
        """Give the transform from the fixed channel to the moving one."""
        back = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        turn = np.abs(back)
        return replace(
            self,
            matrix=back,
            offset_nm=-back @ self.offset_nm,
            rms_nm=np.sqrt(turn**2 @ self.rms_nm**2),
            target_error_nm=np.sqrt(turn**2 @ self.target_error_nm**2),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per axis: `axis`, `matrix_x` ..., `offset_nm`, `rms_nm`, `target_error_nm`."""
        d = self.dimension
        columns: dict[str, object] = {"axis": list("xyz"[:d])}
        columns |= {f"matrix_{axis}": self.matrix[:, i] for i, axis in enumerate("xyz"[:d])}
        columns |= {
            "offset_nm": self.offset_nm,
            "rms_nm": self.rms_nm,
            "target_error_nm": self.target_error_nm,
        }
        return pd.DataFrame(columns)


def register(
    moving: Localizations | None = None,
    fixed: Localizations | None = None,
    *,
    beads: tuple[npt.ArrayLike | Localizations, npt.ArrayLike | Localizations] | None = None,
    paired: bool = True,
    model: str = "translation",
    max_distance_nm: float | None = None,
    max_shift_nm: float = 500.0,
    max_rotation_deg: float = 1.0,
    allow_reflection: bool = False,
    bootstrap: int = 50,
    seed: int = 0,
    progress: Progress | None = None,
) -> Registration:
    """Find the transform that brings the moving channel onto the fixed one.

    With beads: least median of squares finds the pairs that agree (up to half may be wrong), least
    squares on those gives the transform. Without: the cross-correlation of both images gives the
    start, mutual nearest neighbours within an ever smaller distance the rest. The data decide only
    where both channels show the same structure; two proteins side by side are registered by beads.

    Parameters
    ----------
    moving, fixed : Localizations
        The channels; with beads they are not needed.
    beads : pair of array_like (n, 2) or (n, 3), or of Localizations
        Positions of the beads in the moving and in the fixed channel, nanometres; one for each
        bead (the mean over its frames).
    paired : bool
        The beads stand in the same order. False: partners are searched within `max_shift_nm`.
    model : str
        "translation", "rigid" (turn and shift) or "affine" (stretch and shear too).
    max_distance_nm : float, optional
        Distance of the partners after the transform; set by the spread of the data without it.
    max_shift_nm, max_rotation_deg : float
        How far the channels may be apart (without beads, or with unpaired ones).
    allow_reflection : bool
        Accept a mirrored channel, as behind a beam splitter.
    bootstrap : int
        Replicates for the error without beads.
    seed : int
        Of the subsets and the bootstrap.
    progress : callable, optional

    Raises
    ------
    TooFewPointsError
        Fewer beads than the model needs, or fewer than 30 localizations.
    GeometryError
        Collinear or coinciding beads, a mirrored channel, pairs that do not agree.
    ConfigError, SchemaError
        For impossible options and arrays.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> seen = rng.uniform(0, 10_000, (12, 2))
    >>> found = register(beads=(seen, seen + [40, -25] + rng.normal(0, 2, (12, 2))))
    >>> found.offset_nm.round(-1).tolist(), bool((found.target_error_nm < 5).all())
    ([40.0, -20.0], True)
    """
    if model not in MODELS:
        raise ConfigError(f"register: model {', '.join(MODELS)} was expected, found {model!r}.")
    for name, value in (("max_distance_nm", max_distance_nm), ("max_shift_nm", max_shift_nm)):
        if value is not None and not value > 0:
            raise ConfigError(f"register: a positive {name} was expected, found {value!r}.")
    if beads is not None:
        a, b = _bead_arrays(beads, paired)
        if not paired:
            a, b = _match(a, b, max_shift_nm, max_distance_nm)
        return _by_beads(a, b, model, max_distance_nm, allow_reflection, seed)
    if moving is None or fixed is None:
        raise ConfigError("register: two tables of localizations, or beads, were expected.")
    for name, item in (("moving", moving), ("fixed", fixed)):
        if len(item) < _FEWEST:
            raise TooFewPointsError(
                f"register: at least {_FEWEST} localizations were expected in {name}, "
                f"found {len(item)}; use beads."
            )
    d = min(moving.dimension, fixed.dimension)
    a, b = moving.xyz_nm[:, :d], fixed.xyz_nm[:, :d]
    found = align_clouds(
        a, b, model, max_shift_nm=max_shift_nm, max_distance_nm=max_distance_nm,
        max_rotation_deg=max_rotation_deg, bootstrap=bootstrap, seed=seed, progress=progress,
    )  # fmt: skip
    gap = a[found.moving_rows] @ found.matrix.T + found.offset - b[found.fixed_rows]
    return Registration(
        model=model,
        matrix=found.matrix,
        offset_nm=found.offset,
        rms_nm=np.sqrt((gap**2).mean(axis=0)),
        target_error_nm=found.target_error_nm,
        method="data",
        n_pairs=len(gap),
        n_rejected=len(moving) - len(gap),
        notes=(*found.notes, f"partners within {found.distance_nm:.3g} nm were used"),
    )


def _bead_arrays(
    beads: tuple[npt.ArrayLike | Localizations, npt.ArrayLike | Localizations], paired: bool
) -> tuple[FloatArray, FloatArray]:
    arrays = []
    dimensions = [item.dimension for item in beads if isinstance(item, Localizations)]
    for item in beads:
        if isinstance(item, Localizations):
            arrays.append(item.xyz_nm[:, : max(dimensions)])
        else:
            arrays.append(np.asarray(item, dtype=np.float64))
    a, b = arrays
    shapes = f"found {a.shape} and {b.shape}"
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] not in (2, 3) or a.shape[1] != b.shape[1]:
        raise SchemaError(f"register: beads of shape (n, 2) or (n, 3) were expected, {shapes}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise SchemaError("register: finite positions of beads were expected, found NaN or inf.")
    if paired and len(a) != len(b):
        raise SchemaError(
            f"register: as many beads in both channels were expected, {shapes}; paired=False "
            "searches the partners."
        )
    return a, b


def _match(
    a: FloatArray, b: FloatArray, max_shift_nm: float, max_distance_nm: float | None
) -> tuple[FloatArray, FloatArray]:
    """Pair beads: mutual nearest neighbours after the shift at the peak of the correlation."""
    from scipy.spatial import cKDTree

    if len(a) == 0 or len(b) == 0:
        raise TooFewPointsError(f"register: beads were expected, found {len(a)} and {len(b)}.")
    shift, pixel, _ = correlate(a, b, max_shift_nm=max_shift_nm)
    reach = max(max_shift_nm / 2, 3 * pixel, max_distance_nm or 0.0)
    gap, nearest = cKDTree(b).query(a + shift, distance_upper_bound=reach)
    rows = np.flatnonzero(np.isfinite(gap))
    _, back = cKDTree(a + shift).query(b[nearest[rows]])
    rows = rows[back == rows]
    return a[rows], b[nearest[rows]]


def _by_beads(
    a: FloatArray,
    b: FloatArray,
    model: str,
    max_distance_nm: float | None,
    allow_reflection: bool,
    seed: int,
) -> Registration:
    fit = robust_fit(
        a, b, model, max_distance_nm=max_distance_nm, reflection=allow_reflection, seed=seed
    )
    if not allow_reflection:
        mirrored = np.linalg.det(fit.matrix) < 0
        if model == "rigid" and len(a) > least_pairs(model, a.shape[1]):
            other = robust_fit(a, b, model, reflection=True, seed=seed)
            better = other.sigma_nm < _MIRRORED * fit.sigma_nm
            mirrored = bool(np.linalg.det(other.matrix) < 0 and better)
        if mirrored:
            raise GeometryError(
                "register: the moving channel is a mirror image of the fixed one; flip one of "
                "them, or pass allow_reflection=True."
            )
    used = fit.used
    gap = a[used] @ fit.matrix.T + fit.offset - b[used]
    left = leave_one_out(a[used], b[used], model, reflection=allow_reflection)
    told = np.isfinite(left).all(axis=1)
    notes = []
    if told.any():
        error = np.sqrt((left[told] ** 2).mean(axis=0))
    else:
        error = np.full(a.shape[1], np.nan)
        notes.append("as many beads as the model needs: its error cannot be told")
    rejected = int((~used).sum())
    rms = np.sqrt((gap**2).mean(axis=0))
    span = float(np.ptp(a[used], axis=0).max())
    if model != "translation" and span < _SPAN * float(rms.max()):
        notes.append(
            f"the beads span {span:.3g} nm and miss by {rms.max():.2g} nm: the transform is a "
            "guess outside of them; average each bead over its frames, use beads all over the field"
        )
    if rejected:
        notes.append(f"{rejected} of {len(a)} pairs of beads do not agree with the others")
    return Registration(
        model=model,
        matrix=fit.matrix,
        offset_nm=fit.offset,
        rms_nm=rms,
        target_error_nm=error,
        method="beads",
        n_pairs=int(used.sum()),
        n_rejected=rejected,
        used=used,
        notes=tuple(notes),
    )

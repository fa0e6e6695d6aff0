"""What is voxelized: points with their precision, or a closed mesh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, TooFewPointsError
from nanospine.core.localizations import Localizations

__all__ = ["Source", "source_of"]

FloatArray = npt.NDArray[np.float64]
_SURFACE_MODES = ("mask", "signed_distance", "smoothed")


@dataclass(frozen=True, eq=False)
class Source:
    """Points (columns z, y, x) or a mesh; `sigma_nm` z, y, x has one row for all, or one each."""

    columns: tuple[FloatArray, FloatArray, FloatArray] | None = None
    sigma_nm: FloatArray | None = None
    mesh: Any = None
    original: Any = None

    def for_mode(self, mode: str) -> Source:
        """Take the envelope where a surface is needed; check precision where that is."""
        if mode in _SURFACE_MODES and self.mesh is None:
            from nanospine.surface.envelope import envelope

            return replace(self, mesh=envelope(self.original).mesh, columns=None)
        if mode == "gaussian":
            _check_sigma(self.sigma_nm)
        return self

    def bounds_nm(self) -> FloatArray:
        """Lowest and highest x, y, z, shape (2, 3)."""
        if self.mesh is not None:
            return np.asarray(self.mesh.bounds, dtype=np.float64)
        assert self.columns is not None
        return np.array([[c.min() for c in self.columns], [c.max() for c in self.columns]])[:, ::-1]

    def default_pad(self, mode: str, voxel_nm: FloatArray, psf_nm: Any) -> npt.NDArray[np.int64]:
        """Voxels z, y, x to leave around the source."""
        if mode == "gaussian":
            assert self.sigma_nm is not None
            # A few localizations of no use (precision of 500 nm) must not set the size for all.
            widest = np.percentile(self.sigma_nm, 99, axis=0, method="higher")
            return np.ceil(5 * widest / voxel_nm).astype(np.int64)
        if psf_nm is not None:
            blur = np.broadcast_to(np.asarray(psf_nm, dtype=np.float64), (3,))
            return np.ceil(4 * blur / voxel_nm).astype(np.int64)
        return np.full(3, 2 if self.mesh is not None else 0)


def source_of(given: Any, precision_nm: Any) -> Source:
    """Sort out what was given."""
    mesh = getattr(given, "mesh", given)
    if hasattr(mesh, "faces") and hasattr(mesh, "vertices"):
        return Source(mesh=_closed(mesh))
    if isinstance(given, Localizations):
        table = given.table
        n = len(table)
        names = ("z_nm", "y_nm", "x_nm")
        z, y, x = (
            np.ascontiguousarray(table[name].to_numpy(), dtype=np.float64)
            if name in table
            else np.zeros(n)
            for name in names
        )
        own = given.precision_nm if precision_nm is None else None
    else:
        points = np.asarray(given, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise GeometryError(
                "voxelize: localizations, an (n, 3) array, an envelope or a mesh was expected, "
                f"found {type(given).__name__} of shape {points.shape}."
            )
        if points.shape[1] == 2:
            points = np.column_stack([points, np.zeros(len(points))])
        if not np.isfinite(points).all():
            raise GeometryError("voxelize: a position is not a finite number; remove such rows.")
        x, y, z = (np.ascontiguousarray(points[:, axis]) for axis in range(3))
        own = None
    if len(x) == 0:
        raise TooFewPointsError("voxelize: at least one localization was expected, found none.")
    sigma = own if precision_nm is None else _as_sigma(precision_nm, len(x))
    reverse = None if sigma is None else np.ascontiguousarray(sigma[:, ::-1])
    return Source((z, y, x), reverse, original=given)


def _as_sigma(precision_nm: Any, n: int) -> FloatArray:
    """Standard deviations x, y, z of one row, or of n."""
    sigma = np.asarray(precision_nm, dtype=np.float64)
    if sigma.shape == (n,) and n != 3:
        sigma = np.repeat(sigma[:, None], 3, axis=1)
    if sigma.shape not in ((), (3,), (n, 3), (1, 3)):
        raise GeometryError(
            "voxelize: precision_nm must be one number, three (x, y, z) or three for each of "
            f"{n} localizations, found shape {sigma.shape}."
        )
    return np.array(np.atleast_2d(np.broadcast_to(sigma, (3,)) if sigma.ndim < 2 else sigma))


def _check_sigma(sigma: FloatArray | None) -> None:
    if sigma is None:
        raise GeometryError(
            "voxelize: mode 'gaussian' needs the precision of the localizations, and the table has "
            "none; give precision_nm (x, y, z)."
        )
    wrong = ~(np.isfinite(sigma) & (sigma >= 0)).all(axis=1)
    if wrong.any():
        raise GeometryError(
            "voxelize: mode 'gaussian' needs a precision of 0 nm or more on each axis; "
            f"{wrong.sum()} of {len(sigma)} localizations have none (row {int(wrong.argmax())}: "
            f"z, y, x {sigma[wrong.argmax()].tolist()}); give precision_nm (x, y, z)."
        )


def _closed(mesh: Any) -> Any:
    if len(mesh.faces) == 0:
        raise GeometryError("voxelize: the mesh has no faces.")
    if not mesh.is_watertight:
        raise GeometryError(
            "voxelize: a closed mesh was expected, found one with open edges; fill its holes "
            "first (trimesh.repair.fill_holes), or take ns.envelope."
        )
    return mesh

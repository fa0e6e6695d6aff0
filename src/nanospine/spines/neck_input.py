"""What `measure_neck` is given, checked: every fault is said with what was expected."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, SchemaError

__all__ = ["checked", "numbered"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def checked(
    xyz_nm: npt.ArrayLike,
    centreline_nm: npt.ArrayLike,
    precision_nm: npt.ArrayLike,
    step_nm: float,
    window_nm: float,
    linker_nm: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give points, centreline and precision as arrays (n, 3), (k, 3), (n, 3), or say the fault."""
    xyz = np.asarray(xyz_nm, dtype=np.float64).reshape(-1, 3) if np.size(xyz_nm) == 0 else (
        np.asarray(xyz_nm, dtype=np.float64)
    )  # fmt: skip
    line = np.asarray(centreline_nm, dtype=np.float64)
    for name, value in (("xyz_nm", xyz), ("centreline_nm", line)):
        if value.ndim != 2 or value.shape[1] != 3:
            raise SchemaError(
                f"measure_neck: {name} of shape (n, 3) expected, found {value.shape}."
            )
        if not np.isfinite(value).all():
            raise SchemaError(f"measure_neck: {name} holds numbers that are not finite.")
    if len(line) < 2 or not (np.ptp(line, axis=0) > 0).any():
        raise GeometryError("measure_neck: centreline_nm needs at least two different points.")
    if not (step_nm > 0 and window_nm > 0):
        raise GeometryError("measure_neck: step_nm and window_nm must be positive lengths.")
    if not (np.isfinite(linker_nm) and linker_nm >= 0):
        raise GeometryError(
            f"measure_neck: linker_nm must be 0 or a positive length, found {linker_nm!r}."
        )
    given = np.asarray(precision_nm, dtype=np.float64)
    n = len(xyz)
    if given.shape == (n,) and given.shape != (3,):
        given = given[:, None]
    if given.shape not in ((), (3,), (n, 1), (n, 3)):
        raise SchemaError(
            f"measure_neck: precision_nm must be one number, (3,), ({n},) or ({n}, 3), "
            f"found {np.shape(precision_nm)}."
        )
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise SchemaError(
            "measure_neck: precision_nm holds negative numbers or NaN; give one for every axis, "
            "such as precision_nm=(10, 10, 25)."
        )
    return xyz, line, np.array(np.broadcast_to(given, (n, 3)))


def numbered(molecule: npt.ArrayLike | None, n: int) -> IntArray | None:
    """Give molecules of their own to localizations whose number is negative."""
    if molecule is None:
        return None
    given = np.asarray(molecule)
    if given.shape != (n,):
        raise SchemaError(f"measure_neck: molecule of shape ({n},) expected, found {given.shape}.")
    _, number = np.unique(given, return_inverse=True)
    number = number.astype(np.int64)
    alone = given < 0
    number[alone] = number.max(initial=0) + 1 + np.arange(alone.sum())
    return number

"""MINFLUX data of Imspector before 24.10 (m2205): one row per localization, `itr` inside.

Recognised by a structured npy array with a sub-array `itr`. Positions are metres.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import SchemaError
from nanospine.io.registry import register
from nanospine.io.safe_decode import npy_dtype, npy_from
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable

__all__ = ["from_iterations", "read_minflux_m2205"]

_NM_PER_M = 1e9
# z below this extent is noise of a 2-D measurement, not a height (real 2-D rows hold 3e-13 m).
_FLAT_M = 1e-9


def is_m2205(dtype: np.dtype[Any] | None) -> bool:
    """Tell whether a structured dtype is one of m2205: `itr` is itself a table with `loc`."""
    if dtype is None or dtype.names is None or "itr" not in dtype.names:
        return False
    names = dtype["itr"].base.names
    return names is not None and "loc" in names


@register(
    name="minflux-m2205",
    title="MINFLUX (Imspector m2205)",
    suffixes=(".npy",),
    recognise=lambda source: 0.97 if is_m2205(npy_dtype(source)) else 0.0,
)
def read_minflux_m2205(source: Source, options: ReadOptions) -> ReadTable:
    """Read a structured npy of Imspector; see :func:`from_iterations`."""
    array = npy_from(source.read_bytes(), source.path.name)
    return from_structured(array, options, source.path.name, source.notes)


def from_structured(
    array: npt.NDArray[Any], options: ReadOptions, where: str, notes: list[str] | None = None
) -> ReadTable:
    """Read rows with a nested `itr`: field name -> (n, n_iterations[, 3])."""
    rows = array.reshape(-1)
    names = rows.dtype.names or ()
    iterations = rows["itr"].reshape(len(rows), -1)
    fields = {name: iterations[name] for name in iterations.dtype.names or ()}
    outer = {name: rows[name] for name in names if name != "itr"}
    result = from_iterations(fields, outer, options, where)
    result.notes[:0] = notes or []
    return result


def from_iterations(
    fields: dict[str, npt.NDArray[Any]],
    outer: dict[str, npt.NDArray[Any]],
    options: ReadOptions,
    where: str,
) -> ReadTable:
    """Choose the localizing iteration of each row and give nanometres.

    Parameters
    ----------
    fields : dict
        Of the iterations, shape (n, n_iterations) or (n, n_iterations, 3).
    outer : dict
        Of the rows, shape (n,): `tid`, `tim`, `vld`, ...
    options : ReadOptions
        Its `z_scale` (1.0 without) multiplies z.
    where : str
        The file, for messages.

    Notes
    -----
    The position is `loc` of the last iteration, which valid rows always have; so are eco, efo
    and dcr. cfr is measured in some iterations only: it is taken from the last one in which it
    varies. Rows with `vld` False are left out and counted.
    """
    loc = fields.get("loc")
    if loc is None or loc.ndim != 3 or loc.shape[2] not in (2, 3) or loc.shape[1] == 0:
        found = "none" if loc is None else f"shape {loc.shape}"
        raise SchemaError(
            f"{where}: itr/loc of shape (rows, iterations, 3) was expected, found {found}."
        )
    notes: list[str] = []
    valid = np.ones(len(loc), dtype=bool)
    if "vld" in outer:
        valid = outer["vld"].astype(bool)
        if not valid.all():
            notes.append(f"{int((~valid).sum())} of {len(valid)} rows left out: vld is False")
    last = loc.shape[1] - 1
    z_scale = 1.0 if options.z_scale is None else options.z_scale
    columns = positions_nm(loc[valid, last], z_scale, notes)
    details: dict[str, Any] = {"iteration": last, "n_iterations": last + 1, "z_scale": z_scale}
    for name, canonical in (
        ("efo", "efo_hz"), ("eco", "eco"), ("dcr", "dcr"), ("fbg", "background_hz"),
        ("sta", "sta"), ("efc", "efc_hz"), ("ecc", "ecc"),
    ):  # fmt: skip
        if name in fields and fields[name].ndim == 2:
            columns[canonical] = fields[name][valid, last]
    if "cfr" in fields and fields["cfr"].ndim == 2:
        chosen = last_measured(fields["cfr"][valid])
        columns["cfr"] = fields["cfr"][valid, chosen]
        details["cfr_iteration"] = chosen
    for name, canonical in (("tid", "trace"), ("tim", "time_s"), ("fluo", "channel")):
        if name in outer:
            columns[canonical] = outer[name][valid]
    if "z_nm" in columns and options.z_scale is None:
        notes.append(z_scale_note())
    return ReadTable(columns, notes, details)


def positions_nm(
    loc_m: npt.NDArray[Any], z_scale: float, notes: list[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """Turn positions (n, 2 or 3) in metres into columns in nanometres; flat z makes 2-D data."""
    loc = np.asarray(loc_m, dtype=np.float64)
    columns = {"x_nm": loc[:, 0] * _NM_PER_M, "y_nm": loc[:, 1] * _NM_PER_M}
    if loc.shape[1] == 3:
        z = loc[:, 2]
        finite = z[np.isfinite(z)]
        if len(finite) and float(np.ptp(finite)) >= _FLAT_M:
            columns["z_nm"] = z * (_NM_PER_M * z_scale)
        else:
            notes.append("z spans less than 1 nm: the data are taken as 2-D")
    return columns


def z_scale_note() -> str:
    """Say what was done with z, and what is usual."""
    return (
        "z is not scaled for the mismatch of refractive indices (z_scale 1.0); a factor near 0.7 "
        "is usual for oil objectives: pass z_scale=0.7 if it was not applied already"
    )


def last_measured(values: npt.NDArray[Any]) -> int:
    """Give the last iteration (column) in which a quantity varies; the last one if none does."""
    numbers = np.asarray(values, dtype=np.float64)
    for column in range(numbers.shape[1] - 1, -1, -1):
        finite = numbers[:, column][np.isfinite(numbers[:, column])]
        if len(finite) > 1 and float(np.ptp(finite)) > 0:
            return column
    return numbers.shape[1] - 1

"""MINFLUX data of Imspector 24.10 and later (m2410): one row per iteration, in any container.

`fnl` marks the last iteration of a cycle: these rows are the localizations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import SchemaError
from nanospine.io.minflux_m2205 import last_measured, positions_nm, z_scale_note
from nanospine.io.registry import register
from nanospine.io.safe_decode import npy_dtype, npy_from
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable

__all__ = ["from_rows", "is_m2410_names", "read_minflux_m2410"]


def is_m2410_names(names: set[str]) -> bool:
    """Tell by the field names whether rows are iterations of m2410."""
    return "itr" in names and bool({"fnl", "bot", "eot"} & names) and "loc" in names


def _recognise(source: Source) -> float:
    dtype = npy_dtype(source)
    if dtype is None or dtype.names is None or not is_m2410_names(set(dtype.names)):
        return 0.0
    return 0.97 if dtype["itr"].kind in "iu" else 0.0


@register(
    name="minflux-m2410",
    title="MINFLUX (Imspector m2410)",
    suffixes=(".npy",),
    recognise=_recognise,
)
def read_minflux_m2410(source: Source, options: ReadOptions) -> ReadTable:
    """Read a structured npy with one row per iteration; see :func:`from_rows`."""
    rows = npy_from(source.read_bytes(), source.path.name).reshape(-1)
    fields = {name: rows[name] for name in rows.dtype.names or ()}
    result = from_rows(fields, options, source.path.name)
    result.notes[:0] = source.notes
    return result


def from_rows(fields: dict[str, npt.NDArray[Any]], options: ReadOptions, where: str) -> ReadTable:
    """Choose the rows that are localizations and give nanometres.

    Parameters
    ----------
    fields : dict
        Columns of length n; `loc` is (n, 2 or 3) in metres, `dcr` may have two columns.
    options : ReadOptions
        Its `z_scale` (1.0 without) multiplies z.
    where : str
        The file, for messages.

    Notes
    -----
    A localization is a row with `fnl` and `vld`. cfr is measured in some iterations only: when
    it does not vary in the final ones, the last iteration of the same cycle in which it does is
    taken. A cycle starts after a final row and where `tid` changes.
    """
    loc = fields.get("loc")
    if loc is None or loc.ndim != 2 or loc.shape[1] not in (2, 3):
        found = "none" if loc is None else f"shape {loc.shape}"
        raise SchemaError(f"{where}: loc of shape (rows, 3) was expected, found {found}.")
    n = len(loc)
    for name in ("itr", "tid"):
        if name not in fields or fields[name].shape != (n,):
            raise SchemaError(f"{where}: a column {name} with {n} values was expected.")
    notes: list[str] = []
    final = fields["fnl"].astype(bool) if "fnl" in fields else np.ones(n, dtype=bool)
    valid = fields["vld"].astype(bool) if "vld" in fields else np.ones(n, dtype=bool)
    kept = np.flatnonzero(final & valid)
    notes.append(
        f"{n} rows are iterations; {int(final.sum())} of them end a cycle, {len(kept)} of these "
        "are valid localizations"
    )
    z_scale = 1.0 if options.z_scale is None else options.z_scale
    details: dict[str, Any] = {"z_scale": z_scale, "iterations": n}
    columns: dict[str, Any] = dict(positions_nm(loc[kept], z_scale, notes))
    for name, canonical in (
        ("tid", "trace"), ("tim", "time_s"), ("efo", "efo_hz"), ("efc", "efc_hz"), ("eco", "eco"),
        ("ecc", "ecc"), ("fbg", "background_hz"), ("sta", "sta"), ("gri", "gri"), ("thi", "thi"),
        ("bot", "bot"), ("eot", "eot"),
    ):  # fmt: skip
        if name in fields and fields[name].shape == (n,):
            columns[canonical] = fields[name][kept]
    dcr = fields.get("dcr")
    if dcr is not None and dcr.shape[:1] == (n,):
        columns["dcr"] = (dcr[:, 0] if dcr.ndim == 2 else dcr)[kept]
    if "cfr" in fields and fields["cfr"].shape == (n,):
        columns["cfr"], details["cfr_iteration"] = _cfr(fields, kept)
    if "z_nm" in columns and options.z_scale is None:
        notes.append(z_scale_note())
    return ReadTable(columns, notes, details)


def _cfr(
    fields: dict[str, npt.NDArray[Any]], kept: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], int | None]:
    """Give cfr per localization and the iteration it was taken from."""
    cfr = np.asarray(fields["cfr"], dtype=np.float64)
    if len(kept) == 0:
        return cfr[kept], None
    iteration = np.asarray(fields["itr"], dtype=np.int64)
    tid = np.asarray(fields["tid"])
    ends = fields["fnl"].astype(bool) if "fnl" in fields else np.ones(len(cfr), dtype=bool)
    starts = np.ones(len(cfr), dtype=bool)
    starts[1:] = ends[:-1] | (tid[1:] != tid[:-1])
    cycle = np.cumsum(starts) - 1
    place = np.full(int(cycle.max()) + 1, -1, dtype=np.int64)
    place[cycle[kept]] = np.arange(len(kept))
    # A table localization x iteration, as m2205 has it; iterations that were not run are NaN.
    known = (place[cycle] >= 0) & (iteration >= 0) & (iteration < 64)
    n_iterations = int(iteration[known].max()) + 1 if known.any() else 1
    table = np.full((len(kept), n_iterations), np.nan)
    table[place[cycle[known]], iteration[known]] = cfr[known]
    chosen = last_measured(table)
    values = table[:, chosen]
    return np.where(np.isfinite(values), values, cfr[kept]), chosen

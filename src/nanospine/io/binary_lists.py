"""Insight3 molecule lists (.bin) and storm-analysis HDF5."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from nanospine.core.errors import ReadError, SchemaError
from nanospine.io.registry import register
from nanospine.io.rules import pixel_size
from nanospine.io.safe_files import LIMITS, Source
from nanospine.io.safe_hdf5 import Hdf5, hdf5_names, open_hdf5
from nanospine.io.table import ReadOptions, ReadTable

__all__ = ["read_insight3", "read_storm_analysis"]

_RECORD = np.dtype(
    [(name, "<f4") for name in ("x", "y", "xc", "yc", "h", "a", "w", "phi", "ax", "bg", "i")]
    + [(name, "<i4") for name in ("c", "fi", "fr", "tl", "lk")]
    + [("z", "<f4"), ("zc", "<f4")]
)
_HEADER_BYTES = 16
_OUT_OF_RANGE = 9


@register(
    name="insight3",
    title="Insight3 .bin",
    suffixes=(".bin",),
    recognise=lambda source: 0.97 if source.head.startswith(b"M425") else 0.0,
)
def read_insight3(source: Source, options: ReadOptions) -> ReadTable:
    """Read an Insight3 list: drift-corrected xc, yc (pixels, 1-based) and zc (nm).

    Category 9 (z out of range) is left out and counted; categories 0 to 8 are channels.
    """
    where = source.path.name
    data = source.read_bytes()
    if len(data) < _HEADER_BYTES or not data.startswith(b"M425"):
        raise ReadError(f"{where}: a header of 16 bytes that starts with M425 was expected.")
    n_frames, status, n = (int(item) for item in np.frombuffer(data, "<i4", 3, 4))
    notes: list[str] = []
    if status != 6:
        notes.append(f"the file was not closed cleanly (status {status}, 6 expected)")
    held = (len(data) - _HEADER_BYTES) // _RECORD.itemsize
    if n < 0 or n > held:
        raise ReadError(
            f"{where}: {n} molecules are declared, {held} are in the file; it is cut short."
        )
    rows = np.frombuffer(data, _RECORD, n, _HEADER_BYTES)
    kept = rows["c"] != _OUT_OF_RANGE
    if not kept.all():
        notes.append(f"{int((~kept).sum())} of {n} rows left out: category 9, z out of range")
    rows = rows[kept]
    size_x, size_y = pixel_size(options, where)
    columns: dict[str, Any] = {
        # Pixels count from 1 in Insight3.
        "x_nm": (rows["xc"].astype(np.float64) - 1) * size_x,
        "y_nm": (rows["yc"].astype(np.float64) - 1) * size_y,
        "frame": rows["fr"], "intensity_adu": rows["a"], "background_adu": rows["bg"],
        "sigma_x_nm": rows["w"].astype(np.float64) / 2,
        "sigma_y_nm": rows["w"].astype(np.float64) / 2,
        "channel": rows["c"], "n_localizations": rows["tl"], "height_adu": rows["h"],
        "aspect_ratio": rows["ax"],
    }  # fmt: skip
    if len(rows) and bool((rows["zc"] != 0).any()):
        columns["z_nm"] = rows["zc"]
    details = {"frame_base": 1, "n_frames": n_frames, "pixel_size_used_nm": [size_x, size_y]}
    return ReadTable(columns, notes, details)


_SA_FIELDS = frozenset({
    "x", "y", "z", "xsigma", "ysigma", "sum", "background", "height", "error", "category",
    "frame_number", "track_length", "track_id", "significance",
})  # fmt: skip
_FRAME_GROUP = re.compile(r"^(fr|tracks)_(\d+)$")


def _recognise(source: Source) -> float:
    names = hdf5_names(source)
    if "/metadata.xml" in names or any(name.startswith("/fr_") for name in names):
        try:
            with open_hdf5(source) as file:
                if file.attribute("/", "sa_type") is not None:
                    return 0.97
        except ReadError:
            return 0.0
        return 0.6
    return 0.0


@register(
    name="storm-analysis",
    title="storm-analysis HDF5",
    suffixes=(".hdf5",),
    recognise=_recognise,
)
def read_storm_analysis(source: Source, options: ReadOptions) -> ReadTable:
    """Read storm-analysis localizations: pixels with the drift added, z from µm to nm.

    Tracks are read where there are any (one row per track; sums divided by its length).
    """
    where = source.path.name
    with open_hdf5(source) as file:
        size = file.attribute("/", "pixel_size")
        found = float(size) if isinstance(size, int | float | np.number) else None
        size_x, size_y = pixel_size(options, where, found)
        tracks = [name for name in file.names("/tracks") if _FRAME_GROUP.match(name)]
        base = "/tracks" if tracks else ""
        groups = tracks or [name for name in file.names() if _FRAME_GROUP.match(name)]
        if len(groups) > LIMITS.members * 10:
            raise ReadError(f"{where}: {len(groups)} groups; that is refused.")
        groups.sort(key=lambda name: int(name.rsplit("_", 1)[1]))
        parts = [_group(file, f"{base}/{name}", name, is_track=bool(tracks)) for name in groups]
    columns = _join([part for part in parts if part], where)
    for axis, factor in (("x", size_x), ("y", size_y)):
        columns[f"{axis}_nm"] = columns.pop(axis) * factor
        if f"{axis}sigma" in columns:
            columns[f"sigma_{axis}_nm"] = columns.pop(f"{axis}sigma") * factor
    if "z" in columns:
        columns["z_nm"] = columns.pop("z") * 1e3
    notes = ["one row per track" if tracks else "drift added to each frame"]
    if "z_nm" in columns and len(columns["z_nm"]) and not columns["z_nm"].any():
        del columns["z_nm"]
    details = {"frame_base": 0, "pixel_size_used_nm": [size_x, size_y]}
    return ReadTable(columns, notes, details)


def _group(file: Hdf5, path: str, name: str, *, is_track: bool) -> dict[str, Any]:
    data = file.vectors(path, _SA_FIELDS)
    if not {"x", "y"} <= data.keys() or len(data["x"]) == 0:
        return {}
    n = len(data["x"])
    result: dict[str, Any] = {
        item: values.astype(np.float64) if values.dtype.kind == "f" else values
        for item, values in data.items()
        if len(values) == n
    }
    if is_track:
        length = np.maximum(result.get("track_length", np.ones(n)), 1)
        # Every field of a track but its position and bookkeeping is a sum over its frames.
        for item in ("xsigma", "ysigma", "background", "height"):
            if item in result:
                result[item] = result[item] / length
    else:
        result["frame_number"] = np.full(n, int(name.rsplit("_", 1)[1]))
        for axis in "xyz":
            drift = file.attribute(path, f"d{axis}")
            if axis in result and isinstance(drift, int | float | np.number):
                result[axis] = result[axis] + float(drift)
    renamed = {
        "frame_number": "frame", "sum": "photons", "background": "background_photons",
        "track_length": "n_localizations", "category": "channel", "track_id": "trace",
    }  # fmt: skip
    return {renamed.get(item, item): values for item, values in result.items()}


def _join(parts: list[dict[str, Any]], where: str) -> dict[str, Any]:
    if not parts:
        return {"x": np.zeros(0), "y": np.zeros(0)}
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    if not {"x", "y"} <= set(shared):
        raise SchemaError(f"{where}: every group must have x and y.")
    return {name: np.concatenate([part[name] for part in parts]) for name in shared}

"""SMAP: `_sml.mat` (MATLAB v5, v7 and v7.3, whole or split in parts) and the csv exports.

nm, frames from 1, channels from 0. Missing errors are written as about 1e6, not as NaN: they stay
and are remarked, because a filter on precision removes them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from nanospine.core.errors import SchemaError
from nanospine.core.files import atomic_path
from nanospine.core.localizations import Localizations
from nanospine.io.registry import register, register_writer
from nanospine.io.rules import Rule, apply_rules, label_keys
from nanospine.io.safe_files import Source, open_source
from nanospine.io.safe_mat import is_mat, mat_names, mat_variables, rows_of
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table

__all__ = ["read_smap", "read_smap_csv", "write_smap_csv"]

_RULES = {
    "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"),
    "frame": Rule("frame"), "phot": Rule("photons"), "bg": Rule("background_photons"),
    "xnmerr": Rule("precision_x_nm"), "ynmerr": Rule("precision_y_nm"),
    "locprecnm": Rule("locprecnm"), "locprecznm": Rule("precision_z_nm"),
    "psfxnm": Rule("sigma_x_nm"), "psfynm": Rule("sigma_y_nm"),
    "channel": Rule("channel"), "groupindex": Rule("trace"),
    "numberingroup": Rule("n_localizations"),
}  # fmt: skip
# Refractive mismatch that SMAP itself divides by when it loads old saves with z in micrometres.
_OLD_Z_DIVISOR = 1.25


# SMAP splits saves beyond 2 GB: NAME.mat holds `lds` with some fields emptied, NAME_p2.mat and so
# on hold those fields as `ltemp`.
_PART = re.compile(r"_p\d+$")
_SPLIT_NAMES = {"lds", "ltemp"}
_PATHS = ("loc", "file/info/cam_pixelsize_um")


@register(
    name="smap",
    title="SMAP _sml.mat",
    suffixes=(".mat",),
    recognise=lambda source: (
        0.97 if is_mat(source) and "saveloc" in mat_names(source) else
        0.95 if is_mat(source) and _SPLIT_NAMES & mat_names(source) else 0.0
    ),
)  # fmt: skip
def read_smap(source: Source, options: ReadOptions) -> ReadTable:
    """Read the localizations of an `_sml.mat` file; of a split save any part leads to the whole."""
    where = source.path.name
    split = "saveloc" not in mat_names(source)
    saved, notes = _joined(source) if split else (_saveloc(source, "saveloc"), [])
    loc = saved.get("loc")
    if not isinstance(loc, dict):
        raise SchemaError(f"{where}: a struct saveloc.loc was expected, found none.")
    columns = {name: rows_of(values) for name, values in loc.items()}
    numbers = {name: values for name, values in columns.items() if values is not None}
    sizes = [values.shape for values in numbers.values()]
    n = max((size[0] for size in sizes if len(size) == 1), default=0)
    numbers = {name: values for name, values in numbers.items() if values.shape == (n,)}
    result = _finish(numbers, options, where)
    result.notes[:0] = notes
    pixel = _camera_pixel(saved)
    if pixel is not None:
        result.details["camera_pixel_nm"] = pixel
    left_out = sorted(set(loc) - set(numbers))
    if left_out:
        result.notes.append(f"not one number per localization, left out: {', '.join(left_out)}")
    return result


def _saveloc(source: Source, *names: str) -> dict[str, Any]:
    """Give the struct at a path of names; empty where there is none."""
    only = tuple("/".join((*names, path)) for path in _PATHS)
    node: Any = mat_variables(source, {names[0]}, only=only)
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _joined(source: Source) -> tuple[dict[str, Any], list[str]]:
    """Join a split save: the main file and the parts that stand beside it.

    Raises
    ------
    SchemaError
        When the main file or a part that holds the positions is missing.
    """
    path = source.path
    stem = _PART.sub("", path.stem)
    main = source
    if "lds" not in mat_names(source):
        name = path.with_name(f"{stem}.mat")
        if name == path or not name.is_file():
            raise SchemaError(
                f"{path.name}: is one part of a split SMAP save; its main file {name.name} was "
                "expected beside it. Put all parts into one folder."
            )
        main = open_source(name)
    saved = _saveloc(main, "lds", "saveloc") or _saveloc(main, "lds")
    loc = dict(saved["loc"]) if isinstance(saved.get("loc"), dict) else {}
    # A field that went into a part is left empty in the main file.
    found = {name: values for name, values in loc.items() if np.size(values) > 0}
    parts = []
    for number in range(2, 1000):
        name = main.path.with_name(f"{stem}_p{number}.mat")
        if not name.is_file():
            break
        part = mat_variables(open_source(name), {"ltemp"}).get("ltemp")
        if isinstance(part, dict):
            found.update(part)
        parts.append(name.name)
    missing = sorted(set(loc) - set(found))
    if "xnm" not in found or "ynm" not in found:
        raise SchemaError(
            f"{main.path.name}: is a split SMAP save; its part {stem}_p{len(parts) + 2}.mat with "
            "the positions was expected beside it. Put all parts into one folder."
        )
    notes = [f"a split SMAP save, joined from {main.path.name}, {', '.join(parts)}"]
    if missing:
        notes.append(
            f"empty in the main file and in no part: {', '.join(missing)}; is the part "
            f"{stem}_p{len(parts) + 2}.mat missing?"
        )
    return {**saved, "loc": found}, notes


def _camera_pixel(saved: dict[str, Any]) -> list[float] | None:
    """Give saveloc.file.info.cam_pixelsize_um in nanometres."""
    node: Any = saved
    for key in ("file", "info", "cam_pixelsize_um"):
        if isinstance(node, list):
            node = node[0] if node else None
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, np.ndarray) or node.size == 0 or node.dtype.kind not in "if":
        return None
    return [float(size) * 1e3 for size in node.ravel()[:2]]


@register(
    name="smap-csv",
    title="SMAP csv",
    suffixes=(".csv",),
    recognise=lambda source: (
        0.96
        if {"xnm", "ynm", "frame"} <= (keys := label_keys(source))
        and {"phot", "locprecnm", "locprecznm"} & keys
        else 0.0
    ),
)
def read_smap_csv(source: Source, options: ReadOptions) -> ReadTable:
    """Read a csv export of SMAP (names without brackets; always nanometres)."""
    parsed = parse(source, need_table(source))
    columns = {name: values for name, values in parsed.columns.items() if name.lower() != "id"}
    result = _finish(columns, options, source.path.name)
    result.notes[:0] = parsed.notes
    return result


def _finish(columns: dict[str, Any], options: ReadOptions, where: str) -> ReadTable:
    notes: list[str] = []
    result = apply_rules(columns, _RULES, options, where)
    lateral = result.pop("locprecnm", None)
    if lateral is not None:
        # locprecnm is SMAP's lateral precision; xnmerr may be the bare error of the fit.
        for axis in "xy":
            error = result.pop(f"precision_{axis}_nm", None)
            if error is not None:
                result[f"{axis}nmerr"] = error
            result[f"precision_{axis}_nm"] = lateral
    if "sigma_x_nm" in result:
        result.setdefault("sigma_y_nm", result["sigma_x_nm"])
    if "z_nm" not in result and "z" in result:
        result["z_nm"] = np.asarray(result.pop("z"), dtype=np.float64) * (1e3 / _OLD_Z_DIVISOR)
        notes.append(
            "an old save: z in micrometres, divided by 1.25 for the refractive mismatch as SMAP "
            "itself does"
        )
    files = result.get("filenumber")
    if files is not None and len(files) and len(np.unique(files)) > 1:
        notes.append(f"{len(np.unique(files))} input files are in this save (column filenumber)")
    return ReadTable(result, notes, {"frame_base": 1})


_WRITTEN = {
    "frame": "frame", "x_nm": "xnm", "y_nm": "ynm", "z_nm": "znm", "photons": "phot",
    "background_photons": "bg", "precision_x_nm": "locprecnm", "precision_z_nm": "locprecznm",
    "sigma_x_nm": "PSFxnm", "sigma_y_nm": "PSFynm", "channel": "channel", "trace": "groupindex",
}  # fmt: skip


def write_smap_csv(locs: Localizations, path: Path) -> None:
    """Write a csv that SMAP imports: ID, frame, xnm, ynm, znm, phot, bg, locprecnm, ...

    Channels are written as numbers from 0 in the order of their names.
    """
    table = locs.table
    n = len(table)
    columns: dict[str, Any] = {"ID": np.arange(1, n + 1)}
    if "frame" not in table:
        columns["frame"] = np.ones(n, dtype=np.int64)
    for name, label in _WRITTEN.items():
        if name == "channel" and name in table:
            columns[label] = table[name].cat.codes.to_numpy()
        elif name in table:
            columns[label] = table[name].to_numpy()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pa_csv.write_csv(
            pa.table({name: pa.array(values) for name, values in columns.items()}),
            file,
            pa_csv.WriteOptions(quoting_style="none"),
        )


register_writer(name="smap-csv", suffix=".smap.csv")(write_smap_csv)

"""Nikon N-STORM / NIS-Elements molecule lists: tab-separated, in two layouts of names.

Corrected positions are preferred: Xwc (drift and warp), then Xc (drift), then X. Channels are
names. Rows are molecules that were linked already: `Frame` is the first of `Length` frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nanospine.core.errors import SchemaError
from nanospine.io.registry import register
from nanospine.io.rules import Rule, apply_rules, label_key, label_keys
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table

__all__ = ["read_nstorm", "read_picasso_nis"]

_COMMON = {
    "frame": Rule("frame"), "length": Rule("n_localizations"), "photons": Rule("photons"),
    "laterallocalizationaccuracy": Rule("precision_x_nm"),
    "width": Rule("sigma_x_nm", 0.5),
    "channelname": Rule("channel"), "channel": Rule("channel"), "name": Rule("channel"),
}  # fmt: skip


def _recognise(source: Source) -> float:
    keys = label_keys(source)
    core = {"x", "y", "frame", "length", "valid"}
    corrected = {"xc", "yc"} <= keys or {"xwc", "ywc"} <= keys
    return 0.96 if core <= keys and corrected and {"phi", "bg"} & keys else 0.0


@register(name="nstorm", title="Nikon N-STORM", suffixes=(".txt",), recognise=_recognise)
def read_nstorm(source: Source, options: ReadOptions) -> ReadTable:
    """Read a molecule list of N-STORM, layout A (`Channel Name`) or B (`ID X Y Z`)."""
    table = need_table(source)
    named = frozenset(
        name for name in table.names if label_key(name) in ("channelname", "channel", "name")
    )
    parsed = parse(source, table, text_columns=named)
    columns = {name: values for name, values in parsed.columns.items() if label_key(name) != "id"}
    by_key = {label_key(name): values for name, values in columns.items()}
    rules: dict[str, Rule] = {}
    used: dict[str, str] = {}
    for axis in "xyz":
        for tail in ("wc", "c", ""):
            values = by_key.get(axis + tail)
            if values is not None and (tail == "" or _filled(values)):
                rules[axis + tail] = Rule(f"{axis}_nm")
                used[axis] = axis.upper() + tail
                break
    if len({len(name) for name in used.values() if name[0] in "XY"}) > 1:
        raise SchemaError(
            f"{source.path.name}: x comes from {used['x']} and y from {used['y']}; both must be "
            "corrected alike. Export the list again."
        )
    result = apply_rules(columns, {**rules, **_COMMON}, options, source.path.name)
    for name in ("precision", "sigma"):
        if f"{name}_x_nm" in result:
            result[f"{name}_y_nm"] = result[f"{name}_x_nm"]
    notes = [*parsed.notes, f"positions from {', '.join(used.values())}"]
    _drop_rejected(result, notes)
    return ReadTable(result, notes, {"positions_from": used, "frame_base": 1})


def _filled(values: Any) -> bool:
    numbers = np.asarray(values)
    return numbers.dtype.kind in "if" and bool(len(numbers) == 0 or np.isfinite(numbers).any())


def _drop_rejected(columns: dict[str, Any], notes: list[str]) -> None:
    """Leave rows of the channel "Z Rejected" out: their height is not one."""
    if "channel" not in columns:
        return
    rejected = np.array([str(name).strip().lower() == "z rejected" for name in columns["channel"]])
    if rejected.any():
        notes.append(f"{int(rejected.sum())} of {len(rejected)} rows left out: Z Rejected")
        for name in list(columns):
            columns[name] = columns[name][~rejected]


_NIS_HEADER = ("x", "y", "z", "channel", "width", "bg", "length", "area", "frame")
# Picasso writes x, y, z, sx, bg, photons, frame, 1, 1 under the labels above.
_NIS_MEANING = ("x_nm", "y_nm", "z_nm", "sigma_x_nm", "background_photons", "photons", "frame")


@register(
    name="picasso-nis",
    title="Picasso export for NIS",
    suffixes=(".txt",),
    recognise=lambda source: 0.9 if label_keys(source) == set(_NIS_HEADER) else 0.0,
)
def read_picasso_nis(source: Source, options: ReadOptions) -> ReadTable:  # noqa: ARG001
    """Read Picasso's NIS export, whose labels from Channel on do not say what the columns hold."""
    parsed = parse(source, need_table(source))
    arrays = list(parsed.columns.values())
    order = [label_key(name) for name in parsed.columns]
    constant = all(bool((np.asarray(values) == 1).all()) for values in arrays[-2:])
    if order != list(_NIS_HEADER) or not constant:
        raise SchemaError(
            f"{source.path.name}: has the labels of Picasso's NIS export, but not its columns; "
            "which column is what cannot be told. Export it from Picasso as ThunderSTORM csv."
        )
    columns = dict(zip(_NIS_MEANING, arrays, strict=False))
    columns["sigma_y_nm"] = columns["sigma_x_nm"]
    note = "labels from Channel on are wrong in this export: read as sx, bg, photons, frame"
    return ReadTable(columns, [*parsed.notes, note], {"frame_base": 0})

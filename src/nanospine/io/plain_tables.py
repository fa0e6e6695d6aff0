"""Text tables of analysis programs: QuickPALM, DoM, vLUME, SMLM challenge, Micro-Manager, ViSP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nanospine.core.errors import SchemaError
from nanospine.io.names import map_columns
from nanospine.io.registry import register
from nanospine.io.rules import FWHM_PER_SIGMA, Rule, apply_rules, label_keys
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable, drop_flat_z
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table, sniff
from nanospine.io.units import FileUnitsError, length_factors

__all__ = ["read_challenge", "read_dom", "read_quickpalm", "read_visp", "read_vlume"]

_QUICKPALM = {
    "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"),
    "intensity": Rule("intensity_adu"), "framenumber": Rule("frame"),
}  # fmt: skip


@register(
    name="quickpalm",
    title="QuickPALM",
    suffixes=(".txt", ".xls"),
    recognise=lambda source: (
        0.96
        if {"xpx", "ypx", "xnm", "ynm", "framenumber"} <= (keys := label_keys(source))
        and {"leftwidthpx", "rightwidthpx", "upheightpx"} & keys
        else 0.0
    ),
)
def read_quickpalm(source: Source, options: ReadOptions) -> ReadTable:
    """Read a QuickPALM particle table; intensities are camera counts, widths stay in pixels."""
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _QUICKPALM, options, source.path.name)
    drop_flat_z(columns, parsed.notes)
    return ReadTable(columns, parsed.notes, {"frame_base": 1})


_DOM = {
    "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"), "framenumber": Rule("frame"),
    "xlocerrornm": Rule("precision_x_nm"), "ylocerrornm": Rule("precision_y_nm"),
    "zlocerrornm": Rule("precision_z_nm"), "sdxnm": Rule("sigma_x_nm"),
    "sdynm": Rule("sigma_y_nm"), "integratedint": Rule("intensity_adu"),
    "bgfit": Rule("background_adu"),
}  # fmt: skip


@register(
    name="dom",
    title="DoM (Detection of Molecules)",
    suffixes=(".txt", ".xls", ".csv"),
    recognise=lambda source: (
        0.96 if {"xnm", "ynm", "xlocerrornm", "framenumber"} <= label_keys(source) else 0.0
    ),
)
def read_dom(source: Source, options: ReadOptions) -> ReadTable:
    """Read a DoM particle table."""
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _DOM, options, source.path.name)
    drop_flat_z(columns, parsed.notes)
    return ReadTable(columns, parsed.notes, {"frame_base": 1})


def _is_vlume(source: Source) -> bool:
    table = sniff(source)
    return table is not None and any("LUME VERSION" in line.upper() for line in table.comments)


@register(
    name="vlume",
    title="vLUME csv",
    suffixes=(".csv",),
    recognise=lambda source: 0.95 if _is_vlume(source) else 0.0,
)
def read_vlume(source: Source, options: ReadOptions) -> ReadTable:
    """Read a vLUME csv (frame,x,y,z,int): nanometres, unless the caller says another unit."""
    parsed = parse(source, need_table(source))
    notes = list(parsed.notes)
    if options.units is None:
        options = replace(options, units="nm")
        notes.append("positions are taken as nm, the convention of vLUME")
    mapped = map_columns(parsed.columns, options, source.path.name)
    return ReadTable(mapped.columns, [*notes, *mapped.notes])


_CHALLENGE = {
    "frame": Rule("frame"), "xnano": Rule("x_nm"), "ynano": Rule("y_nm"), "znano": Rule("z_nm"),
    "intensity": Rule("photons"), "groundtruth": Rule("molecule"),
    "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"),
}  # fmt: skip


@register(
    name="smlm-challenge",
    title="SMLM challenge csv",
    suffixes=(".csv",),
    recognise=lambda source: (
        0.96
        if {"xnano", "ynano", "frame"} <= (keys := label_keys(source))
        else 0.9
        if {"groundtruth", "frame", "xnm", "ynm"} <= keys
        else 0.0
    ),
)
def read_challenge(source: Source, options: ReadOptions) -> ReadTable:
    """Read a table of the SMLM challenge (ground truth or result), nanometres."""
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _CHALLENGE, options, source.path.name)
    drop_flat_z(columns, parsed.notes)
    return ReadTable(columns, parsed.notes, {"frame_base": 1})


_MICROMANAGER = {
    "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"), "frame": Rule("frame"),
    "intphotons": Rule("photons"), "channel": Rule("channel"),
    "sigmanm": Rule("precision_x_nm"), "widthnm": Rule("sigma_x_nm", 1 / FWHM_PER_SIGMA),
    "backgroundphotons": Rule("background_photons"),
}  # fmt: skip


@register(
    name="micromanager",
    title="Micro-Manager Gaussian table",
    suffixes=(".txt",),
    recognise=lambda source: (
        0.94 if {"xnm", "ynm", "intphotons", "frame", "slice"} <= label_keys(source) else 0.0
    ),
)
def read_micromanager(source: Source, options: ReadOptions) -> ReadTable:
    """Read a table of Micro-Manager's localization plugin."""
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _MICROMANAGER, options, source.path.name)
    if "precision_x_nm" in columns:
        columns["precision_y_nm"] = columns["precision_x_nm"]
    drop_flat_z(columns, parsed.notes)
    return ReadTable(columns, parsed.notes, {"frame_base": 1})


#: Columns of the headerless ViSP files, by suffix.
_VISP = {
    ".2d": ("x", "y", "photons", "frame"),
    ".3d": ("x", "y", "z", "photons", "frame"),
    ".2dlp": ("x", "y", "precision_x", "precision_y", "photons", "frame"),
    ".3dlp": ("x", "y", "z", "precision_x", "precision_y", "precision_z", "photons", "frame"),
}


def _recognise_headerless(source: Source) -> float:
    table = sniff(source)
    if table is None or table.has_header or source.suffix not in _VISP:
        return 0.0
    return 0.8 if len(table.names) == len(_VISP[source.suffix]) else 0.0


@register(
    name="visp",
    title="ViSP (.2d, .3d, .2dlp, .3dlp)",
    suffixes=(".3d", ".2d", ".3dlp", ".2dlp"),
    recognise=_recognise_headerless,
)
def read_visp(source: Source, options: ReadOptions) -> ReadTable:
    """Read a headerless ViSP file; the suffix says what the columns are, nanometres."""
    names = _VISP.get(source.suffix)
    if names is None:
        raise SchemaError(
            f"{source.path.name}: the columns of a ViSP file follow from its suffix; one of "
            f"{', '.join(_VISP)} was expected."
        )
    return _headerless(source, names, options, default_unit="nm")


@register(
    name="malk",
    title="MALK / LAMA (four columns without header)",
    suffixes=(".txt",),
    recognise=lambda source: 0.0,  # noqa: ARG005 - nothing in the content tells: by name only
)
def read_malk(source: Source, options: ReadOptions) -> ReadTable:
    """Read four columns x, y, frame, signal without a header (`format="malk"`, units needed)."""
    return _headerless(source, ("x", "y", "frame", "intensity_adu"), options, default_unit=None)


def _headerless(
    source: Source, names: tuple[str, ...], options: ReadOptions, default_unit: str | None
) -> ReadTable:
    where = source.path.name
    table = need_table(source)
    if table.has_header or len(table.names) != len(names):
        raise SchemaError(
            f"{where}, row 1: {len(names)} numbers ({', '.join(names)}) were expected, found "
            f"{len(table.names)} columns{' with a header' if table.has_header else ''}."
        )
    unit = options.units or default_unit
    if unit is None:
        raise FileUnitsError(
            f"{where}: this format has no unit. Pass units='nm' to read (command line: --units nm),"
            " or 'px' with pixel_size_nm."
        )
    parsed = parse(source, replace(table, names=names, has_header=True))
    factors = length_factors(unit, options.pixel_size_nm, where)
    columns: dict[str, Any] = {}
    for name, values in parsed.columns.items():
        if name in ("x", "y", "z") or name.startswith("precision"):
            factor = factors[1] if name.endswith("y") else factors[0]
            columns[f"{name}_nm"] = np.asarray(values, dtype=np.float64) * factor
        else:
            columns[name] = values
    return ReadTable(columns, parsed.notes, {"unit": unit})

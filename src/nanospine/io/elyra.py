"""Zeiss ELYRA / ZEN: tab-separated latin-1 text with a footer behind a NUL byte."""

from __future__ import annotations

import re
from dataclasses import replace

from nanospine.io.registry import register
from nanospine.io.rules import FWHM_PER_SIGMA, Rule, apply_rules, label_keys
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table

__all__ = ["read_elyra"]

_FOOTER = re.compile(rb"(?:\x00|(?:\r\r?\n|\n)(?=VoxelSizeX))")
# "PSF half width" is the half width at half maximum; "PSF width" the full one.
_RULES = {
    "positionxnm": Rule("x_nm"), "positionynm": Rule("y_nm"), "positionznm": Rule("z_nm"),
    "firstframe": Rule("frame"), "numberframes": Rule("n_localizations"),
    "numberphotons": Rule("photons"),
    "precisionnm": Rule("precision_x_nm"), "precisionznm": Rule("precision_z_nm"),
    "psfhalfwidthnm": Rule("sigma_x_nm", 2 / FWHM_PER_SIGMA),
    "psfwidthnm": Rule("sigma_x_nm", 1 / FWHM_PER_SIGMA),
    "channel": Rule("channel"),
}  # fmt: skip


def _recognise(source: Source) -> float:
    keys = label_keys(source)
    if {"positionxnm", "positionynm"} <= keys and {"firstframe", "numberframes"} & keys:
        return 0.96
    return 0.0


@register(name="elyra", title="Zeiss ELYRA / ZEN", suffixes=(".txt",), recognise=_recognise)
def read_elyra(source: Source, options: ReadOptions) -> ReadTable:
    """Read a ZEN table; what follows the NUL byte is metadata, not rows."""
    table = need_table(source)
    start, footer = _split_footer(source)
    notes: list[str] = []
    if start is not None:
        notes.append("the footer with voxel and image sizes is metadata and was not read as rows")
        # A new source of the rows alone: a footer is no cut last row.
        content = source.read_bytes()[:start]
        source = replace(source, content=content, size=len(content), memo={})
    parsed = parse(source, replace(table, encoding=_encoding(table.encoding)))
    columns = apply_rules(parsed.columns, _RULES, options, source.path.name, leave_out=("index",))
    for name in ("precision", "sigma"):
        if f"{name}_x_nm" in columns:
            columns[f"{name}_y_nm"] = columns[f"{name}_x_nm"]
    details: dict[str, object] = {"frame_base": 1}
    for key in ("VoxelSizeX", "VoxelSizeY", "SizeX", "SizeY"):
        match = re.search(rb"\b" + key.encode() + rb"\s*:\s*([0-9.]+)", footer)
        if match:
            details[key] = float(match[1])
    return ReadTable(columns, [*parsed.notes, *notes], details)


def _encoding(found: str) -> str:
    # The footer's micro sign is latin-1 even where the rows are plain ASCII.
    return "latin-1" if found == "utf-8" else found


def _split_footer(source: Source) -> tuple[int | None, bytes]:
    tail = source.tail(1 << 16)
    match = _FOOTER.search(tail)
    if match is None:
        return None, b""
    return source.size - len(tail) + match.start(), tail[match.start() :]

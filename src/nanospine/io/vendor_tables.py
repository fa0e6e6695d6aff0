"""Text tables of microscope vendors with labels of their own: ONI, Abbelight, Vutara, Leica."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanospine.io.registry import register
from nanospine.io.rules import Rule, apply_rules, label_keys
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions, ReadTable, drop_flat_z
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import need_table, sniff

__all__ = ["read_abbelight", "read_leica_gsd", "read_oni", "read_oni_codi", "read_vutara"]

_NIMOS = {
    "channel": Rule("channel"), "frame": Rule("frame"),
    "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"),
    "xpix": Rule("x_nm", pixels="x"), "ypix": Rule("y_nm", pixels="y"),
    "xprecisionnm": Rule("precision_x_nm"), "yprecisionnm": Rule("precision_y_nm"),
    "zprecisionnm": Rule("precision_z_nm"),
    "photons": Rule("photons"), "background": Rule("background_photons"),
}  # fmt: skip


@register(
    name="oni",
    title="ONI NimOS",
    suffixes=(".csv",),
    recognise=lambda source: (
        0.9
        if {"channel", "frame"} <= (keys := label_keys(source))
        and ({"xnm", "ynm"} <= keys or {"xpix", "ypix"} <= keys)
        and _has_parentheses(source)
        else 0.0
    ),
)
def read_oni(source: Source, options: ReadOptions) -> ReadTable:
    """Read a NimOS csv; columns depend on the user's export, nanometres win over pixels."""
    parsed = parse(source, need_table(source))
    where = source.path.name
    rules = dict(_NIMOS)
    keys = label_keys(source)
    details: dict[str, Any] = {}
    if options.pixel_size_nm is not None or not {"xnm", "ynm"} <= keys:
        rules["psfsigmaxpix"] = Rule("sigma_x_nm", pixels="x")
        rules["psfsigmaypix"] = Rule("sigma_y_nm", pixels="y")
        details["pixel_size_used_nm"] = options.pixel_size_nm
    columns = apply_rules(parsed.columns, rules, options, where)
    drop_flat_z(columns, parsed.notes)
    return ReadTable(columns, parsed.notes, details)


def _has_parentheses(source: Source) -> bool:
    table = sniff(source)
    return table is not None and any("(nm)" in name or "(pix)" in name for name in table.lower)


_CODI = {
    "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"), "frame": Rule("frame"),
    "channel": Rule("channel"), "durationframes": Rule("n_localizations"),
    "varxnm2": Rule("precision_x_nm", variance=True),
    "varynm2": Rule("precision_y_nm", variance=True),
    "varznm2": Rule("precision_z_nm", variance=True),
    "intensitymeanphotons": Rule("photons"), "intensityphotons": Rule("photons"),
    "bgmeanphotons": Rule("background_photons"), "backgroundphotons": Rule("background_photons"),
    "sigmaxmeannm": Rule("sigma_x_nm"), "sigmaymeannm": Rule("sigma_y_nm"),
    "sigmaymean": Rule("sigma_y_nm"), "sigmaxmean": Rule("sigma_x_nm"),
}  # fmt: skip


@register(
    name="oni-codi",
    title="ONI CODI",
    suffixes=(".csv",),
    recognise=lambda source: (
        0.95
        if {"xnm", "ynm"} <= (keys := label_keys(source))
        and {"varxnm2", "varynm2", "durationframes", "presplitchannelschannelindex"} & keys
        else 0.0
    ),
)
def read_oni_codi(source: Source, options: ReadOptions) -> ReadTable:
    """Read a CODI csv; `var-*` are variances, the precision is their square root."""
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _CODI, options, source.path.name)
    drop_flat_z(columns, parsed.notes)
    return ReadTable(columns, parsed.notes)


_VUTARA = {
    "x": Rule("x_nm"), "y": Rule("y_nm"), "z": Rule("z_nm"),
    "imageid": Rule("frame"), "frame": Rule("frame"),
    "visprobe": Rule("channel"), "probe": Rule("channel"),
    "photoncount": Rule("photons"), "accuracy": Rule("accuracy"),
    "precisionx": Rule("precision_x_nm"), "precisiony": Rule("precision_y_nm"),
    "precisionz": Rule("precision_z_nm"),
    "psfx": Rule("psfx"), "psfy": Rule("psfy"),
}  # fmt: skip


@register(
    name="vutara",
    title="Bruker Vutara / SRX particles.csv",
    suffixes=(".csv",),
    recognise=lambda source: (
        0.96
        if {"imageid", "cycle", "x", "y", "z", "photoncount"} <= (keys := label_keys(source))
        and {"probe", "visprobe", "zstep"} & keys
        else 0.0
    ),
)
def read_vutara(source: Source, options: ReadOptions) -> ReadTable:
    """Read particles.csv: nanometres; rows with `valid` 0 are left out and counted.

    `image-ID` numbers the images of the whole measurement and is the frame, because `frame`
    restarts in every cycle.
    """
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _VUTARA, options, source.path.name)
    notes = parsed.notes
    if "valid" in columns:
        valid = np.asarray(columns.pop("valid")) != 0
        if not valid.all():
            notes.append(f"{int((~valid).sum())} of {len(valid)} rows left out: valid is 0")
        columns = {name: values[valid] for name, values in columns.items()}
    return ReadTable(columns, notes)


_ABBELIGHT = {
    "frame": Rule("frame"), "xnm": Rule("x_nm"), "ynm": Rule("y_nm"), "znm": Rule("z_nm"),
    "intensityphoton": Rule("photons"), "offsetphoton": Rule("background_photons"),
    "uncertaintyxynm": Rule("precision_x_nm"), "uncertaintynm": Rule("precision_x_nm"),
    "uncertaintyznm": Rule("precision_z_nm"),
    "sigmaxnm": Rule("sigma_x_nm"), "sigmaynm": Rule("sigma_y_nm"),
    "sigma1nm": Rule("sigma_x_nm"), "sigma2nm": Rule("sigma_y_nm"), "sigmanm": Rule("sigma_x_nm"),
    "detections": Rule("n_localizations"),
}  # fmt: skip
_ABBELIGHT_SIGNS = frozenset({
    "ratiodemixing", "intdemixingphoton", "amplitudephoton", "ratiosafphoton", "zsafnm",
    "zastigmnm",
})  # fmt: skip


@register(
    name="abbelight",
    title="Abbelight NEO / SAFe",
    suffixes=(".csv",),
    recognise=lambda source: (
        0.98 if {"xnm", "ynm"} <= (keys := label_keys(source)) and keys & _ABBELIGHT_SIGNS else 0.0
    ),
)
def read_abbelight(source: Source, options: ReadOptions) -> ReadTable:
    """Read an Abbelight csv; `ratio_demixing` (two colours) keeps its name."""
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _ABBELIGHT, options, source.path.name)
    if "precision_x_nm" in columns:
        columns["precision_y_nm"] = columns["precision_x_nm"]
    if "sigma_x_nm" in columns and "sigma_y_nm" not in columns:
        columns["sigma_y_nm"] = columns["sigma_x_nm"]
    return ReadTable(columns, parsed.notes, {"frame_base": 1})


_GSD = {
    "x0float": Rule("x_nm", pixels="x"), "y0float": Rule("y_nm", pixels="y"),
    "z0float": Rule("z_nm"), "frameiduint32": Rule("frame"),
    "photoncount0float": Rule("photons"), "photoncountfloat": Rule("photons"),
    "photoncount": Rule("photons"), "photoncount0": Rule("photons"),
    "x0": Rule("x_nm", pixels="x"), "y0": Rule("y_nm", pixels="y"), "z0": Rule("z_nm"),
    "frameid": Rule("frame"),
    "sigmax0float": Rule("sigma_x_nm", pixels="x"), "sigmay0float": Rule("sigma_y_nm", pixels="y"),
    "sigmax0": Rule("sigma_x_nm", pixels="x"), "sigmay0": Rule("sigma_y_nm", pixels="y"),
}  # fmt: skip
# Failed axial fits are written as numbers up to 1e36.
_GSD_HIGHEST_Z_NM = 1e5


@register(
    name="leica-gsd",
    title="Leica GSD / LAS AF ascii",
    suffixes=(".ascii",),
    recognise=lambda source: (
        0.96
        if ({"x0float", "y0float"} <= (keys := label_keys(source)) or {"x0", "y0"} <= keys)
        and {"stackiduint32", "eventiduint32", "stackid", "eventid"} & keys
        else 0.0
    ),
)
def read_leica_gsd(source: Source, options: ReadOptions) -> ReadTable:
    """Read a GSD ascii table: x, y and sigma in camera pixels (size needed), z in nanometres."""
    parsed = parse(source, need_table(source))
    columns = apply_rules(parsed.columns, _GSD, options, source.path.name)
    notes = parsed.notes
    z = columns.get("z_nm")
    if z is not None and len(z):
        wild = ~(np.abs(np.asarray(z, dtype=np.float64)) < _GSD_HIGHEST_Z_NM)
        if wild.all() or not np.any(np.asarray(z)[~wild]):
            del columns["z_nm"]
            notes.append("z holds no height in any row: the data are taken as 2-D")
        elif wild.any():
            columns["z_nm"] = np.where(wild, np.nan, z)
            notes.append(f"{int(wild.sum())} rows have a z beyond 0.1 mm (a failed fit)")
    return ReadTable(columns, notes, {"frame_base": 0})

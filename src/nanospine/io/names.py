"""From the labels of text tables to canonical columns.

One table of aliases serves the formats whose labels mean what they say; a format with labels of
its own brings its own table. A label is taken apart by :func:`nanospine.io.units.parse_label`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from nanospine.core.errors import Fault, SchemaError
from nanospine.io.table import ReadOptions
from nanospine.io.units import PIXELS, FileUnitsError, Label, length_factors, parse_label

__all__ = ["Mapped", "map_columns", "plain_name"]

#: Plain name (lower case, without blanks, _ and -) -> canonical name without unit.
ALIASES = {
    "x": "x", "y": "y", "z": "z",
    "positionx": "x", "positiony": "y", "positionz": "z",
    "xposition": "x", "yposition": "y", "zposition": "z",
    "xpos": "x", "ypos": "y", "zpos": "z", "posx": "x", "posy": "y", "posz": "z",
    "xcoordinate": "x", "ycoordinate": "y", "zcoordinate": "z",
    "xcoord": "x", "ycoord": "y", "zcoord": "z",
    "frame": "frame", "framenumber": "frame", "frames": "frame", "frameid": "frame",
    "firstframe": "frame", "framenr": "frame",
    "intensity": "photons", "photons": "photons", "photon": "photons", "phot": "photons",
    "nphotons": "photons", "numberphotons": "photons", "numphotons": "photons",
    "photoncount": "photons", "int": "photons",
    "background": "background_photons", "bg": "background_photons",
    "offset": "background_photons",
    "sigma": "sigma", "sigma1": "sigma_x", "sigma2": "sigma_y", "sigmax": "sigma_x",
    "sigmay": "sigma_y", "sx": "sigma_x", "sy": "sigma_y",
    "uncertainty": "precision", "uncertaintyxy": "precision", "precision": "precision",
    "precisionxy": "precision", "locprec": "precision", "locprecnm": "precision",
    "locprecision": "precision", "localizationprecision": "precision",
    "localisationprecision": "precision", "sd": "precision", "xyprecision": "precision",
    "lateralprecision": "precision",
    "uncertaintyx": "precision_x", "uncertaintyy": "precision_y", "uncertaintyz": "precision_z",
    "precisionx": "precision_x", "precisiony": "precision_y", "precisionz": "precision_z",
    "xprecision": "precision_x", "yprecision": "precision_y", "zprecision": "precision_z",
    "lpx": "precision_x", "lpy": "precision_y", "lpz": "precision_z",
    "locprecx": "precision_x", "locprecy": "precision_y", "locprecz": "precision_z",
    "locprecznm": "precision_z", "axialprecision": "precision_z",
    "channel": "channel", "probe": "channel", "colour": "channel", "color": "channel",
    "trace": "trace", "tid": "trace", "traceid": "trace", "track": "trace", "trackid": "trace",
    "molecule": "molecule", "moleculeid": "molecule",
    "time": "time", "tim": "time", "t": "time",
    "detections": "n_localizations", "nlocalizations": "n_localizations",
    "efo": "efo", "cfr": "cfr", "dcr": "dcr", "eco": "eco", "fbg": "background_hz",
}  # fmt: skip

_LENGTHS = frozenset({
    "x", "y", "z", "sigma", "sigma_x", "sigma_y",
    "precision", "precision_x", "precision_y", "precision_z",
})  # fmt: skip
POSITION_AXES = frozenset({"x", "y", "z"})
_PHOTONS = frozenset({"photons", "background_photons"})
_INTENSITIES = frozenset({"intensity", "int", "offset", "background", "bg"})


def plain_name(name: str) -> str:
    """Give a label's name without blanks, underscores and hyphens, in lower case."""
    return "".join(sign for sign in name.lower() if sign not in " _-.\t")


@dataclass
class Mapped:
    """Canonical columns of a text table, and what was noticed on the way."""

    columns: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


def map_columns(
    columns: dict[str, npt.NDArray[Any]],
    options: ReadOptions,
    where: str,
    *,
    default_unit: str | None = None,
) -> Mapped:
    """Rename columns canonically and scale them to nanometres and photons.

    Parameters
    ----------
    columns : dict
        Arrays by the labels of the file.
    options : ReadOptions
        Its `units` speaks for labels without a unit, its pixel size for pixels.
    where : str
        The file, for messages.
    default_unit : str, optional
        What labels without a unit mean in this format, where the format fixes it.

    Raises
    ------
    SchemaError
        When two labels mean the same quantity, or x or y is missing, or a number is text.
    FileUnitsError
        When a position has no unit and nobody said one, or pixels have no size.
    """
    result = Mapped({})
    origin: dict[str, str] = {}
    faults: list[Fault] = []
    bare: list[str] = []
    for text, values in columns.items():
        label = parse_label(text)
        quantity = ALIASES.get(plain_name(label.name))
        if quantity is None or label.power != 1 or _is_unsaid_intensity(label, quantity):
            result.columns[_free_name(text, result.columns)] = values
            continue
        unit = _unit(text, label, quantity, options, default_unit, result.notes)
        if quantity in _LENGTHS and unit is None:
            bare.append(text)
            continue
        name, scaled = _scale(quantity, label, unit, values, options, where)
        if scaled.dtype.kind not in "iuf" and name != "channel":
            faults.append(Fault(f'column "{text}"', "numbers were expected, found text"))
        if name in origin:
            faults.append(Fault(f'columns "{origin[name]}" and "{text}"', f"both mean {name}"))
        origin[name] = text
        result.columns[name] = scaled
    if bare:
        raise _bare_units(where, bare)
    if faults:
        raise SchemaError.collect(where, faults)
    _spread(result.columns)
    if "x_nm" not in result.columns or "y_nm" not in result.columns:
        shown = ", ".join(f'"{name}"' for name in list(columns)[:15])
        raise SchemaError(
            f"{where}: columns for x and y were expected, found {shown}. Name them x [nm] and "
            "y [nm]."
        )
    return result


def _unit(
    text: str,
    label: Label,
    quantity: str,
    options: ReadOptions,
    default_unit: str | None,
    notes: list[str],
) -> str | None:
    """Give the unit of a column: what the caller said about positions, the label, the format."""
    unit = label.unit or options.units or default_unit
    # Who calls knows the file better than its header, except that z is never pixels.
    overruled = quantity in POSITION_AXES and options.units not in (None, unit)
    if overruled and not (quantity == "z" and options.units in PIXELS):
        notes.append(f'"{text}" is taken as {options.units}, as the caller said')
        return options.units
    return unit


def _is_unsaid_intensity(label: Label, quantity: str) -> bool:
    """Tell whether a label says intensity without saying of what: counts are no photons."""
    return quantity in _PHOTONS and label.unit is None and plain_name(label.name) in _INTENSITIES


def _bare_units(where: str, bare: list[str]) -> FileUnitsError:
    shown = ", ".join(f'"{name}"' for name in bare)
    return FileUnitsError(
        f"{where}: no unit is given for {shown}. Pass units='nm' to read (command line: "
        "--units nm), or 'um', 'm', or 'px' with pixel_size_nm."
    )


def _scale(
    quantity: str,
    label: Label,
    unit: str | None,
    values: npt.NDArray[Any],
    options: ReadOptions,
    where: str,
) -> tuple[str, npt.NDArray[Any]]:
    """Give the canonical name and the values in its unit."""
    if quantity in _LENGTHS and values.dtype.kind in "iuf":
        factor_x, factor_y = length_factors(str(unit), options.pixel_size_nm, where)
        if unit in PIXELS and quantity == "z":
            raise FileUnitsError(
                f"{where}: the unit of z is not known: pixels are no height. Name the column "
                "z [nm] in the header, or leave it out."
            )
        factor = factor_y if quantity.endswith("y") else factor_x
        return f"{quantity}_nm", values if factor == 1 else values * factor
    if quantity in _PHOTONS and label.unit == "adu":
        return {"photons": "intensity_adu"}.get(quantity, "background_adu"), values
    if quantity == "time":
        return "time_s", values * 1e-3 if label.unit == "ms" else values
    if quantity in _LENGTHS:
        return f"{quantity}_nm", values
    return {"efo": "efo_hz"}.get(quantity, quantity), values


def _spread(columns: dict[str, Any]) -> None:
    """Give a lateral sigma or precision to both lateral axes."""
    for quantity in ("sigma", "precision"):
        both = columns.pop(f"{quantity}_nm", None)
        if both is None:
            continue
        for axis in "xy":
            columns.setdefault(f"{quantity}_{axis}_nm", both)


def _free_name(text: str, taken: dict[str, Any]) -> str:
    name = text.strip() or "unnamed"
    while name in taken:
        name += "_"
    return name

"""Units of the numbers in files: what a label says, and what is asked for when it says nothing."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from nanospine.core.errors import ReadError, UnitsError

__all__ = ["FileUnitsError", "Label", "length_factors", "nm_per", "parse_label"]


class FileUnitsError(UnitsError, ReadError):
    """The unit of the numbers in a file is unknown or cannot be right.

    It is both: a fault of units, and a reason why a file was not read.
    """


#: Nanometres per unit of length, by the spellings that programs write.
LENGTHS_NM = {
    "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0, "nanometers": 1.0, "nanometres": 1.0,
    "um": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3, "micrometre": 1e3,
    "micrometers": 1e3, "micrometres": 1e3, "mm": 1e6, "m": 1e9, "meter": 1e9, "metre": 1e9,
    "pm": 1e-3, "å": 0.1, "angstrom": 0.1, "cm": 1e7,
}  # fmt: skip
PIXELS = frozenset({"px", "pix", "pixel", "pixels"})
OTHER_UNITS = frozenset({
    "photon", "photons", "adu", "a/d count", "a/d counts", "counts", "count", "frame", "frames",
    "s", "ms", "sec", "hz", "khz", "deg", "rad", "%", "au", "a.u.", "ticks",
})  # fmt: skip

_BRACKET = re.compile(r"^(?P<name>.*?)[\s_]*[\[(]\s*(?P<unit>[^\[\]()]*?)\s*[\])]\s*$", re.DOTALL)
_JOINED = re.compile(r"^(?P<name>[xyz])(?P<unit>nm|um|μm|px|pix|nano)$", re.IGNORECASE)
_TAIL = re.compile(r"^(?P<name>.+?)[\s_\-.](?P<unit>[A-Za-zμÅå]+?)(?P<power>\^?2)?$")


@dataclass(frozen=True)
class Label:
    """A column label taken apart: its plain name, its unit (None when it has none) and power."""

    name: str
    unit: str | None
    power: int = 1

    @property
    def is_pixels(self) -> bool:
        """True when the unit is camera pixels."""
        return self.unit in PIXELS

    @property
    def is_length(self) -> bool:
        """True when the unit is a length or pixels."""
        return self.unit in LENGTHS_NM or self.unit in PIXELS


def parse_label(label: str) -> Label:
    """Take a column label apart into name and unit.

    Examples
    --------
    >>> parse_label("x [nm]"), parse_label("X precision (pix)")
    (Label(name='x', unit='nm', power=1), Label(name='x precision', unit='pix', power=1))
    >>> parse_label("y_um"), parse_label("uncertainty_xy")
    (Label(name='y', unit='um', power=1), Label(name='uncertainty_xy', unit=None, power=1))
    >>> parse_label("xnm")
    Label(name='x', unit='nm', power=1)
    >>> parse_label("var-x-nm2")
    Label(name='var-x', unit='nm', power=2)
    """
    # NFKC makes the two micro signs one; spreadsheets add quotes and hard blanks.
    text = unicodedata.normalize("NFKC", label).strip().strip("\"'`").strip()
    match = _BRACKET.match(text)
    if match is not None:
        unit, power = _unit_and_power(match["unit"])
        return Label(match["name"].strip().lower(), unit, power)
    match = _JOINED.match(text)
    if match is not None:
        unit = match["unit"].lower()
        return Label(match["name"].lower(), "nm" if unit == "nano" else unit)
    match = _TAIL.match(text)
    if match is not None:
        unit = match["unit"].lower()
        known = unit in LENGTHS_NM or unit in PIXELS or unit in ("hz", "photon", "photons", "s")
        if known:
            return Label(match["name"].strip().lower(), unit, 2 if match["power"] else 1)
    return Label(text.lower(), None)


def _unit_and_power(text: str) -> tuple[str | None, int]:
    unit = text.strip().lower()
    for tail in ("^2", "²", "2"):
        base = unit.removesuffix(tail)
        if base != unit and (base in LENGTHS_NM or base in PIXELS):
            return base, 2
    return (unit or None), 1


def nm_per(unit: str, where: str) -> float:
    """Give the nanometres of one unit of length.

    Raises
    ------
    FileUnitsError
        For a unit that is no length.
    """
    try:
        return LENGTHS_NM[unicodedata.normalize("NFKC", unit).strip().lower()]
    except KeyError:
        raise FileUnitsError(
            f"{where}: {unit!r} is not a unit of length that nanospine knows; use nm, um, px or m."
        ) from None


def length_factors(
    unit: str, pixel_size_nm: tuple[float, float] | None, where: str
) -> tuple[float, float]:
    """Give nanometres per unit for x and y; pixels need a pixel size.

    Raises
    ------
    FileUnitsError
        When the unit is pixels and no pixel size is known.
    """
    if unit in PIXELS:
        if pixel_size_nm is None:
            raise FileUnitsError(
                f"{where}: positions are in camera pixels and the file does not say how large a "
                "pixel is. Pass pixel_size_nm=... (command line: --pixel-size-nm)."
            )
        return pixel_size_nm
    factor = nm_per(unit, where)
    return factor, factor

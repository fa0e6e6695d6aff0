"""Rules for formats whose labels have a fixed meaning: label -> canonical column and factor."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import Fault, SchemaError
from nanospine.io.safe_files import Source
from nanospine.io.table import ReadOptions
from nanospine.io.text_layout import sniff
from nanospine.io.units import FileUnitsError

__all__ = ["Rule", "apply_rules", "label_key", "label_keys", "pixel_size"]

#: FWHM of a Gaussian in standard deviations, and half of it.
FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))


@dataclass(frozen=True)
class Rule:
    """What a label means: canonical name, factor, axis whose pixel size it is in, variance."""

    name: str
    factor: float = 1.0
    pixels: str = ""
    variance: bool = False


def label_key(label: str) -> str:
    """Give a label's letters and digits only, in lower case.

    Examples
    --------
    >>> label_key("Position X [nm]"), label_key("var-x-nm2")
    ('positionxnm', 'varxnm2')
    """
    text = unicodedata.normalize("NFKC", label).lower()
    return "".join(sign for sign in text if sign.isalnum())


def label_keys(source: Source) -> set[str]:
    """Give the label keys of a text table; empty for anything else."""
    table = sniff(source)
    if table is None or not table.has_header:
        return set()
    return {label_key(name) for name in table.names if name}


def pixel_size(options: ReadOptions, where: str, found: float | None = None) -> tuple[float, float]:
    """Give the pixel size that the caller said, or the one the file names.

    Raises
    ------
    FileUnitsError
        When nobody says one.
    """
    if options.pixel_size_nm is not None:
        return options.pixel_size_nm
    if found is not None and np.isfinite(found) and found > 0:
        return found, found
    raise FileUnitsError(
        f"{where}: positions are in camera pixels and the file does not say how large a pixel is. "
        "Pass pixel_size_nm=... (command line: --pixel-size-nm)."
    )


def apply_rules(
    columns: Mapping[str, npt.NDArray[Any]],
    rules: Mapping[str, Rule],
    options: ReadOptions,
    where: str,
    *,
    pixel_size_nm: float | None = None,
    leave_out: Iterable[str] = (),
) -> dict[str, Any]:
    """Rename and scale columns; those without a rule keep their own names.

    Parameters
    ----------
    columns : mapping
        Arrays by the labels of the file.
    rules : mapping
        By :func:`label_key`; where two labels lead to one name the first rule in `rules` wins
        and the other label keeps its own name.
    options, where
        As readers get them.
    pixel_size_nm : float, optional
        What the file says.
    leave_out : iterable of str
        Keys of columns that are not wanted.

    Raises
    ------
    SchemaError
        When a column with a rule holds text.
    """
    by_key = {label_key(label): label for label in columns}
    result: dict[str, Any] = {}
    used: set[str] = set()
    faults: list[Fault] = []
    for key, rule in rules.items():
        label = by_key.get(key)
        if label is None or rule.name in result:
            continue
        values = columns[label]
        if values.dtype.kind not in "iufb" and rule.name != "channel":
            faults.append(Fault(f'column "{label}"', "numbers were expected, found text"))
            continue
        result[rule.name] = _scaled(values, rule, options, where, pixel_size_nm)
        used.add(label)
    if faults:
        raise SchemaError.collect(where, faults)
    skipped = set(leave_out)
    for label, values in columns.items():
        if label not in used and label_key(label) not in skipped:
            name = label.strip()
            result[name if name not in result else f"{name}_"] = values
    return result


def _scaled(
    values: npt.NDArray[Any], rule: Rule, options: ReadOptions, where: str, found: float | None
) -> npt.NDArray[Any]:
    if rule.variance:
        numbers = np.asarray(values, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            values = np.sqrt(numbers)
    factor = rule.factor
    if rule.pixels:
        sizes = pixel_size(options, where, found)
        factor *= sizes[1] if rule.pixels == "y" else sizes[0]
    return values if factor == 1 else np.asarray(values, dtype=np.float64) * factor

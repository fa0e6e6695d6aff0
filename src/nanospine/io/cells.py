"""What counts as a number in a cell of a text table."""

from __future__ import annotations

import re

__all__ = ["MISSING", "has_thousands", "is_decimal_comma", "is_number", "is_plain_number"]

_NUMBER = re.compile(r"^[+\-−]?(\d+\.?\d*|\.\d+)([eE][+\-−]?\d+)?$")
_DECIMAL_COMMA = re.compile(r"^[+\-−]?\d*,\d+([eE][+\-]?\d+)?$")
_THOUSANDS = re.compile(r"^[+\-−]?\d{1,3}(,\d{3})+(\.\d+)?$")

#: Spellings of a missing number, in lower case.
MISSING = frozenset({
    "", "nan", "-nan", "+nan", "-nan(ind)", "nan(ind)", "nan(snan)", "1.#qnan", "-1.#qnan",
    "1.#ind", "-1.#ind", "na", "n/a", "#n/a", "null", "none", "-",
})  # fmt: skip
_INFINITE = frozenset({"inf", "-inf", "+inf", "infinity", "-infinity"})


def is_plain_number(cell: str) -> bool:
    """Tell whether a cell is a number with a decimal point or none."""
    return bool(_NUMBER.match(cell))


def is_decimal_comma(cell: str) -> bool:
    """Tell whether a cell is a number with a decimal comma."""
    return bool(_DECIMAL_COMMA.match(cell))


def has_thousands(cell: str) -> bool:
    """Tell whether a cell may be a number with thousands separators, as 1,234.5."""
    return bool(_THOUSANDS.match(cell))


def is_number(text: str) -> bool:
    """Tell whether a cell is a number, infinite, or a spelling of a missing number.

    Examples
    --------
    >>> [is_number(cell) for cell in ("1e-3", "2,5", "1.#QNAN", "x [nm]")]
    [True, True, True, False]
    """
    cell = text.strip()
    if _NUMBER.match(cell) or _DECIMAL_COMMA.match(cell):
        return True
    plain = cell.lower()
    return plain in MISSING or plain in _INFINITE

"""How a text table is written: encoding, line ends, comments, separator, decimal sign, header.

Strategy: the first 64 KiB tell; nothing is guessed later. What the labels mean is not decided
here (:mod:`nanospine.io.names`), and the numbers are decoded in :mod:`nanospine.io.text_decode`.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from nanospine.core.errors import SchemaError
from nanospine.io.cells import is_decimal_comma, is_number, is_plain_number
from nanospine.io.safe_files import Source
from nanospine.io.units import LENGTHS_NM, OTHER_UNITS, PIXELS

__all__ = ["TextTable", "cells_of", "decode_head", "need_table", "sniff"]

_EXCEL_SEPARATOR = re.compile(r'^"?sep=.{1,3}"?\s*$', re.IGNORECASE)
_SAMPLE_ROWS = 40
_LONGEST_HEADER = 8192


@dataclass(frozen=True)
class TextTable:
    """How a text table is written, and its first rows."""

    names: tuple[str, ...]
    separator: str
    decimal: str
    encoding: str
    newline: str
    #: Lines to skip before the data (comments and header).
    skip_lines: int
    comments: tuple[str, ...]
    sample: tuple[tuple[str, ...], ...]
    has_header: bool
    #: Positions of columns that are no data: unnamed index, trailing separator.
    ignored: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    #: Whether the text must be rewritten before pyarrow (runs of blanks, odd minus signs).
    rewrite: bool = False

    @property
    def lower(self) -> tuple[str, ...]:
        """Column labels in lower case, stripped."""
        return tuple(name.lower() for name in self.names)


def sniff(source: Source) -> TextTable | None:
    """Find out how a text table is written; None when the content is no text.

    The result is kept with the source, so that every recogniser can ask.
    """
    if "text_table" not in source.memo:
        source.memo["text_table"] = _sniff(source) if source.kind == "text" else None
    table: TextTable | None = source.memo["text_table"]
    return table


def need_table(source: Source) -> TextTable:
    """Give the layout of a text table.

    Raises
    ------
    SchemaError
        When the content is no text table.
    """
    table = sniff(source)
    if table is None:
        raise SchemaError(f"{source.path.name}: a text table was expected, found none.")
    return table


def decode_head(head: bytes) -> tuple[str, str] | None:
    """Give the text of the first bytes and its encoding; what follows a NUL is left out."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            whole = head[: len(head) // 2 * 2]
            return whole.decode(encoding, errors="replace").lstrip("\ufeff"), encoding
    head = head.split(b"\x00", 1)[0]
    if head.startswith(b"\xef\xbb\xbf"):
        return head[3:].decode("utf-8", errors="replace"), "utf-8"
    try:
        return head.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 4 and len(head) > 64:  # a character cut by the end of head
            return head[: error.start].decode("utf-8"), "utf-8"
    return head.decode("latin-1"), "latin-1"


def _sniff(source: Source) -> TextTable | None:
    decoded = decode_head(source.head)
    if decoded is None or not decoded[0].strip():
        return None
    text, encoding = decoded
    newline = "\r\n" if "\r\n" in text else "\n" if "\n" in text else "\r"
    lines = text.split(newline)
    complete = len(source.head) >= source.size
    if not complete and len(lines) > 1:
        lines.pop()  # the last line of the head is cut
    elif lines and lines[-1] == "":
        lines.pop()
    n_comments = 0
    while n_comments < len(lines) and _is_comment(lines[n_comments]):
        n_comments += 1
    body = lines[n_comments:]
    n_blank = 0
    while n_blank < len(body) and not body[n_blank].strip():
        n_blank += 1
    body = body[n_blank:]
    comments = tuple(line.lstrip("#%/ ").rstrip() for line in lines[:n_comments])
    if not body:
        if not comments:
            return None
        body = [comments[-1]]
        n_comments -= 1
    # JSON and XML are text, but no tables.
    if len(body[0]) > _LONGEST_HEADER or body[0].lstrip().startswith(("{", "[", "<")):
        return None
    return _layout(body[: _SAMPLE_ROWS + 1], n_comments + n_blank, comments, encoding, newline)


def _is_comment(line: str) -> bool:
    # Excel writes a first line sep=; to tell itself the separator.
    return line.startswith(("#", "%", "//")) or bool(_EXCEL_SEPARATOR.match(line))


def _layout(
    body: list[str], n_before: int, comments: tuple[str, ...], encoding: str, newline: str
) -> TextTable:
    notes: list[str] = []
    header_line = _unquoted_header(body[0], notes)
    separator = _separator(header_line, body[1:])
    header = cells_of(header_line, separator)
    rows = [cells for line in body[1:] if line.strip() for cells in [cells_of(line, separator)]]
    has_header = not _all_numbers(header)
    skip = n_before + 1
    if not has_header:
        named = cells_of(comments[-1], separator) if comments else []
        rows.insert(0, header)
        skip = n_before
        if comments and len(named) == len(header) and not _all_numbers(named):
            header, has_header = named, True
            notes.append("column names taken from the comment line above the data")
        else:
            header = [f"column {number + 1}" for number in range(len(header))]
    if has_header and rows and _are_units(rows[0], len(header)):
        header = [f"{name} [{unit.strip(' []()')}]" if unit.strip() else name
                  for name, unit in zip(header, rows.pop(0), strict=True)]  # fmt: skip
        skip += 1
        notes.append("the second row holds the units")
    names = [_clean(name) for name in header]
    width = max((len(row) for row in rows[:5]), default=len(names))
    if width == len(names) + 1 and all(len(r) == width and not r[-1].strip() for r in rows[:5]):
        names.append("")
    ignored = _ignored(names, rows, notes)
    decimal = _decimal(rows, separator)
    flat = "".join(cell for row in rows for cell in row)
    return TextTable(
        names=tuple(names), separator=separator, decimal=decimal, encoding=encoding,
        newline=newline, skip_lines=skip, comments=comments,
        sample=tuple(tuple(cell.strip() for cell in row) for row in rows),
        has_header=has_header, ignored=tuple(ignored), notes=tuple(notes),
        rewrite=separator == " " or "−" in flat,
    )  # fmt: skip


def _are_units(row: list[str], width: int) -> bool:
    """Tell whether a row below the header names units: nm, nm, photon, ..."""
    cells = [cell.strip().strip("[]()").lower() for cell in row]
    known = all(not cell or cell in LENGTHS_NM or cell in PIXELS or cell in OTHER_UNITS
                for cell in cells)  # fmt: skip
    return known and len(row) == width and any(c in LENGTHS_NM or c in PIXELS for c in cells)


def _ignored(names: list[str], rows: list[list[str]], notes: list[str]) -> list[int]:
    ignored = []
    for number, name in enumerate(names):
        if name and not name.lower().startswith("unnamed:"):
            continue
        empty = all(len(row) <= number or not row[number].strip() for row in rows)
        if number == 0 and not empty:
            ignored.append(number)
            notes.append("the unnamed first column (a row index) was left out")
        elif empty:
            ignored.append(number)
    return ignored


def _unquoted_header(line: str, notes: list[str]) -> str:
    """Undo a spreadsheet's quoting of the whole header: "id,""frame"",""x [nm]"" "."""
    text = line.strip()
    if text.startswith('"') and text.endswith('"') and '""' in text:
        cells = next(csv.reader([text]), [])
        if len(cells) == 1 and any(sign in cells[0] for sign in ",;\t"):
            notes.append("the whole header was one quoted field; it was taken apart")
            return cells[0]
    return line


def _separator(header: str, rows: list[str]) -> str:
    """Choose the separator that cuts header and rows into the same number of cells, if one does."""
    best, score = " ", -1.0
    counts = {}
    for sign in "\t;, ":
        n_header = len(cells_of(header, sign))
        counts[sign] = n_header
        if n_header < 2:
            continue
        filled = [line for line in rows[:20] if line.strip()]
        same = sum(len(cells_of(line, sign)) == n_header for line in filled)
        share = same / len(filled) if filled else 1.0
        # Blanks separate only where nothing else does: labels and numbers have blanks around.
        value = share + {"\t": 0.4, ";": 0.3, ",": 0.2, " ": 0.0}[sign]
        if value > score:
            best, score = sign, value
    if best == " " and counts[" "] < 2:
        return ","
    return best


def cells_of(line: str, separator: str) -> list[str]:
    """Cut a line into its cells; blanks separate in runs."""
    if separator == " ":
        return line.replace("\t", " ").split()
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return line.split(separator)


def _clean(name: str) -> str:
    return name.replace("\ufeff", "").strip().strip("\"'`").strip()


def _all_numbers(cells: list[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(is_number(cell) for cell in filled)


def _decimal(rows: list[list[str]], separator: str) -> str:
    if separator == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = sum(is_decimal_comma(cell) for cell in cells)
    points = sum("." in cell and is_plain_number(cell) for cell in cells)
    return "," if commas > 0 and points == 0 else "."
